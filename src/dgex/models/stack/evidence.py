"""Which profiles judge the members: a validation set where it is large, else folds over all that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dgex.aliases import Sets
from dgex.arrays.host import HOST_SHARE, host_memory
from dgex.arrays.index import evenly
from dgex.arrays.maps import joined, map_of
from dgex.errors import DataError
from dgex.models.selection import folds_of
from dgex.progress import note

__all__ = ["ENOUGH", "Evidence", "Pair", "gather"]

# A validation set of as many profiles, in as many groups, judges alone.
ENOUGH, ENOUGH_GROUPS = 1000, 20
# Copies of the targets of held-out profiles, of all members and of what weighs them.
_TIMES = 16


class Pair(NamedTuple):
    """Profiles to fit a member on, and held-out ones to predict: landmark and target genes of both."""

    X: np.ndarray
    Y: np.ndarray
    held_X: np.ndarray
    held_Y: np.ndarray


class Evidence(NamedTuple):
    """What members are judged by.

    Attributes
    ----------
    X, Y : ndarray
        All profiles that the final members may be fitted on: those of training, then those of validation.
    training : int
        How many of them are for training.
    folds : list of (ndarray, ndarray)
        Rows to fit on and rows to predict, of each judgement.
    parts : list of ndarray
        The predicted rows in parts that hold whole groups, by which weights are judged in turn.
    words : str
        How members are judged, for people.
    labels : ndarray of str or None
        The group of every profile, where whole groups are held out.
    """

    X: np.ndarray
    Y: np.ndarray
    training: int
    folds: list[tuple[np.ndarray, np.ndarray]]
    parts: list[np.ndarray]
    words: str
    labels: np.ndarray | None = None

    def pairs(self) -> list[Pair]:
        """The matrices of each fold; slices where rows are consecutive, else copies."""
        return [Pair(*(_rows(m, rows) for rows in fold for m in (self.X, self.Y))) for fold in self.folds]


def gather(
    X: np.ndarray,
    Y: np.ndarray,
    eval_sets: Sets,
    groups: Sequence[str] | np.ndarray | None,
    held_groups: Sequence[str] | np.ndarray | None,
    folds: int,
    seed: int,
) -> Evidence:
    """Lay out how members are judged.

    Parameters
    ----------
    X, Y : ndarray, shapes (profiles, landmarks) and (profiles, targets)
        Training profiles.
    eval_sets : dict
        The first one judges alone where it holds at least 1,000 profiles (in 20 groups, where there are groups); a
        smaller one joins the training profiles, and all are predicted in turn, in folds of whole groups.
    groups, held_groups : sequence of str, optional
        The group (study, donor, plate) of every training and of every validation profile.
    folds : int
        Number of folds.
    seed : int
        Decides the folds.

    Raises
    ------
    DataError
        Too few profiles or groups to hold any out.
    """
    generator = np.random.default_rng(seed)
    held = next(iter(eval_sets.values()), None)
    if held is not None and groups is not None and held_groups is None:
        held_groups = [f"validation {i}" for i in range(len(held[0]))]
    whole = X if held is None else joined(X, held[0])
    targets = Y if held is None else joined(Y, held[1])
    labels = None
    if groups is not None:
        labels = np.array([*map(str, groups), *([] if held is None or held_groups is None else map(str, held_groups))])
        if len(labels) != len(whole):
            raise DataError(
                "groups", found=f"{len(labels):,} labels", accepted=f"one for each of {len(whole):,} profiles"
            )
    rows, n = np.arange(len(whole)), len(X)
    if held is not None and len(held[0]) >= ENOUGH and (labels is None or len(set(labels[n:])) >= ENOUGH_GROUPS):
        judging = rows[n:][evenly(len(held[0]), _that_fit(Y))]
        of_groups = None if labels is None else labels[judging]
        parts = [judging[part] for part in folds_of(len(judging), folds, of_groups, generator)]
        words = f"{len(judging):,} validation profiles"
        if len(judging) < len(held[0]):
            note(f"auto: {words} of {len(held[0]):,} judge, whose predictions by all members memory holds")
        return Evidence(whole, targets, n, [(rows[:n], judging)], parts, words, labels)
    if len(rows) > _that_fit(Y):
        raise DataError(
            f"auto: what is inferred of {len(rows):,} profiles in turn does not fit in memory; accepted: a validation "
            f"set of {ENOUGH:,} profiles or more (in {ENOUGH_GROUPS} groups, where there are groups), or one method"
        )
    if labels is not None and len(set(labels)) < 2:
        note("auto: all profiles are of one group, so that none can be held out whole; folds are drawn at random")
        labels = None
    count = min(folds, len(whole) if labels is None else len(set(labels)))
    if count < 2 or len(whole) < 4:
        raise DataError(f"auto: too few profiles to hold any out: found {len(whole)}, at least 4 are needed")
    parts = folds_of(len(whole), count, labels, generator)
    pairs = [(np.setdiff1d(rows, part), part) for part in parts]
    by = "at random" if labels is None else f"by group ({len(set(labels))} groups)"
    return Evidence(whole, targets, n, pairs, parts, f"{count} folds of {len(whole):,} profiles, {by}", labels)


def _that_fit(targets: np.ndarray) -> int:
    """Held-out profiles whose targets memory holds once a member, and as often where weights are sought.

    As many as one likes where the targets of the training profiles are in memory: those held out are no more.
    """
    if map_of(targets) is None:
        return int(1e18)
    return max(ENOUGH, int(HOST_SHARE * host_memory() / (_TIMES * 4 * targets.shape[1])))


def _rows(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    first, last = int(rows[0]), int(rows[-1])
    return matrix[first : last + 1] if last - first + 1 == len(rows) else matrix[rows]
