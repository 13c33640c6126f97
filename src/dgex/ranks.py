"""Ranks of every gene over profiles, and their correlations."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from scipy.stats import rankdata

from dgex.errors import DataError, FileError
from dgex.metrics import GeneErrors, to_numpy

__all__ = ["GeneRanks", "spearman"]

# Bytes of whole columns kept in memory; more goes to a temporary file.
_HELD = 256 << 20
# Rows and columns of a piece that is turned at once.
_TURNED = 128


def spearman(Y_true: Any, Y_pred: Any) -> np.ndarray:
    """Spearman correlation of each gene over profiles: the Pearson correlation of average ranks.

    Parameters
    ----------
    Y_true, Y_pred
        Arrays or CPU tensors, profiles x genes. Ranks need whole columns: pass a chunk of genes at a time
        where memory is short.

    Returns
    -------
    ndarray
        One value a gene; NaN where truth or prediction is constant or holds NaN.
    """
    true, pred = to_numpy(Y_true), to_numpy(Y_pred)
    errors = GeneErrors(true.shape[1])
    if len(true):
        errors.update(*(rankdata(values, axis=0) for values in (true, pred)))
    return errors.pearson


class GeneRanks:
    """Whole columns of a matrix that comes in blocks of profiles, for what needs them all: Spearman correlations.

    Parameters
    ----------
    n_profiles, n_genes
        Shape of the matrix. One float32 copy is held, gene by gene: in memory up to 256 MiB, above that in a temporary
        file without a name (in `TMPDIR`), of which only the chunk of genes at work is in memory.

    Raises
    ------
    FileError
        If the temporary file finds no room.
    """

    def __init__(self, n_profiles: int, n_genes: int) -> None:
        self.shape = (n_profiles, n_genes)
        self._filled = 0
        self._values: np.ndarray  # genes x profiles: what works on columns finds them in one piece
        if n_profiles * n_genes * 4 <= _HELD:
            self._values = np.empty((n_genes, n_profiles), np.float32)
        else:
            with tempfile.TemporaryFile() as file:
                _reserve(file, n_profiles * n_genes * 4)
                self._values = np.memmap(file, np.float32, "r+", shape=(n_genes, n_profiles))

    def append(self, block: Any) -> None:
        """Add the next profiles, an array or CPU tensor of shape (profiles, genes)."""
        values = to_numpy(block)
        there = self._values[:, self._filled : self._filled + len(values)]
        for gene in range(0, self.shape[1], _TURNED):  # pieces that the cache holds from both sides
            for row in range(0, len(values), _TURNED):
                genes, rows = slice(gene, gene + _TURNED), slice(row, row + _TURNED)
                there[genes, rows] = values[rows, genes].T
        self._filled += len(values)

    def genes(self, at: slice) -> np.ndarray:
        """Values, or ranks, of some genes: a view of shape (genes, profiles)."""
        return self._values[at]

    def profiles(self, at: np.ndarray) -> np.ndarray:
        """Values, or ranks, of the profiles at some positions, as a copy of shape (profiles, genes)."""
        return np.ascontiguousarray(self._values[:, at].T)

    def copy(self) -> GeneRanks:
        """As many values once more, where values are needed beside their ranks."""
        other = GeneRanks(*self.shape)
        width = max(1, (1 << 20) // max(1, self.shape[0]))
        for at in range(0, self.shape[1], width):
            other._values[at : at + width] = self._values[at : at + width]
        other._filled = self._filled
        return other

    def rank(self) -> GeneRanks:
        """Replace the values by their average ranks within each gene (once all profiles have come); return self."""
        if self._filled != self.shape[0]:
            raise DataError(f"ranks need all {self.shape[0]:,} profiles, found {self._filled:,}")

        def work(genes: slice) -> None:
            self._values[genes] = _average_ranks(self._values[genes])

        self._by_genes(work)
        return self

    def spearman(self, other: GeneRanks) -> np.ndarray:
        """Spearman correlation of each gene with another matrix; both hold ranks. NaN where one is constant."""
        result = np.empty(self.shape[1])

        def work(genes: slice) -> None:
            result[genes] = _correlation(self._values[genes], other._values[genes])

        self._by_genes(work)
        return result

    def _by_genes(self, work: Callable[[slice], None]) -> None:
        """Do `work` on chunks of genes, some at the same time: sorting holds no interpreter lock."""
        width = max(1, (1 << 18) // max(1, self.shape[0]))
        chunks = [slice(at, min(at + width, self.shape[1])) for at in range(0, self.shape[1], width)]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for _ in pool.map(work, chunks):
                pass


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation of ranks, genes x profiles; those of a gene are around (profiles + 1) / 2, whatever is tied."""
    middle = (one.shape[1] + 1) / 2
    a, b = (np.subtract(part, middle, dtype=np.float64) for part in (one, other))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.einsum("gn,gn->g", a, b) / np.sqrt(np.einsum("gn,gn->g", a, a) * np.einsum("gn,gn->g", b, b))
    return np.asarray(np.clip(r, -1.0, 1.0))


def _average_ranks(values: np.ndarray) -> np.ndarray:
    """`scipy.stats.rankdata(values, axis=1)` of float32, bit for bit, in about a sixth of its time.

    A value and its place become one whole number, the value above: whole numbers of 64 bits are sorted several times as
    fast as places are by their values, and the order of places among equal values does not matter.
    """
    genes, n = values.shape
    if not values.size:
        return np.empty(values.shape, np.float32)
    values = values + np.float32(0)  # a copy, in which -0 has the bits of 0
    unknown = np.isnan(values).any(axis=1)
    bits = values.view(np.int32)
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)  # in the order of the values: negative ones count backwards
    keys = bits.astype(np.int64)
    keys <<= 32
    keys |= np.arange(genes * n).reshape(genes, n)
    keys.sort(axis=1)
    places = keys & 0xFFFFFFFF
    keys >>= 32
    starts = np.ones((genes, n), bool)
    np.not_equal(keys[:, 1:], keys[:, :-1], out=starts[:, 1:])
    # half-integers are exact in float32 up to 8 million profiles
    ranks = np.tile(np.arange(1, n + 1, dtype=np.float32), (genes, 1))
    tied = np.flatnonzero(~starts.all(axis=1))
    if len(tied):
        first = np.flatnonzero(starts[tied])  # of each run of equal values
        length = np.diff(first, append=len(tied) * n)
        ranks[tied] = np.repeat(first % n + (length + 1) / 2, length).reshape(len(tied), n)
    result = np.empty((genes, n), np.float32)
    result.ravel()[places.ravel()] = ranks.ravel()
    result[unknown] = np.nan
    return result


def _reserve(file: Any, size: int) -> None:
    """Take the room on disk now: a full disk is then an error, not a crash in the middle of the work."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    except OSError as error:
        raise FileError(
            f"no room for {size / 2**30:.1f} GiB of temporary values in {tempfile.gettempdir()} ({error.strerror}); "
            "TMPDIR names another folder"
        ) from error
