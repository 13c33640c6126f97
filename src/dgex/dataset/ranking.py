"""Sorting single profiles, by the faster of two ways that give the same."""

from __future__ import annotations

import sys
from functools import cache
from time import perf_counter

import numpy as np

from dgex.errors import DataError

__all__ = ["Ranker"]

_LOW, _HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)
_TRIED = 8192  # values that the two ways are tried on


class Ranker:
    """Sorts single profiles; holds the buffers of one thread.

    Parameters
    ----------
    genes : int
        Values of a profile, fewer than 2**32.
    packed : bool, optional
        Whether keys and positions are sorted together, as numbers of 64 bits, or by two stable sorts of the halves of
        the keys, which numpy does by radix. Results are the same. numpy's vectorised sorts of the first take a third
        of the time of the second on some processors and several times as long on others (AVX-512 on AMD Zen 4), so
        that unless told both are tried once.
    """

    def __init__(self, genes: int, packed: bool | None = None) -> None:
        self.packed = _packed_is_faster() if packed is None else packed
        self.values = np.empty(genes, dtype=np.float32)
        self._bits = self.values.view(np.uint32)
        self._halves = self.values.view(np.uint16).reshape(genes, 2)
        self._mask = np.empty(genes, dtype=np.uint32)
        self._pairs = np.empty(genes if self.packed else 0, dtype=np.uint64)
        self._split = self._pairs.view(np.uint32).reshape(-1, 2)
        self._places = np.arange(len(self._pairs), dtype=np.uint32)

    def __call__(self, row: np.ndarray, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns of a profile in ascending order of its values, equal ones as they stand, and keys in that order.

        Keys are whole numbers in the order of the values, equal where these are. Raises DataError where a value is not
        finite, with the `position` of the profile.
        """
        if not len(row):
            return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.uint32)
        self._load(row, position)
        if self.values.min() < 0:  # the bits of floats below zero count the other way round
            np.right_shift(self._bits.view(np.int32), 31, out=self._mask.view(np.int32))
            self._mask |= np.uint32(0x80000000)
            self._bits ^= self._mask
        if self.packed:
            self._split[:, _LOW], self._split[:, _HIGH] = self._places, self._bits
            self._pairs.sort()
            return self._split[:, _LOW].astype(np.intp), self._split[:, _HIGH].copy()
        self._bits -= self._bits.min()  # often frees the highest byte, whose pass numpy then skips
        order = np.argsort(self._halves[:, _LOW], kind="stable")
        order = order.take(np.argsort(self._halves[:, _HIGH].take(order), kind="stable"))
        return order, self._bits.take(order)

    def ascending(self, row: np.ndarray, position: int) -> np.ndarray:
        """The values of a profile in ascending order, float32; good until the next profile comes."""
        if self.packed:
            self._load(row, position)
            self.values.sort()
            return self.values
        return row.take(self(row, position)[0])

    def _load(self, row: np.ndarray, position: int) -> None:
        np.add(row, np.float32(0), out=self.values)  # a negative zero becomes zero: they are equal values
        if not np.isfinite(self.values).all():
            raise DataError(
                f"profile {position} (counted from 0) holds NaN or infinity; "
                "quantile normalisation needs complete profiles"
            )


@cache
def _packed_is_faster() -> bool:
    values = np.sin(np.arange(_TRIED, dtype=np.float32) ** 2) + np.float32(2)
    best = []
    for packed in (False, True):
        ranker, times = Ranker(_TRIED, packed), []
        for _ in range(5):
            began = perf_counter()
            ranker(values, 0)
            times.append(perf_counter() - began)
        best.append(min(times))
    return best[1] < best[0]
