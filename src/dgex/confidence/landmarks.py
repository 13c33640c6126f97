"""How landmark genes of the training profiles lie together: profiles are far or near by it, missing genes filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

__all__ = ["Landmarks"]

# What is added to the diagonal of the correlations, for distances; and what is tried for filling missing genes.
RIDGE = 0.1
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0)
PATTERNS = 256  # of missing genes that are remembered


@dataclass
class Landmarks:
    r"""Mean, deviation and correlations of the landmark genes over the training profiles.

    The distance of a profile is :math:`\sqrt{z^T (C + \lambda I)^{-1} z / p}` of its standardised landmark values z
    (Mahalanobis 1936, with ridge): about 1 for what correlates as in training. A missing value is filled with its
    conditional mean, given the profile's other landmark genes.

    Attributes
    ----------
    mean, deviation : ndarray of float32, shape (landmarks,)
    correlation : ndarray of float32, shape (landmarks, landmarks)
    ridge : float
        On the diagonal, for filling.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(500, 1))
    >>> X = np.hstack([z, z + 0.1 * rng.normal(size=(500, 1)), rng.normal(size=(500, 1))]).astype(np.float32)
    >>> known = Landmarks.of(X)
    >>> near, far = known.distance(np.array([[2, 2, 0], [2, -2, 0]], np.float32))
    >>> bool(far > 2 * near)
    True
    >>> bool(known.fill(np.array([[2, np.nan, 0]], np.float32))[0, 1] > 1.5)
    True
    """

    mean: np.ndarray
    deviation: np.ndarray
    correlation: np.ndarray
    ridge: float = RIDGE
    _factor: np.ndarray | None = field(default=None, repr=False, compare=False)
    _precision: np.ndarray | None = field(default=None, repr=False, compare=False)
    _filling: dict[bytes, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, X: np.ndarray, rows: Sequence[int] | np.ndarray | None = None, ridge: float = RIDGE) -> Self:
        """Describe training values, shape (profiles, landmarks); of `rows` alone where told."""
        count, p = 0, X.shape[1]
        rows = np.arange(len(X)) if rows is None else np.asarray(rows)
        total, products = np.zeros(p), np.zeros((p, p))
        shift = X[rows[0]].astype(np.float64)
        for start in range(0, len(rows), 4096):
            block = X[rows[start : start + 4096]] - shift
            total += block.sum(axis=0)
            products += block.T @ block
            count += len(block)
        mean = total / count
        covariance = products / count - np.outer(mean, mean)
        deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
        safe = np.where(deviation > 1e-6, deviation, np.inf)  # what is constant is no distance
        correlation = (covariance / safe[:, None] / safe).astype(np.float32)
        np.fill_diagonal(correlation, 1.0)
        return cls((mean + shift).astype(np.float32), deviation.astype(np.float32), correlation, ridge)

    def _standardized(self, X: np.ndarray) -> np.ndarray:
        return np.asarray((X - self.mean) / np.where(self.deviation > 1e-6, self.deviation, np.inf))

    def distance(self, X: np.ndarray) -> np.ndarray:
        """Distance of each profile, float64 of shape (profiles,), from landmark values [profiles, landmarks]."""
        if self._factor is None:
            matrix = self.correlation.astype(np.float64) + RIDGE * np.eye(len(self.mean))
            inverse = np.linalg.inv(np.linalg.cholesky(matrix))  # scipy's own takes longer to load than this to work
            self._factor = np.ascontiguousarray(inverse.T, dtype=np.float32)
        turned = self._standardized(X) @ self._factor
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", turned, turned, dtype=np.float64) / len(self.mean)))

    def _inverse(self, ridge: float) -> np.ndarray:
        from scipy.linalg import cho_factor, cho_solve

        p = len(self.mean)
        whole = self.correlation.astype(np.float64) + ridge * np.eye(p)
        return np.asarray(cho_solve(cho_factor(whole, lower=True), np.eye(p)))

    def fill(self, X: np.ndarray) -> np.ndarray:
        """A copy of `X` with every NaN replaced by its conditional mean; profiles that lack the same genes together."""
        there = ~np.isnan(X)
        if there.all():
            return X.copy()
        if self._precision is None:
            self._precision = self._inverse(self.ridge)
        z = np.where(there, self._standardized(X), 0.0).astype(np.float32)
        patterns, which = np.unique(there, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            if pattern.all():
                continue
            rows = np.flatnonzero(which.ravel() == number)
            z[np.ix_(rows, ~pattern)] = z[np.ix_(rows, pattern)] @ self._weights(pattern)
        return np.where(there, X, z * self.deviation + self.mean).astype(np.float32)

    def _weights(self, there: np.ndarray) -> np.ndarray:
        """By which missing genes follow from those there, [there, missing]: the inverse of a block of the precision."""
        assert self._precision is not None
        key = np.packbits(there).tobytes()
        if key not in self._filling:
            lacking = ~there
            own = self._precision[np.ix_(lacking, lacking)]
            weights = -np.linalg.solve(own, self._precision[np.ix_(lacking, there)]).T
            if len(self._filling) >= PATTERNS:
                self._filling.clear()
            self._filling[key] = weights.astype(np.float32)
        return self._filling[key]

    def settle(self, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Choose the ridge for filling on held-out profiles; how well each landmark gene follows from all others there.

        Returns
        -------
        error, r : ndarray, shape (landmarks,)
            Mean absolute error, and correlation (NaN where a gene does not change), over `held`.
        """
        z = self._standardized(held).astype(np.float64)
        best, guessed = np.inf, z
        for ridge in RIDGES:
            precision = self._inverse(ridge)
            found = z - (z @ precision) / np.diag(precision)
            error = float(np.abs(found - z).mean())
            if error < best:
                best, guessed, self.ridge = error, found, ridge
        self._precision = None
        self._filling.clear()
        e = np.abs(guessed - z).mean(axis=0) * self.deviation
        centred = z - z.mean(0), guessed - guessed.mean(0)
        norms = np.sqrt((centred[0] ** 2).sum(0) * (centred[1] ** 2).sum(0))
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.where(norms > 1e-9, (centred[0] * centred[1]).sum(0) / norms, np.nan)
        return e, r

    def arrays(self) -> dict[str, np.ndarray]:
        """What is stored."""
        return {
            "landmark_mean": self.mean,
            "landmark_deviation": self.deviation,
            "landmark_correlation": self.correlation,
        }
