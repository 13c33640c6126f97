"""What estimators are given: arrays, tables or AnnData, as float32 values and the genes they are of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import pandas as pd

from dgex.arrays.maps import release
from dgex.errors import DataError, GeneError, first
from dgex.genes import texts

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "Matrix",
    "check_same_profiles",
    "dense",
    "fingerprint",
    "is_annotated",
    "refuse_sparse",
    "role_matrix",
    "unit_variance",
]

# Beyond this, sums of squares of float32 values overflow, and NaN would come of them.
LARGEST = 1e15

Matrix: TypeAlias = "np.ndarray | Sequence[Sequence[float]] | pd.DataFrame | AnnData"


def is_annotated(matrix: object) -> TypeGuard[AnnData]:
    """Whether it is an AnnData, told by its face: importing anndata takes longer than a linear model to predict."""
    return hasattr(matrix, "obs_names") and hasattr(matrix, "var_names")


def role_matrix(matrix: Matrix, role: str, what: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Take the values and the genes of one role; the caller's matrix is never changed."""
    if is_annotated(matrix):
        var = matrix.var
        values: Any = matrix.X
        if "role" in var:
            mask = (var["role"] == role).to_numpy()
            if not mask.any():
                raise GeneError(f"{what} has no {role} genes among {len(var):,}", accepted=f"var['role'] == '{role}'")
            if not mask.all():
                var, values = var[mask], values[:, mask]
        keep = [c for c in var.columns if c != "role" and all(isinstance(v, str) for v in var[c])]
        genes = var[keep].apply(texts)
    elif isinstance(matrix, pd.DataFrame):
        genes, values = pd.DataFrame(index=matrix.columns.astype(str)), matrix.to_numpy()
    else:
        refuse_sparse(matrix, what)
        values = np.asarray(matrix)
        prefix = "X" if role == "landmark" else "Y"
        width = values.shape[1] if values.ndim == 2 else 0
        genes = pd.DataFrame(index=pd.Index([f"{prefix}{i}" for i in range(width)], dtype=str))
    if not genes.index.is_unique:
        raise GeneError(f"{what}: gene names repeat: {first(genes.index[genes.index.duplicated()])}")
    return dense(values, what), genes


def refuse_sparse(matrix: object, what: str) -> None:
    """Refuse a bare sparse matrix, which numpy takes for one value. That of an AnnData is made dense.

    Raises
    ------
    DataError
    """
    if hasattr(matrix, "toarray") and not isinstance(matrix, np.ndarray) and not is_annotated(matrix):
        raise DataError(f"{what}: sparse input is not supported", accepted="a dense array, such as X.toarray()")


def check_same_profiles(X: Matrix, Y: Matrix) -> None:
    """Refuse X and Y whose profiles have names that differ or stand in another order."""
    names: list[Any] = [
        m.obs_names if is_annotated(m) else m.index if isinstance(m, pd.DataFrame) else None for m in (X, Y)
    ]
    if any(n is None or isinstance(n, pd.RangeIndex) for n in names):
        return
    one, other = (n.astype(str) for n in names)
    unequal = np.flatnonzero(one != other)
    if len(unequal):
        at = unequal[0]
        raise DataError(
            f"X and Y do not hold the same profiles in the same order: row {at} is {one[at]} in X and {other[at]} in Y"
        )


def dense(values: Any, what: str) -> np.ndarray:
    """Float32, C-contiguous, two-dimensional and finite; no copy where it is so already, as a memory map may be.

    Raises
    ------
    DataError
        No matrix of numbers, NaN or infinity, or values so large that float32 cannot square them.
    """
    if hasattr(values, "toarray"):
        values = values.toarray()
    if getattr(getattr(values, "dtype", None), "kind", "") == "c":  # of which numpy would keep the real part
        raise DataError(f"{what}: Complex data not supported", accepted="real numbers")
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
                f"{what}: NaN or infinity at profile {start + row}, gene {column}", accepted="finite values only"
            )
        if max(block.max(), -block.min()) > LARGEST:
            row, column = np.argwhere(np.abs(block) > LARGEST)[0]
            raise DataError(
                f"{what}: a value too large to be squared at profile {start + row}, gene {column}",
                found=f"{block[row, column]:.3g}",
                accepted=f"values from {-LARGEST:g} to {LARGEST:g}, best on the log2 scale",
            )
    return array


def unit_variance(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of every gene, and one over its deviation: zero where a gene is the same in all profiles, and tells nothing.

    Both are float64 and of shape (genes,). Rows are taken in blocks, and let go of where they are a memory map's: they
    add up as numpy adds them.
    """
    total, square = np.zeros((1, X.shape[1])), np.zeros((1, X.shape[1]))
    for start in range(0, len(X), 1024):
        block = X[start : start + 1024].astype(np.float64)
        total[0] = np.concatenate([total, block]).sum(axis=0)
        release(X)
    mean = total[0] / len(X)
    for start in range(0, len(X), 1024):
        block = X[start : start + 1024] - mean
        square[0] = np.concatenate([square, block * block]).sum(axis=0)
        release(X)
    deviation = np.sqrt(square[0] / len(X))
    varies = deviation > 1e-6 * np.abs(mean)  # what varies by rounding only is constant
    return mean, np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)


def fingerprint(X: np.ndarray, Y: np.ndarray) -> str:
    """SHA-256 over the shapes and up to 64 rows spread evenly, enough to tell one training matrix from another."""
    digest = hashlib.sha256(repr((X.shape, Y.shape)).encode())
    for row in np.unique(np.linspace(0, len(X) - 1, 64).astype(int)):
        digest.update(X[row].tobytes())
        digest.update(Y[row].tobytes())
    return digest.hexdigest()
