"""The one face of all estimators: validation, alignment by gene name, and the model folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from dgex.arrays.maps import release
from dgex.errors import DataError, GeneError, ModelError, SettingsError, first
from dgex.genes import align
from dgex.progress import note

if TYPE_CHECKING:
    from dgex.dataset.normalization import Normalization

__all__ = ["Estimator", "Matrix", "fingerprint"]

Matrix: TypeAlias = np.ndarray | pd.DataFrame | ad.AnnData
EvalSets: TypeAlias = Mapping[str, tuple[Matrix, Matrix]]


class Estimator(BaseEstimator):
    """Base of all models: landmark genes in, target genes out.

    Subclasses store their settings in `__init__`, keep learned state in attributes that end in `_`, and
    fill the hooks `_fit`, `_predict`, `_arrays`, `_state` and `_restore`.

    Attributes
    ----------
    landmarks_, targets_ : list of str
        Ordered gene names; `X0…` and `Y0…` where bare arrays were fitted.
    genes_ : DataFrame
        Landmark genes then target genes: index = name, columns = role and further identifiers.
    n_features_in_, n_targets_ : int
        Numbers of landmark and target genes.
    metrics_ : dict
        What was measured while fitting (overall errors by named set, seconds).
    normalization_ : Normalization or None
        How raw profiles become what the model was fitted on; None when it was fitted on bare matrices.
    fingerprint_ : str
        SHA-256 over the shapes and a sample of the training values.
    """

    kind: ClassVar[str] = ""
    label: ClassVar[str] = ""

    # ---- to be filled by subclasses

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        raise NotImplementedError

    def _predict(self, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _check_settings(self) -> None:
        """Refuse settings that no data could make right; called before data are read."""

    def _arrays(self) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _state(self) -> dict[str, Any]:
        return {}

    def _restore(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        raise NotImplementedError

    # ---- the public face

    def fit(self, X: Matrix, Y: Matrix, eval_sets: EvalSets | None = None, **options: Any) -> Self:
        """Learn the target genes from the landmark genes.

        Parameters
        ----------
        X : array, DataFrame or AnnData, shape (profiles, landmarks)
            Landmark genes; of an AnnData with `var["role"]` only the landmark genes are taken.
        Y : array, DataFrame or AnnData, shape (profiles, targets)
            Target genes of the same profiles; of an AnnData with `var["role"]` only the target genes.
        eval_sets : dict of name to (X, Y), optional
            Held-out sets; the first chooses penalties and the best epoch.
        **options
            What the estimator's `fit_options` take (files for history and checkpoints, for instance).

        Raises
        ------
        DataError
            NaN or infinity, shapes that do not fit, fewer than two profiles.
        GeneError
            Repeated gene names, or an evaluation set that lacks genes.
        """
        x, x_genes = _matrix(X, "landmark", "X")
        y, y_genes = _matrix(Y, "target", "Y")
        if len(x) != len(y):
            raise DataError(f"X and Y hold different numbers of profiles: found {len(x):,} and {len(y):,}")
        _check_same_profiles(X, Y)
        if len(x) < 2:
            raise DataError(f"too few training profiles: found {len(x)}, at least 2 are needed")
        self._set_genes(x_genes, y_genes)
        sets = {name: self._evaluation(name, *pair) for name, pair in (eval_sets or {}).items()}
        self.fingerprint_ = fingerprint(x, y)
        self.metrics_: dict[str, Any] = {}
        self.normalization_: Normalization | None = None
        self._fit(x, y, sets, **options)
        return self

    def predict(self, X: Matrix) -> np.ndarray:
        """Infer the target genes.

        Parameters
        ----------
        X : array, DataFrame or AnnData, shape (profiles, landmarks)
            Landmark genes in the units of the training matrix; genes of a DataFrame or an AnnData may come
            in any order among others.

        Returns
        -------
        ndarray of float32, shape (profiles, targets)

        Raises
        ------
        ModelError
            The model was not fitted.
        GeneError
            A landmark gene is missing.
        DataError
            NaN or infinity, or a wrong number of columns.
        """
        if not hasattr(self, "n_features_in_"):
            raise ModelError(f"this {type(self).__name__} is not fitted; call fit or load a model folder")
        return self._predict(self._aligned(X, "landmark", "X"))

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the model folder: `model.safetensors`, `model.json` and a model card; see `dgex.load`."""
        from dgex.models.folder import save

        save(self, path, overwrite=overwrite)

    # ---- genes

    def _set_genes(self, landmarks: pd.DataFrame, targets: pd.DataFrame) -> None:
        genes = pd.concat([landmarks.assign(role="landmark"), targets.assign(role="target")])
        self.genes_ = genes[["role", *[c for c in genes.columns if c != "role"]]]
        self.landmarks_ = landmarks.index.tolist()
        self.targets_ = targets.index.tolist()
        self.n_features_in_ = len(landmarks)
        self.n_targets_ = len(targets)

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
        if isinstance(matrix, pd.DataFrame | ad.AnnData):
            frame = matrix.var if isinstance(matrix, ad.AnnData) else pd.DataFrame(index=matrix.columns)
            found = align(wanted, frame)
            if found.missing:
                raise GeneError(
                    f"{what}: {len(found.missing):,} of {len(wanted):,} {role} genes are missing: "
                    f"{first(found.missing)}"
                )
            values = matrix.X if isinstance(matrix, ad.AnnData) else matrix.to_numpy()
            if np.array_equal(found.index, np.arange(len(frame))):
                return _dense(values, what)
            return _dense(values[:, found.index], what)
        values = _dense(matrix, what)
        if values.shape[1] != len(wanted):
            raise DataError(f"{what}: found {values.shape[1]:,} columns, accepted {len(wanted):,} {role} genes")
        return values


def _matrix(matrix: Matrix, role: str, what: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Take the values and the genes of one role; the caller's matrix is never changed."""
    if isinstance(matrix, ad.AnnData):
        var = matrix.var
        values: Any = matrix.X
        if "role" in var:
            mask = (var["role"] == role).to_numpy()
            if not mask.any():
                raise GeneError(f"{what} has no {role} genes among {len(var):,}; accepted: var['role'] == '{role}'")
            if not mask.all():
                var, values = var[mask], values[:, mask]
        keep = [c for c in var.columns if c != "role" and var[c].map(lambda v: isinstance(v, str)).all()]
        genes = var[keep].astype(str)
    elif isinstance(matrix, pd.DataFrame):
        genes, values = pd.DataFrame(index=matrix.columns.astype(str)), matrix.to_numpy()
    else:
        values = np.asarray(matrix)
        prefix = "X" if role == "landmark" else "Y"
        width = values.shape[1] if values.ndim == 2 else 0
        genes = pd.DataFrame(index=pd.Index([f"{prefix}{i}" for i in range(width)], dtype=str))
    if not genes.index.is_unique:
        raise GeneError(f"{what}: gene names repeat: {first(genes.index[genes.index.duplicated()])}")
    return _dense(values, what), genes


def _check_same_profiles(X: Matrix, Y: Matrix) -> None:
    """Refuse X and Y whose profiles have names that differ or stand in another order."""
    names: list[Any] = [m.obs_names if isinstance(m, ad.AnnData) else getattr(m, "index", None) for m in (X, Y)]
    if any(n is None or isinstance(n, pd.RangeIndex) for n in names):
        return
    one, other = (n.astype(str) for n in names)
    unequal = np.flatnonzero(one != other)
    if len(unequal):
        at = unequal[0]
        raise DataError(
            f"X and Y do not hold the same profiles in the same order: row {at} is {one[at]} in X and {other[at]} in Y"
        )


def _dense(values: Any, what: str) -> np.ndarray:
    """Float32, C-contiguous, two-dimensional and finite; no copy where it is so already, as a memory map may be."""
    if hasattr(values, "toarray"):
        values = values.toarray()
    try:
        array = np.ascontiguousarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what}: cannot be read as numbers ({error})") from error
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(f"{what}: found shape {array.shape}, accepted a matrix of profiles x genes")
    for start in range(0, len(array), 4096):
        block = array[start : start + 4096]
        release(block)  # what was read of a memory map before
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            raise DataError(
                f"{what}: NaN or infinity at profile {start + row}, gene {column}; accepted: finite values only"
            )
    return array


def fingerprint(X: np.ndarray, Y: np.ndarray) -> str:
    """SHA-256 over the shapes and up to 64 rows spread evenly, enough to tell one training matrix from another."""
    digest = hashlib.sha256(repr((X.shape, Y.shape)).encode())
    for row in np.unique(np.linspace(0, len(X) - 1, 64).astype(int)):
        digest.update(X[row].tobytes())
        digest.update(Y[row].tobytes())
    return digest.hexdigest()


def no_options(options: Mapping[str, Any], kind: str) -> None:
    """Refuse options that an estimator does not know."""
    if options:
        raise SettingsError(f"{kind} does not know {first(options)}")


def report_choice(kind: str, name: str, value: object, error: float) -> None:
    """Say which setting the validation set chose."""
    note(f"{kind}: {name} = {value} chosen on validation, overall error {error:.4f}")
