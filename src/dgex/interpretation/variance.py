"""How much of each target gene a linear fit explains: from raw landmark genes, and from the last hidden layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dgex.models.linear.equations import SINGULAR
from dgex.models.linear.moments import Moments
from dgex.progress import warn

__all__ = ["Explained", "explained"]


@dataclass(frozen=True)
class Explained:
    """Linear fits of all targets on the same regressors.

    Attributes
    ----------
    r2, adjusted : ndarray of float64, shape (targets,)
        NaN for a constant gene; `adjusted` also where it is not defined.
    rank : int
        Numerical rank of the centred regressors: the p of Theil's formula.
    n : int
        Profiles.
    """

    r2: np.ndarray
    adjusted: np.ndarray
    rank: int
    n: int


def explained(moments: Moments, what: str, device: torch.device | None = None) -> Explained:
    r"""R2 of every target by least squares with an intercept, and Theil's adjusted R2.

    .. math:: \bar R^2 = 1 - (1 - R^2) \frac{n - 1}{n - p - 1}

    Parameters
    ----------
    moments : Moments
        Of regressors (as X) and targets, with products in float64.
    what : str
        The regressors in words, for a warning.
    device : torch.device, optional
        Where the eigenvalues are taken.

    Notes
    -----
    The regressors are brought to unit variance, constant ones are dropped, and directions whose eigenvalue is below
    1e-12 of the largest count as rounding: activations are float32, so their singular values mean nothing below 1e-6.
    p is the number of directions left, not the number of columns. With n <= p + 1 the adjusted R2 is not defined: a
    warning says so and the values are NaN.

    References
    ----------
    H. Theil. Economic Forecasts and Policy, second edition. North-Holland, 1961.
    """
    gram = moments.gram()
    scale = np.sqrt(np.diag(gram))
    unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    gram *= unit[:, None]
    gram *= unit
    values, vectors = torch.linalg.eigh(torch.from_numpy(gram).to(device or "cpu"))
    keep = values > SINGULAR[True] * max(float(values[-1]), 0.0)
    basis = (vectors[:, keep] / values[keep].sqrt()).cpu().numpy().T
    basis *= unit
    total, fitted = moments.y_squares(), np.empty(moments.n_targets)
    for part in moments.chunks():
        fitted[part] = ((basis @ moments.cross(part)) ** 2).sum(0)
    r2 = np.divide(fitted, total, out=np.full_like(total, np.nan), where=total > 0)
    n, rank = moments.n, len(basis)
    if n <= rank + 1:
        warn(
            f"adjusted R2 of {what} is not defined: found {n:,} training profiles for {rank:,} independent "
            f"regressors, accepted at least {rank + 2:,}"
        )
        return Explained(r2, np.full_like(r2, np.nan), rank, n)
    return Explained(r2, 1.0 - (1.0 - r2) * (n - 1) / (n - rank - 1), rank, n)
