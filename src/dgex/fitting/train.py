"""From a prepared dataset to a model folder: the right rows and genes, validation, and what a model must remember."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from dgex.atomic import check_output
from dgex.errors import DataError, SettingsError, first
from dgex.fitting.splits import Splits, read_splits
from dgex.metrics import GeneErrors
from dgex.models.base import Estimator
from dgex.models.folder import check_replaceable, load, registry
from dgex.progress import note
from dgex.training.processes.group import ALONE, Group, join
from dgex.training.run.checkpoint import DESCRIPTION, refuse_existing
from dgex.training.run.tensorboard import check_tensorboard

__all__ = ["accepted_settings", "check_settings", "checkpoint_folder", "train"]

BLOCK = 4096


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
    tensorboard: str | os.PathLike[str] | None = None,
    group: Group | None = None,
    **settings: Any,
) -> Estimator:
    """Train one model on the training profiles of a dataset.

    Parameters
    ----------
    data : path, AnnData or Splits
        A dataset made by `dgex.prepare`; of a path only the needed rows and genes are read. What takes more than
        0.6 of the memory there is goes to files of float32 rows and is worked on from there (`placement="disk"` asks
        for it, `placement="memory"` forbids it): in `OUTPUT.checkpoint` for a network, else in a temporary folder.
        What `read_splits` has read already serves for several models.
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
    tensorboard : path, optional
        Folder of a network's learning curve as TensorBoard scalars: in a folder of it that is named after `output`,
        so that runs lie side by side.
    group : Group, optional
        The processes that train a network together; None asks torchrun.
    **settings
        Settings of the estimator, see `accepted_settings`.

    Returns
    -------
    Estimator
        Fitted, with `normalization_` frozen from the dataset and `metrics_` measured on the validation sets. Where
        torchrun runs several processes, a network is trained by all together and rank 0 alone returns it whole.

    Raises
    ------
    SettingsError
        An unknown method or setting, or a validation set that the dataset does not hold.
    DataError, GeneError
        The dataset has no roles, no split, too few training profiles or values that are not finite.
    """
    check_settings(method, settings)
    model = registry()[method](**settings)
    joined = join(settings.get("device", "auto")) if group is None and method == "dgex" else nullcontext(group or ALONE)
    with joined as together:
        going_on = output is not None and resume and together.from_first(lambda: _interrupted(output))
        overwrite = overwrite or going_on  # what it left is the best so far of the same run
        if output is not None and together.from_first(lambda: _finished(output, data, overwrite, resume, going_on)):
            note(f"{output} is finished already; nothing to do")
            return load(output) if together.first else model
        return _train(model, data, output, validation, overwrite, resume, checkpoint_every, tensorboard, together)


def checkpoint_folder(output: str | os.PathLike[str]) -> Path:
    """Where a network that is trained into `output` keeps what is needed to go on."""
    return Path(f"{os.fspath(output).rstrip('/')}.checkpoint")


def _interrupted(output: str | os.PathLike[str]) -> bool:
    """Whether a model is the best so far of a run that was stopped: one that reached its end leaves no checkpoint."""
    described = Path(output) / "model.json"
    if not described.exists():
        return False
    try:
        stopped = json.loads(described.read_text("utf-8"))["state"].get("stopped")
    except (OSError, ValueError, KeyError, AttributeError):  # damaged: loading it says so
        stopped = None
    return stopped == "interrupted" or holds_checkpoint(output)


def holds_checkpoint(output: str | os.PathLike[str]) -> bool:
    """Whether there is something to go on from, also while another thread removes the folder."""
    try:
        return any(checkpoint_folder(output).rglob(DESCRIPTION))
    except FileNotFoundError:
        return False


def _finished(output: str | os.PathLike[str], data: Any, overwrite: bool, resume: bool, going_on: bool) -> bool:
    """Whether the model was trained already; where it was not, make sure that it may be written."""
    if resume and not going_on and (Path(output) / "model.json").exists():
        return True
    check_output(output, overwrite, inputs=[] if isinstance(data, ad.AnnData | Splits) else [data])
    check_replaceable(output)
    return False


def _train(
    model: Estimator,
    data: str | os.PathLike[str] | ad.AnnData | Splits,
    output: str | os.PathLike[str] | None,
    validation: Sequence[str],
    overwrite: bool,
    resume: bool,
    checkpoint_every: int,
    tensorboard: str | os.PathLike[str] | None,
    group: Group,
) -> Estimator:
    """Train `model`; of several processes rank 0 alone measures and saves the result."""
    started, method = time.perf_counter(), model.kind
    model._check_settings()
    options: dict[str, Any] = {"group": group} if method == "dgex" else {}
    if method == "dgex" and output is not None:
        folder = checkpoint_folder(output)
        if overwrite and not resume and group.first:
            shutil.rmtree(folder, ignore_errors=True)
        options |= {"checkpoint_dir": folder, "resume": resume, "checkpoint_every": checkpoint_every}
        options["history_path"] = folder / "history.jsonl"
        if not resume:
            group.from_first(lambda: refuse_existing(folder))
    elif resume:
        note(f"{method} is fitted in one pass: nothing to resume, starting anew")
    if tensorboard is not None:
        if method != "dgex":
            raise SettingsError(f"tensorboard: {method} has no learning curve; accepted for dgex only")
        check_tensorboard()
        options["tensorboard_dir"] = Path(tensorboard) / (Path(output).name if output is not None else "")
    checkpoint: Path | None = options.get("checkpoint_dir")
    new = checkpoint is not None and not checkpoint.exists() and group.first
    with ExitStack() as stack:
        try:
            placement = getattr(model, "placement", "auto")
            spool_folder = checkpoint / "rows" if checkpoint is not None and group.first else None
            read = data
            if not isinstance(read, Splits):
                read = read_splits(read, validation, stack, placement, spool_folder)
            splits, obs, normalization, name = dict(read.matrices), read.obs, read.normalization, read.name
            x, y = splits.pop("train")
            note(f"{method}: {len(x.X):,} profiles, {x.n_vars:,} landmark genes -> {y.n_vars:,} target genes")
            model.fit(x, y, eval_sets=splits, **options)
        except BaseException as error:
            # What this run alone made and nobody can go on from: no whole epoch, or numbers that diverged.
            lost = isinstance(error, DataError) or checkpoint is None or not any(checkpoint.rglob(DESCRIPTION))
            if checkpoint is not None and new and lost:
                shutil.rmtree(checkpoint, ignore_errors=True)
            raise
        if not group.first:
            return model
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
    if output is not None:
        model.save(output, overwrite=overwrite)
        _clear(checkpoint, model)
    return model


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
        descriptions = any(checkpoint.rglob(DESCRIPTION))
        rest = f"{checkpoint} holds the run for --resume" if descriptions else "no checkpoint was due yet"
        note(f"interrupted: the best epochs so far are saved; {rest}")
        return
    for path in list(checkpoint.rglob(DESCRIPTION)):  # first: what is left of a removal cut short is no checkpoint
        path.unlink(missing_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)
