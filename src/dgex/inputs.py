"""Files of somebody else, opened so that they can neither hang nor fill the memory."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from pathlib import Path
from typing import IO

from dgex.aliases import PathLike
from dgex.errors import FileError
from dgex.limits import LIMITS, allowed, refuse
from dgex.remote.places import located

__all__ = ["Unpacked", "regular"]

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_GZIP = b"\x1f\x8b"
_PIECE = 1 << 16  # packed bytes read at a time
_SEPARATORS = (b"\t", b",", b";", b" ")


def regular(path: PathLike) -> Path:
    """Return `path` unless it is a pipe, a socket or a device, which hang or never end.

    What is missing passes, for whoever opens it to say so in its own words.

    Raises
    ------
    FileError
    """
    target = located(path)
    try:
        mode = target.stat().st_mode
    except (OSError, ValueError):
        return target
    kind = next((name for test, name in _KINDS if test(mode)), None)
    if kind is not None:
        raise FileError(f"{target} is {kind}", accepted="a regular file")
    return target


class _Packed:
    """What gzip packed, in pieces larger than the 8 KiB of `gzip.GzipFile`."""

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        self._unpack, self._rest = zlib.decompressobj(31), b""

    def read(self, most: int) -> bytes:
        """Up to `most` bytes; none at the end.

        Raises
        ------
        EOFError, zlib.error, gzip.BadGzipFile
            The file is cut short, damaged, or followed by something else.
        """
        while True:
            if self._unpack.eof and not self._next():
                return b""
            packed = self._rest or self._below.read(_PIECE)
            part = self._unpack.decompress(packed, most)
            self._rest = self._unpack.unconsumed_tail
            if part:
                return part
            if not packed and not self._unpack.eof:
                raise EOFError("the compressed file ends before its end")

    def _next(self) -> bool:
        """Begin the next of several parts, if there is one; zeros may follow the last."""
        rest = self._unpack.unused_data.lstrip(b"\0")
        while len(rest) < len(_GZIP) and (more := self._below.read(_PIECE)):
            rest = (rest + more).lstrip(b"\0")
        if not rest:
            return False
        if not rest.startswith(_GZIP):
            raise gzip.BadGzipFile("what follows was not packed by gzip")
        self._unpack, self._rest = zlib.decompressobj(31), rest
        return True


class Unpacked(io.RawIOBase):
    """The bytes of a file of text, unpacked when gzip made it, as far as the limits of `dgex.limits` go.

    Looked at while it is read, so that neither an endless line nor a bomb is ever held.

    Parameters
    ----------
    path : path
    most : int, optional
        Bytes in all that may come.
    """

    def __init__(self, path: PathLike, most: int | None = None) -> None:
        super().__init__()
        self._path, self._most = regular(path), most
        self._below: IO[bytes] = open(path, "rb")  # noqa: SIM115 (closed by close)
        self.packed = self._below.read(2) == _GZIP
        self._below.seek(0)
        self._packed = _Packed(self._below) if self.packed else None
        self._line = self._lines = self._read = 0
        self._fields = dict.fromkeys(_SEPARATORS, 0)
        self._size = os.fstat(self._below.fileno()).st_size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._part(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for, unless the end comes before: parsers cut their blocks by what they get."""
        if size < 0:
            return self.readall()
        parts: list[bytes] = []
        while size > 0 and (part := self._part(size)):
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _part(self, most: int) -> bytes:
        part = self._below.read(most) if self._packed is None else self._packed.read(min(most, 1 << 20))
        self._look(part)
        return part

    def close(self) -> None:
        if not self.closed:
            self._below.close()
        super().close()

    def _look(self, part: bytes) -> None:
        self._read += len(part)
        if self._most is not None and self._read > self._most:
            raise refuse(self._path, "is a text", None, self._most)
        if self.packed:
            real = LIMITS["stretch"] * self._below.tell()
            if self._read > allowed("text") + real:
                raise refuse(
                    self._path, f"unpacks to over {LIMITS['stretch']} times its size", None, allowed("text") + real
                )
        breaks = part.count(b"\n")
        self._lines += breaks
        if self._lines > self._most_lines():
            raise refuse(self._path, "has too many lines", None, allowed("memory"))
        self._measure(part, breaks)

    def _most_lines(self) -> int:
        return LIMITS["lines"] * allowed("memory") // LIMITS["memory"] + self._size // 16

    def _measure(self, part: bytes, breaks: int) -> None:
        """Follow the length of the line that is not over yet, and count the fields of the first ones."""
        head = part if not breaks else part[: part.find(b"\n")]
        if self._line + len(head) > allowed("line"):
            raise refuse(self._path, "has a line", self._line + len(head), allowed("line"))
        if self._lines - breaks < 100:
            for mark in _SEPARATORS:
                self._fields[mark] += head.count(mark)
            if max(self._fields.values()) > LIMITS["fields"]:
                raise FileError(
                    f"{self._path} has a line of over {LIMITS['fields']:,} fields", accepted=f"{LIMITS['fields']:,}"
                )
        if breaks:
            tail = part[part.rfind(b"\n") + 1 :]
            self._line, self._fields = len(tail), {mark: tail.count(mark) for mark in _SEPARATORS}
        else:
            self._line += len(part)
