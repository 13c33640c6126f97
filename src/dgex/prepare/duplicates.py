"""Near-duplicate profiles: all pairs closer than a distance, and which samples to keep."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from dgex.arrays.rowfile import RowFile, Rows
from dgex.errors import DataError, SettingsError
from dgex.prepare.distances import below, direction, with_norms
from dgex.progress import bar

__all__ = ["METHODS", "Duplicates", "close_pairs", "near_duplicates"]

METHODS = ("exact", "clusters")

_BLOCK = 2048  # rows of a block of the Gram matrix: 16 MiB of products
_SCREEN = 512  # columns that are compared before all are, where there are four times as many
_CANDIDATES = 10  # pairs a sample that may pass; beyond, these columns do not tell profiles apart
_MOST = 50_000_000  # pairs that are held: 800 MB. More tell no copies, whatever the profiles are
_VALUES = 1 << 24  # read at a time where only a part of them is held

Transform = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Duplicates:
    """What was found.

    Attributes
    ----------
    keep : ndarray of bool, shape (samples,)
        Samples to keep.
    pairs : ndarray of int, shape (n, 2)
        All pairs looked at that are closer than the distance, first position below the second, in order.
    """

    keep: np.ndarray
    pairs: np.ndarray

    @property
    def dropped(self) -> int:
        """How many samples are not kept."""
        return int((~self.keep).sum())


def near_duplicates(
    X: Rows,
    distance: float,
    *,
    method: str = "exact",
    clusters: int = 100,
    seed: int = 0,
    transform: Transform | None = None,
) -> Duplicates:
    """Find profiles that are nearly the same and choose which to keep.

    Parameters
    ----------
    X : ndarray of float32 or RowFile, shape (samples, genes)
        Profiles, finite; of a file blocks are held.
    distance : float
        Euclidean distance over all genes, in the units of `X`; pairs strictly closer are near-duplicates.
    method : {"exact", "clusters"}
        `"exact"` looks at all pairs. Samples are taken in order, and one is dropped if an earlier sample that was kept
        is closer than the distance: the first of a group stays, every sample dropped has a kept one nearby, and no two
        kept ones are close.
        `"clusters"` is the paper's variant: k-means clusters, pairs within a cluster only, and a sample is dropped if
        *any* earlier one of its cluster is close, kept or not. It misses pairs that k-means puts apart, and drops
        chains of samples whose ends are far from each other.
    clusters : int
        Number of k-means clusters (at most the number of samples), for `method="clusters"`.
    seed : int
        For k-means.
    transform : callable, optional
        `transform(block, rows)` is given copies of rows and their positions and returns the values to compare,
        float32: for data of which some rows are on another scale. It must give the same for a row every time.

    Returns
    -------
    Duplicates

    Raises
    ------
    SettingsError
        Unknown method, or a distance that is not above zero.
    DataError
        NaN or infinity; more than 50 million pairs.

    References
    ----------
    Chen et al. 2016, section 2.1 (100 clusters, distance 1.0), and the rule for dropping of the code published with
    the paper.
    """
    if method not in METHODS:
        raise SettingsError(f"unknown method {method!r} to find duplicates", accepted=METHODS)
    if not (np.isfinite(distance) and distance > 0):
        raise SettingsError(f"the distance of near-duplicates must be above 0, found {distance!r}")
    if method == "exact":
        pairs = close_pairs(X, distance, transform=transform)
        return Duplicates(_keep_first(len(X), pairs), pairs)
    label = _clusters(X, clusters, seed, transform)
    found = [
        close_pairs(X, distance, rows=np.flatnonzero(label == cluster), transform=transform)
        for cluster in range(label.max(initial=-1) + 1)
    ]
    pairs = np.concatenate([*found, np.empty((0, 2), dtype=np.int64)])
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    keep = np.ones(len(X), dtype=bool)
    keep[pairs[:, 1]] = False
    return Duplicates(keep, pairs)


def _keep_first(samples: int, pairs: np.ndarray) -> np.ndarray:
    keep = np.ones(samples, dtype=bool)
    # In order of the first sample, whether that one is kept is settled when its pairs are reached.
    starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(pairs))):
        if keep[pairs[start, 0]]:
            keep[pairs[start:end, 1]] = False
    return keep


def _clusters(X: Rows, clusters: int, seed: int, transform: Transform | None) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans

    with ExitStack() as stack:
        values = _compared(X, transform, stack)
        for at in range(0, len(values), _BLOCK):
            if not np.isfinite(values[at : at + _BLOCK]).all():
                raise DataError("profiles hold NaN or infinity; near-duplicates need complete profiles")
        model = MiniBatchKMeans(
            n_clusters=min(clusters, len(X)), max_iter=10, batch_size=1000, n_init=3, random_state=seed
        )
        return np.asarray(model.fit_predict(values))


def _compared(X: Rows, transform: Transform | None, stack: ExitStack) -> np.ndarray:
    """All values that are compared, in memory or mapped: k-means takes its profiles from all over them."""
    if not isinstance(X, RowFile):
        return X if transform is None else transform(X.copy(), np.arange(len(X)))
    copy = stack.enter_context(RowFile(X.shape, X.folder, mappable=True))
    step = max(1, _VALUES // max(1, X.shape[1]))
    for at in range(0, len(X), step):
        rows = np.arange(at, min(at + step, len(X)))
        copy[at : at + len(rows)] = X[rows] if transform is None else transform(X[rows], rows)
    return copy.mapped()


def close_pairs(
    X: Rows,
    distance: float,
    *,
    rows: np.ndarray | None = None,
    transform: Transform | None = None,
    block: int = _BLOCK,
) -> np.ndarray:
    """All pairs of samples with a Euclidean distance below `distance`.

    Parameters
    ----------
    X : ndarray of float32 or RowFile, shape (samples, genes)
    distance : float
        In the units of `X`.
    rows : ndarray of int, optional
        Samples to compare with each other, ascending; all by default.
    transform : callable, optional
        See `near_duplicates`.
    block : int
        Samples on each side of a block of products; memory is `4 * block * (block + 2 * genes)` bytes.

    Returns
    -------
    ndarray of int64, shape (pairs, 2)
        Positions in `X`, the smaller first, sorted.

    Raises
    ------
    DataError
        NaN or infinity; more than 50 million pairs, which tell that the distance is too wide.

    Notes
    -----
    The result is that of float64 arithmetic on every pair. Products of centred float32 blocks give every squared
    distance with an error below `(genes + 8) * 2**-23 * (|a| + |b|)**2`; pairs nearer to the threshold than that are
    measured again in float64. Samples are ordered along one direction (close to the first principal component): where
    two blocks are further apart along it than `distance`, no pair of them can be close, and their products are skipped.
    Of wide profiles a part of the columns is compared first: distances over all columns are never shorter, so only the
    pairs that are close there are measured over all.
    """
    rows = np.arange(len(X)) if rows is None else np.asarray(rows)

    def fetch(chosen: np.ndarray) -> np.ndarray:
        values = X[chosen].astype(np.float32, copy=False)
        return values if transform is None else transform(values, chosen)

    found = _screened(fetch, rows, X.shape[1], distance, block) if X.shape[1] >= 4 * _SCREEN else None
    found = _pairs(fetch, rows, distance, block, _MOST) if found is None else found
    if found is None:
        raise DataError(
            f"more than {_MOST:,} pairs of {len(rows):,} profiles are closer than {distance:g}: on these values that "
            "distance tells no copies; a smaller one may"
        )
    return found


def _pairs(
    fetch: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, distance: float, block: int, most: int
) -> np.ndarray | None:
    """Close pairs of rows; None where there are more than `most`."""
    if len(rows) < 2:
        return np.empty((0, 2), dtype=np.int64)
    centre, along = direction(fetch, rows, block)
    order = np.argsort(along, kind="stable")
    rows, along = rows[order], along[order]
    starts = np.arange(0, len(rows), block)
    low, high = along[starts], along[np.minimum(starts + block, len(rows)) - 1]
    reach = distance + 1e-3 * float(np.abs(along).max())  # the float32 projections are far better than this
    found, count = [], 0
    with bar(len(starts), "looking for near-duplicates") as progress:
        for first, start in enumerate(starts):
            mine = rows[start : start + block]
            left = with_norms(fetch(mine), centre)
            for second in range(first, len(starts)):
                if low[second] - high[first] > reach:
                    break  # along is sorted: every later block is further away
                theirs = rows[starts[second] : starts[second] + block]
                right = left if first == second else with_norms(fetch(theirs), centre)
                i, j = below(left, right, distance, fetch, mine, theirs, first == second)
                found.append(np.stack([mine[i], theirs[j]], axis=1))
                count += len(i)
                if count > most:
                    return None
            progress.advance()
    pairs = np.sort(np.concatenate(found).astype(np.int64), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _screened(
    fetch: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, genes: int, distance: float, block: int
) -> np.ndarray | None:
    """Close pairs by way of those that are close over a few columns; None where too many are."""
    columns = np.linspace(0, genes - 1, _SCREEN).astype(np.int64)
    few = np.empty((len(rows), len(columns)), dtype=np.float32)
    step = max(1, _VALUES // genes)
    with bar(len(rows), "reading for near-duplicates") as progress:
        for at in range(0, len(rows), step):
            values = fetch(rows[at : at + step])
            if not np.isfinite(values).all():
                raise DataError("profiles hold NaN or infinity; near-duplicates need complete profiles")
            few[at : at + step] = values[:, columns]
            progress.advance(len(values))
    wider = distance * (1 + 1e-6)  # by more than rounding
    found = _pairs(lambda at: few[at], np.arange(len(rows)), wider, block, _CANDIDATES * len(rows))
    if found is None:
        return None
    candidates = rows[found]
    close = np.zeros(len(candidates), dtype=bool)
    step = max(1, 2**21 // genes)
    for start in range(0, len(candidates), step):
        i, j = candidates[start : start + step].T
        difference = fetch(i).astype(np.float64) - fetch(j)
        close[start : start + step] = np.einsum("ij,ij->i", difference, difference) < distance**2
    return np.asarray(candidates[close])
