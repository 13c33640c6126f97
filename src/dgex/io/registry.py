"""Which formats there are, and which one a file is: by its suffix, checked against its content."""

from __future__ import annotations

import codecs
import importlib
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dgex.errors import FileError, SettingsError, first
from dgex.inputs import Unpacked, regular
from dgex.places import MARKER, absent
from dgex.progress import note
from dgex.remote.answers import RefusedError
from dgex.remote.fetching import fetched
from dgex.remote.places import Remote

if TYPE_CHECKING:
    from dgex.io.base import ExpressionFile
    from dgex.io.writer import Writer

__all__ = ["Format", "find", "formats", "named", "ready", "recognise"]


@dataclass(frozen=True)
class Format:
    """One file format: its names, where its code is, and what its files begin with."""

    key: str
    name: str
    suffixes: tuple[str, ...]
    module: str
    reader_name: str
    writer_name: str
    content: str  # "hdf5", "folder", "parquet", "text", "zip"
    takes: tuple[str, ...] = ()  # what its reader takes beside the path: "orientation", "layer"

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


def _gz(*suffixes: str) -> tuple[str, ...]:
    return tuple(name for suffix in suffixes for name in (suffix, f"{suffix}.gz"))


_FORMATS = (
    Format("gctx", "GCTX", (".gctx",), "gctx", "GctxFile", "GctxWriter", "hdf5"),
    Format("gct", "GCT", (".gct", ".gct.gz"), "gct", "GctFile", "GctWriter", "text"),
    Format("h5ad", "AnnData", (".h5ad",), "annotated", "H5adFile", "H5adWriter", "hdf5", ("layer",)),
    Format("zarr", "AnnData zarr", (".zarr",), "annotated", "ZarrFile", "ZarrWriter", "folder", ("layer",)),
    Format(
        "parquet",
        "Parquet",
        (".parquet", ".pq"),
        "parquet",
        "open_parquet",
        "ParquetWriter",
        "parquet",
        ("orientation",),
    ),
    Format("tsv", "TSV", _gz(".tsv", ".txt", ".tab"), "text", "TextFile", "TextWriter", "text", ("orientation",)),
    Format("csv", "CSV", _gz(".csv"), "text", "TextFile", "CsvWriter", "text", ("orientation",)),
    Format(
        "quantifier",
        "table of a quantifier",
        _gz(".sf", ".results", ".fpkm_tracking", ".counts"),
        "text",
        "TextFile",
        "",
        "text",
        ("orientation",),
    ),
    Format("excel", "Excel", (".xlsx", ".xlsm"), "excel", "open_excel", "ExcelWriter", "zip", ("orientation",)),
    Format("10x", "10x HDF5", (), "tenx", "open_tenx", "", "hdf5"),
    Format("archs4", "ARCHS4", (), "archs4", "Archs4File", "", "hdf5"),
    Format("parts", "folder of parts", (), "parts", "PartsFile", "", "folder", ("layer",)),
    Format("mtx", "10x matrix", (".mtx", ".mtx.gz"), "tenx", "open_mtx", "", "text"),
)
_SAID = {
    "hdf5": "an HDF5 file (.gctx or .h5ad)",
    "folder": "a folder (.zarr)",
    "parquet": "a Parquet file (.parquet)",
    "gzip": "compressed by gzip (a suffix such as .tsv.gz)",
    "zip": "a zip archive (an Excel workbook is called .xlsx; else unpack it first)",
    "binary": "binary",
    "gct": "a GCT file (.gct)",
    "text": "text",
}


_HDF = (".h5", ".hdf5")  # of any kind: what is inside tells
_INSIDE = (  # what an HDF5 file holds, and the format that it therefore is
    ("0/DATA/0/matrix", "gctx"),
    ("matrix/barcodes", "10x"),
    ("data/expression", "archs4"),
    ("X", "h5ad"),
    ("obs", "h5ad"),
)


def formats(written: bool = False) -> dict[str, tuple[str, ...]]:
    """List the formats that are read, or those that are `written` too: key (as for `format=`) to suffixes."""
    return {item.key: item.suffixes for item in _FORMATS if item.writer_name or not written}


def named(path: Path, key: str | None = None) -> Format:
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
    if name.endswith(_HDF) and path.is_file():
        return _inside(path)
    if path.is_dir() and not name.endswith(".zarr") and any(path.glob("*matrix.mtx*")):
        return named(path, "mtx")
    for item in _FORMATS:
        if name.endswith(item.suffixes):
            return item
    if (path / MARKER).is_file():
        return named(path, "parts")
    if "." not in name.removesuffix(".gz") and path.is_file():
        return named(path, "tsv")  # as UCSC Xena names its tables; what is no text is refused by its content
    accepted = ", ".join(suffix for item in _FORMATS for suffix in item.suffixes if not suffix.endswith(".gz"))
    found = "".join(path.suffixes[-2:]) if name.endswith(".gz") else path.suffix
    accepted += ", .h5; format='tsv' and the like insist"
    raise FileError(f"{path}: suffix {found!r} is of no known format", accepted=accepted)


def find(path: Path, key: str | None = None) -> Format:
    """Find the format to write `path` in; see `named`."""
    name = path.name.lower()
    chosen = named(path, key) if key or not name.endswith(_HDF) else None
    if chosen is not None and chosen.writer_name:
        return chosen
    accepted = ", ".join(suffix for suffixes in formats(written=True).values() for suffix in suffixes)
    raise FileError(f"{path}: suffix {path.suffix!r} is of no known format that is written", accepted=accepted)


def ready(path: Path, key: str | None = None) -> Path:
    """A remote file as its format is read: by parts where it is, else a copy of the whole; local ones as they are.

    Raises
    ------
    FileError
    """
    if not isinstance(path, Remote) or path.suffix == ".zarr" or (key or "").lower() == "zarr":
        return path
    try:
        facts = path.facts()
    except RefusedError as error:
        if error.code == 404:
            raise FileError(f"{path} does not exist") from None
        raise
    if facts.folder:
        raise FileError(f"{path} is a folder", accepted="a file, or a folder called .zarr")
    if facts.parts and (not facts.size or _content(path) in ("hdf5", "parquet")):
        return path
    if not facts.parts:
        note(f"{path}: the server gives no parts of it: it is fetched whole")
    return fetched(path)


def _inside(path: Path) -> Format:
    """The format of an HDF5 file by what it holds."""
    if _content(path) != "hdf5":
        return named(path, "h5ad")  # refused below, by its content
    from dgex.io.gctx import open_hdf

    with open_hdf(path) as file:
        for name, key in _INSIDE:
            if name in file:
                return named(path, key)
        if any(f"{group}/barcodes" in file for group in file):
            return named(path, "10x")
        raise FileError(
            f"{path} is an HDF5 file of no known layout: it holds {first(file, 6)}",
            accepted="GCTX, AnnData, 10x feature-barcode matrix, ARCHS4",
        )


def recognise(path: Path, key: str | None = None) -> Format:
    """Find the format of an existing file and make sure that its content can be of it.

    Raises
    ------
    FileError
        The file is missing, empty, or its content is of another format.
    """
    if not regular(path).exists():
        raise absent(path)
    content = _content(path)
    if content == "empty":
        raise FileError(f"{path} is empty")
    chosen = named(path, key)
    if key is None and chosen.key in ("tsv", "csv") and _unpacked(path, content) == "gct":
        chosen = named(path, "gct")
    if chosen.key == "mtx":
        return chosen
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
        with path.open("rb") as stream:
            head = stream.read(4096)
    except FileError:
        raise
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
        (b'"#1.2', "gct"),
        (b'"#1.3', "gct"),
        (codecs.BOM_UTF16_LE, "text"),
        (codecs.BOM_UTF16_BE, "text"),
    ):
        if head.startswith(magic):
            return kind
    return "binary" if b"\x00" in head else "text"


def _unpacked(path: Path, content: str) -> str:
    """What a file is by its first bytes, also where gzip packed it."""
    if content != "gzip":
        return content
    with suppress(OSError, EOFError, zlib.error), Unpacked(path) as stream:
        return "gct" if stream.read(5) in (b"#1.2\n", b"#1.2\r", b"#1.3\n", b"#1.3\r") else content
    return content
