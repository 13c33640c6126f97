"""What an evaluation is given: models by name, their genes and units in the data, profiles they have seen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from dgex.aliases import PathLike
from dgex.dataset.as_panel import AsPanel
from dgex.dataset.normalization import Normalization
from dgex.dataset.roles import rows, set_statistics, targets
from dgex.dataset.signatures import known, signatures
from dgex.errors import GeneError, SettingsError, first
from dgex.evaluation.measuring import Predictor, same_units
from dgex.evaluation.original_units import InDatasetUnits
from dgex.evaluation.result import TRIVIAL
from dgex.genes import align, texts
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator
from dgex.models.folder import is_model, load
from dgex.progress import note, warn
from dgex.remote.places import located

__all__ = ["Models", "aligned", "are_models", "as_panels", "in_units", "loaded_models", "rows_of", "trained_on"]

Models: TypeAlias = Mapping[str, Estimator | PathLike] | Sequence[Estimator | PathLike]


def are_models(thing: object) -> bool:
    """Whether it is a model, or holds nothing but models: where the data were told first they are known by that."""
    if isinstance(thing, Mapping):
        thing = list(thing.values())
    return all(map(is_model, thing)) if isinstance(thing, list | tuple) else is_model(thing)


def loaded_models(models: Models | Estimator | PathLike) -> dict[str, Estimator]:
    """Models by name, each loaded where a path was given."""
    named: dict[str, Estimator | PathLike]
    if isinstance(models, Mapping):
        named = {str(name): model for name, model in models.items()}
    else:
        several = isinstance(models, Iterable) and not isinstance(models, str | os.PathLike | Estimator)
        listed: list[Any] = list(models) if several else [models]  # type: ignore[arg-type]
        named = {}
        paths = [located(m).resolve() if isinstance(m, str | os.PathLike) else None for m in listed]
        short = [path.name if path else str(getattr(m, "kind", m)) for m, path in zip(listed, paths)]
        for name, model in zip(short, listed):
            name = str(located(model)) if short.count(name) > 1 and not isinstance(model, Estimator) else name
            if name in named:
                raise SettingsError(f"a model is named twice: {name}")
            named[name] = model
    if not named:
        raise SettingsError("no models to evaluate; at least one is needed")
    if TRIVIAL in named:
        raise SettingsError(f"{TRIVIAL!r} is the name of the trivial predictor; give the model another name")
    return {name: model if isinstance(model, Estimator) else load(model) for name, model in named.items()}


def trained_on(
    models: Mapping[str, Estimator], source: ExpressionFile, where: Mapping[str, np.ndarray]
) -> dict[str, dict[str, int]]:
    """How many profiles of each set a model was trained on; says so, for its error there is no honest one."""
    seen: dict[str, dict[str, int]] = {}
    read: dict[
        tuple[str, tuple[str, ...], bytes], dict[str, np.ndarray]
    ] = {}  # models of the same landmark genes read a set once
    for name, model in models.items():
        if model.training_ is None or not model.training_.signatures:
            continue
        genes = align(model.landmark_genes(), source.var)
        if genes.missing:
            continue  # refused by name a little later
        for label, samples in where.items():
            key = label, tuple(model.landmarks_), genes.index.tobytes()
            if key not in read:
                read[key] = signatures(source, samples, genes.index, model.landmarks_)
            count = int(known(model.training_.signatures, read[key]).sum())
            if count:
                seen.setdefault(name, {})[label] = count
                warn(
                    f"{count:,} of {len(samples):,} profiles of {label} were training profiles of {name}: its error "
                    "there is better than on profiles it never saw"
                )
    return seen


def rows_of(source: ExpressionFile, name: str) -> np.ndarray:
    """Positions of the profiles of a split or named set."""
    present = texts(source.obs["split"])
    if not (present == name).any():
        raise SettingsError(f"no split named {name!r} in the dataset", accepted=sorted(present.unique()))
    return np.asarray(rows(source, name))


def aligned(models: Mapping[str, Estimator], source: ExpressionFile) -> tuple[list[Predictor], np.ndarray]:
    """Find each model's genes in the data, and the target genes that all have in common (positions in the data)."""
    role = np.asarray(targets(source))
    is_target = role if role.dtype == bool else np.isin(np.arange(len(source.var)), role)
    inputs, positions = {}, {}
    for name, model in models.items():
        landmarks = align(model.landmark_genes(), source.var)
        if landmarks.missing:
            raise GeneError(
                f"{name}: {len(landmarks.missing):,} of {model.n_features_in_:,} landmark genes are missing from "
                f"the data: {first(landmarks.missing)}"
            )
        inputs[name] = landmarks.index
        index = align(model.target_genes(), source.var).index
        positions[name] = {int(at): place for place, at in enumerate(index) if at >= 0 and is_target[at]}
    common = set.intersection(*(set(index) for index in positions.values()))
    if not common:
        counts = ", ".join(f"{name} {len(index):,}" for name, index in positions.items())
        raise GeneError(
            f"no target gene is common to the data ({int(is_target.sum()):,} target genes) and all models; "
            f"target genes found in the data: {counts}"
        )
    genes = np.array(sorted(common), dtype=np.int64)
    for name, model in models.items():
        if len(genes) < model.n_targets_:
            warn(f"{name}: compared on {len(genes):,} of its {model.n_targets_:,} target genes")
    if len(genes) < is_target.sum():
        warn(f"{len(genes):,} of the dataset's {int(is_target.sum()):,} target genes are inferred by every model")
    predictors = [
        Predictor(name, model, inputs[name], np.array([positions[name][int(at)] for at in genes]))
        for name, model in models.items()
    ]
    return predictors, genes


def as_panels(predictors: Sequence[Predictor], source: ExpressionFile) -> list[Predictor]:
    """Give each model what `dgex.infer` makes of its landmark genes; says so where the dataset holds something else."""
    given = []
    for predictor in predictors:
        theirs = getattr(predictor.model, "normalization_", None)
        panel = None if predictor.model is None else AsPanel.of(source, predictor.inputs, theirs)
        given.append(predictor if panel is None else replace(predictor, panel=panel))
    if any(predictor.panel is not None for predictor in given):
        note(
            "the dataset's landmark genes were ranked together with its target genes; they are measured as dgex infer "
            "takes a panel, ranked among themselves (as_prepared=True takes them as they are)"
        )
    return given


def in_units(predictors: Sequence[Predictor], source: ExpressionFile, genes: np.ndarray) -> list[Predictor]:
    """Bring models of original units to the dataset's; warn of models of values that were normalised otherwise."""
    ours = Normalization.from_dataset(source)
    statistics = set_statistics(source, ours.set_name)
    brought = []
    for predictor in predictors:
        theirs = getattr(predictor.model, "normalization_", None)
        own = getattr(predictor.model, "restandardizes", False)
        if theirs is not None and (theirs.standardize == "none" or own) and statistics is not None:
            predictor = InDatasetUnits.of(predictor, source, genes)
            alike = all(getattr(theirs, name) == getattr(ours, name) for name in ("log2", "quantile", "units"))
        else:
            alike = same_units(predictor.model, predictor.inputs, source)
        if not alike:
            warn(
                f"{predictor.name} was trained on values normalised otherwise than this dataset's: its errors may be "
                "those of the units; evaluate on the dataset it was trained on, or train it anew"
            )
        brought.append(predictor)
    return brought
