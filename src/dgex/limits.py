"""How much a file of somebody else may ask for: one table, and the setting that raises it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dgex.errors import FileError, SettingsError

__all__ = ["LIMITS", "MEMORY", "allowed", "in_bytes", "max_memory", "on_disk", "refuse"]

#: The environment variable that raises every limit in bytes; `dgex --max-memory 16G` sets it for one command.
MEMORY = "DGEX_MAX_MEMORY"

#: What a file may ask for, whatever its size. Bytes are raised by `MEMORY`, numbers are far beyond any real file.
LIMITS: dict[str, int] = {
    "memory": 1 << 30,  # bytes that ids, metadata and annotations, or an array, may take when the file is small
    "text": 16 << 20,  # bytes that compressed text unpacks to before its ratio counts
    "table": 256 << 20,  # bytes of a gene table, unpacked
    "line": 32 << 20,  # bytes of a line of text
    "chunk": 256 << 20,  # bytes of an unpacked chunk of HDF5 or zarr
    "record": 64 << 20,  # bytes of a JSON file
    "fetched": 8 << 30,  # bytes of a remote file that is fetched whole
    "stretch": 250,  # times its size that compressed text may unpack to: zeros reach 1,000, real tables 20
    "array ratio": 100,  # times the size of its file that an array may unpack to
    "metadata ratio": 4,  # times the size of its file that metadata may take in memory
    "fields": 2_000_000,  # columns of a table of text
    "lines": 4_000_000,  # lines of a table of text
    "objects": 100_000,  # groups and arrays of an HDF5 file or a zarr folder
    "depth": 64,  # groups inside groups
}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_RAISED = ("memory", "text", "table", "line", "chunk", "record", "fetched")


def max_memory() -> int | None:
    """Bytes that the user allows, if anything was said.

    >>> os.environ[MEMORY] = "16G"
    >>> max_memory() == 16 * 2**30, os.environ.pop(MEMORY)
    (True, '16G')
    """
    said = os.environ.get(MEMORY, "").strip()
    return in_bytes(said, MEMORY) if said else None


def in_bytes(said: str, name: str) -> int:
    """Bytes that a text such as `16G` tells; `name` is what it is the setting of.

    Raises
    ------
    SettingsError
        It is no number of bytes, or 0.

    >>> in_bytes("200M", "max_upload")
    209715200
    """
    match = re.fullmatch(r"(\d{1,15})\s*([KMGT]?)(?:i?B)?", said.strip(), re.IGNORECASE)
    if match is None or not int(match[1]):
        raise SettingsError(name, found=said, accepted="bytes such as 16G")
    return int(match[1]) * _UNITS[match[2].upper()]


def allowed(name: str) -> int:
    """A limit of the table, raised by what the user allows where it is in bytes."""
    raised = max_memory() if name in _RAISED else None
    return max(LIMITS[name], raised or 0)


def on_disk(path: Path) -> int:
    """Bytes that a file takes, without its holes: what it can hold; of a remote one no more than may be believed."""
    stat = path.stat()
    blocks: int | None = stat.st_blocks
    return min(stat.st_size, 2 * allowed("memory") if blocks is None else 512 * blocks)


def refuse(path: Path | str, what: str, needed: int | None, limit: int) -> FileError:
    """The refusal of a file that asks for too much, with the way to read it all the same."""
    found = "" if needed is None else f" of {_size(needed)}"
    wanted = 2 * max(needed or 0, limit)
    return FileError(
        f"{path} {what}{found}: more than the {_size(limit)} a file of its size may ask for; if you trust it, "
        f"set {MEMORY}={-(-wanted // _UNITS['G'])}G or give dgex --max-memory the same"
    )


def _size(size: int) -> str:
    for unit in ("T", "G", "M"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:,.1f} {unit}iB"
    return f"{size:,} bytes"
