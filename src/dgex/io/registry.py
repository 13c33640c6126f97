"""Which formats there are, and which one a file is: by its suffix, checked against its content."""

from __future__ import annotations

import builtins
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dgex.errors import FileError, SettingsError
from dgex.inputs import regular

if TYPE_CHECKING:
    from dgex.io.base import ExpressionFile
    from dgex.io.writer import Writer

__all__ = ["Format", "find", "formats", "recognise"]


@dataclass(frozen=True)
class Format:
    """One file format: its names, where its code is, and what its files begin with."""

    key: str
    name: str
    suffixes: tuple[str, ...]
    module: str
    reader_name: str
    writer_name: str
    content: str  # "hdf5", "folder", "parquet", "text"

    @property
    def reader(self) -> type[ExpressionFile]:
        """The class that opens such files."""
        reader: type[ExpressionFile] = getattr(importlib.import_module(f"dgex.io.{self.module}"), self.reader_name)
        return reader

    @property
    def writer(self) -> type[Writer]:
        """The class that writes such files."""
        writer: type[Writer] = getattr(importlib.import_module(f"dgex.io.{self.module}"), self.writer_name)
        return writer


_FORMATS = (
    Format("gctx", "GCTX", (".gctx",), "gctx", "GctxFile", "GctxWriter", "hdf5"),
    Format("gct", "GCT", (".gct", ".gct.gz"), "gct", "GctFile", "GctWriter", "text"),
    Format("h5ad", "AnnData", (".h5ad",), "annotated", "H5adFile", "H5adWriter", "hdf5"),
    Format("zarr", "AnnData zarr", (".zarr",), "annotated", "ZarrFile", "ZarrWriter", "folder"),
    Format("parquet", "Parquet", (".parquet", ".pq"), "parquet", "open_parquet", "ParquetWriter", "parquet"),
    Format("tsv", "TSV", (".tsv", ".tsv.gz", ".txt", ".txt.gz"), "text", "TextFile", "TextWriter", "text"),
    Format("csv", "CSV", (".csv", ".csv.gz"), "text", "TextFile", "CsvWriter", "text"),
)
_SAID = {
    "hdf5": "an HDF5 file (.gctx or .h5ad)",
    "folder": "a folder (.zarr)",
    "parquet": "a Parquet file (.parquet)",
    "gzip": "compressed by gzip (a suffix such as .tsv.gz)",
    "zip": "a zip archive (unpack it first)",
    "binary": "binary",
    "gct": "a GCT file (.gct)",
    "text": "text",
}


def formats() -> dict[str, tuple[str, ...]]:
    """List the formats that are read and written: key (as for `format=`) to suffixes."""
    return {item.key: item.suffixes for item in _FORMATS}


def find(path: Path, key: str | None = None) -> Format:
    """Find the format of `path` by `key` or, when that is None, by its suffix.

    Raises
    ------
    FileError
        The suffix is not known.
    SettingsError
        `key` is not known.
    """
    if key is not None:
        for item in _FORMATS:
            if item.key == key.lower():
                return item
        raise SettingsError(f"format {key!r} is unknown", accepted=f"{', '.join(formats())}")
    name = path.name.lower()
    for item in _FORMATS:
        if name.endswith(item.suffixes):
            return item
    accepted = ", ".join(suffix for item in _FORMATS for suffix in item.suffixes)
    found = "".join(path.suffixes[-2:]) if name.endswith(".gz") else path.suffix
    raise FileError(f"{path}: suffix {found!r} is of no known format", accepted=f"{accepted}")


def recognise(path: Path, key: str | None = None) -> Format:
    """Find the format of an existing file and make sure that its content can be of it.

    Raises
    ------
    FileError
        The file is missing, empty, or its content is of another format.
    """
    if not regular(path).exists():
        raise FileError(f"{path} does not exist")
    chosen = find(path, key)
    content = _content(path)
    if content == "empty":
        raise FileError(f"{path} is empty")
    if chosen.content == "text":
        fits = {"text", "gct"} if chosen.key == "gct" else {"text"}
        if key is not None or path.name.lower().endswith(".gz"):
            fits.add("gzip")
        if path.name.lower().endswith(".gz") and content != "gzip" and key is None:
            raise FileError(f"{path} is not compressed by gzip, as its suffix .gz says; it is {_SAID[content]}")
    else:
        fits = {chosen.content}
    if content not in fits:
        raise FileError(
            f"{path} is no {chosen.name} file, as its suffix says: its content is {_SAID[content]}"
            if key is None
            else f"{path} is no {chosen.name} file: its content is {_SAID[content]}"
        )
    return chosen


def _content(path: Path) -> str:
    """Say what a file is by its first bytes."""
    if path.is_dir():
        return "folder"
    try:
        with builtins.open(path, "rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    if not head:
        return "empty"
    for magic, kind in (
        (b"\x89HDF\r\n\x1a\n", "hdf5"),
        (b"PAR1", "parquet"),
        (b"\x1f\x8b", "gzip"),
        (b"PK\x03\x04", "zip"),
        (b"#1.2", "gct"),
        (b"#1.3", "gct"),
    ):
        if head.startswith(magic):
            return kind
    return "binary" if b"\x00" in head else "text"
