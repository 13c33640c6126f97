"""What each landmark gene adds to a value, found by predictions alone: valid for any method."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

__all__ = ["STAGES", "walked"]

#: Stages of the way; an even number.
STAGES = 16
# Predicted values held at a time.
_VALUES = 1 << 25


def walked(
    predict: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    end: np.ndarray,
    targets: np.ndarray,
    stages: int = STAGES,
    seed: int = 0,
) -> np.ndarray:
    """Walk from one profile to another, one landmark gene at a time, and see what each step changes.

    In every stage each landmark gene goes on by the same share of its way, one after another, in a random order; every
    second stage takes the order of the one before from its end. After a stage, stage²/stages² of the way is done: steps
    are small at the start, the mean profile, where a network that normalises its units turns quickly. What a gene adds
    is the sum of the changes at its steps, so that all together add up to the whole change exactly, whatever the
    method. With many stages it tends to the integrated gradients along the straight way, where the method has
    gradients; with one it would be a draw of the Shapley values.

    Parameters
    ----------
    predict : callable
        Landmark values [profiles, landmarks] to target values [profiles, all targets].
    start, end : ndarray of float32, shape (landmarks,)
    targets : ndarray of int
        Positions of target genes.
    stages : int
    seed : int
        Decides the orders.

    Returns
    -------
    ndarray of float64, shape (targets, landmarks)

    References
    ----------
    R. J. Aumann, L. S. Shapley. Values of Non-Atomic Games. Princeton 1974.
    E. Štrumbelj, I. Kononenko. Explaining prediction models and individual predictions with feature contributions.
    Knowledge and Information Systems 41 (2014) 647-665: random orders.

    Examples
    --------
    >>> def product(X):
    ...     return X[:, :1] * X[:, 1:2]
    >>> added = walked(product, np.zeros(2, np.float32), np.array([2, 3], np.float32), np.array([0]))
    >>> added.round(1).tolist(), float(added.sum())
    ([[3.0, 3.0]], 6.0)
    """
    moving = np.flatnonzero(start != end)
    added = np.zeros((len(targets), len(start)))
    if not len(moving):
        return added
    before = np.asarray(predict(start[None])[:, targets], np.float64)
    width = max(16, min(4096, _VALUES // max(1, predict(start[None]).shape[1])))
    for genes, profiles in _batches(_steps(start, end, moving, stages, seed), width):
        found = np.asarray(predict(profiles)[:, targets], np.float64)
        np.add.at(added.T, genes, np.diff(found, axis=0, prepend=before))
        before = found[-1:]
    return added


def _steps(
    start: np.ndarray, end: np.ndarray, moving: np.ndarray, stages: int, seed: int
) -> Iterator[tuple[int, np.ndarray]]:
    """The gene that has just moved, and the profile after it."""
    generator = np.random.default_rng(seed)
    profile, order = start.copy(), moving
    for stage in range(1, stages + 1):
        order = generator.permutation(moving) if stage % 2 else order[::-1]
        share = np.float32((stage / stages) ** 2)
        for gene in order:
            profile[gene] = end[gene] if stage == stages else start[gene] + share * (end[gene] - start[gene])
            yield int(gene), profile.copy()


def _batches(steps: Iterator[tuple[int, np.ndarray]], width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    genes: list[int] = []
    profiles: list[np.ndarray] = []
    for gene, profile in steps:
        genes.append(gene)
        profiles.append(profile)
        if len(genes) == width:
            yield np.array(genes), np.stack(profiles)
            genes, profiles = [], []
    if genes:
        yield np.array(genes), np.stack(profiles)
