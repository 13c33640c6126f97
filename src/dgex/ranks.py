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
        errors.update(rankdata(true, axis=0), rankdata(pred, axis=0))
    return errors.pearson


class GeneRanks:
    """Whole columns of a matrix that comes in blocks of profiles, for what needs them all: Spearman correlations.

    Parameters
    ----------
    n_profiles, n_genes
        Shape of the matrix. One float32 copy is held: in memory up to 256 MiB, above that in a temporary file
        without a name (in `TMPDIR`), of which only the chunk of genes at work is in memory.

    Raises
    ------
    FileError
        If the temporary file finds no room.
    """

    def __init__(self, n_profiles: int, n_genes: int) -> None:
        self.shape = (n_profiles, n_genes)
        self._filled = 0
        self._values: np.ndarray
        if n_profiles * n_genes * 4 <= _HELD:
            self._values = np.empty(self.shape, np.float32)
        else:
            with tempfile.TemporaryFile() as file:
                _reserve(file, n_profiles * n_genes * 4)
                self._values = np.memmap(file, np.float32, "r+", shape=self.shape)

    def append(self, block: Any) -> None:
        """Add the next profiles, an array or CPU tensor of shape (profiles, genes)."""
        self._values[self._filled : self._filled + len(block)] = to_numpy(block)
        self._filled += len(block)

    def rank(self) -> GeneRanks:
        """Replace the values by their average ranks within each gene (once all profiles have come); return self."""
        if self._filled != self.shape[0]:
            raise DataError(f"ranks need all {self.shape[0]:,} profiles, found {self._filled:,}")

        def work(genes: slice) -> None:
            # half-integers are exact in float32 up to 8 million profiles
            self._values[:, genes] = rankdata(self._values[:, genes], axis=0)

        self._chunked(work)
        return self

    def spearman(self, other: GeneRanks) -> np.ndarray:
        """Spearman correlation of each gene with another matrix; both hold ranks. NaN where one is constant."""
        result = np.empty(self.shape[1])

        def work(genes: slice) -> None:
            errors = GeneErrors(genes.stop - genes.start)
            errors.update(self._values[:, genes], other._values[:, genes])
            result[genes] = errors.pearson

        self._chunked(work)
        return result

    def _chunked(self, work: Callable[[slice], None]) -> None:
        """Do `work` on chunks of genes, some at the same time: sorting holds no interpreter lock."""
        width = max(1, (1 << 20) // max(1, self.shape[0]))
        chunks = [slice(at, min(at + width, self.shape[1])) for at in range(0, self.shape[1], width)]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for _ in pool.map(work, chunks):
                pass


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
