"""Checksums of a matrix, one a block of profiles, written with it and compared later.

They are of the numbers as they are stored (rows in C order, little-endian), before any packing: a file that is packed
otherwise, or copied into another format of the same numbers, still agrees. They lie in attributes of the matrix,
`checksums` (CRC-32) and `checksums_rows` (profiles of a block), which other readers leave alone, and which a program
that writes the values anew does not copy. HDF5's own `fletcher32` needs chunks, which cost more than they tell, and
zarr's `crc32c` is not in all readers.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dgex.io.packed import BAND, SCALED

__all__ = ["Checked", "Checksums", "arrays", "check", "put"]

_SUMS, _ROWS = "checksums", "checksums_rows"
_LEAST = 256  # profiles of a block
_MOST = 8_000  # blocks: HDF5 keeps 64 KiB of an attribute


class Checksums:
    """Takes rows as they are written, in any pieces.

    Parameters
    ----------
    rows : int
        Rows that will come.
    least : int
        Rows of a block, of a matrix that is not too long for it.
    """

    def __init__(self, rows: int, least: int = _LEAST) -> None:
        self.rows = least
        while rows > self.rows * _MOST:
            self.rows *= 2
        self._done: list[int] = []
        self._sum = self._count = 0

    def add(self, stored: np.ndarray) -> None:
        """Take the next rows."""
        at = 0
        while at < len(stored):
            part = stored[at : at + self.rows - self._count]
            self._sum = zlib.crc32(_bytes(part), self._sum)
            self._count += len(part)
            at += len(part)
            if self._count == self.rows:
                self._done.append(self._sum)
                self._sum = self._count = 0

    def sums(self) -> np.ndarray:
        """All of them, the last of a shorter block perhaps."""
        return np.array([*self._done, *([self._sum] if self._count else [])], np.uint32)

    def put(self, array: Any) -> None:
        """Store them with the matrix."""
        array.attrs[_ROWS] = self.rows
        array.attrs[_SUMS] = self.sums() if isinstance(array, h5py.Dataset) else self.sums().tolist()


def put(array: Any, least: int = _LEAST) -> None:
    """Store checksums of a matrix that was not written row by row: it is read back."""
    sums = Checksums(array.shape[0], least)
    for start in range(0, array.shape[0], sums.rows):
        sums.add(np.asarray(array[start : start + sums.rows]))
    sums.put(array)


@dataclass(frozen=True)
class Checked:
    """What came of comparing a matrix with its checksums.

    Attributes
    ----------
    name : str
        Where the matrix lies in the file.
    rows, blocks : int
        Profiles of a block, and how many blocks there are; 0 blocks where the matrix has no checksums.
    damaged : list of slice
        Profiles of the blocks that differ or cannot be read, neighbours joined.
    """

    name: str
    rows: int
    blocks: int
    damaged: list[slice]


def check(root: Any) -> list[Checked]:
    """Compare every matrix of an open file, HDF5 or zarr, with its checksums; it reads them whole."""
    return [_check(name, array) for name, array in arrays(root)]


def arrays(root: Any) -> Iterator[tuple[str, Any]]:
    """Matrices that have checksums, or should have."""
    names = ["0/DATA/0/matrix", "X", *(f"{home}/{SCALED}/{name}" for home in ("dgex", "uns") for name in _TABLES)]
    names += [f"layers/{name}" for name in sorted(root["layers"])] if "layers" in root else []
    for name in names:
        if name in root and not hasattr(root[name], "keys") and len(root[name].shape) == 2:
            yield name, root[name]


_TABLES = ("offset", "scale")


def _check(name: str, array: Any) -> Checked:
    attributes = dict(array.attrs)
    total, rows = array.shape[0], int(attributes.get(_ROWS, 0))
    expected = np.asarray(attributes.get(_SUMS, []), np.int64).ravel()
    if rows < 1:
        return Checked(name, 0, 0, [])
    unit = BAND if SCALED in Path(name).parts else 1  # a row of a table is of so many profiles
    damaged: list[slice] = []
    for block, start in enumerate(range(0, total, rows)):
        if block < len(expected) and _sum(array, start, start + rows) == expected[block]:
            continue
        begin = start * unit
        if damaged and damaged[-1].stop == begin:
            begin = damaged.pop().start
        damaged.append(slice(begin, min(start + rows, total) * unit))
    return Checked(name, rows * unit, -(-total // rows), damaged)


def _sum(array: Any, start: int, stop: int) -> int | None:
    try:
        return zlib.crc32(_bytes(np.asarray(array[start:stop])))
    except Exception:  # libraries that unpack raise nearly everything on damaged bytes
        return None


def _bytes(values: np.ndarray) -> Any:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
