"""Differences of profiles from their group: from its mean, or from the mean of its control profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["Differences"]

# A difference this small beside the value is rounding of float32, and none.
_ROUNDING = 1e-6


class Differences:
    """Which profiles are compared with which others of their group.

    Parameters
    ----------
    groups : sequence of str, shape (profiles,)
        Plate, study or donor of each profile; one without, an empty text, is left out.
    control : ndarray of bool, shape (profiles,), optional
        Profiles that the others of their group are compared with; without, each is compared with the mean of all of its
        group, itself included.

    Attributes
    ----------
    at : ndarray of int
        Positions of the profiles compared, group by group: all of groups of two or more, or, with control profiles, the
        other profiles of groups that have some.
    member : ndarray of int
        Group of each of them, in `names`.
    names : ndarray of str
        Groups compared.
    left_groups, left_profiles : int
        Groups of one profile, or without a control profile or any other, and their profiles; profiles without a group
        are counted among the latter.

    Examples
    --------
    >>> plates = Differences(["a", "a", "b"])
    >>> plates.at.tolist(), plates.left_groups, plates.left_profiles
    ([0, 1], 1, 1)
    >>> plates.of(np.array([[1.0, 3.0, 9.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, groups: Sequence[str] | np.ndarray, control: np.ndarray | None = None) -> None:
        named, code = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        sizes = np.bincount(code, minlength=len(named))
        reference = np.ones(len(code), bool) if control is None else np.asarray(control, bool)
        compared = np.ones(len(code), bool) if control is None else ~reference
        references = np.bincount(code[reference], minlength=len(named))
        kept = (sizes > 1) & (references > 0) & (np.bincount(code[compared], minlength=len(named)) > 0) & (named != "")
        number = np.cumsum(kept) - 1
        order = np.argsort(code, kind="stable")
        order = order[kept[code[order]]]
        self.at = order[compared[order]]
        self.member = number[code[self.at]]
        self.names = named[kept]
        self.left_groups = int((~kept & (named != "")).sum())
        self.left_profiles = int(sizes[~kept].sum())
        self._reference = order[reference[order]]
        self._sizes = references[kept]
        self._starts = np.cumsum(self._sizes) - self._sizes

    def of(self, values: np.ndarray) -> np.ndarray:
        """Differences of the profiles at `at`, float64 of shape (genes, compared); `values` are genes x profiles.

        What is within rounding of the mean is 0.
        """
        if not len(self.at):
            return np.empty((len(values), 0))
        sums = np.add.reduceat(values[:, self._reference], self._starts, axis=1, dtype=np.float64)
        means = (sums / self._sizes)[:, self.member]
        differences: np.ndarray = values[:, self.at] - means
        differences[np.abs(differences) <= _ROUNDING * np.abs(means)] = 0
        return differences
