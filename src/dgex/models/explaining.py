"""What an estimator may know of why it infers what it does; where it knows nothing, others find out by asking it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dgex.confidence.index import TrainingIndex

__all__ = ["Explained", "Explaining", "adds_up"]


class Explained(NamedTuple):
    """What landmark genes add to target genes on the way from one profile to another.

    Attributes
    ----------
    values : ndarray of float64, shape (targets, landmarks)
        Their sum over the landmark genes is what the target gene changes by.
    how : str
        How they were found, in words.
    """

    values: np.ndarray
    how: str


def adds_up(total: np.ndarray | float, moved: np.ndarray | float, absolute: np.ndarray | float) -> bool:
    """Whether sums of contributions are what values moved by: within a fifth of a percent, or within rounding.

    `absolute` are the sums of the absolute contributions: what float32 can tell is a share of these.
    """
    missed, allowed = np.abs(np.subtract(total, moved)), np.maximum(0.002 * np.abs(moved), 1e-5 * np.abs(absolute))
    return bool((missed <= allowed).all())


class Explaining:
    """The part of an estimator that tells why.

    Attributes
    ----------
    training_index_ : TrainingIndex or None
        The profiles that it was trained on, where `dgex.train` kept an index of them.
    """

    training_index_: TrainingIndex | None = None

    def explained(self, start: np.ndarray, end: np.ndarray, targets: np.ndarray) -> Explained | None:
        """What each landmark gene adds to some target genes on the straight way from one profile to another.

        A method that knows it in closed form overrides this. It must add up: `values.sum(axis=1)` is the difference of
        what is inferred at both ends.

        Parameters
        ----------
        start, end : ndarray of float32, shape (landmarks,)
        targets : ndarray of int
            Positions of target genes.

        Returns
        -------
        Explained or None
            None where the method knows no more than its predictions, from which `dgex.explain` then finds it.
        """
        return None

    def gradients(self, X: np.ndarray, target: int) -> np.ndarray | None:
        """Gradients of one target gene with respect to the landmark genes, shape of X, where a method has them.

        Parameters
        ----------
        X : ndarray of float32, shape (profiles, landmarks)
        target : int
            Position of the target gene.
        """
        return None
