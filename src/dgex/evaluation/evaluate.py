"""Models side by side on the held-out profiles of a dataset."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from dgex import io
from dgex._version import __version__
from dgex.dataset.normalization import Normalization
from dgex.dataset.roles import check_dataset, rows, set_statistics, targets
from dgex.dataset.signatures import known, signatures
from dgex.dataset.studies import split_words
from dgex.errors import GeneError, SettingsError, first
from dgex.evaluation.against import baseline_of, groups_of
from dgex.evaluation.bootstrap import LEVEL, REPEATS, Resampled
from dgex.evaluation.measuring import Measurement, Predictor, blocks, measure, same_units, training_mean
from dgex.evaluation.original_units import InDatasetUnits
from dgex.evaluation.result import TRIVIAL, Evaluation
from dgex.genes import align, texts
from dgex.io.base import ExpressionFile
from dgex.metrics import relative_improvement, share_better
from dgex.models.base import Estimator
from dgex.models.card import chosen
from dgex.models.folder import is_model, load
from dgex.progress import bar, note, warn

if TYPE_CHECKING:
    from anndata import AnnData
from dgex.aliases import PathLike

__all__ = ["evaluate"]

Models: TypeAlias = Mapping[str, Estimator | PathLike] | Sequence[Estimator | PathLike]


def evaluate(
    models: Models | Estimator | PathLike,
    data: PathLike | AnnData,
    split: str | Sequence[str] = "test",
    baseline: str | None = None,
    block: int = 4096,
    *,
    spearman: bool = True,
) -> Evaluation:
    """Measure models side by side on held-out profiles of a dataset.

    Parameters
    ----------
    models : dict of name to Estimator or path, sequence of these, or one
        Fitted models or model folders; paths without names go by the name of their folder, models by their method.
    data : path or AnnData
        A dataset made by `dgex.prepare`, in the units the models were fitted on. Models that were fitted on values
        that were not standardised are judged on a standardised dataset in its units, see `InDatasetUnits`.
    split : str or sequence of str
        Splits or named sets to measure on, comma separated or as a sequence.
    baseline : str, optional
        Whom the others are compared with: a name in `models`, or `"training mean"`. By default the better of the
        training mean and linear regression (a model of kind `ols`, or named `ols` or `LR`) on the dataset's
        validation profiles: to be better than a regression that is worse than the mean says nothing.
    block : int
        Profiles inferred at a time.
    spearman : bool
        Compute Spearman correlations; they need whole columns and about as much time as inferring.

    Returns
    -------
    Evaluation

    Raises
    ------
    GeneError
        A model's landmark genes are missing from the data, or no target gene is common to data and all models.
    SettingsError
        No models, two of one name, an unknown split or baseline.
    DataError
        The data are no dataset, or hold NaN or infinity.

    Notes
    -----
    Genes are aligned by name. Compared are the target genes common to the data and to all models, so that every
    row of the table is about the same genes. The first row is the trivial predictor, each gene's mean over the
    dataset's training profiles; it is left out where the dataset has none.

    Every comparison has an interval: profiles of the split are drawn anew with replacement 2,000 times, and 95 % of the
    relative improvements so found lie in it (the percentile bootstrap, Efron & Tibshirani 1993). Where the dataset was
    split by a group such as the study, whole groups are drawn. A gain whose interval holds 0 is a tie.

    A model that was trained by `dgex.train` knows its training profiles again, under any id and in another split: where
    some are measured on, that is said, and `settings["models"][name]["trained_on"]` counts them.

    At any time memory holds one block and per-gene sums, and for Spearman correlations two float32 matrices of the
    split's profiles x compared genes (truth and one model), each in a temporary file when above 256 MiB. Every
    split is read once a model.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=30, seed=0)
    >>> data = dgex.prepare(raw, group="study", seed=0)
    >>> result = dgex.evaluate({"LR": dgex.train(data, "ols")}, data, split="test")
    >>> result.overall["model"].tolist(), result.settings["baseline"]
    (['training mean', 'LR'], 'LR')
    """
    if _are_models(data) and not _are_models(models):
        models, data = data, models
    if not isinstance(block, int | np.integer) or block < 1:
        raise SettingsError("block", found=block, accepted="1 profile or more")
    if not isinstance(split, Iterable):
        raise SettingsError("split", found=split, accepted="names of splits or sets")
    loaded = _loaded(models)
    names = [part.strip() for part in split.split(",")] if isinstance(split, str) else list(split)
    with ExitStack() as stack:
        source = stack.enter_context(io.open(data))
        check_dataset(source, minimum_train=0)
        where = {name: _rows(source, name) for name in dict.fromkeys(names)}
        seen = _trained_on(loaded, source, where)
        predictors, genes = _aligned(loaded, source)
        mean = training_mean(source, genes, block)
        if mean is None:
            warn("the dataset has no training profiles: the trivial predictor is left out")
        else:
            none = np.array([], dtype=np.int64)
            predictors.insert(0, Predictor(TRIVIAL, None, none, none, mean))
        predictors = _in_units(predictors, source, genes)
        base, why = baseline_of(baseline, predictors, source, genes, block)
        if baseline is None:
            note(f"compared with {base}: {why}")
        gene_names = source.var.index[genes].astype(str)
        overall, per_gene, drawn = [], [], {}
        total = sum(map(len, where.values())) * len(predictors)
        with bar(total, "evaluating") as progress:
            for name, index in where.items():
                measured = measure(predictors, source, index, genes, block, spearman, progress)
                groups, drawn[name] = groups_of(source, index, name)
                errors = {p.name: m.profiles for p, m in zip(predictors, measured)}
                overall.append(_overall(name, predictors, measured, base, Resampled(errors, groups)))
                per_gene += [_per_gene(name, p, m, gene_names) for p, m in zip(predictors, measured)]
        settings = {
            "dgex": __version__,
            "splits": list(where),
            "baseline": base,
            "baseline_because": why,
            "intervals": {"level": LEVEL, "draws": REPEATS, "of": drawn},
            "genes": len(genes),
            "unit": "standard deviations" if "std" in source.varm else "",
            "data": {
                "name": source.name,
                "profiles": {name: len(index) for name, index in where.items()},
                "split": split_words(source.uns, source.obs),
                "fingerprint": _fingerprint(source, np.concatenate(list(where.values())), genes),
            },
            "models": {p.name: _record(p) | {"trained_on": seen.get(p.name, {})} for p in predictors},
        }
    histories = {name: model.history_.copy() for name, model in loaded.items() if hasattr(model, "history_")}
    return Evaluation(
        pd.concat(overall, ignore_index=True), pd.concat(per_gene, ignore_index=True), settings, histories
    )


def _are_models(thing: object) -> bool:
    """Whether it is a model, or holds nothing but models: where the data were told first they are known by that."""
    if isinstance(thing, Mapping):
        thing = list(thing.values())
    return all(map(is_model, thing)) if isinstance(thing, list | tuple) else is_model(thing)


def _loaded(models: Models | Estimator | PathLike) -> dict[str, Estimator]:
    named: dict[str, Estimator | PathLike]
    if isinstance(models, Mapping):
        named = {str(name): model for name, model in models.items()}
    else:
        several = isinstance(models, Iterable) and not isinstance(models, str | os.PathLike | Estimator)
        listed: list[Any] = list(models) if several else [models]  # type: ignore[arg-type]
        named = {}
        paths = [Path(m).resolve() if isinstance(m, str | os.PathLike) else None for m in listed]
        short = [path.name if path else str(getattr(m, "kind", m)) for m, path in zip(listed, paths)]
        for name, model in zip(short, listed):
            name = str(model) if short.count(name) > 1 else name
            if name in named:
                raise SettingsError(f"a model is named twice: {name}")
            named[name] = model
    if not named:
        raise SettingsError("no models to evaluate; at least one is needed")
    if TRIVIAL in named:
        raise SettingsError(f"{TRIVIAL!r} is the name of the trivial predictor; give the model another name")
    return {name: model if isinstance(model, Estimator) else load(model) for name, model in named.items()}


def _trained_on(
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


def _rows(source: ExpressionFile, name: str) -> np.ndarray:
    present = texts(source.obs["split"])
    if not (present == name).any():
        raise SettingsError(f"no split named {name!r} in the dataset", accepted=sorted(present.unique()))
    return np.asarray(rows(source, name))


def _aligned(models: Mapping[str, Estimator], source: ExpressionFile) -> tuple[list[Predictor], np.ndarray]:
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


def _in_units(predictors: Sequence[Predictor], source: ExpressionFile, genes: np.ndarray) -> list[Predictor]:
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


def _overall(
    split: str, predictors: Sequence[Predictor], measured: Sequence[Measurement], baseline: str, resampled: Resampled
) -> pd.DataFrame:
    base = next(f.errors for p, f in zip(predictors, measured) if p.name == baseline)
    records = []
    for predictor, result in zip(predictors, measured):
        errors, pearson = result.errors, result.errors.pearson
        gain = resampled.against(predictor.name, baseline)
        compared = predictor.name != baseline
        records.append(
            {
                "split": split,
                "model": predictor.name,
                "kind": predictor.kind,
                "error": errors.overall,
                "sd": errors.overall_std,
                "improvement": relative_improvement(errors.overall, base.overall),
                "improvement_low": gain.improvement_low if compared else np.nan,
                "improvement_high": gain.improvement_high if compared else np.nan,
                "tie": gain.tie and compared,
                "difference": gain.difference,
                "difference_low": gain.difference_low if compared else np.nan,
                "difference_high": gain.difference_high if compared else np.nan,
                "better": share_better(errors.mae, base.mae) if compared else np.nan,
                "pearson_mean": _over_genes(np.mean, pearson),
                "pearson_median": _over_genes(np.median, pearson),
                "spearman_mean": _over_genes(np.mean, result.spearman),
                "spearman_median": _over_genes(np.median, result.spearman),
                "rmse": float(errors.rmse.mean()),
                "genes": errors.n_genes,
                "profiles": errors.n,
                "seconds": result.seconds,
            }
        )
    return pd.DataFrame(records)


def _over_genes(summary: Any, values: np.ndarray) -> float:
    """Over the genes that vary: a constant gene has no correlation."""
    varying = values[~np.isnan(values)]
    return float(summary(varying)) if len(varying) else float("nan")


def _per_gene(split: str, predictor: Predictor, measured: Measurement, genes: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "gene": genes.to_numpy(dtype=object),
            "model": predictor.name,
            "split": split,
            "mae": measured.errors.mae,
            "rmse": measured.errors.rmse,
            "pearson": measured.errors.pearson,
            "spearman": measured.spearman,
        }
    )


def _fingerprint(source: ExpressionFile, samples: np.ndarray, genes: np.ndarray) -> str:
    """SHA-256 over the names of profiles and genes and the values of up to 64 profiles spread evenly."""
    names = [*source.obs.index[samples].astype(str), "", *source.var.index[genes].astype(str)]
    digest = hashlib.sha256("\n".join(names).encode())
    spread = np.unique(samples[np.linspace(0, len(samples) - 1, 64).astype(int)])
    for _, Y in blocks(source, spread, np.array([], dtype=np.int64), genes, 64):
        digest.update(np.ascontiguousarray(Y).tobytes())
    return digest.hexdigest()


def _record(predictor: Predictor) -> dict[str, Any]:
    model = predictor.model
    if model is None:
        return {"kind": predictor.kind}
    return {
        "kind": predictor.kind,
        "settings": model.get_params(deep=False),
        "chosen": chosen(model),
        "landmarks": model.n_features_in_,
        "targets": model.n_targets_,
        "units": "original, brought to the dataset's" if isinstance(predictor, InDatasetUnits) else "the dataset's",
        "fingerprint": model.fingerprint_,
    }
