"""The kernel: how alike two profiles are by their landmark genes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from dgex.arrays.maps import release
from dgex.models.matrices import unit_variance
from dgex.models.selection import spread

__all__ = ["KernelShape", "Units", "kernel_blocks", "kernel_of", "standardized", "units_of"]

# Distances between this many training profiles give the median.
SAMPLE = 2000
# Profiles of a block of kernel values.
ROWS = 2048


class KernelShape(NamedTuple):
    """What a kernel looks like: `gamma` narrows its rational part, `linear` is the share of the linear one."""

    gamma: float
    linear: float


class Units(NamedTuple):
    """What makes landmark genes comparable, learned on training profiles.

    `mean` and `scale` are of each landmark gene (the scale of a constant one is zero: it tells nothing), `distance` is
    the median squared distance between two training profiles, `square` their mean squared length.
    """

    mean: np.ndarray
    scale: np.ndarray
    distance: float
    square: float


def units_of(X: np.ndarray) -> Units:
    """Means, scales, the median squared distance and the mean squared length of training profiles.

    Parameters
    ----------
    X : ndarray, shape (profiles, landmarks)

    Returns
    -------
    Units
    """
    mean, scale = unit_variance(X)
    few = spread(len(X), SAMPLE)
    z = torch.from_numpy(((X[few] - mean) * scale).astype(np.float32))
    squares = z.square().sum(dim=1)
    apart = _distances(z @ z.T, squares, squares)
    between = apart[~torch.eye(len(z), dtype=torch.bool)]
    return Units(
        mean.astype(np.float32),
        scale.astype(np.float32),
        float(between.median()) or 1.0,
        float(squares.mean()) or 1.0,
    )


def standardized(X: np.ndarray, units: Units, device: torch.device) -> torch.Tensor:
    """Landmark genes at mean 0 and variance 1 on the device, a constant one at 0."""
    mean, scale = (torch.from_numpy(values).to(device) for values in (units.mean, units.scale))
    out = torch.empty(X.shape, dtype=torch.float32, device=device)
    for start in range(0, len(X), ROWS):
        block = torch.from_numpy(np.array(X[start : start + ROWS])).to(device)  # a copy: a map may not be written to
        out[start : start + ROWS] = block.sub_(mean).mul_(scale)
        release(X)
    return out


def kernel_of(A: torch.Tensor, B: torch.Tensor, shape: KernelShape, units: Units) -> torch.Tensor:
    r"""Kernel values between profiles of standardised landmark genes, [profiles of A, profiles of B].

    .. math:: k(a, b) = (1 - s) / (1 + \gamma \lVert a - b \rVert^2 / m) + s \, a'b / c

    with s = `shape.linear`, m = `units.distance`, c = `units.square`: a rational quadratic kernel of one length scale
    (Rasmussen and Williams 2006, equation 4.19, with exponent 1), and a little of a linear one, which goes on where no
    training profile is near.
    """
    return combined(A @ B.T, A.square().sum(dim=1), B.square().sum(dim=1), shape, units)


def combined(
    products: torch.Tensor, a: torch.Tensor, b: torch.Tensor, shape: KernelShape, units: Units
) -> torch.Tensor:
    """The kernel from inner products and squared lengths."""
    rational = _distances(products, a, b).mul_(shape.gamma / units.distance).add_(1.0).reciprocal_()
    return rational.mul_(1.0 - shape.linear).add_(products, alpha=shape.linear / units.square)


def kernel_blocks(
    A: torch.Tensor, B: torch.Tensor, shape: KernelShape, units: Units
) -> Iterator[tuple[slice, torch.Tensor]]:
    """The kernel in blocks of profiles of A: where, and the values against all of B."""
    for start in range(0, len(A), ROWS):
        part = slice(start, min(start + ROWS, len(A)))
        yield part, kernel_of(A[part], B, shape, units)


def _distances(products: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (products * -2.0).add_(a[:, None]).add_(b[None, :]).clamp_(min=0.0)
