"""How far to believe the old model and how far the new profiles: chosen on new profiles held out in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from dgex.models.kernel.kernels import KernelShape, Units, kernel_of
from dgex.models.selection import spread

__all__ = [
    "ALONE",
    "ALPHAS",
    "SHAPES",
    "SHARES",
    "Choice",
    "Folds",
    "Problem",
    "choose",
    "errors",
    "gram",
    "units_of_few",
]

Folds = Sequence[tuple[np.ndarray, np.ndarray]]

#: Kernels that are tried, from the narrow to the linear one.
SHAPES = tuple(KernelShape(*pair) for pair in ((3.0, 0.3), (1.0, 0.1), (1.0, 0.3), (1.0, 0.6), (1.0, 1.0), (0.3, 0.1)))
#: Penalties; at infinity nothing is corrected but each gene's level.
ALPHAS = (*np.logspace(-3, 1, 13).tolist(), np.inf)
#: Shares of the old model's predictions that the correction starts from; of another platform they may vary too little.
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4)
ALONE, WHOLE = SHARES.index(0.0), SHARES.index(1.0)
# Target genes and profiles that choose: with these the ranking is steady.
GENES, PROFILES = 1000, 600
# The variance of a landmark gene is drawn to the median one with the weight of so many profiles.
DRAWN = 10


class Problem(NamedTuple):
    """What is to be learned, in units of the new platform.

    Attributes
    ----------
    kernels : list of ndarray of float64, shape (profiles, profiles)
        Likeness of the new profiles, one matrix for each of `SHAPES`.
    wanted : ndarray of float32, shape (profiles, targets)
        Target genes in standard deviations of the new platform.
    prior : ndarray of float32, shape (profiles, targets)
        What the old model predicts of them, in the same units.
    """

    kernels: list[np.ndarray]
    wanted: np.ndarray
    prior: np.ndarray

    def part(self, rows: np.ndarray, genes: np.ndarray) -> Problem:
        """Some profiles and target genes of it."""
        return Problem(
            [kernel[np.ix_(rows, rows)] for kernel in self.kernels],
            self.wanted[np.ix_(rows, genes)],
            self.prior[np.ix_(rows, genes)],
        )


class Choice(NamedTuple):
    """What was chosen, and the errors on profiles held out: chosen, without the old model, with it alone."""

    shape: int
    alpha: float
    share: float
    error: float
    alone: float
    old: float


def units_of_few(X: np.ndarray) -> Units:
    """As `kernels.units_of`, of few profiles: the scale of a gene is drawn to that of all."""
    mean = X.mean(axis=0, dtype=np.float64)
    variance = X.var(axis=0, ddof=1, dtype=np.float64)
    drawn = (len(X) * variance + DRAWN * np.median(variance)) / (len(X) + DRAWN)
    scale = np.where(drawn > 0, 1 / np.sqrt(np.where(drawn > 0, drawn, 1.0)), 0.0)
    z = (X[spread(len(X), 2000)] - mean) * scale
    squares = np.einsum("ij,ij->i", z, z)
    apart = squares[:, None] + squares[None] - 2 * z @ z.T
    between = np.maximum(apart[~np.eye(len(z), dtype=bool)], 0.0)
    return Units(
        mean.astype(np.float32),
        scale.astype(np.float32),
        float(np.median(between)) or 1.0,
        float(squares.mean()) or 1.0,
    )


def gram(A: np.ndarray, B: np.ndarray, shape: KernelShape, units: Units) -> np.ndarray:
    """Kernel values between profiles, [profiles of A, profiles of B], float64."""
    near, far = (
        torch.from_numpy((part.astype(np.float64) - units.mean) * units.scale.astype(np.float64)) for part in (A, B)
    )
    return np.asarray(kernel_of(near, far, shape, units).numpy())


def errors(kernel: np.ndarray, problem: Problem, folds: Folds) -> np.ndarray:
    """Mean absolute error on what each fold holds out, [penalties, shares].

    A fold predicts `mean + share * (prior - its mean) + k (K + alpha)^-1 rest`, linear in the share, so that one
    decomposition of its kernel matrix serves all penalties and all shares.
    """
    total, count = np.zeros((len(ALPHAS), len(SHARES))), 0
    for train, held in folds:
        values, vectors = np.linalg.eigh(kernel[np.ix_(train, train)])
        values, across = values.clip(min=0.0), kernel[np.ix_(held, train)] @ vectors
        wanted, prior = (
            ((part[train] - part[train].mean(axis=0)), (part[held] - part[train].mean(axis=0)))
            for part in (problem.wanted, problem.prior)
        )
        turned = [vectors.T @ part[0] for part in (wanted, prior)]
        for i, alpha in enumerate(ALPHAS):
            smooth = across / (values + alpha)
            rest = wanted[1] - smooth @ turned[0]
            bring = prior[1] - smooth @ turned[1]
            for j, share in enumerate(SHARES):
                total[i, j] += np.abs(rest - share * bring).sum()
        count += wanted[1].size
    return total / count


def choose(problem: Problem, folds: Folds) -> Choice:
    """Choose kernel, penalty and share together, by the overall error on what the folds hold out.

    Of many profiles and target genes some choose, evenly spaced.
    """
    genes = spread(problem.wanted.shape[1], GENES)
    rows = spread(len(problem.wanted), PROFILES)
    place = np.full(len(problem.wanted), -1)
    place[rows] = np.arange(len(rows))
    few = problem.part(rows, genes)
    within = [tuple(place[side][place[side] >= 0] for side in fold) for fold in folds]
    usable = [(train, held) for train, held in within if len(held) and len(train) > 1]
    found = np.stack([errors(kernel, few, usable) for kernel in few.kernels])
    alone = np.unravel_index(int(found[:, :, ALONE].argmin()), found.shape[:2])
    shape, penalty, share = (int(at) for at in np.unravel_index(int(found.argmin()), found.shape))
    chosen = Choice(
        shape,
        float(ALPHAS[penalty]),
        SHARES[share],
        float(found.min()),
        float(found[:, :, ALONE].min()),
        float(found[0, -1, WHOLE]),
    )
    if len(rows) == len(problem.wanted):
        return chosen
    # told are the errors of all profiles: with those that chose they were too large
    every = [
        _error(problem.kernels[at], problem, genes, folds, alpha, part)
        for at, alpha, part in (
            (shape, chosen.alpha, chosen.share),
            (int(alone[0]), float(ALPHAS[int(alone[1])]), 0.0),
            (0, np.inf, 1.0),
        )
    ]
    return chosen._replace(error=every[0], alone=every[1], old=every[2])


def _error(kernel: np.ndarray, problem: Problem, genes: np.ndarray, folds: Folds, alpha: float, share: float) -> float:
    """The error of one penalty and share on what each fold holds out."""
    rest, total, count = problem.wanted[:, genes] - share * problem.prior[:, genes], 0.0, 0
    for train, held in folds:
        off = rest[held] - rest[train].mean(axis=0)
        if np.isfinite(alpha):
            inner = kernel[np.ix_(train, train)] + alpha * np.eye(len(train))
            off = off - kernel[np.ix_(held, train)] @ np.linalg.solve(inner, rest[train] - rest[train].mean(axis=0))
        total, count = total + float(np.abs(off).sum()), count + off.size
    return total / count
