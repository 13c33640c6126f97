"""One pass over a file that came: its digests, its decompressed form, and whether it is whole."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgex.datasets.public.fetch import disk_error
from dgex.datasets.public.meter import Meter
from dgex.errors import FileError

__all__ = ["Content", "DamagedError", "digest", "settle"]

BLOCK = 1 << 20


class DamagedError(FileError):
    """A file that came whole by its length, and is none: fetched again, it may be right."""


@dataclass(frozen=True)
class Content:
    """What a file holds: bytes, and their SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


class _Read:
    """A file to read that digests what passes."""

    def __init__(self, file: Any, meter: Meter, kinds: set[str]) -> None:
        self._file, self._meter, self.size = file, meter, 0
        self.digests = {kind: hashlib.new(kind) for kind in kinds}

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._file.read(size)
        for known in self.digests.values():
            known.update(block)
        self.size += len(block)
        self._meter.advance(len(block))
        return block


def digest(path: Path) -> Content:
    """Size and SHA-256 of a file.

    Raises
    ------
    FileError
        The file cannot be read.
    """
    return settle(path, None, packed=False, label=f"checking {path.name}")[0]


def settle(
    path: Path, output: Path | None, packed: bool, checksum: str | None = None, label: str | None = None
) -> tuple[Content, Content]:
    """Read `path` once, in bounded memory: digest it and, when it is `packed`, decompress it.

    Parameters
    ----------
    path : Path
        File that came.
    output : Path, optional
        File to write the decompressed bytes to; it is removed when anything fails. None only looks.
    packed : bool
        Whether the file is gzip, of one or more members; each one's CRC and length are checked.
    checksum : str, optional
        Published digest of the file as it came, "md5:…".
    label : str, optional
        What the progress bar says.

    Returns
    -------
    tuple of Content
        Of the file, and of its decompressed form (the same when not `packed`).

    Raises
    ------
    DamagedError
        No gzip, a gzip that is cut or damaged, or another checksum than published.
    FileError
        A file that cannot be read or written.
    """
    kind, _, expected = (checksum or "sha256:").partition(":")
    name = path.name.removesuffix(".partial")
    try:
        with ExitStack() as stack:
            try:
                file = stack.enter_context(open(path, "rb", buffering=0))
                total = os.fstat(file.fileno()).st_size
            except OSError as error:
                raise FileError(f"cannot read {path}: {error.strerror}") from error
            meter = stack.enter_context(Meter(label or f"unpacking {name}"))
            meter.start(total)
            source: Any = _Read(file, meter, {"sha256", kind})
            inner = _unpack(gzip.GzipFile(fileobj=source, mode="rb"), output, name) if packed else None
            while _block(source, name):  # what is not unpacked is only digested
                pass
        came = Content(source.size, source.digests["sha256"].hexdigest())
        computed = source.digests[kind].hexdigest()
        if expected and computed != expected:
            raise DamagedError(f"{name}: its {kind} is {computed}, published is {expected}")
    except BaseException:
        if output is not None:
            output.unlink(missing_ok=True)
        raise
    return came, inner or came


def _unpack(source: Any, output: Path | None, name: str) -> Content:
    """Copy what `source` gives into `output`, if any, and digest it."""
    known, size = hashlib.sha256(), 0
    with disk_error(output or Path(name)), ExitStack() as stack:
        target = stack.enter_context(open(output, "wb")) if output is not None else None
        while block := _block(source, name):
            known.update(block)
            size += len(block)
            if target is not None:
                target.write(block)
        if target is not None:
            target.flush()
            os.fsync(target.fileno())
    return Content(size, known.hexdigest())


def _block(source: Any, name: str) -> bytes:
    try:
        block: bytes = source.read(BLOCK)
    except EOFError as error:
        raise DamagedError(f"{name} is a gzip file that ends early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DamagedError(f"{name} is damaged or no gzip file: {str(error).lower()}") from error
    except OSError as error:
        raise FileError(f"cannot read {name}: {error.strerror}") from error
    return block
