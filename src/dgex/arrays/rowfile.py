"""A float32 matrix in a file, read and written by rows as one in memory is; the file has no name.

It is gone when it is closed or when the process ends, however it ends. Rows are copied in and out by plain reads and
writes: nothing of the file counts as memory of this process, and a full disk is an error that can be told.
"""

from __future__ import annotations

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


class RowFile:
    """Rows of float32 in a temporary file.

    Parameters
    ----------
    shape : tuple of int
        Rows, columns; what was never written is zero.
    folder : path
        Where the file lies.

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

    def __init__(self, shape: tuple[int, int], folder: Path) -> None:
        self._rows, self._columns = shape
        self.folder = folder
        self._lock = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile(dir=folder, prefix=".dgex-partial-", buffering=0)  # noqa: SIM115
            self._file.truncate(4 * shape[0] * shape[1])
        except OSError as error:
            raise self._refused("write to", error) from error

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
            out = np.empty((max(0, stop - start), self._columns), np.float32)
            self._move(start, out, write=False)
            return out
        out = np.empty((len(index), self._columns), np.float32)
        for start, where in _runs(index):
            self._move(start, out[where], write=False)
        return out

    def __setitem__(self, index: Index, values: np.ndarray) -> None:
        """Put rows in; positions must differ from each other."""
        block = np.ascontiguousarray(values, np.float32)
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
        self._file.truncate(4 * self._rows * self._columns)

    def keep_columns(self, positions: np.ndarray) -> None:
        """Leave out all columns but those at some positions."""
        step, wide = max(1, _BLOCK // max(1, 4 * self._columns)), self._columns
        for at in range(0, self._rows, step):
            self._columns = wide
            block = np.ascontiguousarray(self[at : at + step][:, positions])
            self._columns = len(positions)
            self[at : at + len(block)] = block  # ends before the rows that are not read yet begin
        self._columns = len(positions)
        self._file.truncate(4 * self._rows * self._columns)

    def mapped(self) -> np.ndarray:
        """All of it as a memory map to read from, for what takes nothing but an array."""
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

    def _move(self, row: int, values: np.ndarray, write: bool) -> None:
        """Write `values`, C-contiguous, from a row on, or read into them."""
        if not values.size:
            return
        if row + len(values) > self._rows:
            raise IndexError(f"rows {row} to {row + len(values)} of {self._rows}")
        left, place = memoryview(values).cast("B"), 4 * row * self._columns  # type: ignore[arg-type]
        try:
            while left:
                count = self._write(left, place) if write else self._read(left, place)
                if not count:
                    raise FileError(f"a temporary file in {self.folder} was cut short")
                left, place = left[count:], place + count
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise self._refused("write to" if write else "read from", error) from error

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


Rows: TypeAlias = np.ndarray | RowFile  # indexed by rows alone: copies of a file, of an array as numpy has it


def _runs(positions: np.ndarray) -> list[tuple[int, slice]]:
    """Runs of neighbours among positions: the first of each, and the places of the run."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    edges = [0, *breaks.tolist(), len(positions)]
    return [(int(positions[start]), slice(start, stop)) for start, stop in pairwise(edges) if stop > start]
