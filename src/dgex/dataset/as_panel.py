"""Landmark genes of a dataset as a panel would have them, where the dataset ranked them together with target genes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from dgex.dataset.normalization import Normalization, ties_rule
from dgex.dataset.quantile import quantile_normalize, resample_reference
from dgex.dataset.roles import set_statistics
from dgex.dataset.standardize import PAPER_EPSILON
from dgex.genes import texts
from dgex.io.base import ExpressionFile

__all__ = ["AsPanel"]

_ROUNDING = 2.4e-7  # of the numbers that a standardised float32 value is made of
_NONE = np.zeros(1), np.ones(1)
_BLOCK = 4096


@dataclass(frozen=True)
class AsPanel:
    """What `dgex.infer` makes of the landmark genes of a quantile-normalised dataset's profiles, given them alone.

    A panel's landmark genes can only be ranked among themselves, and are mapped to the landmark genes' own reference. A
    dataset that ranked them among all genes holds other values. Mapping keeps the order, so the panel's ranks follow
    from what the dataset holds: values are taken back to the units before standardising, those that differ by rounding
    alone are equal, and ranks are mapped and standardised again.

    Attributes
    ----------
    reference : ndarray of float64, shape (landmarks,)
    rules : ndarray of str, shape (profiles,)
        Of every profile of the dataset, the rule for equal values.
    sets : ndarray of int, shape (profiles,)
        Of every profile, the number of its set.
    statistics : tuple of (mean, divisor)
        Of every set, what its values were standardised with; empty where the dataset is not standardised.
    own : dict of int to (mean, divisor)
        Of further sets that are standardised each by its own statistics, those of the panel's values.
    """

    reference: np.ndarray
    rules: np.ndarray
    sets: np.ndarray
    statistics: tuple[tuple[np.ndarray, np.ndarray], ...]
    own: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, source: ExpressionFile, columns: np.ndarray, model: Normalization | None = None) -> Self | None:
        """For landmark genes at positions `columns` of a dataset; None where it holds them as a panel has them.

        The reference is that of the `model` which will be given them, where it has one.
        """
        ours = Normalization.from_dataset(source)
        if ours.quantile == "none" or ours.landmark_ranks == "alone":
            return None
        theirs = ours if model is None or model.landmark_reference is None else model
        assert theirs.landmark_reference is not None
        obs = source.obs
        platforms = texts(obs["platform"]).to_numpy() if "platform" in obs and ours.rnaseq_ties else [""] * len(obs)
        names = texts(obs["set"]).to_numpy() if "set" in obs else np.full(len(obs), "train")
        unique, sets = np.unique(names, return_inverse=True)
        found = [set_statistics(source, str(name)) for name in unique]
        panel = cls(
            np.sort(resample_reference(theirs.landmark_reference, len(columns))),
            np.array([ties_rule(ours.quantile, str(name)) for name in platforms], dtype=object),
            sets,
            tuple((mean[columns], std[columns]) for mean, std in (pair for pair in found if pair is not None)),
        )
        if ours.standardize != "paper":
            return panel
        further = {number for number, name in enumerate(unique) if name != ours.set_name}
        return replace(panel, own={n: panel._of_set(source, columns, np.flatnonzero(sets == n)) for n in further})

    def __call__(self, X: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Landmark values, float32 in the dataset's units, of the profiles at positions `samples` of the dataset."""
        result = np.empty(X.shape, np.float32)
        sets, rules = self.sets[samples], self.rules[samples]
        for number in np.unique(sets):
            rows = np.flatnonzero(sets == number)
            mean, std = self.own.get(int(number), self.statistics[number] if self.statistics else _NONE)
            result[rows] = (self._mapped(X[rows], int(number), rules[rows]).astype(np.float64) - mean) / std
        return result

    def _mapped(self, X: np.ndarray, number: int, rules: np.ndarray) -> np.ndarray:
        """Values of profiles of one set, ranked and mapped, before standardising."""
        mean, std = self.statistics[number] if self.statistics else _NONE
        scaled = X.astype(np.float64) * std
        ranks = _ranks(scaled + mean, _ROUNDING * (np.abs(scaled) + np.abs(mean)))
        for rule in np.unique(rules):
            quantile_normalize(ranks, self.reference, ties=rule, rows=np.flatnonzero(rules == rule), out=ranks)
        return ranks

    def _of_set(self, source: ExpressionFile, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and divisor of a set's landmark genes, as `dgex.infer` takes them of an input (the paper's rule)."""
        total, squares = np.zeros(len(columns)), np.zeros(len(columns))
        shift: np.ndarray | None = None
        for at, block in source.iter_blocks(_BLOCK, genes=columns, samples=rows):
            values = self._mapped(block, int(self.sets[rows[0]]), self.rules[rows[at]]).astype(np.float64)
            shift = values.mean(axis=0) if shift is None else shift
            total += (values - shift).sum(axis=0)
            squares += ((values - shift) ** 2).sum(axis=0)
        assert shift is not None
        mean = total / len(rows)
        return mean + shift, np.sqrt(np.maximum(squares / len(rows) - mean**2, 0)) + PAPER_EPSILON


def _ranks(values: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Numbers 0, 1, … of the different values of each row, float32; what is nearer than rounding is the same."""
    order = np.argsort(values, axis=1, kind="stable")
    ascending, near = (np.take_along_axis(part, order, axis=1) for part in (values, rounding))
    differs = np.diff(ascending, axis=1) > near[:, 1:] + near[:, :-1]
    numbers = np.cumsum(np.pad(differs, ((0, 0), (1, 0))), axis=1)
    ranks = np.empty(values.shape, np.float32)
    np.put_along_axis(ranks, order, numbers.astype(np.float32), axis=1)
    return ranks
