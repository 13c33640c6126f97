"""The genes of an estimator: their order and identifiers, and matrices brought to that order by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dgex.errors import DataError, GeneError, ModelError, first
from dgex.genes import align
from dgex.models.matrices import Matrix, dense, is_annotated, refuse_sparse

__all__ = ["NamedGenes", "not_fitted"]


def not_fitted(message: str) -> ModelError:
    """The error of a model used before it was fitted, which scikit-learn's tools know as theirs."""
    from sklearn.exceptions import NotFittedError  # not imported before there is something to say

    class NotFitted(ModelError, NotFittedError):  # type: ignore[misc]
        """A model used before it was fitted."""

    return NotFitted(message)


class NamedGenes:
    """The part of an estimator that knows its genes by name."""

    genes_: pd.DataFrame
    landmarks_: list[str]
    targets_: list[str]
    n_features_in_: int
    n_targets_: int

    def _set_genes(self, landmarks: pd.DataFrame, targets: pd.DataFrame) -> None:
        genes = pd.concat([landmarks.assign(role="landmark"), targets.assign(role="target")])
        self.genes_ = genes[["role", *[c for c in genes.columns if c != "role"]]]
        self.landmarks_ = landmarks.index.tolist()
        self.targets_ = targets.index.tolist()
        self.n_features_in_ = len(landmarks)
        self.n_targets_ = len(targets)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the landmark genes; an AttributeError before the fit, and where bare arrays were fitted."""
        names = getattr(self, "landmarks_", [])
        if not names or names == [f"X{at}" for at in range(len(names))]:
            raise AttributeError("feature_names_in_")
        return np.array(names, dtype=object)

    def landmark_genes(self) -> pd.DataFrame:
        """Landmark genes with their identifiers, in the model's order."""
        return self.genes_.iloc[: self.n_features_in_]

    def target_genes(self) -> pd.DataFrame:
        """Target genes with their identifiers, in the model's order."""
        return self.genes_.iloc[self.n_features_in_ :]

    def _evaluation(self, name: str, X: Matrix, Y: Matrix) -> tuple[np.ndarray, np.ndarray]:
        x, y = self._aligned(X, "landmark", f"X of {name}"), self._aligned(Y, "target", f"Y of {name}")
        if len(x) != len(y) or not len(x):
            raise DataError(f"evaluation set {name}: found {len(x):,} profiles in X and {len(y):,} in Y")
        return x, y

    def _aligned(self, matrix: Matrix, role: str, what: str) -> np.ndarray:
        """Bring `matrix` to float32 in the model's gene order."""
        wanted = self.landmark_genes() if role == "landmark" else self.target_genes()
        if isinstance(matrix, pd.DataFrame) or is_annotated(matrix):
            frame = pd.DataFrame(index=matrix.columns) if isinstance(matrix, pd.DataFrame) else matrix.var
            values: Any = matrix.to_numpy() if isinstance(matrix, pd.DataFrame) else matrix.X
            genes = align(wanted, frame)
            if genes.missing:
                raise GeneError(
                    f"{what}: {len(genes.missing):,} of {len(wanted):,} {role} genes are missing: "
                    f"{first(genes.missing)}"
                )
            whole = np.array_equal(genes.index, np.arange(len(frame)))
            return dense(values if whole else values[:, genes.index], what)
        refuse_sparse(matrix, what)
        values = dense(matrix, what)
        if values.shape[1] != len(wanted):
            raise DataError(f"{what}: found {values.shape[1]:,} columns, accepted {len(wanted):,} {role} genes")
        return np.asarray(values)
