"""Whole profiles of another platform, read and brought to a model's scale before anything is standardised."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd

from dgex import io
from dgex.dataset.roles import rows
from dgex.dataset.signatures import original_units, signatures
from dgex.errors import DataError, GeneError, SettingsError, first
from dgex.genes import match_genes, texts
from dgex.inference.blocks import measured_blocks
from dgex.inference.inputs import opened
from dgex.inference.plan import plan
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator
from dgex.progress import note, warn
from dgex.renamed import Aliases, causes, looked_up

if TYPE_CHECKING:
    from anndata import AnnData
from dgex.aliases import PathLike

__all__ = ["Whole", "read_whole"]

BLOCK = 1024


class Whole(NamedTuple):
    """Whole profiles on the scale of a model's training profiles, before standardising.

    Attributes
    ----------
    X, Y : ndarray of float32, shapes (profiles, landmarks) and (profiles, targets)
        In the model's order of genes.
    lacking : ndarray of bool, shape (targets,)
        Target genes that were not measured in all profiles; their values are 0.
    obs : DataFrame
        The profiles.
    name : str
        What the source is called.
    signatures : dict of str to ndarray
        By which the profiles are known again.
    """

    X: np.ndarray
    Y: np.ndarray
    lacking: np.ndarray
    obs: pd.DataFrame
    name: str
    signatures: dict[str, np.ndarray]


def read_whole(
    source: PathLike | AnnData | pd.DataFrame,
    model: Estimator,
    stack: ExitStack,
    *,
    splits: Sequence[str],
    aliases: Aliases | None,
    missing: str = "error",
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    **settings: Any,
) -> Whole:
    """Read whole profiles as `dgex.infer` reads its input, target genes too; `settings` are those of the plan.

    Raises
    ------
    GeneError
        Landmark genes of the model are missing, or all of its target genes.
    DataError
        Values that are missing or infinite, or on a doubtful scale.
    """
    data = stack.enter_context(opened(source, model, orientation=orientation, format=format, layer=layer))
    name = data.name
    if "split" in data.obs and "role" in data.var:
        data, logged = _undone(data, splits)
        if logged and settings.get("scale") == "auto":
            settings["scale"] = "log2"
    if missing == "error":
        _refuse_missing(model, data, aliases)
    work = plan(
        model, data, units="original", extra="drop", measured="learn", missing=missing, standardize="model",
        aliases=aliases, **settings,
    )  # fmt: skip
    X = np.empty((len(data.obs), model.n_features_in_), np.float32)
    Y = np.full((len(data.obs), model.n_targets_), np.nan, np.float32)
    for at, landmarks, targets in measured_blocks(work, data, BLOCK):
        X[at] = landmarks
        Y[at, work.targets] = targets
    X = _filled(model, X)
    lacking: np.ndarray = np.asarray(np.isnan(Y).any(axis=0))
    if lacking.all():
        raise GeneError(
            f"{name} measures none of the model's {model.n_targets_:,} target genes in all of its profiles: whole "
            "profiles are needed, landmark and target genes"
        )
    if lacking.any():
        names = model.target_genes().index[np.flatnonzero(lacking)]
        warn(
            f"{len(names):,} of {model.n_targets_:,} target genes are missing from {name} and stay with the old model, "
            f"in its units: {first(names)}"
        )
    Y[:, lacking] = 0
    held = ad.AnnData(X, obs=data.obs[[]], var=pd.DataFrame(index=model.landmarks_))
    with io.open(held) as file:
        known_again = signatures(file, np.arange(len(X)), np.arange(X.shape[1]), model.landmarks_, X)
    return Whole(X, Y, lacking, data.obs, name, known_again)


def _refuse_missing(model: Estimator, data: ExpressionFile, aliases: Aliases | None) -> None:
    landmarks = model.landmark_genes()
    (match,) = looked_up([landmarks], [match_genes(landmarks, data.var)], data.var, aliases, data.name)[:1]
    lacking = landmarks[~match.found]
    if len(lacking):
        raise GeneError(
            f"{len(lacking):,} of {len(landmarks):,} landmark genes are missing from the whole profiles, and a model "
            f"is adapted with all of them: {first(lacking.index)}{causes(lacking, data.var, aliases)}; "
            "missing='impute' fills them from the others, as in the old model's training profiles"
        )


def _filled(model: Estimator, X: np.ndarray) -> np.ndarray:
    """Missing landmark values filled from the profile's others, by the correlations that the old model knows.

    Means and deviations are those of the new profiles; of a gene that none of them has, the old ones.

    Raises
    ------
    ModelError
        The old model was never judged by held-out profiles, and knows no correlations.
    """
    there = ~np.isnan(X)
    if there.all():
        return X
    known, ours = model.known_confidence().landmarks, model.normalization_
    mean, std = known.mean.astype(np.float64), known.deviation.astype(np.float64)
    if ours is not None and ours.landmark_mean is not None and ours.landmark_std is not None:
        mean, std = np.asarray(ours.landmark_mean, np.float64), np.asarray(ours.landmark_std, np.float64)
    seen = there.sum(axis=0) > 1
    mean[seen], std[seen] = np.nanmean(X[:, seen], axis=0), np.maximum(np.nanstd(X[:, seen], axis=0), 1e-6)
    z = ((X - mean) / std * known.deviation + known.mean).astype(np.float32)
    filled = (known.fill(z) - known.mean) / np.maximum(known.deviation, 1e-6) * std + mean
    return np.where(there, X, filled).astype(np.float32)


def _undone(data: ExpressionFile, splits: Sequence[str]) -> tuple[ExpressionFile, bool]:
    """Profiles of a dataset in the units before it was standardised, and whether these are logarithms."""
    present = texts(data.obs["split"]).unique().tolist()
    wanted = [name for name in splits if name in present]
    if not wanted:
        raise SettingsError(f"no set named {first(splits)} in the dataset", accepted=present)
    at = np.sort(np.concatenate([rows(data, name) for name in wanted]))
    note(f"{data.name} is a dataset: {len(at):,} profiles of {', '.join(wanted)}, as they were before standardising")
    columns = np.arange(len(data.var))
    values = np.concatenate([block for _, block in data.iter_blocks(BLOCK, samples=at)])
    record = data.uns.get("dgex", {})
    logged = str(record.get("units", "")) == "log2 expression"
    held = ad.AnnData(
        original_units(data, at, columns, values), obs=data.obs.iloc[at], var=data.var.drop(columns="role")
    )
    if not len(at):
        raise DataError("the dataset holds no profiles to adapt from")
    return io.open(held), logged
