"""Which format a file is, and files that are not what they claim."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from anndata import AnnData

from dgex import io
from dgex.errors import FileError, SettingsError
from dgex.io.registry import formats

HOLDS = {".gctx": b"\x89HDF\r\n\x1a\n", ".gct": b"#1.3\n", ".parquet": b"PAR1", ".tsv": b"gene\ta\n"}


def test_formats_are_listed() -> None:
    listed = io.formats()
    written = {"gctx", "gct", "h5ad", "zarr", "parquet", "tsv", "csv", "excel"}
    assert set(formats(written=True)) == written
    assert set(listed) == {*written, "quantifier", "10x", "archs4", "mtx", "parts"}
    assert ".txt.gz" in listed["tsv"]


@pytest.mark.parametrize("suffix", [".gctx", ".gct", ".gct.gz", ".h5ad", ".zarr", ".parquet", ".tsv", ".csv.gz"])
@pytest.mark.parametrize("content", [*HOLDS.values(), gzip.compress(b"x", mtime=0), b"PK\x03\x04", b"\x00\x01", b""])
def test_a_wrong_suffix_is_one_clear_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises((FileError, ValueError)) as caught:
        io.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_suffixes_say_what_was_found(tiny: AnnData, tmp_path: Path) -> None:
    io.write(tiny, tmp_path / "a.gctx")
    (tmp_path / "a.gctx").rename(tmp_path / "a.tsv")
    with pytest.raises(FileError, match=r"no TSV file, as its suffix says: its content is an HDF5 file"):
        io.read(tmp_path / "a.tsv")
    assert io.read(tmp_path / "a.tsv", format="gctx").shape == tiny.shape
    (tmp_path / "b.tsv.gz").write_text("gene\ta\nb\t1\n")
    with pytest.raises(FileError, match="not compressed by gzip"):
        io.read(tmp_path / "b.tsv.gz")


def test_a_table_without_a_suffix_is_text(tmp_path: Path) -> None:
    text = "sample\tTCGA-02-0001-01\tTCGA-02-0002-01\nTP53\t1.5\t2.5\nACTB\t3.5\t4.5\n"
    (tmp_path / "HiSeqV2").write_text(text)
    (tmp_path / "HiSeqV2.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("HiSeqV2", "HiSeqV2.gz"):
        assert io.read(tmp_path / name).X.tolist() == [[1.5, 3.5], [2.5, 4.5]]
    (tmp_path / "binary").write_bytes(b"\x00\x01\x02")
    with pytest.raises(FileError, match="its content is binary"):
        io.open(tmp_path / "binary")


def test_missing_files_and_unknown_suffixes(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        io.open(tmp_path / "a.gctx")
    (tmp_path / "a.xls").write_text("x")
    with pytest.raises(FileError, match=r"'.xls' is of no known format; accepted: .gctx, .gct"):
        io.open(tmp_path / "a.xls")
    with pytest.raises(SettingsError, match="accepted: gctx, gct"):
        io.open(tmp_path / "a.xls", format="xls")
    with pytest.raises(FileError, match="no known format"):
        io.create(tmp_path / "a.h5", None, None)  # type: ignore[arg-type]
