"""How far to trust a model that is there already: by held-out profiles of a dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dgex import io
from dgex.aliases import PathLike
from dgex.arrays.index import evenly
from dgex.confidence.confidence import trusted
from dgex.confidence.held_out import MOST, HeldOut
from dgex.confidence.intervals import FEWEST
from dgex.dataset.as_panel import AsPanel
from dgex.dataset.normalization import Normalization
from dgex.dataset.roles import check_dataset, rows
from dgex.dataset.signatures import known, signatures
from dgex.dataset.studies import split_by
from dgex.errors import DataError, GeneError, ModelError, SettingsError, first
from dgex.fitting.output import KEPT, copied
from dgex.genes import align, texts
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator
from dgex.models.folder import load, save
from dgex.places import claim
from dgex.progress import note, warn
from dgex.remote.places import located
from dgex.remote.sending import sends

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["calibrate"]


@sends("output")
def calibrate(
    model: PathLike | Estimator,
    data: PathLike | AnnData,
    output: PathLike | None = None,
    *,
    split: str | Sequence[str] = "validation",
    by: str | None = None,
    overwrite: bool = False,
) -> Estimator:
    """Find out by held-out profiles how far a model's values can be trusted, and store it with the model.

    `dgex.train` does so by itself; this is for models made before, of other packages or other hands, and for other
    held-out profiles.

    Parameters
    ----------
    model : path or Estimator
    data : path or AnnData
        A dataset in the unit the model works in.
    output : path, optional
        Model folder to write. Without it, a model that was told by its path is replaced where it lies.
    split : str or sequence of str
        Splits or named sets whose profiles judge, comma separated or as a sequence; those that the model was trained on
        are left out.
    by : str, optional
        Column of `obs` with studies or donors; the column that the dataset was split by unless told. Intervals then
        hold for groups that were never seen, where the model has not seen these.
    overwrite : bool
        Replace an `output` that exists.

    Returns
    -------
    Estimator
        With `confidence_`.

    Raises
    ------
    SettingsError
        An unknown split or column.
    DataError
        Fewer than 20 held-out profiles, or a dataset in another unit.
    GeneError
        The dataset lacks genes of the model.
    ModelError
        The model was fitted on these profiles in the end.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=300, landmarks=20, targets=30, seed=0)
    >>> data = dgex.prepare(raw, split=(0.6, 0.2, 0.2), seed=0)
    >>> model = dgex.calibrate(dgex.train(data, "ols"), data, split="test")
    >>> model.confidence_.judged["profiles"]
    60
    """
    names = [part.strip() for part in split.split(",")] if isinstance(split, str) else list(split)
    here = located(model) if isinstance(model, str | os.PathLike) else None
    target = output if output is not None else here
    with ExitStack() as stack:
        if target is not None:
            replaces = overwrite or output is None
            inputs = [data] if here is None or output is None else [data, here]
            stack.enter_context(claim(target, "dgex calibrate", overwrite=replaces, inputs=inputs, folder=True))
        estimator = load(model) if not isinstance(model, Estimator) else model
        source = stack.enter_context(io.open(data))
        check_dataset(source, minimum_train=0)
        _same_unit(estimator, source)
        training, held = _read(estimator, source, names, by)
        estimator.confidence_ = trusted(estimator.predict, training, held)
        if target is not None:

            def keep_checkpoint(folder: Path) -> None:
                if here is not None and (here / KEPT).is_dir():
                    copied(here / KEPT, folder / KEPT)

            save(estimator, target, overwrite=overwrite or output is None, beside=keep_checkpoint)
    return estimator


def _same_unit(model: Estimator, source: ExpressionFile) -> None:
    ours, theirs = model.normalization_, Normalization.from_dataset(source)
    if ours is None:
        return
    for name in ("quantile", "standardize", "units"):
        if getattr(ours, name) != getattr(theirs, name):
            raise DataError(
                f"{source.name} is in another unit than the model works in: {name} is {getattr(theirs, name)} there, "
                f"{getattr(ours, name)} here",
                accepted="a dataset prepared as the model's was",
            )


def _read(model: Estimator, source: ExpressionFile, names: list[str], by: str | None) -> tuple[np.ndarray, HeldOut]:
    """Landmark genes of the training profiles, and the held-out profiles."""
    genes = [align(part, source.var) for part in (model.landmark_genes(), model.target_genes())]
    for found, role in zip(genes, ("landmark", "target")):
        if found.missing:
            raise GeneError(
                f"{len(found.missing):,} {role} genes of the model are missing from the data: {first(found.missing)}"
            )
    labels = texts(source.obs["split"])
    absent = [name for name in names if not (labels == name).any()]
    if absent:
        raise SettingsError(f"no split named {first(absent)} in the dataset", accepted=sorted(labels.unique()))
    seen = [name for name in names if name in model.seen_]
    if seen:
        raise ModelError(f"the model was fitted on the profiles of {first(seen)} in the end: they cannot judge it")
    samples = np.concatenate([rows(source, name) for name in names])
    samples = _unseen(model, source, samples, genes[0].index)
    if len(samples) < FEWEST:
        raise DataError(
            f"too few held-out profiles to know how far values can be trusted: found {len(samples)}, at least {FEWEST} "
            "are needed"
        )
    samples = samples[evenly(len(samples), MOST)]
    groups = _groups(source, samples, by)
    X, Y = (np.asarray(source.read(genes=part.index, samples=samples)) for part in genes)
    panel = AsPanel.of(source, genes[0].index, model.normalization_)
    X = X if panel is None else panel(X, samples)  # as infer takes them
    words = f"{len(samples):,} profiles of {', '.join(names)}"
    words += "" if groups is None else f" ({len(set(groups.tolist()))} groups)"
    train = rows(source, "train")
    near = X
    if len(train):
        few = train[evenly(len(train), 10 * MOST)]
        near = np.asarray(source.read(genes=genes[0].index, samples=few))
        near = near if panel is None else panel(near, few)
    else:
        warn("the dataset has no training profiles: distances are taken from the held-out ones")
    return near, HeldOut(X, Y, model.predict(X), None, groups, words)


def _unseen(model: Estimator, source: ExpressionFile, samples: np.ndarray, genes: np.ndarray) -> np.ndarray:
    record = model.training_
    if record is None or not record.signatures:
        return samples
    again = known(record.signatures, signatures(source, samples, genes, model.landmarks_))
    if again.any():
        note(f"{int(again.sum()):,} of {len(samples):,} profiles were training profiles of the model: left out")
    return np.asarray(samples[~again])


def _groups(source: ExpressionFile, samples: np.ndarray, by: str | None) -> np.ndarray | None:
    column = by or split_by(source.uns)
    if not column:
        return None
    if column not in source.obs:
        if by is None:
            return None
        raise SettingsError("by", found=by, accepted=[str(name) for name in source.obs.columns])
    return np.asarray(texts(source.obs[column]).to_numpy()[samples])
