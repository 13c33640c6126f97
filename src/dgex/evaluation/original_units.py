"""Models that work in original units, or standardise by their own statistics, judged on a standardised dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dgex.dataset.roles import set_statistics
from dgex.dataset.standardize import unstandardize
from dgex.evaluation.measuring import Predictor
from dgex.genes import texts
from dgex.io.base import ExpressionFile

__all__ = ["InDatasetUnits"]


@dataclass(frozen=True)
class InDatasetUnits(Predictor):
    """A model of log2 values as they are measured, whose errors are to be told in the dataset's standard deviations.

    Landmark genes are taken back to original units by the mean and divisor that each profile was standardised with
    (those of its set), the model predicts, and its predictions are standardised by the same set's mean and divisor
    of the target genes. So its error of a gene is its error in original units over the same divisor as everyone's.
    A model that standardises by statistics of its own (of another platform) does so in between.
    """

    sets: np.ndarray = None  # type: ignore[assignment]  # of every profile of the dataset, the number of its set
    landmarks: tuple[tuple[np.ndarray, np.ndarray], ...] = ()  # of every set, mean and divisor
    targets: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    @classmethod
    def of(cls, predictor: Predictor, source: ExpressionFile, genes: np.ndarray) -> Self:
        """Wrap a predictor of the target genes at positions `genes` of the dataset `source`."""
        obs = source.obs
        names = texts(obs["set"]).to_numpy() if "set" in obs else np.full(len(obs), "train")
        unique, sets = np.unique(names, return_inverse=True)
        statistics = [set_statistics(source, str(name)) for name in unique]
        pairs = [pair for pair in statistics if pair is not None]
        return cls(
            predictor.name,
            predictor.model,
            predictor.inputs,
            predictor.take,
            panel=predictor.panel,
            sets=sets,
            landmarks=tuple((mean[predictor.inputs], std[predictor.inputs]) for mean, std in pairs),
            targets=tuple((mean[genes], std[genes]) for mean, std in pairs),
        )

    def __call__(self, X: np.ndarray, samples: np.ndarray) -> np.ndarray:
        inferred = np.empty((len(X), len(self.take)), dtype=np.float32)
        X = X if self.panel is None else self.panel(X, samples)
        sets = self.sets[samples]
        for number in np.unique(sets):
            rows = np.flatnonzero(sets == number)
            x = unstandardize(X[rows], *self.landmarks[number])
            own = None if self.model is None else self.model.normalization_
            if own is None or own.standardize == "none":
                raw = self.infer(x)
            else:
                raw = own.invert_targets(self.infer(own.standardize_landmarks(x)), self.take)
            mean, std = self.targets[number]
            inferred[rows] = (raw.astype(np.float64) - mean) / std  # as dgex.prepare: differences in float64
        return inferred
