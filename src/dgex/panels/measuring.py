"""How well a panel infers the genes outside it: ridge regression, its penalty chosen on validation profiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dgex.evaluation.bootstrap import profile_errors
from dgex.metrics import measured
from dgex.models.linear.moments import FEW_PROFILES, Moments
from dgex.models.linear.regression import RidgePath
from dgex.models.selection import spread
from dgex.panels.view import View

__all__ = ["Measured", "Targets", "validation_error"]

# Validation profiles that a penalty is chosen on, evenly spaced.
VALIDATION = 1024


@dataclass(frozen=True)
class Measured:
    """What a panel reaches on the test profiles of a split, in standard deviations of the training profiles.

    Attributes
    ----------
    error : float
        Overall error: the mean over target genes of the mean absolute error.
    profiles : ndarray, shape (test profiles,)
        Mean absolute error of each profile.
    genes, pearson : ndarray, shape (target genes,)
        Mean absolute error and correlation of each target gene.
    validation : float
        Overall error on the validation profiles that the penalty was chosen on.
    """

    error: float
    profiles: np.ndarray
    genes: np.ndarray
    pearson: np.ndarray
    validation: float


class Targets:
    """The target genes of a split, on which all panels are compared.

    Parameters
    ----------
    view : View
    genes : ndarray of int
        Positions of the target genes.
    """

    def __init__(self, view: View, genes: np.ndarray) -> None:
        self.view, self.genes = view, np.asarray(genes, np.int64)
        train = view.rows("train")
        self._train = train
        # what is read again for every panel is read once where it is small
        small = len(view.profiles.obs) * view.profiles.shape[1] <= 1 << 27
        self._Y = view.values(train, self.genes) if small else None
        held = view.rows("validation")
        self._held = held[spread(len(held), VALIDATION)]
        self._held_Y = view.values(self._held, self.genes)

    def measure(self, panel: np.ndarray) -> Measured:
        """Fit the panel on the training profiles and measure it on the test profiles."""
        path, alpha, validation = self._fitted(panel)
        of_profiles: list[np.ndarray] = []

        def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            both = np.concatenate([np.asarray(panel, np.int64), self.genes])
            for block in self.view.blocks(self.view.rows("test"), both):
                truth = np.ascontiguousarray(block[:, len(panel) :])
                inferred = path.predict(path.rotate(block[:, : len(panel)]), alpha)
                of_profiles.append(profile_errors(truth, inferred))
                yield truth, inferred

        errors = measured(pairs(), len(self.genes))
        return Measured(
            errors.overall, np.concatenate(of_profiles), np.asarray(errors.mae), np.asarray(errors.pearson), validation
        )

    def validation(self, panel: np.ndarray) -> float:
        """Overall error on the validation profiles, at the penalty that is best there."""
        return self._fitted(panel)[2]

    def trivial(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Each gene's training mean as its prediction: overall error, and by test profile and by gene."""
        of_profiles, total, count = [], np.zeros(len(self.genes)), 0
        for block in self.view.blocks(self.view.rows("test"), self.genes):
            np.abs(block, out=block)
            of_profiles.append(block.mean(axis=1, dtype=np.float64))
            total += block.sum(axis=0, dtype=np.float64)
            count += len(block)
        return float(total.mean() / count), np.concatenate(of_profiles), total / count

    def _fitted(self, panel: np.ndarray) -> tuple[RidgePath, float, float]:
        panel = np.asarray(panel, np.int64)
        double = len(self._train) < FEW_PROFILES * len(panel)
        if self._Y is not None:
            moments = Moments.of(self.view.values(self._train, panel), self._Y, double=double)
        else:
            moments = Moments(len(panel), len(self.genes), double=double)
            for block in self.view.blocks(self._train, np.concatenate([panel, self.genes])):
                moments.update(block[:, : len(panel)], block[:, len(panel) :])
        path = RidgePath(moments)
        alpha, error, _ = path.choose(self.view.values(self._held, panel), self._held_Y)
        return path, alpha, error


def validation_error(view: View, panel: np.ndarray) -> float:
    """Overall error of all genes outside a panel on validation profiles: what a choice may be made by."""
    rest = ~view.facts.constant
    rest[panel] = False
    return Targets(view, np.flatnonzero(rest)).validation(panel)
