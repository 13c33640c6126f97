"""Predictors run over profiles, block by block, into errors and correlations of every gene."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dgex.dataset.normalization import Normalization
from dgex.dataset.roles import set_statistics
from dgex.evaluation.bootstrap import profile_errors
from dgex.genes import texts
from dgex.io.base import ExpressionFile
from dgex.metrics import GeneErrors, measured
from dgex.models.base import Estimator
from dgex.progress import Bar
from dgex.ranks import GeneRanks

__all__ = ["Measurement", "Predictor", "blocks", "measure", "same_units", "training_mean"]


@dataclass(frozen=True)
class Predictor:
    """One row of the table: a model, or a constant for every gene."""

    name: str
    model: Estimator | None
    inputs: np.ndarray  # positions of its landmark genes in the data
    take: np.ndarray  # positions of the compared genes among its targets
    constant: np.ndarray | None = None

    @property
    def kind(self) -> str:
        return "mean" if self.model is None else self.model.kind or type(self.model).__name__

    def __call__(self, X: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Infer the compared genes of the profiles at positions `samples` of the data from their landmark values."""
        if self.model is None:
            assert self.constant is not None
            return np.broadcast_to(self.constant, (len(X), len(self.constant)))
        inferred = np.asarray(self.model.predict(X))
        whole = len(self.take) == inferred.shape[1] and (np.diff(self.take) == 1).all()
        return inferred if whole else inferred[:, self.take]


def blocks(
    source: ExpressionFile, samples: np.ndarray, inputs: np.ndarray, genes: np.ndarray, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Landmark and target values of some profiles, block by block."""
    for _, values in source.iter_blocks(size, genes=np.concatenate([inputs, genes]), samples=samples):
        yield values[:, : len(inputs)], values[:, len(inputs) :]


def training_mean(source: ExpressionFile, genes: np.ndarray, size: int) -> np.ndarray | None:
    """Each gene's mean over the training profiles, in the units of the dataset."""
    samples = np.flatnonzero((texts(source.obs["split"]) == "train").to_numpy())
    if not len(samples):
        return None
    total = np.zeros(len(genes))
    for _, Y in blocks(source, samples, np.array([], dtype=np.int64), genes, size):
        total += Y.sum(axis=0, dtype=np.float64)
    return (total / len(samples)).astype(np.float32)


def same_units(model: Estimator | None, inputs: np.ndarray, source: ExpressionFile) -> bool:
    """Whether a model was fitted on values normalised as the dataset's are, as far as the model knows.

    `inputs` are the positions of its landmark genes in the data.
    """
    theirs = getattr(model, "normalization_", None)
    if theirs is None:
        return True
    ours = Normalization.from_dataset(source)
    statistics = set_statistics(source, ours.set_name)
    if theirs.state() != ours.state() or statistics is None or theirs.landmark_mean is None:
        return bool(theirs.state() == ours.state())
    pairs = zip((theirs.landmark_mean, theirs.landmark_std), statistics)
    return all(np.allclose(a, b[inputs], rtol=1e-4, atol=1e-6) for a, b in pairs)


@dataclass(frozen=True)
class Measurement:
    """What one predictor reached on one split: errors, Spearman correlations a gene, seconds of inferring.

    `profiles` is the mean absolute error of each profile.
    """

    errors: GeneErrors
    spearman: np.ndarray
    seconds: float
    profiles: np.ndarray


def measure(
    predictors: Sequence[Predictor],
    source: ExpressionFile,
    samples: np.ndarray,
    genes: np.ndarray,
    size: int,
    spearman: bool,
    progress: Bar,
) -> list[Measurement]:
    """Run every predictor over the same profiles."""
    truth: GeneRanks | None = None
    measurements = []
    for predictor in predictors:
        ranked = spearman and predictor.model is not None
        inferred = GeneRanks(len(samples), len(genes)) if ranked else None
        true = GeneRanks(len(samples), len(genes)) if ranked and truth is None else None
        seconds, of_profiles = 0.0, np.empty(len(samples))

        def pairs(
            predictor: Predictor = predictor,
            inferred: GeneRanks | None = inferred,
            true: GeneRanks | None = true,
            of_profiles: np.ndarray = of_profiles,
        ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            nonlocal seconds
            at = 0
            for X, Y in blocks(source, samples, predictor.inputs, genes, size):
                began = time.perf_counter()
                Y_pred = predictor(X, samples[at : at + len(Y)])
                seconds += time.perf_counter() - began
                of_profiles[at : at + len(Y)] = profile_errors(Y, Y_pred)
                at += len(Y)
                for ranks, values in ((inferred, Y_pred), (true, Y)):
                    if ranks is not None:
                        ranks.append(values)
                progress.advance(len(Y))
                yield Y, Y_pred

        errors = measured(pairs(), len(genes))
        truth = true.rank() if true is not None else truth
        correlation = np.full(len(genes), np.nan)
        if inferred is not None and truth is not None:
            correlation = truth.spearman(inferred.rank())
        measurements.append(Measurement(errors, correlation, seconds, of_profiles))
    return measurements
