"""Every changed bit of a matrix is found, and told by the profiles of its block."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from anndata import AnnData

from dgex import io
from dgex.errors import FileError
from dgex.io.checksums import Checksums
from dgex.io.verified import damaged, verify
from dgex.summary import info

ROWS, GENES = 600, 7
NAMES = ["a.gctx", "a.h5ad", "a.zarr"]
MATRIX = {"a.gctx": "0/DATA/0/matrix", "a.h5ad": "X", "a.zarr": "X"}


@pytest.fixture(scope="module")
def adata() -> AnnData:
    random = np.random.default_rng(0)
    made = AnnData(random.normal(8, 2, (ROWS, GENES)).astype(np.float32))
    made.obs_names, made.var_names = [f"P{n}" for n in range(ROWS)], [f"G{n}" for n in range(GENES)]
    return made


def _flip(path: Path, row: int, gene: int, bit: int) -> None:
    """Change one bit of what is stored of a value, as a disk may."""
    if path.suffix == ".zarr":
        chunk = path / "X" / f"{row // 256}.0"
        raw = np.fromfile(chunk, np.uint8)
        at = (row % 256 * GENES + gene) * (len(raw) // 256 // GENES)
        raw[at] ^= 1 << bit
        raw.tofile(chunk)
        return
    with h5py.File(path) as file:
        matrix = file[MATRIX[path.name]]
        at = matrix.id.get_offset() + (row * GENES + gene) * matrix.dtype.itemsize
    with path.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1 << bit]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int16"])
def test_a_bit_that_changed_is_found_in_its_block(adata: AnnData, tmp_path: Path, name: str, dtype: str) -> None:
    packing = {"compression": "none"} if name == "a.zarr" else {}
    io.write(adata, tmp_path / name, dtype=dtype, **packing)
    whole = tmp_path / name
    assert damaged(whole) == []
    assert "all agree: 3 blocks" in info(whole, verify=True)["checksums"]
    random = np.random.default_rng(1)
    for block in (0, 1, 2):
        (tmp_path / "cut").mkdir()
        copy = tmp_path / "cut" / name
        shutil.copytree(whole, copy) if whole.is_dir() else shutil.copy(whole, copy)
        row = int(random.integers(block * 256, min(ROWS, block * 256 + 256)))
        _flip(copy, row, int(random.integers(GENES)), int(random.integers(8)))
        stop = min(ROWS, block * 256 + 256)
        assert damaged(copy) == [slice(block * 256, stop)]
        with pytest.raises(FileError, match=rf"profiles {block * 256 + 1} to {stop} \(P{block * 256} to P{stop - 1}\)"):
            info(copy, verify=True)
        shutil.rmtree(tmp_path / "cut")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_packed_is_found_too(adata: AnnData, tmp_path: Path, name: str) -> None:
    io.write(adata, tmp_path / name, compression="gzip", chunks=(100, 7))
    assert damaged(tmp_path / name) == []
    if name == "a.zarr":
        part = tmp_path / name / "X" / "3.0"
        part.write_bytes(part.read_bytes()[:-20])
    else:
        with h5py.File(tmp_path / name) as file:
            info = file[MATRIX[name]].id.get_chunk_info(3)
        with (tmp_path / name).open("r+b") as stream:
            stream.seek(info.byte_offset + info.size // 2)
            stream.write(b"damage")
    assert damaged(tmp_path / name) == [slice(256, 512)]


def test_a_chunk_that_is_lost_is_found(adata: AnnData, tmp_path: Path) -> None:
    io.write(adata, tmp_path / "a.zarr")
    (tmp_path / "a.zarr/X/2.0").unlink()  # zarr itself gives zeros, without a word
    assert damaged(tmp_path / "a.zarr") == [slice(512, 600)]


@pytest.mark.parametrize("name", ["a.h5ad", "a.zarr"])
def test_layers_and_tables_are_compared_as_well(adata: AnnData, tmp_path: Path, name: str) -> None:
    whole = adata.copy()
    whole.layers["half"] = whole.X / 2
    io.write(whole, tmp_path / name, dtype="int16")
    checked = {one.name: one.blocks for one in verify(tmp_path / name)}
    assert checked == {"X": 3, "layers/half": 3, "uns/int16_scaled/offset": 1, "uns/int16_scaled/scale": 1}
    opened = zarr.open_group(str(tmp_path / name), mode="r+") if name == "a.zarr" else h5py.File(tmp_path / name, "r+")
    opened["layers/half"][300, 2] = 1
    opened["uns/int16_scaled/scale"][0, 3] = 1
    if name == "a.h5ad":
        opened.close()
    bad = {one.name: one.damaged for one in verify(tmp_path / name) if one.damaged}
    assert set(bad) == {"layers/half", "uns/int16_scaled/scale"}
    assert bad["layers/half"] == [slice(256, 512)]


def test_a_file_without_checksums_says_so(adata: AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "theirs.h5ad")
    io.write(adata, tmp_path / "a.tsv")
    for name in ("theirs.h5ad", "a.tsv"):
        assert info(tmp_path / name, verify=True)["checksums"].startswith("none in this file")
    io.write(adata, tmp_path / "ours.h5ad")
    again = io.read(tmp_path / "ours.h5ad")
    again.X[0, 0] += 1
    again.write_h5ad(tmp_path / "anew.h5ad")  # another program's values: no alarm
    assert damaged(tmp_path / "anew.h5ad") == []


def test_pieces_make_no_difference_and_blocks_stay_few() -> None:
    X = np.random.default_rng(0).random((1000, 3), dtype=np.float32)
    one, many = Checksums(1000), Checksums(1000)
    one.add(X)
    for start in range(0, 1000, 37):
        many.add(X[start : start + 37])
    np.testing.assert_array_equal(one.sums(), many.sums())
    assert len(one.sums()) == 4
    rows = Checksums(100_000_000).rows
    assert 100_000_000 <= 8_000 * rows < 200_000_000
