"""A float32 matrix that comes in blocks of rows and is given out by columns, in memory or in a temporary file."""

from __future__ import annotations

import os
import tempfile
import threading
from typing import Any

import numpy as np

from dgex.errors import FileError

__all__ = ["Columns"]

# Bytes of one matrix that are kept in memory; more goes to a temporary file.
_HELD = 64 << 20
# Rows that are turned together at least: what comes in smaller blocks waits.
_ROWS = 512
# Rows and columns of a piece that is turned at once, and columns that are written at once.
_TURNED, _WRITTEN = 128, 1024


class Columns:
    """Takes rows in, gives whole columns out.

    Every block of rows lies turned, columns x rows, behind the one before: it is written in one piece, and some columns
    of all rows are one piece a block. Plain reads and writes, and no memory map: what is not asked for takes no memory.

    Parameters
    ----------
    rows, columns : int
        Shape of the matrix. In memory up to 64 MiB, above that in a temporary file without a name (in `TMPDIR`).

    Raises
    ------
    FileError
        The temporary file finds no room.

    Examples
    --------
    >>> matrix = Columns(3, 2)
    >>> matrix.append(np.array([[1, 2], [3, 4]], np.float32))
    >>> matrix.append(np.array([[5, 6]], np.float32))
    >>> matrix.read(slice(1, 2))
    array([[2., 4., 6.]], dtype=float32)
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.shape = (rows, columns)
        self.filled = 0
        self._blocks: list[tuple[int, int]] = []  # first row of each, and the row behind its last
        self._waiting: list[np.ndarray] = []
        self._lock = threading.Lock()
        self._memory: np.ndarray | None = None
        if 4 * rows * columns <= _HELD:
            self._memory = np.empty(rows * columns, np.float32)
        else:
            self._file = tempfile.TemporaryFile(prefix="dgex-", buffering=0)  # noqa: SIM115 (goes with this object)
            _reserve(self._file, 4 * rows * columns)

    def append(self, block: np.ndarray) -> None:
        """Add the next rows, an array of shape (rows, columns)."""
        self.filled += len(block)
        last = self.filled == self.shape[0]
        if not self._waiting and (last or len(block) >= _ROWS):
            self._turn(block)
            return
        self._waiting.append(np.array(block, np.float32))
        if last or sum(map(len, self._waiting)) >= _ROWS:
            whole = np.concatenate(self._waiting)
            self._waiting = []
            self._turn(whole)

    def read(self, columns: slice) -> np.ndarray:
        """All rows of some columns (a slice with both ends), as a copy of shape (columns, rows)."""
        out = np.empty((columns.stop - columns.start, self.shape[0]), np.float32)
        for first, last in self._blocks:
            if self._memory is not None:
                out[:, first:last] = self._memory[self._place(first, last, columns)].reshape(len(out), -1)
                continue
            part = np.empty((len(out), last - first), np.float32)
            self._read(part, self._place(first, last, columns).start)
            out[:, first:last] = part
        return out

    def write(self, columns: slice, values: np.ndarray) -> None:
        """Replace all rows of some columns by values of shape (columns, rows)."""
        for first, last in self._blocks:
            self._write(values[:, first:last], self._place(first, last, columns))

    def copy(self) -> Columns:
        """The same matrix once more."""
        other = Columns(*self.shape)
        other.filled, other._blocks = self.filled, list(self._blocks)
        width = max(1, (1 << 20) // max(1, self.shape[0]))
        for at in range(0, self.shape[1], width):
            part = slice(at, min(at + width, self.shape[1]))
            other.write(part, self.read(part))
        return other

    def _turn(self, block: np.ndarray) -> None:
        first = self._blocks[-1][1] if self._blocks else 0
        self._blocks.append((first, first + len(block)))
        for start in range(0, self.shape[1], _WRITTEN):
            part = slice(start, min(start + _WRITTEN, self.shape[1]))
            turned = np.empty((part.stop - start, len(block)), np.float32)
            for column in range(0, len(turned), _TURNED):  # pieces that the cache holds from both sides
                for row in range(0, len(block), _TURNED):
                    columns, rows = slice(column, column + _TURNED), slice(row, row + _TURNED)
                    turned[columns, rows] = block[rows, part][:, columns].T
            self._write(turned, self._place(*self._blocks[-1], part))

    def _place(self, first: int, last: int, columns: slice) -> slice:
        """Where some columns of a block lie, in values from the beginning."""
        begin = first * self.shape[1]
        return slice(begin + columns.start * (last - first), begin + columns.stop * (last - first))

    def _write(self, values: np.ndarray, where: slice) -> None:
        if self._memory is not None:
            self._memory[where] = values.ravel()
            return
        left = memoryview(np.ascontiguousarray(values)).cast("B")  # type: ignore[arg-type]
        try:
            with self._lock:
                self._file.seek(4 * where.start)
                while left:
                    left = left[self._file.write(left) :]
        except OSError as error:
            raise _no_room(4 * self.shape[0] * self.shape[1], error) from error

    def _read(self, out: np.ndarray, start: int) -> None:
        left = memoryview(out).cast("B")  # type: ignore[arg-type]
        try:
            with self._lock:
                self._file.seek(4 * start)
                while left:
                    count = self._file.readinto(left)
                    if not count:
                        raise FileError(f"a temporary file in {tempfile.gettempdir()} is shorter than it was written")
                    left = left[count:]
        except OSError as error:
            raise FileError(f"cannot read temporary values in {tempfile.gettempdir()}: {error.strerror}") from error


def _reserve(file: Any, size: int) -> None:
    """Take the room on disk now: a full disk is then told before the work and not in the middle of it."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    except OSError as error:
        raise _no_room(size, error) from error


def _no_room(size: int, error: OSError) -> FileError:
    return FileError(
        f"no room for {size / 2**30:.1f} GiB of temporary values in {tempfile.gettempdir()} ({error.strerror}); "
        "TMPDIR names another folder"
    )
