"""Round trips through every format, selections, conversion and hostile files."""

from __future__ import annotations

import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dgex import io
from dgex.errors import DataError, DgexError, FileError, GeneError

NAMES = ["a.gctx", "a.gct", "a.gct.gz", "a.h5ad", "a.zarr", "a.parquet", "a.tsv", "a.csv.gz"]
KEEP_METADATA = {"a.gctx", "a.gct", "a.gct.gz", "a.h5ad", "a.zarr", "a.parquet"}
IDS = st.text("abcXYZ019-_.:@é ,;\"'#/+", min_size=1, max_size=8).map(str.strip).filter(bool)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def matrices(draw: st.DrawFn) -> AnnData:
    """Any values under any ids."""
    genes = draw(st.lists(IDS, min_size=1, max_size=6, unique=True))
    samples = draw(st.lists(IDS, min_size=1, max_size=6, unique=True))
    values = draw(arrays.arrays(np.float32, (len(samples), len(genes)), elements=FLOATS))
    return AnnData(values, obs=pd.DataFrame(index=samples), var=pd.DataFrame(index=genes))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "a.zarr"])
@given(matrices())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_matrix_comes_back(name: str, adata: AnnData) -> None:
    with tempfile.TemporaryDirectory() as folder:
        io.write(adata, Path(folder) / name)
        found = io.read(Path(folder) / name)
    np.testing.assert_array_equal(found.X, adata.X)
    assert found.obs_names.tolist() == adata.obs_names.tolist()
    assert found.var_names.tolist() == adata.var_names.tolist()


@pytest.mark.parametrize("source", NAMES)
def test_every_format_converts_to_every_other(tiny: AnnData, tmp_path: Path, source: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    io.write(tiny, tmp_path / "in" / source)
    for target in NAMES:
        assert io.convert(tmp_path / "in" / source, tmp_path / "out" / target, block=3) == (7, 5)
        found = io.read(tmp_path / "out" / target)
        np.testing.assert_array_equal(found.X, tiny.X)
        assert found.obs_names.tolist() == tiny.obs_names.tolist()
        assert found.var_names.tolist() == tiny.var_names.tolist()
        if {source, target} <= KEEP_METADATA:
            _same(found.obs, tiny.obs)
            _same(found.var, tiny.var)


def _same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same columns with the same values and gaps."""
    assert sorted(found.columns) == sorted(expected.columns)
    for name in expected.columns:
        one, other = found[name], expected[name]
        assert one.isna().tolist() == other.isna().tolist()
        assert one[~one.isna()].tolist() == other[~other.isna()].tolist(), name


@pytest.mark.parametrize("name", NAMES)
def test_blocks_and_selections_agree(tiny: AnnData, tmp_path: Path, name: str) -> None:
    io.write(tiny, tmp_path / name)
    mask = np.array([True, False, True, True, False])
    genes = [None, slice(1, 4), slice(None, None, 2), [4, 0, 2], ["202954_at", "200814_at"], mask, [], [1, 1]]
    samples = [None, slice(2, 6), np.array([6, 1, 1]), ["GSM3"], [5]]
    with io.open(tmp_path / name) as source:
        assert source.shape == (7, 5)
        for columns, rows in product(genes, samples):
            expected = pd.DataFrame(tiny.X, tiny.obs_names, tiny.var_names)
            expected = _pick(_pick(expected, rows).T, columns).T.to_numpy()
            whole = source.read(columns, rows)
            np.testing.assert_array_equal(whole, expected)
            assert whole.flags.c_contiguous
            assert whole.dtype == np.float32
            for size in (1, 3, 50):
                at = 0
                for where, block in source.iter_blocks(size, columns, rows):
                    assert where == slice(at, at + len(block))
                    np.testing.assert_array_equal(block, expected[where])
                    at += len(block)
                assert at == len(expected)


def _pick(table: pd.DataFrame, selection: object) -> pd.DataFrame:
    if selection is None:
        return table
    if isinstance(selection, list) and selection and isinstance(selection[0], str):
        return table.loc[selection]
    return table.iloc[selection]


@pytest.mark.parametrize("name", NAMES)
def test_values_that_are_no_numbers_are_refused_by_name(tiny: AnnData, tmp_path: Path, name: str) -> None:
    tiny.X[2, 3] = np.nan
    tiny.X[4, 0] = np.inf
    io.write(tiny, tmp_path / name)
    said = r"2 missing or infinite values; the first is missing.*gene 202954_at, sample GSM2"
    with pytest.raises(DataError, match=said):
        io.read(tmp_path / name)
    with io.open(tmp_path / name) as source:
        with pytest.raises(DataError, match=said):
            for _ in source.iter_blocks(2):
                pass
        assert np.isfinite(source.read(genes=[1, 2])).all()
        with pytest.raises(DataError, match="1 missing or infinite value; the first is infinite"):
            source.read(genes=[1, 0])
    found = io.read(tmp_path / name, allow_missing=True)
    np.testing.assert_array_equal(found.X, tiny.X)


def test_selections_that_do_not_fit(tiny: AnnData, tmp_path: Path) -> None:
    io.write(tiny, tmp_path / "a.gctx")
    with io.open(tmp_path / "a.gctx") as source:
        with pytest.raises(GeneError, match="lacks 1 of 2 genes asked for: TP53"):
            source.read(genes=["TP53", "200814_at"])
        with pytest.raises(DataError, match=r"position 7 asked for.*7 samples"):
            source.read(samples=[7])
        with pytest.raises(GeneError, match="mask of 2"):
            source.read(genes=[True, False])


def test_a_file_is_not_converted_onto_itself(tiny: AnnData, tmp_path: Path) -> None:
    io.write(tiny, tmp_path / "a.gctx")
    with pytest.raises(FileError, match="the file to read"):
        io.convert(tmp_path / "a.gctx", tmp_path / "." / "a.gctx", overwrite=True)
    np.testing.assert_array_equal(io.read(tmp_path / "a.gctx").X, tiny.X)


def test_a_failed_conversion_leaves_nothing(tiny: AnnData, tmp_path: Path) -> None:
    tiny.X[6, 4] = np.nan
    io.write(tiny, tmp_path / "a.gctx")
    with pytest.raises(DataError, match="sample GSM6"):
        io.convert(tmp_path / "a.gctx", tmp_path / "b.parquet", block=2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.gctx"]
    io.convert(tmp_path / "a.gctx", tmp_path / "b.parquet", block=2, allow_missing=True)


@pytest.mark.parametrize("name", NAMES)
def test_truncated_files_never_surprise(tiny: AnnData, tmp_path: Path, name: str) -> None:
    """At whatever byte a file ends, it is refused by an error of ours; a binary one never gives wrong values."""
    io.write(tiny, tmp_path / name)
    random = np.random.default_rng(0)
    files = [tmp_path / name] if name != "a.zarr" else sorted(f for f in (tmp_path / name).rglob("*") if f.is_file())
    for file in [files[at] for at in random.permutation(len(files))[:6]]:
        content = file.read_bytes()
        cuts = [*random.integers(0, len(content), 14 if len(files) == 1 else 2), 1, len(content) - 1]
        for cut in cuts:
            file.write_bytes(content[:cut])
            found = _read_or_refuse(tmp_path / name)
            if isinstance(found, str):
                assert "\n" not in found
            elif name in ("a.gctx", "a.h5ad", "a.parquet", "a.gct.gz", "a.csv.gz"):
                np.testing.assert_array_equal(found.X, tiny.X)
        file.write_bytes(content)


def _read_or_refuse(path: Path) -> AnnData | str:
    try:
        return io.read(path)
    except DgexError as error:
        return str(error)
