"""From a prepared dataset to a model folder: the right rows and genes, validation, and what a model must remember."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from dgex.digests import of_names
from dgex.errors import DataError, FileError, SettingsError
from dgex.fitting.indexing import add_index, with_names_told
from dgex.fitting.judging import confidence_of
from dgex.fitting.output import Output
from dgex.fitting.splits import Splits, read_splits
from dgex.genes import texts
from dgex.metrics import in_blocks, measured
from dgex.models.base import Estimator
from dgex.models.catalogue import new, usual
from dgex.models.folder import load
from dgex.models.linear.from_moments import FromMoments
from dgex.models.matrices import is_annotated
from dgex.models.record import TrainingRecord
from dgex.progress import by_itself, note, processes, speaks, warn
from dgex.remote.places import located
from dgex.remote.sending import sends

if TYPE_CHECKING:
    from anndata import AnnData

    from dgex.training.processes.group import Group
from dgex.aliases import PathLike

__all__ = ["train"]

BLOCK = 4096
# Floating-point operations that take seconds on two cores.
SECONDS = 3e11
T = TypeVar("T")


@sends("output")
def train(
    data: PathLike | AnnData | Splits,
    method: str | None = None,
    output: PathLike | None = None,
    *,
    validation: Sequence[str] = ("validation",),
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: int = 1,
    keep_checkpoint: bool = True,
    index: bool = True,
    tensorboard: PathLike | None = None,
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
        `ols`, `ridge`, `lasso` and `knn-ge` need no such files: they go through the dataset in blocks, where it lies.
        `knn` and `sample-lasso`, whose models are their training profiles, are refused.
        What `read_splits` has read already serves for several models.
    method : str, optional
        A name of `dgex.models.catalogue.methods()`: `auto`, which weighs several gene by gene, `dgex`, `kernel`,
        `ols`, `ridge`, `lasso`, `knn-ge`, `knn`, or what another package brings. None is `auto`, or `dgex` where
        settings are given that only the paper's network takes; it is said.
    output : path, optional
        The model folder to write; while a network trains, `OUTPUT.checkpoint` beside it holds what is needed to
        go on after an interruption.
    validation : sequence of str
        Splits or named sets that are watched while fitting. The first chooses penalties and the number of
        neighbours; a network keeps its best epoch for each.
    overwrite : bool
        Replace an output that exists.
    resume : bool
        Go on from `OUTPUT.checkpoint`. A finished model of the same method, settings and data is loaded and returned as
        it is, or trained on where more epochs are asked for; one of anything else is refused.
    checkpoint_every : int
        Epochs between two checkpoints of a network.
    keep_checkpoint : bool
        Leave the last checkpoint of a finished network in the folder `checkpoint` of the model, so that it can be
        trained on; three to four times the size of the model. It may be deleted.
    index : bool
        Keep in the model the names of its training profiles (20,000 at most, spread evenly), their studies and where
        they lie, so that `dgex.explain` can tell which are near a new one. False where names are private.
    tensorboard : path, optional
        Folder of a network's learning curve as TensorBoard scalars: in a folder of it that is named after `output`,
        so that runs lie side by side.
    group : Group, optional
        The processes that train a network together; None asks torchrun.
    **settings
        Settings of the estimator.

    Returns
    -------
    Estimator
        Fitted, with `normalization_` frozen from the dataset and `metrics_` measured on the validation sets. Where
        torchrun runs several processes, a network is trained by all together and rank 0 alone returns it whole.

    Raises
    ------
    SettingsError
        An unknown method or setting, or a validation set that the dataset does not hold.
    ModelError
        `resume`, and what is in `output` was made by another method, with other settings or of other data.
    FileError
        The data are not there, or another process trains into `output`.
    DataError, GeneError
        The dataset has no roles, no split, too few training profiles or values that are not finite.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=30, seed=0)
    >>> data = dgex.prepare(raw, group="study", seed=0)
    >>> model = dgex.train(data, "ridge")
    >>> model.n_features_in_, model.n_targets_
    (20, 30)
    """
    if method is None:
        method = usual(settings)
        if method != "auto":
            note(f"training {method}, whose settings are given")
    model = new(method, settings)
    inputs = _inputs(data)
    if tensorboard is not None and not model.trains_in_epochs:
        raise SettingsError(f"tensorboard: {method} has no learning curve; accepted for methods that train in epochs")
    place = None if output is None else Output(output, model, list(validation), checkpoint_every, overwrite, resume)
    alone = group is None and not model.spreads and processes() > 1
    if alone and not speaks():
        return model
    if alone:
        note(f"{model.kind} is trained by the first of {processes()} processes alone; the others have ended")
    with by_itself() if alone else nullcontext(), _together(model, group) as together, ExitStack() as stack:
        if place is not None:
            _first(together, lambda: place.claim(stack, inputs))
        try:
            return _train(model, data, validation, place, keep_checkpoint, index, tensorboard, together, stack)
        except BaseException as error:
            if place is not None and _leads(together):
                place.abandon(error)
            raise


def _train(
    model: Estimator,
    data: PathLike | AnnData | Splits,
    validation: Sequence[str],
    place: Output | None,
    keep_checkpoint: bool,
    index: bool,
    tensorboard: PathLike | None,
    together: Group | None,
    stack: ExitStack,
) -> Estimator:
    """Train `model`; of several processes rank 0 alone measures and saves the result."""
    options: dict[str, Any] = {} if place is None else place.fit_options()
    if together is not None:
        options["group"] = together
    if tensorboard is not None:
        from dgex.training.run.tensorboard import check_tensorboard

        check_tensorboard()
        options["tensorboard_dir"] = Path(tensorboard) / (place.path.name if place is not None else "")
    if isinstance(data, Splits):
        read = data
    else:
        spool = place.spool if place is not None and _leads(together) else None
        placement, in_blocks = getattr(model, "placement", "auto"), isinstance(model, FromMoments)
        held = model.label if getattr(model, "holds_profiles", False) else ""
        read = read_splits(data, validation, stack, placement, spool, in_blocks, held)
    # of what stays in its file the digest costs a pass, unless the pass that fits has been made
    later = bool(read.streams) and not (place is not None and place.goes_on)
    record = _record(read, compared=place is not None) if _leads(together) and not later else None
    if place is not None and _first(together, lambda: record is not None and place.finished(record)):
        note(f"{place.path} is finished already; nothing to do")
        return with_names_told(load(place.path), index) if _leads(together) else model
    _fit(model, read, options)
    if not _leads(together):
        return model
    record = record or _record(read, compared=place is not None)
    model.training_ = replace(record, signatures=read.known_again("train", *model.seen_)) if model.seen_ else record
    _measure(model, read)
    if model.trains_in_epochs and not isinstance(data, Splits):  # what is read once serves many networks
        _beside_ridge(model, read)
    if model.confidence_ is None:
        model.confidence_ = confidence_of(model, read)
    elif read.panels:
        warn(
            "trust is of landmark genes that were ranked together with target genes; those of a panel are ranked among "
            "themselves, and errors are then larger: dgex prepare --landmark-ranks alone, or dgex calibrate afterwards"
        )
    add_index(model, read, index)
    if place is not None:
        place.save(model, keep_checkpoint)
    return model


def _inputs(data: Any) -> list[PathLike]:
    """The files that are read; what is no dataset is refused before anything heavy is imported or made."""
    if isinstance(data, str | os.PathLike):
        if not (place := located(data)).exists():
            raise FileError(f"{place} does not exist")
        return [data]
    if not isinstance(data, Splits) and not is_annotated(data):
        raise DataError("data", found=type(data).__name__, accepted="the path of a dataset, or an AnnData")
    return []


def _together(model: Estimator, group: Group | None) -> AbstractContextManager[Group | None]:
    """The processes that train together; None for a method that does not spread."""
    if not model.spreads or group is not None:
        return nullcontext(group if model.spreads else None)
    from dgex.training.processes.join import join

    return join(getattr(model, "device", "auto"))


def _first(together: Group | None, make: Callable[[], T]) -> T:
    """Let rank 0 alone do it, for all."""
    return make() if together is None else together.from_first(make)


def _leads(together: Group | None) -> bool:
    return together is None or together.leads


def _record(read: Splits, compared: bool) -> TrainingRecord:
    """What the model is trained on; its digest, where it is to be compared when it is gone on with."""
    sets = [name for name in read.matrices if name != "train"]
    if not compared:
        return TrainingRecord("", sets, read.known_again("train"))
    x, y = read.matrices["train"]
    parts = [of_names(x.var_names, y.var_names)]
    for name, (x, _) in read.matrices.items():
        parts += [of_names([name], x.obs_names), read.digest(name)]
    return TrainingRecord(of_names(parts), sets, read.known_again("train"))


def _fit(model: Estimator, read: Splits, options: dict[str, Any]) -> None:
    """Fit `model`, which then remembers how profiles became what it was fitted on."""
    sets = dict(read.matrices)
    x, y = sets.pop("train")
    note(f"{model.kind}: {x.n_obs:,} profiles, {x.n_vars:,} landmark genes -> {y.n_vars:,} target genes")
    if read.groups and "groups" in model.fit_options:
        options = options | {"groups": read.groups["train"], "eval_groups": read.groups}
    started = time.perf_counter()
    if read.streams:
        assert isinstance(model, FromMoments)
        model.fit_profiles(read.streams["train"], {name: read.values(name) for name in sets})
    else:
        model.fit(x, y, eval_sets=sets, **options)
    model.metrics_["seconds"] = round(time.perf_counter() - started, 3)


def _measure(model: Estimator, read: Splits) -> None:
    """Tell what the model was trained on and how well it does on the sets that were watched."""
    model.normalization_ = read.normalization
    sets = {name: pair for name, pair in read.matrices.items() if name != "train"}
    seconds = model.metrics_.pop("seconds")
    fitted = {"train", *model.seen_}
    model.metrics_ |= {
        "data": {
            "name": read.name,
            "training_profiles": read.matrices["train"][0].n_obs,
            "fitted_profiles": sum(x.n_obs for name, (x, _) in read.matrices.items() if name in fitted),
            "validation_sets": ", ".join(sets) or "none",
            **_counted(read.obs),
            "split": read.how,
        },
        "sets": {name: _errors(model, name, *read.values(name)) for name in sets},
        "seconds": seconds,
    }
    for name, errors in model.metrics_["sets"].items():
        note(f"{model.kind}: overall error on {name} {errors['overall']:.4f}, ± {errors['sd']:.4f} over genes")


def _beside_ridge(model: Estimator, read: Splits) -> None:
    """Say what ridge regression reaches, where it costs seconds to know, and whether a network was still learning."""
    name = next((name for name in read.matrices if name != "train"), None)
    if name is None:
        return
    x, y = read.matrices["train"]
    n, p, t = x.n_obs, x.n_vars, y.n_vars
    if 2.0 * n * p * (p + t) + 10.0 * p**3 <= SECONDS:
        held_x, held_y = (np.asarray(part.X) for part in read.matrices[name])
        ridge = new("ridge", {})
        ridge.fit(np.asarray(x.X), np.asarray(y.X), {name: (held_x, held_y)})
        error = -ridge.score(held_x, held_y)
        model.metrics_["ridge"] = {name: error}
        own = model.metrics_["sets"][name]["overall"]
        better = " (ridge is better)" if error < own else ""
        note(f"overall error on {name}: ridge {error:.4f}, this network {own:.4f}{better}")
    best = getattr(model, "best_", {}).get(name, {}).get("epoch")
    falls = getattr(model, "schedule_", "constant") == "constant" and getattr(model, "stopped_", "") == "finished"
    if falls and best == getattr(model, "epochs", None):
        note(f"the error on {name} was still falling in the last epoch: more --epochs with --resume may do better")


def _errors(model: Estimator, name: str, values: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Overall error on one set, in blocks; of one that was fitted on in the end, what was expected before."""
    if name in model.seen_:
        by_gene = getattr(model, "expected_by_gene_", np.array([np.nan]))
        overall, sd = float(np.mean(by_gene, dtype=np.float64)), float(np.std(by_gene, dtype=np.float64))
        return {"overall": overall, "sd": sd, "profiles": len(values), "judged": "when held out; fitted on it since"}
    if not len(values):
        raise DataError("an evaluation set holds no profiles")
    errors = measured(in_blocks(model.predict, values, truth, BLOCK), truth.shape[1])
    return {"overall": float(errors.overall), "sd": float(errors.overall_std), "profiles": len(values)}


def _counted(obs: pd.DataFrame) -> dict[str, Any]:
    counts = texts(obs["split"]).value_counts()
    return {"profiles_by_split": ", ".join(f"{name} {count:,}" for name, count in counts.items())}
