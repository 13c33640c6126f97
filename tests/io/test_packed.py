"""Values in two bytes come back as float32, no farther off than was said, whatever they are."""

from __future__ import annotations

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from dgex import io
from dgex.errors import DataError, SettingsError
from dgex.io.packed import BAND

NAMES = ["a.gctx", "a.h5ad", "a.zarr"]
ROWS = BAND + 77


def tables(genes: int, rows: int = ROWS) -> tuple[pd.DataFrame, pd.DataFrame]:
    return (pd.DataFrame(index=[f"{kind}{n}" for n in range(count)]) for kind, count in (("P", rows), ("G", genes)))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    """Genes of many scales: counts, constants, tiny and huge ranges, gaps, a gene without any value in a band."""
    random = np.random.default_rng(0)
    X = random.normal(8, 2, (ROWS, 9)).astype(np.float32)
    X[:, 1] *= 1000
    X[:, 2] = 3.3
    X[:, 3] = 1e4 + 1e-3 * X[:, 3]
    X[:, 4] = 0
    X[3, 5] = -500
    X[10:20, 6] = np.nan
    X[:BAND, 7] = np.nan
    X[:, 8] *= np.float32(1e-35)
    return X


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", "int16"])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"chunks": (100, 4)}])
def test_values_come_back_as_near_as_was_said(
    values: np.ndarray, tmp_path: Path, name: str, dtype: str, options: dict[str, object]
) -> None:
    obs, var = tables(9)
    path = tmp_path / name
    with io.create(path, obs, var, dtype=dtype, **options) as out:
        for start in range(0, ROWS, 300):  # as they come, whatever the bands are
            out.append(values[start : start + 300])
        said = out.rounding
    with io.open(path, allow_missing=True) as file:
        back = file.read()
        assert back.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
        assert np.nanmax(np.abs(back - values)) == pytest.approx(said, rel=1e-6)
        stored = np.float16 if dtype == "float16" else np.float32  # constants are exact
        np.testing.assert_array_equal(back[:, [2, 4]], values[:, [2, 4]].astype(stored))
        rows, genes = [ROWS - 1, 5, BAND, BAND - 1], [8, 0, 5]
        np.testing.assert_array_equal(file.read(genes, rows), back[np.ix_(rows, genes)])
    if dtype == "int16":
        steps = (np.nanmax(values, axis=0) - np.nanmin(values, axis=0)) / 65534
        most = 0.5001 * steps + 2e-7 * np.nanmax(np.abs(values), axis=0) + 1e-26
        assert (np.nanmax(np.abs(back - values), axis=0) <= most).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_undoes_whole_numbers_by_what_the_file_says(values: np.ndarray, tmp_path: Path, name: str) -> None:
    obs, var = tables(9)
    path = tmp_path / name
    with io.create(path, obs, var, dtype="int16") as out:
        out.append(values)
    if name == "a.gctx":
        with h5py.File(path) as file:
            matrix = file["0/DATA/0/matrix"]
            group = file[matrix.attrs["int16_scaled"].rpartition(" ")[2]]
            stored, scale, offset = matrix[:], group["scale"][:], group["offset"][:]
    else:
        adata = anndata.read_h5ad(path) if name == "a.h5ad" else anndata.read_zarr(path)
        stored, (scale, offset) = np.asarray(adata.X), (adata.uns["int16_scaled"][k] for k in ("scale", "offset"))
    band = np.arange(ROWS) // 1024
    theirs = np.where(stored == -32768, np.float32(np.nan), stored.astype(np.float32) * scale[band] + offset[band])
    with io.open(path, allow_missing=True) as file:
        np.testing.assert_array_equal(file.read(), theirs)


@pytest.mark.parametrize("dtype", ["float16", "int16"])
def test_blocks_make_no_difference(values: np.ndarray, tmp_path: Path, dtype: str) -> None:
    obs, var = tables(9)
    for name, size in (("a.gctx", 7), ("b.gctx", ROWS)):
        (tmp_path / name[0]).mkdir()
        with io.create(tmp_path / name[0] / "a.gctx", obs, var, dtype=dtype) as out:
            for start in range(0, ROWS, size):
                out.append(values[start : start + size])
    assert (tmp_path / "a/a.gctx").read_bytes() == (tmp_path / "b/a.gctx").read_bytes()


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        ("float16", 7e4, r"gene G1, sample P2: found 70000.0, accepted values up to 65,504"),
        ("int16", np.inf, "gene G1, sample P2: found inf"),
    ],
)
def test_what_cannot_be_held_is_refused(tmp_path: Path, dtype: str, value: float, said: str) -> None:
    X = np.ones((5, 3), np.float32)
    X[2, 1] = value
    obs, var = tables(3, 5)
    with pytest.raises(DataError, match=said), io.create(tmp_path / "a.h5ad", obs, var, dtype=dtype) as out:
        out.append(X)
    assert not list(tmp_path.iterdir())
    with pytest.raises(SettingsError, match="accepted float32, float16, int16"):
        io.create(tmp_path / "a.h5ad", obs, var, dtype="int8")


def test_infinity_stays_in_halves(tmp_path: Path) -> None:
    X = np.array([[1, np.inf, -np.inf, np.nan]], np.float32)
    obs, var = tables(4, 1)
    with io.create(tmp_path / "a.zarr", obs, var, dtype="float16") as out:
        out.append(X)
        assert out.rounding == 0
    np.testing.assert_array_equal(io.read(tmp_path / "a.zarr", allow_missing=True).X, X)


def test_what_another_program_wrote_anew_is_not_taken_for_values(values: np.ndarray, tmp_path: Path) -> None:
    obs, var = tables(9)
    with io.create(tmp_path / "a.h5ad", obs, var, dtype="int16") as out:
        out.append(values)
    anndata.read_h5ad(tmp_path / "a.h5ad").write_h5ad(tmp_path / "b.h5ad")
    with pytest.raises(DataError, match="another program wrote it anew"):
        io.open(tmp_path / "b.h5ad")
    io.convert(tmp_path / "a.h5ad", tmp_path / "c.h5ad", allow_missing=True)
    again = anndata.read_h5ad(tmp_path / "c.h5ad")
    assert again.X.dtype == np.float32
    assert "int16_scaled" not in again.uns
