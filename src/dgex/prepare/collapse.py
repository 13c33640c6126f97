"""Several rows of a gene (probes, transcripts, names that repeat) become one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dgex.errors import SettingsError, first
from dgex.genes import Match
from dgex.progress import note

if TYPE_CHECKING:
    import pandas as pd

    from dgex.io.base import ExpressionFile

__all__ = ["RULES", "Collapse", "block_rows", "tell_rows"]

RULES = ("mean", "median", "max-mean")
_BLOCK_BYTES = 32 * 2**20


def block_rows(columns: int) -> int:
    """How many profiles of that many values are read at a time."""
    return max(16, min(4096, _BLOCK_BYTES // (4 * max(1, columns))))


def tell_rows(label: str, var: pd.DataFrame, match: Match, rule: str) -> None:
    """Say which rows of an input become one, and which are left out."""
    used = np.zeros(len(var), dtype=bool)
    used[np.concatenate([np.empty(0, dtype=np.int64), *match.columns])] = True
    several = int(match.several.sum())
    if several:
        note(f"{label}: {several:,} genes have several rows, of which the {rule} is taken (collapse={rule!r})")
    names = var.index.astype(str)
    repeated = names[names.duplicated() & ~used & (names != "")].unique()
    for count, what in (
        (match.copies, "copies on Y (_PAR_Y) are left out"),
        (match.ambiguous, "rows that name several genes are left out"),
        (int((names == "").sum()), "rows without a gene id are left out"),
        (len(repeated), f"further names repeat, and nobody asks for them: {first(repeated, 3)}"),
    ):
        if count:
            note(f"{label}: {count:,} {what}")


class Collapse:
    """Makes one value of the columns of each gene.

    Parameters
    ----------
    columns : sequence of ndarray of int
        For every gene its columns in the matrix, at least one each.
    rule : {"mean", "median", "max-mean"}
        Mean or median of the columns in each sample (the paper takes the mean of a gene's probes), or, everywhere, the
        column with the largest mean over samples, which `choose` needs to be told.
    """

    def __init__(self, columns: Sequence[np.ndarray], rule: str = "mean") -> None:
        if rule not in RULES:
            raise SettingsError(f"unknown rule {rule!r} to collapse rows of a gene", accepted=RULES)
        self.rule = rule
        self._columns = list(columns)
        self.genes = len(self._columns)
        #: Columns that are needed, ascending: what the blocks given to this object hold.
        self.needed = np.unique(np.concatenate([*self._columns, np.empty(0, dtype=np.int64)])).astype(np.int64)
        sizes = np.array([len(part) for part in self._columns])
        self._groups = []
        for size in np.unique(sizes):
            genes = np.flatnonzero(sizes == size)
            places = np.searchsorted(self.needed, np.stack([self._columns[gene] for gene in genes]))
            self._groups.append((genes, places))

    @classmethod
    def of(cls, columns: Sequence[np.ndarray], rule: str, data: ExpressionFile) -> Collapse:
        """For the values of a file, which `"max-mean"` goes through once to choose by."""
        collapse = cls(columns, rule)
        if rule != "max-mean" or not collapse.collapses:
            return collapse
        means = np.zeros(data.shape[1])
        for _, block in data.iter_blocks(block_rows(len(collapse.needed)), genes=collapse.needed):
            means[collapse.needed] += np.nansum(block, axis=0, dtype=np.float64)
        return collapse.choose(means / data.shape[0])

    @property
    def collapses(self) -> bool:
        """Whether any gene has several columns."""
        return any(places.shape[1] > 1 for _, places in self._groups)

    def choose(self, means: np.ndarray) -> Collapse:
        """For `"max-mean"`: keep of every gene the column with the largest mean.

        Parameters
        ----------
        means : ndarray, shape (all columns of the matrix,)
            Mean of each column over samples; the first wins a tie.
        """
        best = [part[[int(np.argmax(means[part]))]] for part in self._columns]
        return Collapse(best, self.rule)

    def __call__(self, block: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Collapse a block of samples.

        Parameters
        ----------
        block : ndarray of float32, shape (samples, len(self.needed))
        out : ndarray of float32, shape (samples, genes), optional

        Returns
        -------
        ndarray of float32, shape (samples, genes)
        """
        if out is None:
            out = np.empty((len(block), self.genes), dtype=np.float32)
        for genes, places in self._groups:
            size = places.shape[1]
            if size == 1 and len(genes) == self.genes and out.flags.c_contiguous and out.dtype == block.dtype:
                np.take(block, places[:, 0], axis=1, out=out, mode="clip")  # half the time; no place is outside
            elif size == 1:
                out[:, genes] = block[:, places[:, 0]]
            elif self.rule == "median":
                out[:, genes] = np.median(block[:, places], axis=2)
            elif self.rule == "mean":
                total = block[:, places[:, 0]].astype(np.float64)
                for probe in range(1, size):
                    total += block[:, places[:, probe]]
                out[:, genes] = total / size
            else:
                raise SettingsError("max-mean needs choose(means) before values can be collapsed")
        return out
