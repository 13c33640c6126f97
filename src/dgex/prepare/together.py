"""Near-duplicates on one side of the split: a copy of a training profile tests nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from dgex.arrays.rowfile import Rows
from dgex.genes import texts
from dgex.prepare.duplicates import Transform, close_pairs
from dgex.progress import note, warn

__all__ = ["joined_groups", "near_pairs"]

# Profiles up to which all pairs are looked at unasked: some seconds on two cores.
MOST = 20_000
# Of more than so many profiles, evenly spaced ones are looked at first: where this share of their pairs is close, the
# distance is too wide for these values, and the pairs of all would fill the memory.
PROBED = 1_000
CLOSE = 0.01
# A group of more than this share of the profiles tells that the distance is too wide for these values.
LARGEST = 0.5


def near_pairs(X: Rows, distance: float, transform: Transform | None) -> np.ndarray | None:
    """Pairs of profiles closer than `distance`, [pairs, 2]; None, and why is said, where there are too many to look."""
    if len(X) > MOST:
        note(
            f"near-duplicates are not looked for among {len(X):,} profiles (more than {MOST:,} take long): "
            f"dedup={distance:g} drops them"
        )
        return None
    if len(X) > PROBED:
        rows = np.linspace(0, len(X) - 1, PROBED).astype(int)
        share = len(close_pairs(X, distance, rows=rows, transform=transform)) / (PROBED * (PROBED - 1) / 2)
        if share > CLOSE:
            warn(
                f"{share:.0%} of the pairs of profiles are closer than {distance:g}, which tells no copies on these "
                "values: near-duplicates are split as any others; is the distance (together=) right?"
            )
            return None
    return close_pairs(X, distance, transform=transform)


def joined_groups(
    samples: int, pairs: np.ndarray, parts: int, groups: np.ndarray | None, distance: float
) -> np.ndarray | None:
    """Groups that keep near-duplicates together.

    Parameters
    ----------
    samples : int
        Number of samples to split.
    pairs : ndarray of int, shape (pairs, 2)
        Near-duplicates among them.
    parts : int
        Parts of the split.
    groups : ndarray, optional
        The group of each sample; without, each is its own.
    distance : float
        By which the pairs were found, for what is said.

    Returns
    -------
    ndarray of str, shape (samples,), or None
        `groups` as they were where no pair lies in two of them, or where joining would leave too few to split.
    """
    labels = np.arange(samples).astype(str) if groups is None else texts(pd.Series(groups)).to_numpy(dtype=str)
    names, member = np.unique(labels, return_inverse=True)
    if (labels == "").any():  # refused when it is split
        return groups
    ends = member[pairs].astype(np.int32)  # scipy 1.11 misreads longer indices
    links = sparse.csr_matrix((np.ones(len(pairs)), (ends[:, 0], ends[:, 1])), shape=(len(names), len(names)))
    count, component = connected_components(links, directed=False)
    if count == len(names):
        return groups
    sizes, held = np.bincount(component[member]), np.bincount(component)
    largest = int(sizes[held > 1].max())
    if count < parts or largest > LARGEST * samples:
        warn(
            f"profiles closer than {distance:g} join {largest:,} of {samples:,} profiles: too many to keep on one "
            "side, so they are split as any others; is the distance (together=) right for these values?"
        )
        return groups
    first = np.full(count, len(names))
    np.minimum.at(first, component, np.arange(len(names)))
    if groups is not None:
        note(f"{int((held > 1).sum()):,} sets of groups share near-duplicates and stay on one side")
    return np.asarray(names[first[component[member]]])
