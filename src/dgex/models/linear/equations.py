"""Systems of equations of linear regression, in float64: by a factor where the matrix allows, else by eigenvectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["SINGULAR", "cholesky", "without_null"]

# Eigenvalues below these fractions of the largest are rounding: the Gram matrix is singular there.
SINGULAR = {False: 3e-8, True: 1e-12}


def without_null(gram: np.ndarray, alpha: float) -> Callable[[np.ndarray], np.ndarray]:
    """Solve by eigenvectors, those left out that no profile moves along: a small penalty would divide rounding."""
    from scipy import linalg

    values, vectors = linalg.eigh(gram, check_finite=False)
    known = values > SINGULAR[False] * values[-1]
    inverse = np.where(known, 1.0 / np.where(known, values + alpha, 1.0), 0.0)
    return lambda xy: vectors @ (inverse[:, None] * (vectors.T @ xy))


def cholesky(gram: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Lower factor and estimated condition number of the unit-diagonal Gram matrix; None where it is singular.

    The factor is that of `gram` itself; the condition is taken with all landmark genes in their own standard
    deviation, because their units cost no digits.
    """
    from scipy import linalg  # a prediction needs none of it

    scale = np.sqrt(np.diag(gram))
    if not (scale > 0).all():
        return None
    unit = gram / np.outer(scale, scale)
    norm = np.abs(unit).sum(axis=0).max()
    try:
        lower = linalg.cholesky(unit, lower=True, overwrite_a=True, check_finite=False)
    except linalg.LinAlgError:
        return None
    reciprocal, _ = linalg.lapack.dpocon(lower, norm, uplo="L")
    lower *= scale[:, None]
    return lower, (1.0 / reciprocal if reciprocal > 0 else np.inf)
