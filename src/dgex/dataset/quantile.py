"""Quantile normalisation: every profile gets the values of one reference profile, by rank."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np

from dgex.errors import DataError, SettingsError

__all__ = ["TIES", "quantile_normalize", "reference_profile", "resample_reference"]

TIES = ("average", "floor", "dense")

_CHUNK = 64  # rows a task takes; fixed, so that sums do not depend on the number of threads
_LOW, _HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)

Rows: TypeAlias = np.ndarray | None


def default_threads() -> int:
    """Number of CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def reference_profile(
    X: np.ndarray | Iterable[np.ndarray],
    *,
    rows: Rows = None,
    columns: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Mean of the sorted profiles: what quantile normalisation makes of every profile.

    Parameters
    ----------
    X : ndarray of shape (samples, genes), or iterable of such blocks
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

    def sorted_sum(block: np.ndarray, start: int) -> np.ndarray:
        block = np.asarray(block if columns is None else block[:, columns], dtype=np.float32)
        ranker = _Ranker(block.shape[1])
        total = np.zeros(block.shape[1])
        for row, values in enumerate(block):
            total += values.take(ranker(values, start + row))
        return total

    total: np.ndarray | float = 0.0
    count = 0
    with ThreadPoolExecutor(threads or default_threads()) as pool:
        if isinstance(X, np.ndarray):
            chosen = np.arange(len(X)) if rows is None else np.asarray(rows)
            count = len(chosen)
            tasks = [(chosen[at : at + _CHUNK], at) for at in range(0, count, _CHUNK)]
            for part in _ordered(pool, lambda task: sorted_sum(X[task[0]], task[1]), tasks):
                total = total + part
        else:
            for block in X:
                starts = range(0, len(block), _CHUNK)
                for part in pool.map(lambda at, b=block, c=count: sorted_sum(b[at : at + _CHUNK], c + at), starts):
                    total = total + part
                count += len(block)
    if count == 0:
        raise DataError("no profiles to take a quantile reference from; at least 1 is needed")
    return np.asarray(total / count)


def _ordered(pool: ThreadPoolExecutor, work: Callable[[Any], Any], tasks: list[Any]) -> Iterator[Any]:
    """Map over tasks in order, a few ahead only, so that results do not pile up in memory."""
    ahead = 4 * pool._max_workers
    futures = [pool.submit(work, task) for task in tasks[:ahead]]
    for position in range(len(tasks)):
        yield futures[position].result()
        futures[position] = None  # type: ignore[call-overload]
        if position + ahead < len(tasks):
            futures.append(pool.submit(work, tasks[position + ahead]))


class _Ranker:
    """Sorts single profiles; holds the buffers of one task."""

    def __init__(self, genes: int) -> None:
        self.values = np.empty(genes, dtype=np.float32)
        self.bits = self.values.view(np.uint32)
        self.halves = self.values.view(np.uint16).reshape(genes, 2)
        self.mask = np.empty(genes, dtype=np.uint32)

    def __call__(self, row: np.ndarray, position: int) -> np.ndarray:
        """Columns of a profile in ascending order of its values; leaves order-preserving keys in `bits`."""
        if not len(row):
            return np.empty(0, dtype=np.int64)
        np.add(row, np.float32(0), out=self.values)  # a negative zero becomes zero: they are equal values
        if not np.isfinite(self.values).all():
            raise DataError(
                f"profile {position} (counted from 0) holds NaN or infinity; "
                "quantile normalisation needs complete profiles"
            )
        if self.values.min() < 0:  # the bits of floats below zero count the other way round
            np.right_shift(self.bits.view(np.int32), 31, out=self.mask.view(np.int32))
            self.mask |= np.uint32(0x80000000)
            self.bits ^= self.mask
        self.bits -= self.bits.min()  # often frees the highest byte, whose pass numpy then skips
        order = np.argsort(self.halves[:, _LOW], kind="stable")
        return order.take(np.argsort(self.halves[:, _HIGH].take(order), kind="stable"))


def quantile_normalize(
    X: np.ndarray,
    reference: np.ndarray,
    *,
    ties: str = "average",
    rows: Rows = None,
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
    Profiles are ranked by two stable sorts of the halves of their order-preserving bits: numpy sorts 16-bit numbers by
    radix, which costs the same on every processor (its vectorised sorts do not: on AMD Zen 4 those for AVX-512 take
    five times as long as those for AVX2) and gives ranks, ties and the way back without a second matrix. numpy sorts
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
        ranker = _Ranker(X.shape[1])
        for row in task:
            order = ranker(X[row], int(row))
            out[row][order] = spread(ranker.bits.take(order))

    tasks = [chosen[at : at + _CHUNK] for at in range(0, len(chosen), _CHUNK)]
    with ThreadPoolExecutor(threads or default_threads()) as pool:
        for _ in _ordered(pool, work, tasks):
            pass
    return out


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
