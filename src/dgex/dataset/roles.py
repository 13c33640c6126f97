"""What makes a dataset: roles of genes, splits of samples, and statistics to return to the original units."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from dgex.dataset.split import SPLITS
from dgex.errors import DataError, GeneError, first
from dgex.genes import ROLES, texts

if TYPE_CHECKING:
    from anndata import AnnData

    from dgex.io.base import ExpressionFile

__all__ = [
    "Dataset",
    "check_dataset",
    "landmarks",
    "named_sets",
    "role_mask",
    "rows",
    "set_statistics",
    "targets",
]

Dataset: TypeAlias = "ExpressionFile | AnnData | pd.DataFrame"  # or, of the last, its obs or var alone

_BLOCK = 1024


def _frame(data: Dataset, name: str) -> pd.DataFrame:
    """`obs` or `var`, of an AnnData, of an open file, or already a table."""
    return data if isinstance(data, pd.DataFrame) else getattr(data, name)


def role_mask(data: Dataset, role: str) -> np.ndarray:
    """Mask of the genes with a role.

    Parameters
    ----------
    data : AnnData, open file or DataFrame
        A dataset, or its `var`.
    role : {"landmark", "target", "other"}

    Returns
    -------
    ndarray of bool, shape (genes,)
    """
    var = _frame(data, "var")
    if "role" not in var:
        raise GeneError("no column 'role' in var, so no dataset: dgex prepare makes one (landmark, target, other)")
    return (texts(var["role"]) == role).to_numpy()


def landmarks(data: Dataset) -> np.ndarray:
    """Mask of the landmark genes of a dataset, an open file or its `var`."""
    return role_mask(data, "landmark")


def targets(data: Dataset) -> np.ndarray:
    """Mask of the target genes of a dataset, an open file or its `var`."""
    return role_mask(data, "target")


def _splits(data: Dataset) -> np.ndarray:
    obs = _frame(data, "obs")
    if "split" not in obs:
        raise DataError("no column 'split' in obs: dgex prepare splits into train, validation and test")
    return texts(obs["split"]).to_numpy()


def rows(data: Dataset, split: str) -> np.ndarray:
    """Positions of the samples of a split or of a named set.

    Parameters
    ----------
    data : AnnData, open file or DataFrame
        A dataset, or its `obs`.
    split : str
        `"train"`, `"validation"`, `"test"`, or the name of a set.

    Returns
    -------
    ndarray of int, ascending

    Raises
    ------
    DataError
        No sample is in that split.
    """
    values = _splits(data)
    places = np.flatnonzero(values == split)
    if not len(places):
        raise DataError(f"no sample is in the split {split!r}; found {first(sorted(set(values)))}")
    return places


def named_sets(data: Dataset) -> list[str]:
    """Values of `obs["split"]` that are neither training, validation nor test, in order of appearance."""
    return [name for name in dict.fromkeys(_splits(data).tolist()) if name not in SPLITS]


def check_dataset(data: Dataset, *, need_split: bool = True, minimum_train: int = 2) -> None:
    """Refuse what is no dataset, in one line that says why.

    Parameters
    ----------
    data : AnnData or open file
        Values are looked at only when they are in memory; files check theirs while they are read.
    need_split : bool
        Whether samples must be split, with training samples.
    minimum_train : int
        Training samples needed.

    Raises
    ------
    GeneError
        No roles, unknown roles, no landmark or no target genes.
    DataError
        No or unknown splits, too few training samples, duplicate ids, NaN or infinity.
    """
    var, obs = _frame(data, "var"), _frame(data, "obs")
    for role in ("landmark", "target"):
        if not role_mask(var, role).any():
            raise GeneError(f"no {role} gene in the dataset: no value of var['role'] is {role!r}")
    unknown = sorted(set(texts(var["role"])) - set(ROLES))
    if unknown:
        raise GeneError(f"unknown role {first(unknown)} in var['role']", accepted=ROLES)
    for what, names in (("gene", var.index), ("sample", obs.index)):
        if not names.is_unique:
            raise DataError(f"duplicate {what} ids in the dataset: {first(names[names.duplicated()].unique())}")
    if need_split:
        values = _splits(obs)
        empty = np.isin(values, ["", "nan", "None"])
        if empty.any():
            raise DataError(f"{int(empty.sum()):,} samples have no split in obs['split']; every sample needs one")
        count = int((values == "train").sum())
        if count < minimum_train:
            raise DataError(
                f"{count} training samples (obs['split'] == 'train'); at least {minimum_train} are needed; "
                f"found splits {first(sorted(set(values)))}"
            )
    matrix = getattr(data, "X", None)
    if isinstance(matrix, np.ndarray):
        check_finite(matrix, obs.index, var.index)


def check_finite(X: np.ndarray, samples: pd.Index, genes: pd.Index) -> None:
    """Refuse NaN and infinity, naming the first; in blocks."""
    for at in range(0, len(X), _BLOCK):
        block = X[at : at + _BLOCK]
        bad = ~np.isfinite(block)
        if bad.any():
            row, column = (int(place[0]) for place in np.nonzero(bad))
            raise DataError(
                f"{block[row, column]} for gene {genes[column]} in sample {samples[at + row]}; "
                "all values must be finite: drop such genes or samples, or fill the values in"
            )


def set_statistics(data: Dataset, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and divisor that samples of a set were standardised with: `original = value * std + mean`.

    Parameters
    ----------
    data : AnnData or open file
        A dataset.
    name : str
        A value of `obs["set"]`. Datasets with one set of statistics (those of the training samples) have them for all.

    Returns
    -------
    (mean, std) : ndarrays of float32, shape (genes,), or None
        None when the dataset is not standardised.

    Raises
    ------
    DataError
        The dataset holds no statistics of that set.
    """
    varm = getattr(data, "varm", {})
    if "mean" not in varm or "std" not in varm:
        return None
    mean, std = pd.DataFrame(varm["mean"]), pd.DataFrame(varm["std"])
    column = name if name in mean.columns else mean.columns[0] if mean.shape[1] == 1 else None
    if column is None:
        raise DataError(f"no statistics of the set {name!r} in the dataset; found {first(mean.columns)}")
    return mean[column].to_numpy(np.float32), std[column].to_numpy(np.float32)
