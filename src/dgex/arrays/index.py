"""Which rows or columns of a matrix: slices of step 1, or positions."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

__all__ = ["Index", "evenly", "part", "size_of"]

Index: TypeAlias = slice | np.ndarray  # a slice of step 1, or increasing positions


def size_of(index: Index) -> int:
    """How many positions an index has."""
    return index.stop - index.start if isinstance(index, slice) else len(index)


def evenly(count: int, most: int) -> np.ndarray:
    """Positions of at most `most` of `count` things, spread evenly, increasing, the first and the last among them.

    Examples
    --------
    >>> evenly(9, 3).tolist(), evenly(2, 3).tolist(), evenly(0, 3).tolist()
    ([0, 4, 8], [0, 1], [])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def part(index: Index, where: slice) -> Index:
    """The positions at places `where` of an index."""
    if isinstance(index, slice):
        return slice(index.start + where.start, min(index.start + where.stop, index.stop))
    return index[where]
