"""What each landmark gene adds to an inferred value: by weights, by gradients along the way, or by walking it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dgex.errors import ModelError
from dgex.interpretation.walk import STAGES, walked
from dgex.models.base import Estimator, LayerStack
from dgex.models.explaining import Explained, adds_up

if TYPE_CHECKING:
    from dgex.models.stack.auto import Auto

__all__ = ["contributions", "mean_profile"]

# Points of the way at which a network is differentiated, at first and at most.
POINTS = (32, 512)


def mean_profile(model: Estimator) -> np.ndarray:
    """The mean training profile: landmark values as the model takes them, float32 of shape (landmarks,).

    Raises
    ------
    ModelError
        The model does not know it.
    """
    ours = model.normalization_
    if ours is not None and ours.standardize != "none":
        return np.zeros(model.n_features_in_, np.float32)
    if ours is not None and ours.landmark_mean is not None:
        return np.asarray(ours.landmark_mean, np.float32)
    if model.training_index_ is not None:
        return model.training_index_.mean
    if model.confidence_ is not None:
        return model.confidence_.landmarks.mean
    raise ModelError(
        "the model does not know the mean training profile, from which contributions are counted; `dgex calibrate "
        "MODEL DATA` adds it"
    )


def contributions(model: Estimator, start: np.ndarray, end: np.ndarray, targets: np.ndarray) -> Explained:
    r"""What each landmark gene adds to target genes on the way from one profile to another.

    Linear models: weight times difference. Kernel ridge regression, nearest genes and profiles: what the method itself
    knows in closed form (`Estimator.explained`). Networks: integrated gradients along the straight way. A stack: the
    weighted sum of its members'. Any other method: a walk along the way (`walked`). All are path integrals of the
    gradient along the same straight way where there is one, so that they can be added and compared.

    Parameters
    ----------
    model : Estimator
    start, end : ndarray of float32, shape (landmarks,)
        In the unit that the model works in.
    targets : ndarray of int
        Positions of target genes.

    Returns
    -------
    Explained
        In the unit that the model works in.

    References
    ----------
    M. Sundararajan, A. Taly, Q. Yan. Axiomatic attribution for deep networks. ICML 2017.

    Examples
    --------
    >>> import dgex
    >>> model = dgex.OLS().fit([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[1.0], [3.0], [2.0]])
    >>> found = contributions(model, np.zeros(2, np.float32), np.ones(2, np.float32), np.array([0]))
    >>> found.values.round(4).tolist(), found.how
    ([[2.0, 1.0]], 'weights')
    """
    if model.kind == "auto":
        return _of_members(model, start, end, targets)  # type: ignore[arg-type]
    known = model._own("explain", lambda: model.explained(start, end, targets))
    if known is not None:
        return known
    stacks = model.layer_stacks()
    if stacks:
        return _of_layers(model, stacks, start, end, targets)
    if model.gradients(start[None], int(targets[0])) is not None:
        return Explained(_integrated(model, start, end, targets), "integrated gradients")
    steps = STAGES * int((start != end).sum())
    return Explained(walked(model.predict, start, end, targets), f"a walk of {steps:,} predictions")


def _of_members(model: Auto, start: np.ndarray, end: np.ndarray, targets: np.ndarray) -> Explained:
    values, words = np.zeros((len(targets), len(start))), []
    for at, member in enumerate(model.members_):
        weights = model.weights_[targets, at].astype(np.float64)
        if weights.any():
            found = contributions(member, start, end, targets)
            values += weights[:, None] * found.values
            words.append(f"{member.kind}: {found.how}")
    return Explained(values, "; ".join(words) or "no member has weight")


def _of_layers(
    model: Estimator, stacks: Sequence[LayerStack], start: np.ndarray, end: np.ndarray, targets: np.ndarray
) -> Explained:
    """Weights of a linear model; of a network, gradients integrated along the way."""
    if len(stacks) == 1 and len(stacks[0].weights) == 1:
        weights = stacks[0].weights[0][targets].astype(np.float64)
        return Explained(weights * (end.astype(np.float64) - start), "weights")
    from dgex.interpretation.networks import integrated

    return Explained(integrated(model, start, end, targets, POINTS), "integrated gradients")


def _integrated(model: Estimator, start: np.ndarray, end: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """By gradients that the method gives, at points of Gauss and Legendre's rule.

    The points are squared and so lie dense at the start, where a network that normalises its units turns quickly.
    """
    away = end.astype(np.float64) - start
    moved = np.diff(model.predict(np.stack([start, end]))[:, targets].astype(np.float64), axis=0)[0]
    values = np.zeros((len(targets), len(start)))
    for row, target in enumerate(targets):
        points = POINTS[0]
        while True:
            roots, shares = np.polynomial.legendre.leggauss(points)
            places = (roots + 1) / 2
            way = (start + places[:, None] ** 2 * away).astype(np.float32)
            gradients = model.gradients(way, int(target))
            assert gradients is not None
            values[row] = away * ((shares * places) @ gradients.astype(np.float64))
            if points >= POINTS[1] or adds_up(values[row].sum(), moved[row], np.abs(values[row]).sum()):
                break
            points *= 2
    return values
