"""Whether it is the same: digests of names, of values and of files, for all that goes on or compares.

Every value counts: a digest that samples calls data the same that are not, and work would go on with two kinds of them.
Blocks are digested side by side, at the speed of reading memory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dgex.aliases import PathLike, Sets
from dgex.arrays.maps import RowReader, map_of, release
from dgex.remote.places import located

__all__ = ["RowsDigest", "of_file", "of_matrices", "of_matrix", "of_names", "of_sets", "spread"]

_BLOCK = 16 << 20  # bytes digested by one thread at a time
_ROWS = 256  # rows digested at once of what comes in blocks
_THREADS = min(8, os.cpu_count() or 1)


def of_names(*columns: Iterable[object]) -> str:
    """Digest of lists of names: their order counts, and which list they are in.

    Examples
    --------
    >>> of_names(["a", "b"]) == of_names(["a"], ["b"])
    False
    """
    digest = hashlib.sha256()
    for column in columns:
        names = [str(name) for name in column]
        digest.update(repr(len(names)).encode())
        for name in names:
            encoded = name.encode()
            digest.update(f":{len(encoded)}:".encode() + encoded)
    return digest.hexdigest()


def of_matrix(matrix: np.ndarray) -> str:
    """Digest of the shape and of every value of a matrix, whatever its memory layout; memory maps are let go of."""
    digest = hashlib.sha256(repr((matrix.shape, matrix.dtype.str)).encode())
    rows = _rows_at_once(matrix.nbytes, len(matrix))
    starts = range(0, len(matrix), rows)

    def block(start: int) -> bytes:
        part = matrix[start : start + rows]
        if map_of(matrix) is None:
            return hashlib.sha256(np.ascontiguousarray(part).data).digest()
        values = np.empty(part.shape, part.dtype)
        with RowReader(matrix) as reader:  # an error where the file was cut short, not the end of the process
            reader.read(start, values)
        release(part)
        return hashlib.sha256(values.data).digest()

    with ThreadPoolExecutor(_THREADS) as pool:
        for part in pool.map(block, starts) if len(starts) > 1 else map(block, starts):
            digest.update(part)
    return digest.hexdigest()


class RowsDigest:
    """`of_matrix` of float32 rows that come in blocks, of any size, and are not held.

    Parameters
    ----------
    shape : tuple of int
        Of the whole matrix.

    Examples
    --------
    >>> matrix = np.arange(12, dtype=np.float32).reshape(6, 2)
    >>> digest = RowsDigest(matrix.shape)
    >>> digest.update(matrix[:4])
    >>> digest.update(matrix[4:])
    >>> digest.hexdigest() == of_matrix(matrix)
    True
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._all = hashlib.sha256(repr((shape, "<f4")).encode())
        self._rows = _rows_at_once(4 * shape[0] * shape[1], shape[0])
        self._left, self._part = self._rows, hashlib.sha256()

    def update(self, rows: np.ndarray) -> None:
        """Add the rows that follow."""
        while len(rows):
            some = rows[: min(self._left, _ROWS)]  # a copy of a few, where the rows are not contiguous
            self._part.update(np.ascontiguousarray(some, "<f4").data)
            rows, self._left = rows[len(some) :], self._left - len(some)
            if not self._left:
                self._end()

    def _end(self) -> None:
        self._all.update(self._part.digest())
        self._left, self._part = self._rows, hashlib.sha256()

    def hexdigest(self) -> str:
        """The digest, once all rows were added."""
        if self._left < self._rows:
            self._end()
        return self._all.hexdigest()


def _rows_at_once(size: int, rows: int) -> int:
    return max(1, _BLOCK // max(1, size // max(1, rows)))


def of_matrices(named: Mapping[str, np.ndarray]) -> str:
    """Digest of several matrices, their names and their order."""
    return of_names(*((name, of_matrix(np.asarray(matrix))) for name, matrix in named.items()))


def of_sets(sets: Sets) -> str:
    """Digest of named sets of profiles, each its landmark and its target values."""
    return of_matrices({f"{name} {kind}": m for name, pair in sets.items() for kind, m in zip("XY", pair)})


def of_file(path: PathLike) -> str:
    """Digest of what a file holds, or of the names and contents of all files of a folder.

    Raises
    ------
    OSError
        It cannot be read.
    """
    source = located(path)
    if source.is_dir():
        files = sorted(inner for inner in source.rglob("*") if inner.is_file())
        return of_names(*((inner.relative_to(source), of_file(inner)) for inner in files))
    with source.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def spread(count: int, most: int = 64) -> np.ndarray:
    """At most `most` positions out of `count`, spread evenly: for a fingerprint that names data and decides nothing."""
    return np.unique(np.linspace(0, max(0, count - 1), most).astype(int))
