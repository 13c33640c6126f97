"""Weights of the members, gene by gene: non-negative, drawn towards weights that are common to all genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

__all__ = ["Stacked", "stack"]

# How strongly a gene's weights are drawn to the common ones, in units of what its own profiles tell.
DRAWN = (0.1, 0.3, 1.0, 3.0, 10.0)
SWEEPS = 100
# Members below this share of a gene's weights, in the mean over genes, are left out.
SHARE = 0.02
# What is simpler is kept where the better is better by less than this fraction.
BETTER = 1e-3


class Stacked(NamedTuple):
    """Weights and what they are expected to give.

    Attributes
    ----------
    weights : ndarray of float32, shape (targets, members)
        Of each member's difference from the gene's mean.
    rule : str
        "one member", "common weights" or "weights of each gene".
    error : float
        Overall error on profiles that neither members nor weights had seen.
    errors : ndarray
        That of every member.
    by_gene : ndarray of float32, shape (targets,)
        The error of each gene, on the same profiles.
    predicted : ndarray of float32, shape (profiles, targets)
        What was inferred for these profiles.
    """

    weights: np.ndarray
    rule: str
    error: float
    errors: np.ndarray
    by_gene: np.ndarray
    predicted: np.ndarray


class _Sums(NamedTuple):
    """Products of the members' predictions with each other [genes, m, m] and with the truth [genes, m]."""

    own: np.ndarray
    cross: np.ndarray

    def without(self, other: _Sums) -> _Sums:
        return _Sums(self.own - other.own, self.cross - other.cross)


def stack(predicted: Sequence[np.ndarray], true: np.ndarray, mean: np.ndarray, parts: Sequence[np.ndarray]) -> Stacked:
    """Choose between the best member, common weights and weights of each gene; every part is judged by the others.

    Parameters
    ----------
    predicted : sequence of ndarray, shape (profiles, targets)
        What each member predicts of profiles that it was not fitted on.
    true : ndarray, shape (profiles, targets)
    mean : ndarray, shape (targets,)
        The training mean, from which weights scale the differences.
    parts : sequence of ndarray
        Rows of `true`; each part holds whole groups, together they are all rows.

    Returns
    -------
    Stacked

    References
    ----------
    L. Breiman. Stacked regressions. Machine Learning 24 (1996) 49-64: non-negative weights, on held-out predictions.
    """
    of_genes = [_errors(member, true) for member in predicted]
    errors = np.array([one.mean() for one in of_genes])
    first = int(errors.argmin())
    single = np.eye(len(predicted), dtype=np.float32)[first]
    best = Stacked(
        np.tile(single, (len(mean), 1)), "one member", float(errors[first]), errors, of_genes[first], predicted[first]
    )
    if len(predicted) == 1 or len(parts) < 2:
        return best
    sums = [_sums([member[rows] for member in predicted], true[rows], mean) for rows in parts]
    whole = _Sums(sum(part.own for part in sums), sum(part.cross for part in sums))  # type: ignore[arg-type]
    rest = [whole.without(part) for part in sums]
    common = [_common(part) for part in rest]
    chosen: float | None = None
    for drawn in (None, *DRAWN[::-1]):
        weights = common if drawn is None else [_of_genes(part, one, drawn) for part, one in zip(rest, common)]
        mixed = _mixed(predicted, mean, parts, weights)
        by_gene = _errors(mixed, true)
        error = float(by_gene.mean())
        if error < best.error * (1 - BETTER):
            shared = _common(whole)
            weights_ = np.tile(shared, (len(mean), 1)) if drawn is None else _of_genes(whole, shared, drawn)
            rule = "common weights" if drawn is None else "weights of each gene"
            best, chosen = Stacked(weights_.astype(np.float32), rule, error, errors, by_gene, mixed), drawn
    return _sparse(best, whole, chosen)


def _sparse(best: Stacked, whole: _Sums, drawn: float | None) -> Stacked:
    """Leave members out that hardly count, and weigh the others again."""
    total = best.weights.sum(axis=1).clip(min=1e-9)
    keep = np.flatnonzero((best.weights / total[:, None]).mean(axis=0) >= SHARE)
    if best.rule == "one member" or len(keep) == best.weights.shape[1] or not len(keep):
        return best
    few = _Sums(whole.own[:, keep][:, :, keep], whole.cross[:, keep])
    common = _common(few)
    weights = np.zeros_like(best.weights)
    weights[:, keep] = common if drawn is None else _of_genes(few, common, drawn)
    return best._replace(weights=weights)


def _sums(predicted: Sequence[np.ndarray], true: np.ndarray, mean: np.ndarray) -> _Sums:
    moved = [member - mean for member in predicted]
    wanted, m = true - mean, len(predicted)
    own, cross = np.empty((len(mean), m, m)), np.empty((len(mean), m))
    for i in range(m):
        cross[:, i] = np.einsum("ng,ng->g", moved[i], wanted)
        for j in range(i + 1):
            own[:, i, j] = own[:, j, i] = np.einsum("ng,ng->g", moved[i], moved[j])
    return _Sums(own, cross)


def _common(sums: _Sums) -> np.ndarray:
    """Non-negative weights of least squared error over all genes."""
    own, cross = sums.own.sum(axis=0), sums.cross.sum(axis=0)
    scale = float(np.trace(own)) or 1.0
    values, vectors = np.linalg.eigh(own / scale)
    root = np.sqrt(values.clip(min=0.0) + 1e-7)  # members may be all but the same
    return np.asarray(nnls(root[:, None] * vectors.T, vectors.T @ (cross / scale) / root)[0])


def _of_genes(sums: _Sums, common: np.ndarray, drawn: float) -> np.ndarray:
    """Non-negative weights of each gene, with `drawn` times as much evidence for the common ones; by coordinates."""
    own = sums.own * (1.0 + drawn)
    cross = sums.cross + drawn * (sums.own @ common)
    weights = np.tile(common, (len(own), 1))
    diagonal = np.einsum("gii->gi", own)
    for _ in range(SWEEPS):
        for i in range(len(common)):
            rest = cross[:, i] - np.einsum("gj,gj->g", own[:, i], weights) + diagonal[:, i] * weights[:, i]
            with np.errstate(divide="ignore", invalid="ignore"):
                weights[:, i] = np.where(diagonal[:, i] > 0, np.maximum(rest / diagonal[:, i], 0.0), common[i])
    return weights


def _mixed(
    predicted: Sequence[np.ndarray], mean: np.ndarray, parts: Sequence[np.ndarray], weights: Sequence[np.ndarray]
) -> np.ndarray:
    """What is inferred where every part is predicted with the weights of the others."""
    mixed = np.empty_like(predicted[0])
    for rows, weight in zip(parts, weights):
        part = np.tile(mean, (len(rows), 1))
        for i, member in enumerate(predicted):
            part += (member[rows] - mean) * weight[..., i].astype(np.float32)
        mixed[rows] = part
    return mixed


def _errors(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(predicted - true).mean(axis=0, dtype=np.float64))
