"""Which samples train, validate and test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dgex.errors import DataError, SettingsError
from dgex.genes import texts

__all__ = ["SPLITS", "dealt", "split_samples"]

SPLITS = ("train", "validation", "test")


def dealt(sizes: np.ndarray, parts: int, order: np.ndarray | None = None) -> np.ndarray:
    """Whole groups dealt into parts of about one size: the largest first, each into the emptiest part.

    Parameters
    ----------
    sizes : ndarray of int, shape (groups,)
        Members of each group.
    parts : int
    order : ndarray of int, optional
        In which order groups of one size come; as they stand unless told.

    Returns
    -------
    ndarray of int, shape (groups,)
        The part of each group.

    Examples
    --------
    >>> dealt(np.array([3, 1, 1]), 2).tolist()
    [0, 1, 1]
    """
    order = np.arange(len(sizes)) if order is None else order
    part, filled = np.empty(len(sizes), int), np.zeros(parts, int)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        part[group] = filled.argmin()
        filled[part[group]] += sizes[group]
    return part


def split_samples(
    samples: int,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    *,
    seed: int = 0,
    groups: Sequence[object] | np.ndarray | None = None,
) -> np.ndarray:
    """Give every sample to training, validation or test.

    Parameters
    ----------
    samples : int
        How many samples there are.
    fractions : three numbers
        Shares of training, validation and test; they add up to 1. A share of 0 leaves that part out.
    seed : int
        Same seed, same split.
    groups : sequence of length `samples`, optional
        A group (study, donor, plate) is never on both sides. The groups are taken in a seeded order; each goes to
        the part of validation and test that lacks most samples, where it fits, and to training otherwise. A part that
        got no group gets the smallest one of training.

    Returns
    -------
    ndarray of str, shape (samples,)
        `"train"`, `"validation"` or `"test"`.

    Raises
    ------
    SettingsError
        Fractions that are negative or do not add up to 1.
    DataError
        Fewer samples or groups than parts, or a sample without a group.

    References
    ----------
    Chen et al. 2016, section 2.1: 80 %, 10 % and 10 % of the samples at random.
    """
    shares = checked_fractions(fractions)
    wanted = int((shares > 0).sum())
    if samples < wanted:
        raise DataError(f"{samples} samples cannot be split into {wanted} parts; each needs at least 1 sample")
    generator = np.random.default_rng(seed)
    if groups is None:
        return _by_sample(samples, shares, generator)
    return _by_group(samples, shares, np.asarray(groups, dtype=object), generator)


def checked_fractions(fractions: Sequence[float]) -> np.ndarray:
    """Fractions as an array of three that adds up to 1."""
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or shares[0] <= 0 or abs(shares.sum() - 1) > 1e-6:
        given = ", ".join(f"{share:g}" for share in np.atleast_1d(shares))
        raise SettingsError(
            f"split fractions are {given}",
            accepted="three shares (training, validation, test) from 0 to 1 that add up to 1, training above 0",
        )
    return shares


def _sizes(samples: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers close to the shares, at least 1 for each share above 0; training takes the rest."""
    sizes = np.round(samples * shares).astype(int)
    sizes[1:] = np.where(shares[1:] > 0, np.maximum(sizes[1:], 1), 0)
    while samples - sizes[1:].sum() < 1:  # tiny data: the larger of the others gives one back
        sizes[1 + int(np.argmax(sizes[1:]))] -= 1
    sizes[0] = samples - sizes[1:].sum()
    return sizes


def _by_sample(samples: int, shares: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    names = np.repeat(np.array(SPLITS, dtype=object), _sizes(samples, shares))
    split = np.empty(samples, dtype=object)
    split[generator.permutation(samples)] = names
    return split


def _by_group(samples: int, shares: np.ndarray, groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    if len(groups) != samples:
        raise DataError(f"{len(groups):,} groups for {samples:,} samples; one for each is needed")
    words = texts(pd.Series(groups))
    missing = words == ""
    if missing.any():
        raise DataError(f"{int(missing.sum()):,} samples have no group; every sample needs one to split by group")
    names, member = np.unique(words, return_inverse=True)
    counts = np.bincount(member, minlength=len(names))
    parts = [part for part in range(3) if shares[part] > 0]
    if len(names) < len(parts):
        raise DataError(
            f"{len(names)} groups cannot be split into {len(parts)} parts; each needs at least 1 whole group"
        )
    lacking = _sizes(samples, shares)
    assigned = np.zeros(len(names), dtype=int)
    for group in generator.permutation(len(names)):
        part = max(parts[1:], key=lambda candidate: lacking[candidate], default=0)
        if counts[group] <= lacking[part]:
            assigned[group] = part
            lacking[part] -= counts[group]
    _fill_empty(assigned, counts, parts)
    return np.array(SPLITS, dtype=object)[assigned[member]]


def _fill_empty(assigned: np.ndarray, counts: np.ndarray, parts: list[int]) -> None:
    for part in parts:
        if (assigned == part).any():
            continue
        sizes = np.bincount(assigned, minlength=3)
        givers = [giver for giver in parts if sizes[giver] > 1]
        giver = 0 if 0 in givers else max(givers, key=lambda candidate: sizes[candidate])
        members = np.flatnonzero(assigned == giver)
        assigned[members[np.argmin(counts[members])]] = part
