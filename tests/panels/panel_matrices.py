"""Small matrices, and what the formulas of choosing say, written out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData


def matrix(profiles: int, genes: int, rank: int = 6, seed: int = 0) -> np.ndarray:
    """Standardised values of genes that share a few factors, profiles x genes."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, rank)) @ rng.normal(size=(rank, genes)) + 0.5 * rng.normal(size=(profiles, genes))
    X -= X.mean(axis=0)
    return np.asarray(X / X.std(axis=0), np.float32)


def raw(profiles: int = 120, genes: int = 40, studies: int = 8, seed: int = 0) -> AnnData:
    """A raw matrix on the log2 scale, with studies."""
    X = matrix(profiles, genes, seed=seed) + np.float32(7)
    obs = pd.DataFrame(
        {"study": [f"S{at % studies}" for at in range(profiles)]}, index=[f"P{at}" for at in range(profiles)]
    )
    return AnnData(X=X, obs=obs, var=pd.DataFrame(index=[f"G{at}" for at in range(genes)]))


def unexplained(Z: np.ndarray, chosen: Sequence[int], weights: np.ndarray, penalty: float, of: np.ndarray) -> float:
    """What ridge regression on the chosen genes leaves of the genes `of`, its penalty counted in: solved directly."""
    Z = Z.astype(np.float64)
    if not len(chosen):
        return float(weights[of] @ (Z[:, of] ** 2).sum(axis=0))
    S = Z[:, list(chosen)]
    coef = np.linalg.solve(S.T @ S + penalty * np.eye(len(chosen)), S.T @ Z[:, of])
    error = ((Z[:, of] - S @ coef) ** 2).sum(axis=0) + penalty * (coef**2).sum(axis=0)
    return float(weights[of] @ error)


def chosen_directly(
    Z: np.ndarray, size: int, weights: np.ndarray, penalty: float, first: Sequence[int] = ()
) -> list[int]:
    """Forward selection that solves every regression anew."""
    genes, chosen = np.arange(Z.shape[1]), list(first)
    while len(chosen) < size:
        gains = []
        for gene in genes:
            others = genes[genes != gene]
            before = unexplained(Z, chosen, weights, penalty, others)
            after = unexplained(Z, [*chosen, gene], weights, penalty, others)
            gains.append(-np.inf if gene in chosen else before - after)
        chosen.append(int(np.argmax(gains)))
    return chosen
