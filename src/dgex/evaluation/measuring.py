"""Predictors run over profiles, block by block, into errors and correlations of every gene."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
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
from dgex.metrics import GeneErrors
from dgex.models.base import Estimator
from dgex.progress import Bar
from dgex.ranks import GeneRanks

__all__ = ["Measurement", "Predictor", "blocks", "measure", "same_units", "training_mean"]

# Predictors that go through the data together, as far as their columns take no more bytes of temporary files.
MOST_TOGETHER, TEMPORARY = 6, 8 << 30


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


class _Told:
    """What is gathered of one predictor, or of the measured values, while blocks of profiles come.

    Parameters
    ----------
    profiles, genes : int
        How many there are.
    whole : bool
        Keep whole columns, for ranks and for differences.
    at : ndarray of int
        Profiles to keep, for rank recall.
    """

    def __init__(self, profiles: int, genes: int, whole: bool, at: np.ndarray) -> None:
        self.errors, self.seconds = GeneErrors(genes), 0.0
        self.profiles = np.empty(profiles)
        self.columns = GeneRanks(profiles, genes) if whole else None
        self.at, self.some = at, np.empty((len(at), genes), np.float32)

    def keep(self, start: int, values: np.ndarray) -> None:
        """Take the values of the profiles from `start` on."""
        if self.columns is not None:
            self.columns.append(values)
        part = slice(*np.searchsorted(self.at, [start, start + len(values)]))
        self.some[part] = values[self.at[part] - start]

    def compare(self, start: int, Y: np.ndarray, inferred: np.ndarray, pool: Executor) -> None:
        """Take what was inferred of the profiles from `start` on; threads of `pool` share the work."""
        kept = pool.submit(self.keep, start, inferred)
        half = len(Y) // 2
        parts = [slice(0, half), slice(half, len(Y))]
        for part, errors in zip(parts, pool.map(lambda part: profile_errors(Y[part], inferred[part]), parts)):
            self.profiles[start + part.start : start + part.stop] = errors
        self.errors.update(Y, inferred, pool)
        kept.result()


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
    some = ranked and any(predictor.model is not None for predictor in predictors)
    none = np.array([], dtype=np.int64)
    at = evenly(len(samples), RECALL_PROFILES) if some else none
    shape = len(samples), len(genes)
    truth = _Told(*shape, some or differences is not None, at)
    ranks: GeneRanks | None = None
    found = []
    with ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 1))) as pool:
        for group in _together(predictors, shape):
            told = []
            for predictor in group:
                whole = ranked and predictor.model is not None
                told.append(_Told(*shape, whole or differences is not None, at if whole else none))
            _gather(group, told, truth, source, samples, genes, size, progress, pool)
            if some and ranks is None and truth.columns is not None:
                ranks = (truth.columns.copy() if differences is not None else truth.columns).rank()
            for one in told:
                within, correlation, recall = None, np.full(len(genes), np.nan), np.full(len(genes), np.nan)
                if one.columns is not None and truth.columns is not None:
                    if differences is not None and draws is not None:
                        within = measure_within(truth.columns, one.columns, differences, draws)
                    if len(one.at) and ranks is not None:
                        recall = rank_recall(truth.some, one.some, np.isfinite(one.errors.pearson))[:, 0]
                        correlation = ranks.spearman(one.columns)
                one.columns = None  # its temporary file goes
                found.append(Measurement(one.errors, correlation, recall, one.seconds, one.profiles, within))
    return found


def _together(predictors: Sequence[Predictor], shape: tuple[int, int]) -> Iterator[Sequence[Predictor]]:
    """Predictors that go through the data together: a pass less for each, and their columns lie on disk at once."""
    most = min(MOST_TOGETHER, max(1, TEMPORARY // max(1, 4 * shape[0] * shape[1])))
    for start in range(0, len(predictors), most):
        yield predictors[start : start + most]


def _gather(
    predictors: Sequence[Predictor],
    told: Sequence[_Told],
    truth: _Told,
    source: ExpressionFile,
    samples: np.ndarray,
    genes: np.ndarray,
    size: int,
    progress: Bar,
    pool: Executor,
) -> None:
    """Go through the profiles once: every predictor infers every block, and what is told of it goes into `told`."""
    inputs = np.unique(np.concatenate([predictor.inputs for predictor in predictors]))
    known = truth.columns is None or truth.columns.complete
    at = 0
    for X, Y in blocks(source, samples, inputs, genes, size):
        where = samples[at : at + len(Y)]
        kept = None if known else pool.submit(truth.keep, at, Y)
        for predictor, one in zip(predictors, told):
            own = X if np.array_equal(predictor.inputs, inputs) else X[:, np.searchsorted(inputs, predictor.inputs)]
            began = time.perf_counter()
            inferred = predictor(own, where)
            one.seconds += time.perf_counter() - began
            one.compare(at, Y, inferred, pool)
            progress.advance(len(Y))
        if kept is not None:
            kept.result()
        at += len(Y)
