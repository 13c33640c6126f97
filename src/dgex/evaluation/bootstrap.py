"""How far a difference between two models may be chance: the bootstrap over profiles, or over whole groups of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["FEW", "LEVEL", "REPEATS", "Interval", "Resampled", "profile_errors"]

LEVEL = 0.95
REPEATS = 2000
#: Below so many profiles or groups 95 % cannot be told: all of n are on one side by chance in 2 of 2^n cases.
FEW = 6
_SEED = 20160613
_ROWS = 8  # profiles whose differences are held at once: the cache holds them too
_CELLS = 1 << 24  # counts of draws held at once


def profile_errors(truth: np.ndarray, inferred: np.ndarray) -> np.ndarray:
    """Mean absolute error of each profile over its genes, float64 of shape (profiles,).

    The mean of these over profiles is the overall error: both are the mean over all values.

    Examples
    --------
    >>> profile_errors(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[1.0, 1.0], [2.0, 7.0]]))
    array([0.5, 2. ])
    """
    parts = [slice(at, at + _ROWS) for at in range(0, len(truth), _ROWS)]
    means = [np.abs(np.subtract(truth[p], inferred[p], dtype=np.float64)).mean(axis=1) for p in parts]
    return np.concatenate(means) if means else np.empty(0)


@dataclass(frozen=True)
class Interval:
    """A gain over the baseline, with the interval that 95 % of the samples drawn anew lie in.

    Attributes
    ----------
    difference, difference_low, difference_high : float
        Overall error less the baseline's, in the unit of the errors; below 0 where the model is better.
    improvement_low, improvement_high : float
        Of the relative improvement.
    tie : bool
        The interval of the relative improvement holds 0: which of the two is better is not decided.
    """

    difference: float
    difference_low: float = float("nan")
    difference_high: float = float("nan")
    improvement_low: float = float("nan")
    improvement_high: float = float("nan")
    tie: bool = False


class Resampled:
    """Overall errors of several models on the same profiles, drawn anew with replacement.

    Parameters
    ----------
    errors : dict of name to ndarray, shape (profiles,)
        What `profile_errors` gave, of each model.
    groups : sequence, shape (profiles,), optional
        The group of each profile. Whole groups are then drawn, as many as there are: profiles of a study are alike,
        and how much a result depends on the studies is seen only if studies come and go together.
    repeats : int
        How often all are drawn.
    seed : int
        Same seed, same draws.

    Notes
    -----
    The percentile bootstrap (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13). All models are
    measured on the same draws, so that what makes profiles hard for all of them cancels. What is not finite stays so: a
    model of such an error has an interval of NaN.
    """

    def __init__(
        self,
        errors: dict[str, np.ndarray],
        groups: np.ndarray | None = None,
        *,
        repeats: int = REPEATS,
        seed: int = _SEED,
    ) -> None:
        names, values = list(errors), np.column_stack(list(errors.values()))
        member = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
        self.units = int(member.max(initial=-1)) + 1  # what was drawn: profiles or groups
        sizes = np.bincount(member, minlength=self.units)
        sums = np.column_stack([np.bincount(member, column, self.units) for column in values.T])
        self._whole = dict(zip(names, values.mean(axis=0)))
        draws = np.random.default_rng(seed)
        found = []
        step = max(1, _CELLS // max(1, self.units))
        for at in range(0, repeats if self.units > 1 else 0, step):
            count = draws.multinomial(self.units, np.full(self.units, 1 / self.units), min(step, repeats - at))
            with np.errstate(invalid="ignore"):  # an infinite error that was not drawn
                found.append((count @ sums) / (count @ sizes)[:, None])
        drawn = np.concatenate(found) if found else np.empty((0, len(names)))
        self._drawn = dict(zip(names, drawn.T))

    @property
    def names(self) -> list[str]:
        """The models that are compared."""
        return list(self._whole)

    def interval(self, name: str) -> tuple[float, float]:
        """The 95 % interval of the overall error itself: how much it depends on the profiles or groups measured on."""
        if not len(self._drawn[name]):
            return float("nan"), float("nan")
        low, high = np.percentile(self._drawn[name], [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
        return float(low), float(high)

    def against(self, name: str, baseline: str) -> Interval:
        """One model against another: without an interval where only one profile or group is there to draw."""
        difference = float(self._whole[name] - self._whole[baseline])
        mine, theirs = self._drawn[name], self._drawn[baseline]
        if not len(mine):
            return Interval(difference)
        ends = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
        low, high = np.percentile(mine - theirs, ends)
        with np.errstate(divide="ignore", invalid="ignore"):
            worst, best = np.percentile(1 - mine / theirs, ends)
        return Interval(difference, float(low), float(high), float(worst), float(best), bool(worst <= 0 <= best))
