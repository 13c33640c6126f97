"""Prediction intervals for every value: split conformal, scaled by how hard the profile and the gene's level are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from dgex.dataset.split import dealt
from dgex.errors import DataError, SettingsError

__all__ = ["FEWEST", "LEVELS", "Intervals", "check_level"]

#: Coverages whose quantiles are kept; others lie on the line between two.
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99)
#: Held-out profiles needed for intervals: of fewer, one with 95 % coverage would be the largest error seen.
FEWEST = 20
# Parts that the shape of intervals is fitted without in turn, before quantiles are taken.
PARTS = 5
# A gene's level in as many steps, each drawn to the gene's mean as by so many profiles.
STEPS, PULL = 5, 60.0
# How a gene's error grows with difficulty: its exponent, in steps, drawn half-way to 1.
EXPONENTS = np.linspace(0.0, 2.0, 21)
ROWS = 16  # profiles at a time
CHUNK = 256  # genes at a time: their profiles fit a processor's cache
LEAST = 0.02  # of a gene's deviation: errors below are alike when their logarithm is taken


def check_level(level: float) -> float:
    """A coverage that intervals are kept for.

    Raises
    ------
    SettingsError
        It is not between 0.5 and 0.99.
    """
    known = isinstance(level, int | float | np.number) and not isinstance(level, bool)
    if not known or not LEVELS[0] <= float(level) <= LEVELS[-1]:
        raise SettingsError(
            "interval", found=level, accepted=f"a coverage from {LEVELS[0]} to {LEVELS[-1]}, such as 0.9"
        )
    return float(level)


@dataclass
class Intervals:
    r"""Half-widths of intervals around inferred values.

    That of gene g in profile i at level 1 - a is :math:`q_g\, s_i^{b_g}\, h_g(\hat y_{ig})`: s is the difficulty of the
    profile, told by its distance from the training profiles; b how strongly the gene follows it; h a step function of
    the inferred value (many genes vary more where they are expressed more); and q the quantile of the held-out errors
    so divided, of rank :math:`\lceil (n+1)(1-a) \rceil` (split conformal prediction, scores normalised). The
    steps h for each part of the held-out profiles come from the other parts: q is of errors they have not seen.

    Attributes
    ----------
    difficulty : ndarray, shape (2,)
        Intercept and slope of the logarithm of a profile's mean error over the logarithm of its distance.
    exponents : ndarray of uint8, shape (genes,)
        b, as places among 21 steps from 0 to 2.
    lowest, step : ndarray of float32, shape (genes,)
        Where the steps of h begin, and how wide each is.
    heights : ndarray of float32, shape (5, genes)
        h on each step.
    quantiles : ndarray of float32, shape (levels, genes)
        q at each of `LEVELS`.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer. Algorithmic Learning in a Random World. Springer 2005.
    J. Lei et al. Distribution-free predictive inference for regression. J. Am. Stat. Assoc. 113 (2018)
    1094-1111, section 5.2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> predicted = rng.normal(size=(400, 3)).astype(np.float32)
    >>> hard = rng.uniform(0.5, 2, size=400)
    >>> true = predicted + (0.3 * hard[:, None] * rng.normal(size=(400, 3))).astype(np.float32)
    >>> known = Intervals.of(predicted[:300], true[:300], hard[:300])
    >>> half = known.halfwidth(predicted[300:], hard[300:], 0.9)
    >>> bool(0.85 < np.mean(np.abs(true - predicted)[300:] <= half) < 0.95)
    True
    """

    difficulty: np.ndarray
    exponents: np.ndarray
    lowest: np.ndarray
    step: np.ndarray
    heights: np.ndarray
    quantiles: np.ndarray

    @classmethod
    def of(
        cls,
        predicted: np.ndarray,
        true: np.ndarray,
        distance: np.ndarray,
        groups: Sequence[str] | np.ndarray | None = None,
    ) -> Self:
        """Calibrate on held-out profiles.

        Parameters
        ----------
        predicted, true : ndarray of float32, shape (profiles, genes)
        distance : ndarray, shape (profiles,)
            Of each profile from the training profiles, above 0.
        groups : sequence of str, optional
            Whole groups stand in one part.

        Raises
        ------
        DataError
            Fewer than 20 profiles.
        """
        n, genes = len(true), true.shape[1]
        if n < FEWEST:
            raise DataError(f"intervals need held-out profiles: found {n}, at least {FEWEST}")
        parts = _parts(n, groups)
        order = np.argsort(parts, kind="stable")
        of_profile = np.asarray(np.nanmean(np.abs(predicted - true), axis=1, dtype=np.float64))
        known = cls._empty(_difficulty(of_profile, distance), genes)
        starts = np.searchsorted(parts[order], np.arange(parts.max() + 1))
        powers = known._of_profile(distance[order])

        def work(at: slice) -> None:
            known._calibrate(at, predicted[order, at], true[order, at], powers, starts)

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            list(pool.map(work, (slice(i, min(i + CHUNK, genes)) for i in range(0, genes, CHUNK))))
        return known

    @classmethod
    def _empty(cls, difficulty: np.ndarray, genes: int) -> Self:
        one = np.ones(genes, np.float32)
        heights, quantiles = (np.ones((count, genes), np.float32) for count in (STEPS, len(LEVELS)))
        return cls(difficulty, np.full(genes, 10, np.uint8), np.zeros_like(one), one, heights, quantiles)

    def _calibrate(
        self, at: slice, predicted: np.ndarray, true: np.ndarray, powers: np.ndarray, starts: np.ndarray
    ) -> None:
        """Fit exponent, steps, heights and quantiles of some genes; profiles come part by part, parts at `starts`."""
        error = np.abs(predicted - true)
        s = np.log(powers[:, 10].astype(np.float64))  # of exponent 1
        if float(s @ s) > 1e-9:
            logs = np.log(error + (LEAST * true.std(axis=0)).astype(np.float32) + np.float32(1e-12))
            # of a gene that was not measured nothing becomes known
            own = (s.astype(np.float32) @ logs - s.sum() * logs.mean(axis=0)) / float(s @ s)
            self.exponents[at] = np.clip(
                np.rint((0.5 * np.nan_to_num(own, nan=1.0) + 0.5) / EXPONENTS[1]), 0, len(EXPONENTS) - 1
            )
        low, high = np.quantile(predicted, (0.1, 0.9), axis=0)
        step = np.maximum((high - low) / (STEPS - 2), 1e-12)
        self.lowest[at], self.step[at] = low - step, step
        scores = error / powers[:, self.exponents[at]]
        places = self._places(predicted, at)
        sums, counts = (np.empty((STEPS, len(starts), error.shape[1])) for _ in range(2))
        for number in range(STEPS):
            there = places == number
            sums[number] = np.add.reduceat(np.where(there, scores, np.float32(0)), starts, axis=0)
            counts[number] = np.add.reduceat(there.astype(np.float32), starts, axis=0)
        self.heights[:, at] = _heights(sums.sum(axis=1), counts.sum(axis=1))
        genes = np.arange(error.shape[1])
        for part, start in enumerate(starts):  # divided by heights that these profiles had no share in
            rows = slice(start, starts[part + 1] if part + 1 < len(starts) else None)
            others = [np.delete(m, part, axis=1).sum(axis=1) for m in (sums, counts)]
            scores[rows] /= _heights(*others)[places[rows], genes]
        n = len(scores)
        ranks = [min(n - 1, int(np.ceil((n + 1) * level)) - 1) for level in LEVELS]
        ordered = np.partition(np.ascontiguousarray(scores.T), sorted(set(ranks)), axis=1)
        self.quantiles[:, at] = ordered[:, ranks].T

    def _of_profile(self, distance: np.ndarray) -> np.ndarray:
        """Difficulty of each profile to the power of each exponent, float32 [profiles, exponents]."""
        logs = self.difficulty[0] + self.difficulty[1] * np.log(np.maximum(distance, 1e-9))
        return np.exp(np.outer(logs, EXPONENTS)).astype(np.float32)

    def _places(self, predicted: np.ndarray, at: slice = slice(None)) -> np.ndarray:
        """On which step of h each value lies, of some genes."""
        places = predicted - self.lowest[at]
        places /= self.step[at]
        np.clip(places, 0, STEPS - 1, out=places)
        return np.asarray(places.astype(np.uint8))

    def halfwidth(
        self,
        predicted: np.ndarray,
        distance: np.ndarray,
        level: float,
        factor: np.ndarray | float = 1.0,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Half-widths of the intervals with coverage `level`.

        Parameters
        ----------
        predicted : ndarray of float32, shape (profiles, genes)
        distance : ndarray, shape (profiles,)
        level : float
            From 0.5 to 0.99.
        factor : ndarray of shape (genes,) or float
            Times this: to another unit.
        out : ndarray, shape of `predicted`, optional
            Where they go.

        Returns
        -------
        ndarray of float32, shape of `predicted`
            `out`, where it was told.
        """
        check_level(level)
        above = min(int(np.searchsorted(LEVELS, level - 1e-12)), len(LEVELS) - 1)
        below = max(above - 1, 0)
        width = LEVELS[above] - LEVELS[below]
        share = 1.0 if width == 0 else (level - LEVELS[below]) / width
        quantile = (1 - share) * self.quantiles[below] + share * self.quantiles[above]
        heights = (self.heights * quantile * factor).astype(np.float32).ravel()
        genes, powers = np.arange(predicted.shape[1]), self._of_profile(distance)
        half = np.empty(predicted.shape, np.float32) if out is None else out

        def work(start: int) -> None:
            rows = slice(start, start + ROWS)
            at = self._places(predicted[rows]).astype(np.int64) * len(genes)  # numpy 1 would stay in bytes
            at += genes
            half[rows] = heights.take(at) * powers[rows].take(self.exponents, axis=1)

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            list(pool.map(work, range(0, len(predicted), ROWS)))
        return half

    def arrays(self) -> dict[str, np.ndarray]:
        """What is stored."""
        names = ("difficulty", "exponents", "lowest", "step", "heights", "quantiles")
        return {f"interval_{name}": getattr(self, name) for name in names}


def _difficulty(errors: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Intercept and slope by which the logarithm of a profile's error follows its distance; 0 on average."""
    far = np.log(np.maximum(distance, 1e-9))
    slope = 0.0
    if far.std() > 1e-6:
        slope = float(np.clip(np.polyfit(far, np.log(np.maximum(errors, 1e-9)), 1)[0], 0, 3))
    return np.array([-slope * far.mean(), slope])


def _heights(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean score on each step over the gene's mean score, drawn to it; [steps, genes] from sums and counts."""
    mean = np.maximum(sums.sum(axis=0) / np.maximum(counts.sum(axis=0), 1), 1e-12)
    return np.asarray((sums + PULL * mean) / (counts + PULL) / mean, dtype=np.float32)


def _parts(n: int, groups: Sequence[str] | np.ndarray | None) -> np.ndarray:
    """In which part each profile stands; whole groups together, the largest into the emptiest part."""
    named = None if groups is None else np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    if named is None or named.max() < PARTS - 1:
        return np.random.default_rng(0).permutation(n) % PARTS
    return np.asarray(dealt(np.bincount(named), PARTS)[named])
