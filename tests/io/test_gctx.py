"""GCTX: files that others wrote, types of metadata, and reading a part."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from dgex import io
from dgex.errors import DataError, FileError, SettingsError

FIXTURES = Path(__file__).parent / "fixtures"


def test_a_file_by_cmappy_keeps_its_types_and_gaps() -> None:
    adata = io.read(FIXTURES / "cmappy_typed.gctx")
    assert adata.shape == (5, 7)
    assert adata.obs["count"].dtype == np.int64
    assert adata.obs["count"].iloc[4] == 2**40
    assert adata.obs["pert_dose"].dtype == np.float32
    assert adata.obs["pert_dose"].isna().tolist() == [False, False, True, False, False]
    assert adata.obs["cell_id"].tolist()[:3] == ["A375", "A375", "007"]
    assert adata.obs["cell_id"].isna().tolist() == [False, False, False, True, False]
    assert adata.var["pr_is_lm"].isna().sum() == 1
    assert pd.api.types.is_integer_dtype(adata.var["pr_is_lm"].dtype)
    assert adata.X[3, 2] == -666, "in the matrix -666 is a value"


@pytest.mark.parametrize("name", ["cmappy_typed.gctx", "cmappy_double.gctx", "cmappy_plain.gctx", "cmappy_plain.gct"])
def test_files_by_cmappy_hold_the_same_values(name: str) -> None:
    expected = io.read(FIXTURES / "cmappy_typed.gct")
    found = io.read(FIXTURES / name)
    np.testing.assert_array_equal(found.X, expected.X)
    assert found.X.flags.c_contiguous
    assert found.obs_names.tolist() == expected.obs_names.tolist()
    assert found.var_names.tolist() == expected.var_names.tolist()


@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip"}, {"chunks": (2, 3)}, {"compression": "gzip", "chunks": (100, 1)}]
)
def test_layouts_differ_on_disk_only(tiny: AnnData, tmp_path: Path, options: dict) -> None:
    io.write(tiny, tmp_path / "a.gctx", **options)
    np.testing.assert_array_equal(io.read(tmp_path / "a.gctx").X, tiny.X)
    with h5py.File(tmp_path / "a.gctx") as handle:
        matrix = handle["0/DATA/0/matrix"]
        assert (matrix.chunks is None) == (options == {})
        assert matrix.compression == options.get("compression")


def test_what_cmap_readers_expect_is_there(tiny: AnnData, tmp_path: Path) -> None:
    io.write(tiny, tmp_path / "a.gctx")
    with h5py.File(tmp_path / "a.gctx") as handle:
        assert handle.attrs["version"] == b"GCTX1.0"
        assert handle.attrs["src"] == "a.gctx"
        assert handle["0/DATA/0/matrix"].shape == (7, 5)
        assert handle["0/META/ROW/id"][1] == b"218597_s_at"
        assert handle["0/META/COL/note"][1] == b"-666"
        assert handle["0/META/COL/note"].dtype.kind == "S"
        assert handle["0/META/COL/dose"][1] == -666
        assert handle["0/META/COL/batch"].dtype == np.int64


def test_the_same_values_are_the_same_bytes_whenever_they_are_written(tiny: AnnData, tmp_path: Path) -> None:
    io.write(tiny, tmp_path / "a.gctx")
    made: list[int] = []
    with h5py.File(tmp_path / "a.gctx") as handle:
        handle.visititems(lambda _, thing: made.append(h5py.h5o.get_info(thing.id).mtime))
    assert made
    assert not any(made)


@pytest.mark.parametrize("strings", ["padded", "variable", "latin-1"])
def test_strings_of_other_writers(tmp_path: Path, strings: str) -> None:
    path = tmp_path / "a.gctx"
    with h5py.File(path, "w") as handle:
        handle.attrs["version"] = np.array([b"GCTX1.0"])
        handle["0/DATA/0/matrix"] = np.arange(6, dtype=np.float64).reshape(2, 3)
        if strings == "variable":
            handle["0/META/ROW/id"] = np.array(["a", "b", "cé"], dtype=h5py.string_dtype())
        else:
            last = "cé".encode("latin-1" if strings == "latin-1" else "utf-8")
            handle["0/META/ROW/id"] = np.array([b"a   ", b"b   ", last.ljust(6)])
        handle["0/META/COL/id"] = np.array([1, 2])
        handle["0/META/COL/two"] = np.array([[7], [-666]], np.int16)
    adata = io.read(path)
    assert adata.var_names.tolist() == ["a", "b", "cé"]
    assert adata.obs_names.tolist() == ["1", "2"]
    assert adata.obs["two"].isna().tolist() == [False, True]
    assert adata.obs["two"].dtype == "Int16"
    assert adata.X.dtype == np.float32


def test_names_that_hdf5_forbids(tiny: AnnData, tmp_path: Path) -> None:
    tiny.obs["id"] = [f"id{i}" for i in range(7)]
    tiny.obs["a/b"] = range(7)
    io.write(tiny, tmp_path / "a.gctx")
    found = io.read(tmp_path / "a.gctx")
    assert found.obs_names.tolist() == tiny.obs_names.tolist()
    assert found.obs["id_"].tolist() == tiny.obs["id"].tolist()
    assert found.obs["a_b"].tolist() == list(range(7))


def _broken(path: Path, change: str) -> None:
    with h5py.File(path, "r+") as handle:
        if change == "no matrix":
            del handle["0/DATA/0/matrix"]
        elif change == "no ids":
            del handle["0/META/ROW/id"]
        elif change == "version":
            handle.attrs["version"] = "GCTX9.0"
        elif change == "text":
            del handle["0/DATA/0/matrix"]
            handle["0/DATA/0/matrix"] = np.full((7, 5), b"x")
        elif change == "turned":
            values = handle["0/DATA/0/matrix"][()]
            del handle["0/DATA/0/matrix"]
            handle["0/DATA/0/matrix"] = values.T
        elif change == "no genes":
            del handle["0/DATA/0/matrix"], handle["0/META/ROW"]
            handle["0/DATA/0/matrix"] = np.empty((7, 0), np.float32)
            handle["0/META/ROW/id"] = np.empty(0, "S1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("no matrix", "no matrix at /0/DATA/0/matrix"),
        ("no ids", "no ids at /0/META/ROW/id"),
        ("version", "GCTX9.0"),
        ("text", "where numbers belong"),
        ("turned", "turned the wrong way"),
        ("no genes", "no genes"),
    ],
)
def test_broken_files_say_what_is_wrong(tiny: AnnData, tmp_path: Path, change: str, said: str) -> None:
    path = tmp_path / "a.gctx"
    io.write(tiny, path)
    _broken(path, change)
    with pytest.raises((FileError, DataError), match=said) as caught:
        io.read(path)
    assert "\n" not in str(caught.value)


def test_unknown_settings_are_named(tiny: AnnData, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"lzf.*accepted none, gzip"):
        io.write(tiny, tmp_path / "a.gctx", compression="lzf")
    with pytest.raises(SettingsError, match="no option level; accepted: compression, chunks, dtype"):
        io.write(tiny, tmp_path / "a.gctx", level=3)
    assert not list(tmp_path.iterdir())
