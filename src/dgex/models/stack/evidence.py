"""Which profiles judge the members: a validation set where it is large, else folds over all that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dgex.aliases import Sets
from dgex.errors import DataError
from dgex.models.selection import folds_of
from dgex.progress import note

__all__ = ["ENOUGH", "Evidence", "Pair", "gather"]

# A validation set of as many profiles, in as many groups, judges alone.
ENOUGH, ENOUGH_GROUPS = 1000, 20


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
    whole = X if held is None else np.concatenate([X, held[0]])
    targets = Y if held is None else np.concatenate([Y, held[1]])
    labels = None
    if groups is not None:
        labels = np.array([*map(str, groups), *([] if held is None or held_groups is None else map(str, held_groups))])
        if len(labels) != len(whole):
            raise DataError(
                "groups", found=f"{len(labels):,} labels", accepted=f"one for each of {len(whole):,} profiles"
            )
    rows, n = np.arange(len(whole)), len(X)
    if held is not None and len(held[0]) >= ENOUGH and (labels is None or len(set(labels[n:])) >= ENOUGH_GROUPS):
        parts = [
            rows[n:][part] for part in folds_of(len(rows) - n, folds, None if labels is None else labels[n:], generator)
        ]
        return Evidence(
            whole, targets, n, [(rows[:n], rows[n:])], parts, f"{len(held[0]):,} validation profiles", labels
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


def _rows(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    first, last = int(rows[0]), int(rows[-1])
    return matrix[first : last + 1] if last - first + 1 == len(rows) else matrix[rows]
