"""Differences within groups, inferred against measured: what compares treated with control sees."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from dgex.confidence.differences import Differences
from dgex.evaluation.bootstrap import LEVEL, REPEATS
from dgex.ranks import GeneRanks

__all__ = ["MEASURES", "Draws", "Within", "ends", "measure_within"]

MEASURES = ("error", "r", "sign")
LOTS = 100
_GENES = 64  # drawn at once
_TERMS = 9
_SEED = 20160614
_LEFT = 1e-12  # of the mean square: variance below it is rounding


@dataclass(frozen=True)
class Within:
    """What one predictor reached of differences.

    Attributes
    ----------
    genes, profiles : dict of measure to ndarray
        `error`, the mean absolute error of the differences; `r`, their Pearson correlation (over profiles, or over
        genes); `sign`, the share of measured differences whose sign is inferred rightly. NaN where nothing differs.
    drawn : dict of measure to ndarray, shape (draws,)
        The mean over genes in each draw; empty where there is one unit to draw.
    """

    genes: dict[str, np.ndarray]
    profiles: dict[str, np.ndarray]
    drawn: dict[str, np.ndarray]

    def overall(self, measure: str) -> float:
        """Mean over the genes that have the measure."""
        return _mean(self.genes[measure])

    def interval(self, measure: str) -> tuple[float, float]:
        """The 95 % interval of `overall`."""
        return ends(self.drawn[measure])


class Draws:
    """Units drawn anew with replacement, the same for every predictor, so that what all find hard cancels.

    Parameters
    ----------
    units : ndarray, shape (compared,)
        What each profile is drawn with: study, or its group. Beyond 100 they are drawn in 100 lots of whole units.
    """

    def __init__(self, units: np.ndarray) -> None:
        number = np.unique(units, return_inverse=True)[1]
        self.units = int(number.max(initial=-1)) + 1
        generator = np.random.default_rng(_SEED)
        if self.units > LOTS:
            number = (generator.permutation(self.units) % LOTS)[number]
        lots = int(number.max(initial=-1)) + 1
        self.order = np.argsort(number, kind="stable")
        self._as_it_is = bool((np.diff(number) >= 0).all())  # groups drawn alone come in order
        self.starts = np.flatnonzero(np.diff(number[self.order], prepend=-1))
        repeats = REPEATS if lots > 1 else 0
        self.counts = generator.multinomial(lots, np.full(lots, 1 / lots), repeats).astype(np.float64) if lots else None

    def means(self, terms: np.ndarray) -> dict[str, np.ndarray]:
        """Measures in every draw, of shape (draws, genes); `terms` are terms x genes x profiles."""
        if self.counts is None or not len(self.counts):
            return {name: np.empty((0, terms.shape[1])) for name in MEASURES}
        ordered = terms if self._as_it_is else terms[:, :, self.order]
        sums = np.add.reduceat(ordered, self.starts, axis=2)
        drawn = self.counts @ sums.reshape(-1, len(self.starts)).T
        return _measures(np.moveaxis(drawn.reshape(len(drawn), *terms.shape[:2]), 1, 0))


def measure_within(truth: GeneRanks, inferred: GeneRanks, differences: Differences, draws: Draws) -> Within:
    """Compare inferred with measured differences, a chunk of genes at a time.

    Parameters
    ----------
    truth, inferred : GeneRanks
        Values, not yet ranked, of the same profiles and genes.
    differences : Differences
        Which profiles are compared with which.
    draws : Draws
        Of the profiles at `differences.at`.
    """
    profiles, count = np.zeros((_TERMS, len(differences.at))), truth.shape[1]
    genes: list[dict[str, np.ndarray]] = []
    total: dict[str, Any] = dict.fromkeys(MEASURES, 0.0)
    known: dict[str, Any] = dict.fromkeys(MEASURES, 0)

    def work(start: int) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
        at = slice(start, min(start + width, count))
        terms = _terms(differences.of(truth.genes(at)), differences.of(inferred.genes(at)))
        return terms.sum(axis=1), _measures(terms.sum(axis=2)), draws.means(terms)

    width = max(1, min(_GENES, (1 << 18) // max(1, truth.shape[0])))
    starts = list(range(0, count, width))
    with ThreadPoolExecutor(workers := min(8, os.cpu_count() or 1)) as pool:
        for first in range(0, len(starts), workers):  # some at a time are held, and summed in the order of the genes
            for sums, found, drawn in pool.map(work, starts[first : first + workers]):
                profiles += sums
                genes.append(found)
                for name in MEASURES:
                    there = np.isfinite(drawn[name])
                    known[name] = known[name] + there.sum(axis=1)
                    total[name] = total[name] + np.where(there, drawn[name], 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = {name: total[name] / np.where(known[name], known[name], np.nan) for name in MEASURES}
    whole = {name: np.concatenate([found[name] for found in genes]) for name in MEASURES}
    return Within(whole, _measures(profiles), means)


def _terms(t: np.ndarray, p: np.ndarray) -> np.ndarray:
    """What is summed of each gene and profile: 1, |e|, t, p, t², p², tp, whether t differs, and p with it."""
    differs = t != 0
    agrees = differs & (np.sign(t) == np.sign(p))
    return np.stack([np.ones_like(t), np.abs(p - t), t, p, t * t, p * p, t * p, differs, agrees])


def _measures(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of sums, of shape (9, ...)."""
    n, absolute, t, p, tt, pp, tp, differ, agree = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        spread_t, spread_p = tt - t * t / n, pp - p * p / n
        spread_t = np.where(spread_t > _LEFT * tt, spread_t, np.nan)
        spread_p = np.where(spread_p > _LEFT * pp, spread_p, np.nan)
        return {
            "error": absolute / n,
            "r": np.clip((tp - t * p / n) / np.sqrt(spread_t * spread_p), -1, 1),
            "sign": agree / np.where(differ > 0, differ, np.nan),
        }


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def ends(drawn: np.ndarray) -> tuple[float, float]:
    """The ends of the 95 % interval of what was drawn; NaN where most draws tell nothing."""
    known = drawn[np.isfinite(drawn)]
    if not len(known) or 2 * len(known) < len(drawn):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)
