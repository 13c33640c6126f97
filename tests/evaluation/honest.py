"""A small dataset and two honest estimators of scikit-learn behind the package's own face."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from dgex.models.base import Estimator


class Linear(Estimator):
    """Ridge regression by scikit-learn."""

    def __init__(self, alpha: float = 1.0, kind: str = "ridge") -> None:
        self.alpha, self.kind = alpha, kind

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        self.inner_ = Ridge(self.alpha).fit(X.astype(np.float64), Y.astype(np.float64))

    def _predict(self, X: np.ndarray) -> np.ndarray:
        return self.inner_.predict(X.astype(np.float64)).astype(np.float32)


def dataset(profiles: int = 120, landmarks: int = 6, targets: int = 11, seed: int = 0) -> ad.AnnData:
    """A standardised dataset with 20 test profiles, a named set `GTEx` of 15 and a gene of role `other`."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, landmarks))
    Y = np.tanh(X @ rng.normal(size=(landmarks, targets))) + 0.3 * rng.normal(size=(profiles, targets))
    values = np.column_stack([X, Y, rng.normal(size=profiles)]).astype(np.float32)
    split = np.repeat(["train", "validation", "test", "GTEx"], [profiles - 45, 10, 20, 15])
    statistics = values[split == "train"].mean(0), values[split == "train"].std(0)
    names = [f"L{i}" for i in range(landmarks)] + [f"T{i}" for i in range(targets)] + ["X"]
    role = ["landmark"] * landmarks + ["target"] * targets + ["other"]
    adata = ad.AnnData(
        ((values - statistics[0]) / statistics[1]).astype(np.float32),
        obs=pd.DataFrame({"split": split}, index=[f"s{i}" for i in range(profiles)]),
        var=pd.DataFrame({"role": role}, index=names),
    )
    for key, array in zip(("mean", "std"), statistics):
        adata.varm[key] = pd.DataFrame({"train": array.astype(np.float32)}, index=names)
    return adata
