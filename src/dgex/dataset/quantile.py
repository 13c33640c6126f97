"""Quantile normalisation: every profile gets the values of one reference profile, by rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import numpy as np

from dgex.arrays.passes import Regrouped, in_order, slices
from dgex.arrays.rowfile import RowFile, Rows
from dgex.dataset.ranking import Ranker
from dgex.errors import DataError, SettingsError
from dgex.progress import bar

__all__ = [
    "TIES",
    "ReferenceSum",
    "normalized_blocks",
    "quantile_normalize",
    "reference_profile",
    "resample_reference",
]

TIES = ("average", "floor", "dense")

_CHUNK = 64  # rows a task takes; fixed, so that sums do not depend on the number of threads

Chosen: TypeAlias = np.ndarray | None


def reference_profile(
    X: Rows | Iterable[np.ndarray],
    *,
    rows: Chosen = None,
    columns: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Mean of the sorted profiles: what quantile normalisation makes of every profile.

    Parameters
    ----------
    X : ndarray or RowFile of shape (samples, genes), or iterable of blocks of rows
        Expression values, finite. Only a few rows are copied at a time.
    rows, columns : ndarray, optional
        Samples (positions) and genes (positions or mask) to use, all by default; `rows` needs a matrix.
    threads : int, optional
        Rows sorted at the same time; all cores by default. The result does not depend on it.

    Returns
    -------
    ndarray of float64, shape (genes,)
        Ascending. Sums are kept in float64.

    Raises
    ------
    DataError
        A profile holds NaN or infinity, or there is no profile.

    References
    ----------
    Bolstad et al., Bioinformatics 19 (2003) 185; Chen et al. 2016, section 2.1.
    """

    if not isinstance(X, np.ndarray | RowFile):
        of_blocks = ReferenceSum(columns)
        for block in X:
            of_blocks.add(block)
        return of_blocks.mean()
    chosen = np.arange(len(X)) if rows is None else np.asarray(rows)

    def work(where: slice) -> np.ndarray:
        return _sorted_sum(X[chosen[where]], columns, where.start)

    total, parts = ReferenceSum(), slices(len(chosen), _CHUNK)
    with bar(len(chosen), "quantile reference") as progress:
        for where, part in zip(parts, in_order(work, parts, threads)):
            total.join(part, where.stop - where.start)
            progress.advance(where.stop - where.start)
    return total.mean()


class ReferenceSum:
    """`reference_profile` of rows that come in blocks of any size.

    Parameters
    ----------
    columns : ndarray, optional
        Genes (positions or mask) to use; all by default.
    """

    def __init__(self, columns: np.ndarray | None = None) -> None:
        self.count = 0
        self._total: np.ndarray | float = 0.0
        self._columns = columns
        self._groups = Regrouped(_CHUNK, self._take)

    def add(self, rows: np.ndarray) -> None:
        """Add the profiles that follow."""
        self._groups.add(np.asarray(rows if self._columns is None else rows[:, self._columns], dtype=np.float32))

    def join(self, part: np.ndarray, count: int) -> None:
        """Add a sum of sorted profiles."""
        self._total, self.count = self._total + part, self.count + count

    def mean(self) -> np.ndarray:
        """Mean of the sorted profiles, float64."""
        self._groups.end()
        if self.count == 0:
            raise DataError("no profiles to take a quantile reference from; at least 1 is needed")
        return np.asarray(self._total / self.count)

    def _take(self, rows: np.ndarray) -> None:
        self.join(_sorted_sum(rows, None, self.count), len(rows))


def _sorted_sum(block: np.ndarray, columns: np.ndarray | None, start: int) -> np.ndarray:
    block = np.asarray(block if columns is None else block[:, columns], dtype=np.float32)
    ranker = Ranker(block.shape[1])
    total = np.zeros(block.shape[1])
    for row, values in enumerate(block):
        total += ranker.ascending(values, start + row)
    return total


def quantile_normalize(
    X: np.ndarray,
    reference: np.ndarray,
    *,
    ties: str = "average",
    rows: Chosen = None,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Replace the values of every profile by those of a reference profile at the same ranks.

    Parameters
    ----------
    X : ndarray of float32, shape (samples, genes)
        Expression values, finite, in any unit (only their order matters).
    reference : ndarray, shape (genes,)
        Ascending values, in the units of the result; see `reference_profile` and `resample_reference`.
    ties : {"average", "floor", "dense"}
        What equal values of a profile get. With `G` genes and ranks `1..G`:

        - `"average"`: the mean of the reference over the ranks they share (as limma and qnorm do);
        - `"floor"`: the reference at their mean rank, rounded down: the published rule for microarrays;
        - `"dense"`: the published rule for RNA-Seq, whose many zeros would all land in the middle of their ranks. The
          `U` different values of a profile are numbered `d = 1..U`, and number `d` gets the reference at rank
          `floor(d * G / U)`. The largest value always gets the largest of the reference.

        Without ties the three are the same.
    rows : ndarray of int, optional
        Samples to normalise; the others are left as they are (needs `out`).
    out : ndarray of float32, shape of X, optional
        Where the result goes; `out=X` works in place with a few rows of extra memory. A new array by default.
    threads : int, optional
        Rows treated at the same time; all cores by default.

    Returns
    -------
    ndarray of float32, shape (samples, genes)

    Raises
    ------
    DataError
        A profile holds NaN or infinity, or the reference has another length, is not finite or not ascending.
    SettingsError
        Unknown `ties`.

    Notes
    -----
    Ranks, ties and the way back come from one sort of each profile, without a second matrix (see `Ranker`). numpy sorts
    without holding the interpreter lock, so profiles are treated in threads.

    References
    ----------
    Chen et al. 2016, section 2.1, and the ranking rules of the code published with it.
    """
    if ties not in TIES:
        raise SettingsError(f"unknown ties rule {ties!r}", accepted=TIES)
    X = np.asarray(X)
    if X.dtype != np.float32:
        X = X.astype(np.float32)
    reference = _checked_reference(reference, X.shape[1])
    if out is None:
        out = X.copy() if rows is not None else np.empty_like(X)
    chosen = np.arange(len(X)) if rows is None else np.asarray(rows)

    spread = _Spread(reference, ties)

    def work(task: np.ndarray) -> None:
        ranker = Ranker(X.shape[1])
        for row in task:
            order, keys = ranker(X[row], int(row))
            out[row][order] = spread(keys)

    for _ in in_order(work, [chosen[part] for part in slices(len(chosen), _CHUNK)], threads):
        pass
    return out


def normalized_blocks(
    X: Rows,
    reference: np.ndarray,
    ties: np.ndarray,
    threads: int | None = None,
    before: Callable[[slice, np.ndarray], None] | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """`quantile_normalize` of all rows of a matrix in its own place, block by block; the blocks are given on, in order.

    Parameters
    ----------
    X : ndarray of float32 or RowFile, shape (samples, genes)
    reference : ndarray, shape (genes,)
    ties : ndarray of str, shape (samples,)
        What equal values get, for every profile.
    threads : int, optional
    before : callable, optional
        Is given every block as it was, and which rows it is of, by any thread.

    Yields
    ------
    slice
        Which rows.
    ndarray of float32
        Their values now; to be read only.
    """
    reference = _checked_reference(reference, X.shape[1])
    spreads = {str(rule): _Spread(reference, str(rule)) for rule in dict.fromkeys(ties.tolist())}

    def work(where: slice) -> tuple[slice, np.ndarray]:
        block = X[where]
        if before is not None:
            before(where, block)
        ranker = Ranker(X.shape[1])
        for position, row in enumerate(block, where.start):
            order, keys = ranker(row, position)
            row[order] = spreads[ties[position]](keys)
        if isinstance(X, RowFile):  # else it is a view
            X[where] = block
        return where, block

    yield from in_order(work, slices(len(X), _CHUNK), threads)


def _checked_reference(reference: np.ndarray, genes: int) -> np.ndarray:
    reference = np.asarray(reference, dtype=np.float64)
    if reference.shape != (genes,):
        raise DataError(
            f"the quantile reference has shape {reference.shape}, the profiles have {genes:,} genes; "
            "resample_reference() fits it to another number of genes"
        )
    if not np.isfinite(reference).all() or (np.diff(reference) < 0).any():
        raise DataError("the quantile reference must be finite and ascending")
    return reference


class _Spread:
    """What the reference gives to sorted values."""

    def __init__(self, reference: np.ndarray, ties: str) -> None:
        self.plain = reference.astype(np.float32)
        self.sums = np.concatenate(([0.0], np.cumsum(reference)))
        self.ties = ties

    def __call__(self, ascending: np.ndarray) -> np.ndarray:
        """Values for sorted keys, by the rule for ties."""
        same = ascending[1:] == ascending[:-1]
        if not same.any():
            return self.plain
        if self.ties == "dense":
            number = np.concatenate(([0], np.cumsum(~same)))
            unique, genes = int(number[-1]) + 1, len(self.plain)
            return self.plain[np.arange(1, unique + 1) * genes // unique - 1].take(number)
        # Only the runs of equal values need work; mostly they are few.
        edges = np.diff(same, prepend=False, append=False)
        borders = np.flatnonzero(edges)
        starts, ends = borders[::2], borders[1::2] + 1
        if self.ties == "average":
            shared = (self.sums[ends] - self.sums[starts]) / (ends - starts)
        else:
            shared = self.plain[(starts + ends - 1) // 2]
        tied = np.zeros(len(self.plain), dtype=bool)
        tied[1:] = same
        tied[:-1] |= same
        values = self.plain.copy()
        values[tied] = np.repeat(shared.astype(np.float32), ends - starts)
        return values


def resample_reference(reference: np.ndarray, genes: int) -> np.ndarray:
    """Fit a reference profile to another number of genes by linear interpolation between its quantiles.

    The smallest and the largest value stay. A single gene gets the median.

    Parameters
    ----------
    reference : ndarray, shape (n,)
        Ascending values.
    genes : int
        Length wanted, at least 1.

    Returns
    -------
    ndarray of float64, shape (genes,)
    """
    reference = np.asarray(reference, dtype=np.float64)
    if genes < 1 or len(reference) < 1:
        raise SettingsError(f"cannot fit a reference of {len(reference)} values to {genes} genes; at least 1 is needed")
    if genes == len(reference):
        return reference.copy()
    if genes == 1:
        return np.array([np.median(reference)])
    places = np.linspace(0, len(reference) - 1, genes)
    return np.asarray(np.interp(places, np.arange(len(reference)), reference))
