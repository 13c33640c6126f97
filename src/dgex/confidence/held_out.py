"""Profiles that a model was judged by: what was measured, what was inferred, and how far out they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dgex.arrays.index import evenly
from dgex.confidence.landmarks import Landmarks

__all__ = ["MOST", "HeldOut"]

#: As many held-out profiles, spread evenly, are looked at, and ten times as many training profiles.
MOST = 2000


class HeldOut(NamedTuple):
    """Held-out profiles and what was inferred for them by models that had not seen them.

    Attributes
    ----------
    X : ndarray of float32, shape (profiles, landmarks)
    Y, predicted : ndarray of float32, shape (profiles, targets)
        Genes that were not measured are NaN in `Y`: nothing becomes known of them.
    fold : ndarray of int, shape (profiles,), or None
        Profiles that were held out together, where all were in turn; None where a model fitted on others judged them.
    groups : sequence of str or None
        Study or donor of each profile, where whole groups were held out.
    words : str
        By what a model is judged, for people.
    """

    X: np.ndarray
    Y: np.ndarray
    predicted: np.ndarray
    fold: np.ndarray | None = None
    groups: Sequence[str] | np.ndarray | None = None
    words: str = "held-out profiles"

    def few(self) -> HeldOut:
        """At most 2,000 of the profiles, spread evenly."""
        if len(self.X) <= MOST:
            return self
        rows = evenly(len(self.X), MOST)
        groups = None if self.groups is None else np.asarray(self.groups)[rows]
        fold = None if self.fold is None else self.fold[rows]
        return HeldOut(self.X[rows], self.Y[rows], self.predicted[rows], fold, groups, self.words)

    def distance(self, landmarks: Landmarks) -> np.ndarray:
        """Distance of each profile from those its model was fitted on: without folds by `landmarks`."""
        if self.fold is None:
            return landmarks.distance(self.X)
        far = np.empty(len(self.X))
        for number in np.unique(self.fold):
            held = self.fold == number
            far[held] = Landmarks.of(self.X, np.flatnonzero(~held)).distance(self.X[held])
        return far
