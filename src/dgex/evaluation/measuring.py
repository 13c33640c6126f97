"""Predictors run over profiles, block by block, into errors and correlations of every gene."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dgex.arrays.index import evenly
from dgex.confidence.accuracy import RECALL_PROFILES, rank_recall
from dgex.confidence.differences import Differences
from dgex.dataset.as_panel import AsPanel
from dgex.dataset.normalization import Normalization
from dgex.dataset.roles import set_statistics
from dgex.evaluation.bootstrap import profile_errors
from dgex.evaluation.within import Draws, Within, measure_within
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
    panel: AsPanel | None = None  # what infer makes of its landmark genes, where the data hold something else

    @property
    def kind(self) -> str:
        return "mean" if self.model is None else self.model.kind or type(self.model).__name__

    def __call__(self, X: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Infer the compared genes of the profiles at positions `samples` of the data from their landmark values."""
        return self.infer(X if self.panel is None else self.panel(X, samples))

    def infer(self, X: np.ndarray) -> np.ndarray:
        """Infer the compared genes from landmark values that the model takes."""
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
    alike = replace(theirs, rnaseq_ties="").state() == replace(ours, rnaseq_ties="").state()  # older models lack it
    if not alike or statistics is None or theirs.landmark_mean is None:
        return bool(alike)
    pairs = zip((theirs.landmark_mean, theirs.landmark_std), statistics)
    return all(np.allclose(a, b[inputs], rtol=1e-4, atol=1e-6) for a, b in pairs)


@dataclass(frozen=True)
class Measurement:
    """What one predictor reached on one split.

    Attributes
    ----------
    errors : GeneErrors
    spearman, recall : ndarray, shape (genes,)
        NaN where they were not asked for.
    seconds : float
        Of inferring.
    profiles : ndarray, shape (profiles,)
        Mean absolute error of each profile.
    within : Within or None
        Of differences within groups, where they were asked for.
    """

    errors: GeneErrors
    spearman: np.ndarray
    recall: np.ndarray
    seconds: float
    profiles: np.ndarray
    within: Within | None = None


class _Truth:
    """Measured values whole: as they are for differences, ranked, and some profiles for rank recall."""

    def __init__(self, values: GeneRanks, ranked: bool, kept: bool) -> None:
        self.at = evenly(values.shape[0], RECALL_PROFILES)
        self.profiles = values.profiles(self.at) if ranked else None
        self.values = values if kept else None
        self.ranks = (values.copy() if kept else values).rank() if ranked else None


def measure(
    predictors: Sequence[Predictor],
    source: ExpressionFile,
    samples: np.ndarray,
    genes: np.ndarray,
    size: int,
    ranked: bool,
    progress: Bar,
    differences: Differences | None = None,
    draws: Draws | None = None,
) -> list[Measurement]:
    """Run every predictor over the same profiles.

    Parameters
    ----------
    predictors, source, samples, genes, size, progress
        What is run, on the profiles and genes at which positions of the data, how many profiles at a time.
    ranked : bool
        Gather Spearman correlations and rank recall too.
    differences, draws : Differences and Draws, optional
        Measure differences between profiles at these positions of `samples`.
    """
    truth: _Truth | None = None
    found = []
    some = ranked and any(predictor.model is not None for predictor in predictors)
    for predictor in predictors:
        whole = ranked and predictor.model is not None
        held = whole or differences is not None
        inferred = GeneRanks(len(samples), len(genes)) if held else None
        true = GeneRanks(len(samples), len(genes)) if held and truth is None else None
        clock, of_profiles = [0.0], np.empty(len(samples))
        pairs = _pairs(predictor, source, samples, genes, size, clock, of_profiles, progress, (true, inferred))
        errors = measured(pairs, len(genes))
        if true is not None:
            truth = _Truth(true, some, differences is not None)
        within, correlation, recall = None, np.full(len(genes), np.nan), np.full(len(genes), np.nan)
        if inferred is not None and truth is not None:
            if differences is not None and draws is not None and truth.values is not None:
                within = measure_within(truth.values, inferred, differences, draws)
            if whole and truth.ranks is not None and truth.profiles is not None:
                known = np.isfinite(errors.pearson)
                recall = rank_recall(truth.profiles, inferred.profiles(truth.at), known)[:, 0]
                correlation = truth.ranks.spearman(inferred.rank())
        found.append(Measurement(errors, correlation, recall, clock[0], of_profiles, within))
    return found


def _pairs(
    predictor: Predictor,
    source: ExpressionFile,
    samples: np.ndarray,
    genes: np.ndarray,
    size: int,
    clock: list[float],
    of_profiles: np.ndarray,
    progress: Bar,
    holders: tuple[GeneRanks | None, GeneRanks | None],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Measured and inferred blocks; what is told of them on the way goes into `clock`, `of_profiles` and `holders`."""
    at = 0
    for X, Y in blocks(source, samples, predictor.inputs, genes, size):
        began = time.perf_counter()
        inferred = predictor(X, samples[at : at + len(Y)])
        clock[0] += time.perf_counter() - began
        of_profiles[at : at + len(Y)] = profile_errors(Y, inferred)
        at += len(Y)
        for holder, values in zip(holders, (Y, inferred)):
            if holder is not None:
                holder.append(values)
        progress.advance(len(Y))
        yield Y, inferred
