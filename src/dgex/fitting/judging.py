"""Held-out profiles that a fitted model is judged by: those for validation, or all in turn where these are few."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgex.arrays.index import evenly
from dgex.confidence.confidence import Confidence, trusted
from dgex.confidence.held_out import MOST, HeldOut
from dgex.fitting.splits import Splits
from dgex.models.base import Estimator
from dgex.models.stack.evidence import ENOUGH, ENOUGH_GROUPS, gather
from dgex.progress import note

__all__ = ["confidence_of"]

FOLDS = 5
# Profiles up to which a model is fitted again in folds.
SMALL = 5000


def confidence_of(model: Estimator, read: Splits) -> Confidence | None:
    """How far to trust a model that was fitted on the training profiles; None, said, where nothing was held out.

    The first validation set judges where it is large, or where fitting again is dear. Else a model that `refits` is
    fitted on folds of the training and validation profiles together, with the settings that were chosen. Where landmark
    genes were ranked together with target genes the validation set judges, as `dgex.infer` takes a panel.
    """
    name = next((name for name in read.matrices if name != "train"), None)
    x = read.matrices["train"][0]
    refits = model.refits and x.n_obs <= SMALL and not read.streams  # which are too large to be held
    if name is not None and (read.panels or not (refits and _few(read, name))):
        near = read.values("train")[0]
        if read.panels:
            rows = evenly(len(near), 10 * MOST)
            near = read.panels["train"](rows, np.asarray(near[rows]))
        return trusted(model.predict, near, _by_validation(model, read, name))
    if not refits:
        note("trust in inferred values is unknown: no profiles were held out")
        return None
    held = _in_turn(model, read, name)
    return trusted(model.predict, np.asarray(x.X), held)


def _few(read: Splits, name: str) -> bool:
    groups = read.groups.get(name)
    return read.matrices[name][0].n_obs < ENOUGH or (groups is not None and len(set(groups)) < ENOUGH_GROUPS)


def _by_validation(model: Estimator, read: Splits, name: str) -> HeldOut:
    x, y = read.values(name)
    rows = evenly(len(x), MOST)
    X, Y = (np.ascontiguousarray(m[rows]) for m in (x, y))
    if read.panels:
        X = read.panels[name](rows, X)
    groups = read.groups.get(name)
    words = f"{len(x):,} profiles of {name}" + ("" if groups is None else f" ({len(set(groups))} groups)")
    return HeldOut(X, Y, model.predict(X), None, None if groups is None else groups[rows], words)


def _in_turn(model: Estimator, read: Splits, name: str | None) -> HeldOut:
    """Fit it again without each fold, and let it infer the fold."""
    x, y = read.matrices["train"]
    sets: dict[str, Any] = {}
    if name is not None:
        sets[name] = tuple(np.asarray(part.X) for part in read.matrices[name])
    groups, held_groups = (read.groups.get(part) for part in ("train", name or ""))
    evidence = gather(np.asarray(x.X), np.asarray(y.X), sets, groups, held_groups, FOLDS, seed=0)
    settings = model.get_params(deep=False) | model.settled()
    fold = np.empty(len(evidence.X), int)
    predicted = np.empty_like(evidence.Y)
    for at, (rows, held) in enumerate(evidence.folds):
        again = type(model)(**settings)
        again.fit(evidence.X[rows], evidence.Y[rows])
        predicted[held], fold[held] = again.predict(evidence.X[held]), at
    return HeldOut(evidence.X, evidence.Y, predicted, fold, evidence.labels, evidence.words)
