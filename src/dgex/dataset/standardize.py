"""Standardising genes: means and standard deviations in blocks, applied in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dgex.arrays.passes import Regrouped, in_order, slices
from dgex.arrays.rowfile import Rows
from dgex.errors import DataError
from dgex.progress import bar

__all__ = [
    "PAPER_EPSILON",
    "GeneStatistics",
    "Moments",
    "constant_genes",
    "gene_statistics",
    "standardize",
    "unstandardize",
]

# Chen et al. 2016 divide by the standard deviation plus this (in the code published with the paper).
PAPER_EPSILON = 1e-3

_BLOCK_BYTES = 32 * 2**20
_AT_A_TIME = 2**16  # values that stay in the cache of a processor from one step to the next


def row_blocks(rows: np.ndarray, genes: int, bytes_per_value: int = 8) -> Iterator[np.ndarray]:
    """Cut row positions into parts whose working copy stays below 32 MiB."""
    step = _step(genes, bytes_per_value)
    for at in range(0, len(rows), step):
        yield rows[at : at + step]


def _step(genes: int, bytes_per_value: int = 8) -> int:
    return max(1, _BLOCK_BYTES // max(1, genes * bytes_per_value))


@dataclass(frozen=True)
class GeneStatistics:
    """Statistics of every gene over some samples.

    Attributes
    ----------
    count : int
        Samples seen.
    mean, std : ndarray of float64, shape (genes,)
        Mean and population standard deviation (divisor `count`), in the units of the data.
    minimum, maximum : ndarray of float32, shape (genes,)
        Range; equal where the gene is constant, which a standard deviation with rounding could not tell.
    """

    count: int
    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """Mask of the genes that never change."""
        return np.asarray(self.minimum == self.maximum)


def gene_statistics(X: Rows, rows: np.ndarray | None = None) -> GeneStatistics:
    """Mean, population standard deviation and range of every gene, in blocks with float64 accumulators.

    Parameters
    ----------
    X : ndarray or RowFile of shape (samples, genes)
    rows : ndarray of int, optional
        Positions of the samples to use, all by default.

    Returns
    -------
    GeneStatistics

    Raises
    ------
    DataError
        No samples.

    References
    ----------
    Blocks are joined by the update of Chan, Golub and LeVeque, The American Statistician 37 (1983) 242.
    """
    rows = np.arange(len(X)) if rows is None else np.asarray(rows)
    if len(rows) == 0:
        raise DataError("no samples to take means and standard deviations from; at least 1 is needed")
    moments = Moments(X.shape[1])
    with bar(len(rows), "means and deviations") as progress:
        for block in in_order(lambda part: X[part], list(row_blocks(rows, X.shape[1])), ahead=2):
            moments.add(block)
            progress.advance(len(block))
    return moments.statistics()


class Moments:
    """`gene_statistics` of rows that come in blocks of any size."""

    def __init__(self, genes: int) -> None:
        self._count = 0
        self._mean, self._squares = np.zeros(genes), np.zeros(genes)
        self._minimum = np.full(genes, np.inf, dtype=np.float32)
        self._maximum = np.full(genes, -np.inf, dtype=np.float32)
        self._groups = Regrouped(_step(genes), self._take)

    def add(self, rows: np.ndarray) -> None:
        """Add the profiles that follow."""
        self._groups.add(rows)

    def statistics(self) -> GeneStatistics:
        """The statistics of all that was added."""
        self._groups.end()
        std = np.sqrt(self._squares / self._count)
        return GeneStatistics(self._count, self._mean, std, self._minimum, self._maximum)

    def _take(self, rows: np.ndarray) -> None:
        np.minimum(self._minimum, rows.min(axis=0), out=self._minimum)
        np.maximum(self._maximum, rows.max(axis=0), out=self._maximum)
        block = rows.astype(np.float64)
        block_mean = block.mean(axis=0)
        block -= block_mean
        delta = block_mean - self._mean
        total = self._count + len(rows)
        spread = delta**2 * (self._count * len(rows) / total)
        self._squares += np.einsum("ij,ij->j", block, block) + spread
        self._mean += delta * (len(rows) / total)
        self._count = total


def constant_genes(X: Rows, rows: np.ndarray) -> np.ndarray:
    """Mask of the genes that never change over some samples."""

    def work(where: slice) -> tuple[np.ndarray, np.ndarray]:
        block = X[rows[where]]
        return block.min(axis=0), block.max(axis=0)

    low, high = np.full(X.shape[1], np.inf, np.float32), np.full(X.shape[1], -np.inf, np.float32)
    with bar(len(rows), "looking for constant genes") as progress:
        for least, most in in_order(work, slices(len(rows), 64)):
            np.minimum(low, least, out=low)
            np.maximum(high, most, out=high)
            progress.advance(64)
    return np.asarray(low == high)


def standardize(X: np.ndarray, mean: np.ndarray, std: np.ndarray, rows: np.ndarray | None = None) -> None:
    """Replace `X` by `(X - mean) / std`, in place and in blocks.

    Parameters
    ----------
    X : ndarray of float32, shape (samples, genes)
    mean, std : ndarray, shape (genes,)
        In the units of `X`; `std` above zero.
    rows : ndarray of int, optional
        Positions of the samples to change, all by default.

    Raises
    ------
    DataError
        A divisor is zero, negative or not finite.
    """
    mean, std = np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
    bad = ~(std > 0) | ~np.isfinite(std)
    if bad.any():
        raise DataError(f"{int(bad.sum()):,} genes have no standard deviation above zero to divide by")
    rows = np.arange(len(X)) if rows is None else np.asarray(rows)
    for part in row_blocks(rows, X.shape[1]):
        block = X[part].astype(np.float64)
        block -= mean
        block /= std
        X[part] = block


def unstandardize(X: np.ndarray, mean: np.ndarray, std: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Values in the units before standardising: `X * std + mean`, float32, a new array or `out`."""
    mean, std = np.asarray(mean, dtype=np.float32), np.asarray(std, dtype=np.float32)
    result = np.empty(X.shape, np.float32) if out is None else out
    step = max(1, _AT_A_TIME // max(1, X.shape[1]))
    for start in range(0, len(X), step):  # few rows at a time: the second step finds them in the processor's cache
        rows = result[start : start + step]
        np.multiply(X[start : start + step], std, out=rows, dtype=np.float32)
        rows += mean
    return result
