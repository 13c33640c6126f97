"""What missing landmark genes cost: the error of a model against the share of them that has to be filled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dgex.arrays.index import evenly
from dgex.confidence.held_out import HeldOut
from dgex.confidence.landmarks import Landmarks

__all__ = ["SHARES", "MissingCost"]

#: Shares of the landmark genes that are taken away, at random.
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
PROFILES, DRAWS = 100, 2


class MissingCost:
    """The overall error with a share of the landmark genes missing and filled, over the error with all of them.

    A model infers held-out profiles with all landmark genes and with some filled from the others; how much its values
    change is added to the held-out errors, which are independent of the change.

    Parameters
    ----------
    shares, factors : ndarray of float64
        `factors[i]`, from 1, at `shares[i]`.

    Examples
    --------
    >>> MissingCost(np.array([0.0, 0.1]), np.array([1.0, 1.2])).factor(0.05)
    1.1
    """

    def __init__(self, shares: np.ndarray, factors: np.ndarray) -> None:
        self.shares, self.factors = np.asarray(shares, np.float64), np.asarray(factors, np.float64)

    @classmethod
    def of(
        cls, predict: Callable[[np.ndarray], np.ndarray], held: HeldOut, landmarks: Landmarks, seed: int = 0
    ) -> MissingCost:
        """Take random genes away, twice for every share, over up to 100 profiles."""
        generator = np.random.default_rng(seed)
        rows = evenly(len(held.X), PROFILES)
        X, residual = held.X[rows], held.predicted[rows] - held.Y[rows]
        whole, p = predict(X), held.X.shape[1]
        error = float(np.nanmean(np.abs(residual), dtype=np.float64))
        factors = [1.0]
        for share in SHARES[1:]:
            found = []
            for _ in range(DRAWS):
                lacking = generator.permutation(p)[: max(1, round(share * p))]
                taken = X.copy()
                taken[:, lacking] = np.nan
                change = predict(landmarks.fill(taken)) - whole
                found.append(float(np.nanmean(np.abs(residual + change), dtype=np.float64)))
            factors.append(float(np.mean(found)) / max(error, 1e-12))
        return cls(np.array(SHARES), np.maximum.accumulate(factors))

    def factor(self, share: float | np.ndarray) -> float | np.ndarray:
        """By how much errors grow with a share of the landmark genes missing, on the line between what was measured."""
        found = np.interp(share, self.shares, self.factors)
        return float(found) if np.ndim(found) == 0 else np.asarray(found)
