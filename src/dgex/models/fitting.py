"""From a prepared dataset to a model folder: the right rows and genes, validation, and what a model must remember."""

from __future__ import annotations

import inspect
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd

from dgex import io
from dgex.atomic import check_output
from dgex.errors import DataError, SettingsError, first
from dgex.metrics import GeneErrors
from dgex.models.base import Estimator
from dgex.models.folder import check_replaceable, load, registry
from dgex.prepare.dataset import check_dataset, landmarks, rows, targets
from dgex.prepare.normalization import Normalization
from dgex.progress import bar, note, warn
from dgex.training.checkpoint import DESCRIPTION
from dgex.training.ranks import world

__all__ = ["Splits", "accepted_settings", "check_settings", "checkpoint_folder", "read_splits", "train"]

BLOCK = 4096


class Splits(NamedTuple):
    """What training needs of a dataset, read once for as many models as one likes.

    Attributes
    ----------
    matrices : dict of name to (AnnData, AnnData)
        Landmark and target genes of the training profiles (`train`) and of every validation set.
    obs : DataFrame
        All profiles of the dataset.
    normalization : Normalization
        How raw profiles become what is trained on.
    name : str
        What the dataset is called.
    """

    matrices: dict[str, tuple[ad.AnnData, ad.AnnData]]
    obs: pd.DataFrame
    normalization: Normalization
    name: str


def accepted_settings(method: str) -> dict[str, Any]:
    """Names and defaults of the settings that a method takes.

    Raises
    ------
    SettingsError
        There is no such method.
    """
    if method not in registry():
        raise SettingsError(f"unknown method {method!r}; accepted: {', '.join(registry())}")
    signature = inspect.signature(registry()[method].__init__)
    named = {name: p for name, p in signature.parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    return {name: p.default for name, p in named.items() if name != "self"}


def check_settings(method: str, settings: Iterable[str]) -> None:
    """Refuse settings that a method does not take.

    Raises
    ------
    SettingsError
        Names the settings that are unknown and those that are accepted.
    """
    known = accepted_settings(method)
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise SettingsError(f"{method} does not take {first(unknown)}; accepted: {', '.join(known) or 'no settings'}")


def train(
    data: str | os.PathLike[str] | ad.AnnData | Splits,
    method: str = "dgex",
    output: str | os.PathLike[str] | None = None,
    *,
    validation: Sequence[str] = ("validation",),
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: int = 1,
    **settings: Any,
) -> Estimator:
    """Train one model on the training profiles of a dataset.

    Parameters
    ----------
    data : path, AnnData or Splits
        A dataset made by `dgex.prepare`; of a path only the needed rows and genes are read. What `read_splits`
        has read already serves for several models.
    method : str
        `dgex`, `ols`, `ridge`, `lasso`, `knn-ge` or `knn`.
    output : path, optional
        The model folder to write; while a network trains, `OUTPUT.checkpoint` beside it holds what is needed to
        go on after an interruption.
    validation : sequence of str
        Splits or named sets that are watched while fitting. The first chooses penalties and the number of
        neighbours; a network keeps its best epoch for each.
    overwrite : bool
        Replace an output that exists.
    resume : bool
        Go on from `OUTPUT.checkpoint`; a finished model of the same kind is loaded and returned as it is.
    checkpoint_every : int
        Epochs between two checkpoints of a network.
    **settings
        Settings of the estimator, see `accepted_settings`.

    Returns
    -------
    Estimator
        Fitted, with `normalization_` frozen from the dataset and `metrics_` measured on the validation sets.

    Raises
    ------
    SettingsError
        An unknown method or setting, or a validation set that the dataset does not hold.
    DataError, GeneError
        The dataset has no roles, no split, too few training profiles or values that are not finite.
    """
    check_settings(method, settings)
    unfinished = output is not None and resume and _interrupted(output)
    if output is not None and resume and (Path(output) / "model.json").exists() and not unfinished:
        note(f"{output} is finished already; nothing to do")
        return load(output)
    overwrite = overwrite or unfinished  # what it left is the best so far of the same run
    if output is not None:
        check_output(output, overwrite, inputs=[] if isinstance(data, ad.AnnData | Splits) else [data])
        check_replaceable(output)
    started = time.perf_counter()
    model = registry()[method](**settings)
    model._check_settings()
    read = data if isinstance(data, Splits) else read_splits(data, validation)
    splits, obs, normalization, name = dict(read.matrices), read.obs, read.normalization, read.name
    options: dict[str, Any] = {}
    if method == "dgex" and output is not None:
        folder = checkpoint_folder(output)
        if overwrite and not resume:
            shutil.rmtree(folder, ignore_errors=True)
        options = {"checkpoint_dir": folder, "resume": resume, "checkpoint_every": checkpoint_every}
        options["history_path"] = folder / "history.jsonl"
    elif resume:
        note(f"{method} is fitted in one pass: nothing to resume, starting anew")
    x, y = splits.pop("train")
    note(f"{method}: {len(x.X):,} profiles, {x.n_vars:,} landmark genes -> {y.n_vars:,} target genes")
    checkpoint: Path | None = options.get("checkpoint_dir")
    new = checkpoint is not None and not checkpoint.exists()
    try:
        model.fit(x, y, eval_sets=splits, **options)
    except BaseException as error:
        # What this run alone made and nobody can go on from: no whole epoch, or numbers that diverged.
        if checkpoint is not None and new and (isinstance(error, DataError) or not any(checkpoint.rglob(DESCRIPTION))):
            shutil.rmtree(checkpoint, ignore_errors=True)
        raise
    model.normalization_ = normalization
    model.metrics_ |= {
        "data": {
            "name": name,
            "training_profiles": len(x.X),
            "validation_sets": ", ".join(splits) or "none",
            **_counted(obs),
        },
        "sets": {label: _errors(model, *pair) for label, pair in splits.items()},
        "seconds": round(time.perf_counter() - started, 3),
    }
    for label, values in model.metrics_["sets"].items():
        note(f"{method}: overall error {values['overall']:.4f} ± {values['sd']:.4f} on {label}")
    if output is not None and world()[0] == 0:
        model.save(output, overwrite=overwrite)
        _clear(checkpoint, model)
    return model


def checkpoint_folder(output: str | os.PathLike[str]) -> Path:
    """Where a network that is trained into `output` keeps what is needed to go on."""
    return Path(f"{os.fspath(output).rstrip('/')}.checkpoint")


def _interrupted(output: str | os.PathLike[str]) -> bool:
    """Whether a model is the best so far of a run that can go on: a run that reached its end leaves no checkpoint."""
    return (Path(output) / "model.json").exists() and any(checkpoint_folder(output).rglob(DESCRIPTION))


def read_splits(data: str | os.PathLike[str] | ad.AnnData, validation: Sequence[str] = ("validation",)) -> Splits:
    """Read the training rows and the validation sets, landmark and target genes apart: one copy of each.

    Raises
    ------
    SettingsError, DataError, GeneError
        As `train`.
    """
    if isinstance(data, ad.AnnData):
        check_dataset(data)
        splits = {s: _from_memory(data, rows(data, s)) for s in ("train", *_known(data.obs, validation))}
        return Splits(splits, data.obs, Normalization.from_dataset(data), "in memory")
    with io.open(data) as source:
        check_dataset(source)
        splits = {s: _from_file(source, rows(source, s), s) for s in ("train", *_known(source.obs, validation))}
        return Splits(splits, source.obs, Normalization.from_dataset(source), Path(data).name)


def _known(obs: pd.DataFrame, validation: Sequence[str]) -> list[str]:
    present = obs["split"].astype(str).unique().tolist()
    absent = [name for name in validation if name not in present]
    if absent and list(validation) != ["validation"]:
        raise SettingsError(f"no set named {first(absent)} in the dataset; accepted: {', '.join(present)}")
    if "train" in validation:
        raise SettingsError("the training profiles cannot validate themselves; name a held-out set")
    if absent:
        warn("the dataset has no validation profiles: penalties and epochs cannot be chosen on held-out data")
    return [name for name in validation if name in present]


def _from_memory(data: ad.AnnData, index: np.ndarray) -> tuple[ad.AnnData, ad.AnnData]:
    parts = []
    for mask in (landmarks(data), targets(data)):
        values = np.ascontiguousarray(data.X[index][:, mask], dtype=np.float32)
        parts.append(ad.AnnData(values, obs=data.obs.iloc[index][[]], var=data.var[mask]))
    return parts[0], parts[1]


def _from_file(source: Any, index: np.ndarray, label: str) -> tuple[ad.AnnData, ad.AnnData]:
    masks = [np.flatnonzero(landmarks(source)), np.flatnonzero(targets(source))]
    matrices = [np.empty((len(index), len(mask)), dtype=np.float32) for mask in masks]
    at = 0
    with bar(len(index), f"reading {label}") as progress:
        for _, block in source.iter_blocks(BLOCK, samples=index):
            for matrix, mask in zip(matrices, masks):
                matrix[at : at + len(block)] = block[:, mask]
            at += len(block)
            progress.advance(len(block))
    obs = source.obs.iloc[index][[]]
    x, y = (ad.AnnData(matrix, obs=obs, var=source.var.iloc[mask]) for matrix, mask in zip(matrices, masks))
    return x, y


def _errors(model: Estimator, x: ad.AnnData, y: ad.AnnData) -> dict[str, Any]:
    """Overall error on one set, in blocks."""
    values, truth = np.asarray(x.X), np.asarray(y.X)
    if not len(values):
        raise DataError("an evaluation set holds no profiles")
    errors = GeneErrors(truth.shape[1])
    for start in range(0, len(values), BLOCK):
        block = slice(start, start + BLOCK)
        errors.update(truth[block], model.predict(values[block]))
    return {"overall": float(errors.overall), "sd": float(errors.overall_std), "profiles": len(values)}


def _counted(obs: pd.DataFrame) -> dict[str, Any]:
    counts = obs["split"].astype(str).value_counts()
    return {"profiles_by_split": ", ".join(f"{name} {count:,}" for name, count in counts.items())}


def _clear(checkpoint: Path | None, model: Estimator) -> None:
    """Remove the checkpoint of a run that reached its end; an interrupted one stays resumable."""
    if checkpoint is None or not checkpoint.exists():
        return
    if getattr(model, "interrupted_", False):
        note(f"interrupted: the best epochs so far are saved; {checkpoint} holds the run for --resume")
        return
    shutil.rmtree(checkpoint, ignore_errors=True)
