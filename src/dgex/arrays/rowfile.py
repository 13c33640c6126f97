"""A float32 matrix in a file, read and written by rows as one in memory is; the file has no name.

It is gone when it is closed or when the process ends, however it ends. Rows are copied in and out by plain reads and
writes: nothing of the file counts as memory of this process, and a full disk is an error that can be told. Wide rows
go past the system's cache of files where the system and the disk can do that (O_DIRECT): to fill the cache costs more
than to write, and pushes out what others need.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np

from dgex.arrays.index import Index
from dgex.errors import FileError

__all__ = ["RowFile", "Rows"]

_BLOCK = 16 << 20  # bytes moved at a time where rows or columns are left out
_PAGE = 4096  # what places, lengths and memory are multiples of past the cache
_WIDE = 16  # pages of a row from which on whole pages waste little


class RowFile:
    """Rows of float32 in a temporary file.

    Parameters
    ----------
    shape : tuple of int
        Rows, columns; what was never written is zero.
    folder : path
        Where the file lies.
    mappable : bool
        Rows lie end to end, so that `mapped` can show them.

    Raises
    ------
    FileError
        The folder cannot be written.

    Examples
    --------
    >>> with RowFile((3, 2), Path(".")) as rows:
    ...     rows[0:2] = np.array([[1, 2], [3, 4]])
    ...     rows[np.array([2, 0])].tolist()
    [[0.0, 0.0], [1.0, 2.0]]
    """

    dtype = np.dtype(np.float32)

    def __init__(self, shape: tuple[int, int], folder: Path, mappable: bool = False) -> None:
        self.folder, self._mappable = folder, mappable
        self._rows = shape[0]
        self._lay_out(shape[1])
        self._lock = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile(dir=folder, prefix=".dgex-partial-", buffering=0)  # noqa: SIM115
            self._direct = self._stride != 4 * self._columns and _past_cache(self._file.fileno(), True)
            self._cut()
        except OSError as error:
            raise self._refused("write to", error) from error

    @staticmethod
    def size_of(shape: tuple[int, int]) -> int:
        """Bytes of the disk that so many rows and columns take."""
        return shape[0] * _stride(shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self._rows, self._columns

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: Index) -> np.ndarray:
        """Copy rows: a slice of step 1, or positions in any order."""
        if isinstance(index, slice):
            start, stop, _ = index.indices(self._rows)
            out = self._empty(max(0, stop - start))
            self._move(start, out, write=False)
        else:
            out = self._empty(len(index))
            for start, where in _runs(index):
                self._move(start, out[where], write=False)
        return out[:, : self._columns]

    def __setitem__(self, index: Index, values: np.ndarray) -> None:
        """Put rows in; positions must differ from each other."""
        block = self._empty(len(values))
        block[:, : self._columns], block[:, self._columns :] = values, 0
        if isinstance(index, slice):
            self._move(index.indices(self._rows)[0], block, write=True)
            return
        for start, where in _runs(index):
            self._move(start, block[where], write=True)

    def keep_rows(self, positions: np.ndarray) -> None:
        """Leave out all rows but those at increasing positions."""
        step = max(1, _BLOCK // max(1, 4 * self._columns))
        for at in range(0, len(positions), step):
            part = positions[at : at + step]
            if part[-1] != at + len(part) - 1:  # a row never moves back, so nothing unread is overwritten
                self[at : at + len(part)] = self[part]
        self._rows = len(positions)
        self._cut()

    def keep_columns(self, positions: np.ndarray) -> None:
        """Leave out all columns but those at some positions."""
        step, before = max(1, _BLOCK // max(1, 4 * self._columns)), self._columns
        for at in range(0, self._rows, step):
            self._lay_out(before)
            block = self[at : at + step][:, positions]
            self._lay_out(len(positions))
            self[at : at + len(block)] = block  # ends before the rows that are not read yet begin
        self._lay_out(len(positions))
        self._cut()

    def mapped(self) -> np.ndarray:
        """All of it as a memory map to read from, for what takes nothing but an array; of a file that is `mappable`."""
        assert self._mappable
        if not self._rows or not self._columns:
            return np.empty(self.shape, np.float32)
        return np.memmap(self._file, np.float32, "r", shape=self.shape)

    def close(self) -> None:
        """Give the room on the disk back."""
        self._file.close()

    def __enter__(self) -> RowFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lay_out(self, columns: int) -> None:
        self._columns, self._stride = columns, 4 * columns if self._mappable else _stride(columns)

    def _cut(self) -> None:
        self._file.truncate(self._rows * self._stride)

    def _empty(self, rows: int) -> np.ndarray:
        """Memory for rows as they lie in the file, from a whole page on."""
        if not self._stride:
            return np.empty((rows, 0), np.float32)
        raw = np.empty(rows * self._stride + _PAGE, np.uint8)
        start = -raw.ctypes.data % _PAGE
        return raw[start : start + rows * self._stride].view(np.float32).reshape(rows, self._stride // 4)

    def _move(self, row: int, values: np.ndarray, write: bool) -> None:
        """Write `values`, as `_empty` gives memory for them, from a row on, or read into them."""
        if row + len(values) > self._rows:
            raise IndexError(f"rows {row} to {row + len(values)} of {self._rows}")
        if not values.size:
            return
        left, place = memoryview(values).cast("B"), row * self._stride  # type: ignore[arg-type]
        while left:
            try:
                count = self._write(left, place) if write else self._read(left, place)
            except OSError as error:
                if error.errno != errno.EINVAL or not self._direct:
                    raise self._refused("write to" if write else "read from", error) from error
                self._direct = _past_cache(self._file.fileno(), False)  # this disk wants it otherwise
                continue
            if not count:
                raise FileError(f"a temporary file in {self.folder} was cut short")
            left, place = left[count:], place + count

    def _read(self, into: memoryview, place: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [into], place)
        with self._lock:
            self._file.seek(place)
            return int(self._file.readinto(into))

    def _write(self, values: memoryview, place: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file.fileno(), values, place)
        with self._lock:
            self._file.seek(place)
            return int(self._file.write(values))

    def _refused(self, what: str, error: OSError) -> FileError:
        return FileError(
            f"cannot {what} a temporary file in {self.folder}, which holds the profiles on their way: "
            f"{error.strerror or error}; TMPDIR names another folder"
        )


def _stride(columns: int) -> int:
    """Bytes from one row to the next: whole pages where rows are wide."""
    size = 4 * columns
    return -(-size // _PAGE) * _PAGE if size >= _WIDE * _PAGE else size


def _past_cache(file: int, on: bool) -> bool:
    """Have reads and writes go past the cache or not; tells whether they do now."""
    if not hasattr(os, "O_DIRECT"):
        return False
    import fcntl

    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    try:
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)
    except OSError:  # a file system that always keeps what it reads, such as one in memory
        return False
    return on


Rows: TypeAlias = np.ndarray | RowFile  # indexed by rows alone: copies of a file, of an array as numpy has it


def _runs(positions: np.ndarray) -> list[tuple[int, slice]]:
    """Runs of neighbours among positions: the first of each, and the places of the run."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    edges = [0, *breaks.tolist(), len(positions)]
    return [(int(positions[start]), slice(start, stop)) for start, stop in pairwise(edges) if stop > start]
