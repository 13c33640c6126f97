"""Choosing the shape of the kernel and the penalty on held-out profiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from dgex.models.kernel.kernels import KernelShape, Units, combined, kernel_of, standardized, units_of
from dgex.models.kernel.solver import NotPositive, cholesky_, solve_
from dgex.models.selection import BETTER, SCREEN, climb, spread

__all__ = ["Chosen", "Pair", "choose", "choose_penalty"]

#: Training landmarks and targets, held-out landmarks and targets.
Pair: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

GAMMAS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
LINEARS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
# Penalties are noise over signal: the kernel of a profile with itself is about 1.
ALPHAS = tuple(float(f"{10 ** (half / 2):.3g}") for half in range(-6, 5))
# Where the walk over shapes begins.
BEGIN = KernelShape(1.0, 0.1)
# Training profiles and target genes that the walk looks at: one eigendecomposition a shape.
PROFILES = {"cpu": 1500, "cuda": 2500}
GENES = 1000
# Training profiles that choose the penalty once more where there are more than that: a Cholesky factor a penalty.
MORE = {"cpu": 5000, "cuda": 20_000}


class Chosen(NamedTuple):
    """Shape, penalty, their error on the held-out profiles that were looked at, and all that was tried.

    `errors` are those of every penalty of the path at this shape.
    """

    shape: KernelShape
    alpha: float
    error: float
    path: list[dict[str, Any]]
    errors: np.ndarray


class _Part:
    """One pair, cut down to what the walk looks at, with its inner products."""

    def __init__(self, pair: Pair, device: torch.device, genes: np.ndarray) -> None:
        X, Y, held_X, held_Y = pair
        few, held = spread(len(X), PROFILES[device.type]), spread(len(held_X), SCREEN)
        self.units: Units = units_of(X)
        near, far = (standardized(values, self.units, device) for values in (X[few], held_X[held]))
        self.own, self.cross = near @ near.T, far @ near.T
        self.near, self.far = near.square().sum(dim=1), far.square().sum(dim=1)
        targets = torch.from_numpy(np.ascontiguousarray(Y[few][:, genes])).to(device)
        self.mean = targets.mean(dim=0)
        self.targets = targets - self.mean
        self.true = torch.from_numpy(np.ascontiguousarray(held_Y[held][:, genes])).to(device)
        self.profiles = len(held)

    def errors(self, shape: KernelShape, alphas: Sequence[float]) -> np.ndarray:
        """Summed absolute error, a gene, of every penalty."""
        kernel = combined(self.own, self.near, self.near, shape, self.units)
        values, vectors = torch.linalg.eigh(kernel)
        rotated = combined(self.cross, self.far, self.near, shape, self.units) @ vectors
        projected = vectors.T @ self.targets
        wrong = self.true - self.mean
        values = values.clamp_(min=0.0)
        sums = [((rotated / (values + alpha)) @ projected - wrong).abs().mean(dim=1).sum() for alpha in alphas]
        return np.array([float(total) for total in sums])


def choose(
    pairs: Sequence[Pair],
    device: torch.device,
    gamma: float | None = None,
    linear: float | None = None,
    alpha: float | None = None,
) -> Chosen:
    """Walk over the lattice of shapes to the least overall error on the held-out profiles of all pairs together.

    Each shape costs one eigendecomposition a pair, which gives every penalty. Looked at are at most 1,500 training
    profiles of a pair (2,500 on a GPU), 512 held-out ones and 1,000 target genes, evenly spaced.

    Parameters
    ----------
    pairs : sequence of (X, Y, held-out X, held-out Y)
    device : torch.device
    gamma, linear, alpha : float, optional
        What is given is not chosen.

    Returns
    -------
    Chosen
    """
    genes = spread(pairs[0][1].shape[1], GENES)
    parts = [_Part(pair, device, genes) for pair in pairs]
    profiles = sum(part.profiles for part in parts)
    gammas = GAMMAS if gamma is None else (gamma,)
    linears = LINEARS if linear is None else (linear,)
    alphas = ALPHAS if alpha is None else (alpha,)
    known: dict[tuple[int, int], np.ndarray] = {}
    path: list[dict[str, Any]] = []

    def error(at: tuple[int, int]) -> float:
        if at not in known:
            shape = KernelShape(gammas[at[0]], linears[at[1]])
            errors = np.sum([part.errors(shape, alphas) for part in parts], axis=0) / profiles
            best = int(np.nanargmin(errors))
            known[at] = errors
            path.append({**shape._asdict(), "alpha": alphas[best], "error": float(errors[best]), "profiles": profiles})
        return float(np.nanmin(known[at]))

    at = (_nearest(gammas, BEGIN.gamma), _nearest(linears, BEGIN.linear))
    while True:
        steps = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
        near = [
            (at[0] + i, at[1] + j) for i, j in steps if 0 <= at[0] + i < len(gammas) and 0 <= at[1] + j < len(linears)
        ]
        best = min(near, key=error)
        if error(best) >= error(at) * (1 - BETTER):
            shape, alpha = KernelShape(gammas[at[0]], linears[at[1]]), alphas[int(np.nanargmin(known[at]))]
            return Chosen(shape, alpha, error(at), path, known[at])
        at = best


def choose_penalty(pair: Pair, device: torch.device, chosen: Chosen) -> Chosen:
    """Choose the penalty once more with more of the training profiles, where `choose` left some out."""
    X, Y, held_X, held_Y = pair
    few, held = spread(len(X), MORE[device.type]), spread(len(held_X), SCREEN)
    if len(X) <= PROFILES[device.type]:
        return chosen
    genes = spread(Y.shape[1], GENES)
    units = units_of(X)
    near, far = (standardized(values, units, device) for values in (X[few], held_X[held]))
    targets = torch.from_numpy(np.ascontiguousarray(Y[few][:, genes])).to(device)
    true = torch.from_numpy(np.ascontiguousarray(held_Y[held][:, genes])).to(device)
    mean = targets.mean(dim=0)
    cross = kernel_of(far, near, chosen.shape, units)

    def error(alpha: float) -> float:
        kernel = kernel_of(near, near, chosen.shape, units)
        kernel.diagonal().add_(alpha)
        try:
            weights = solve_(cholesky_(kernel), targets - mean)
        except NotPositive:
            return np.inf
        return float((cross @ weights + mean - true).abs().mean())

    best, least, path = climb(ALPHAS, np.nan_to_num(chosen.errors, nan=np.inf), error, "alpha", 0, len(held))
    more = [chosen.shape._asdict() | tried | {"training_profiles": len(few)} for tried in path[len(ALPHAS) :]]
    return Chosen(chosen.shape, best, least, chosen.path + more, chosen.errors)


def _nearest(values: Sequence[float], wanted: float) -> int:
    return int(np.argmin(np.abs(np.array(values) - wanted)))
