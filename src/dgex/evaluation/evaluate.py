"""Models side by side on the held-out profiles of a dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dgex import io
from dgex._version import __version__
from dgex.aliases import PathLike
from dgex.dataset.roles import check_dataset
from dgex.dataset.studies import split_words
from dgex.errors import SettingsError
from dgex.evaluation.against import baseline_of, draws_of, groups_of, groups_within
from dgex.evaluation.bootstrap import LEVEL, REPEATS, Resampled
from dgex.evaluation.closer import check_cards, look_closer
from dgex.evaluation.given import Models, aligned, are_models, as_panels, in_units, loaded_models, rows_of, trained_on
from dgex.evaluation.levels import Levels
from dgex.evaluation.measuring import Predictor, blocks, measure, training_mean
from dgex.evaluation.original_units import InDatasetUnits
from dgex.evaluation.result import TRIVIAL, Evaluation
from dgex.evaluation.rows import (
    counted,
    gene_table,
    group_table,
    overall_table,
    profile_table,
    within_columns,
)
from dgex.inference.precision import in_precision
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator
from dgex.models.card import chosen
from dgex.progress import bar, note, warn

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["evaluate"]


def evaluate(
    models: Models | Estimator | PathLike,
    data: PathLike | AnnData,
    split: str | Sequence[str] = "test",
    baseline: str | None = None,
    block: int = 4096,
    *,
    spearman: bool = True,
    within: str | None = None,
    control: str | None = None,
    cards: Sequence[str] = (),
    as_prepared: bool = False,
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
        Compute Spearman correlations and rank recall; they need whole columns and about as much time as inferring.
    within : str, optional
        Column of obs with plates, studies or donors: differences of each profile from the mean of its group's profiles
        of the same split are measured too, for levels that are right can hide differences that are wrong. Groups of one
        profile are left out and counted.
    control : str, optional
        With `within`: differences of the other profiles from the mean of their group's control profiles instead. An
        expression as `DataFrame.query` has it, such as `'pert_type == "ctl_vehicle"'`, of comparisons, `and`, `or`,
        `not`, `in`, names of columns, text and numbers alone. Groups without a control profile are left out and
        counted.
    cards : sequence of str
        Target genes that get a card on the page; a few hundred others, spread over good and bad ones, do anyway.
    as_prepared : bool
        Take the landmark genes of a quantile-normalised dataset that ranked them together with the target genes
        (`landmark_ranks="together"`, as published) as they are. Otherwise they are ranked among themselves, as
        `dgex.infer` must rank those of a panel, so that the errors are those of its results.

    Returns
    -------
    Evaluation

    Raises
    ------
    GeneError
        A model's landmark genes are missing from the data, or no target gene is common to data and all models.
    SettingsError
        No models, two of one name, an unknown split, baseline or column, an expression for controls that holds anything
        else or fits no profile, or no group that has differences.
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

    Intervals of what is measured within groups are drawn likewise: with the groups the dataset was split by, else with
    those of `within`; beyond 100 of them in 100 lots of whole groups.

    A model that was trained by `dgex.train` knows its training profiles again, under any id and in another split: where
    some are measured on, that is said, and `settings["models"][name]["trained_on"]` counts them.

    Memory does not grow with the number of profiles: it holds a block and per-gene sums, and for rank recall 1,000
    profiles of each model. Spearman correlations and differences need whole columns: a float32 matrix of the split's
    profiles x compared genes for the truth (two where both are asked for) and for each model, each in a temporary file
    (in `TMPDIR`) when above 64 MiB. Six predictors go through a split together, or as many as 8 GiB of these files
    allow.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=30, seed=0)
    >>> data = dgex.prepare(raw, group="study", seed=0)
    >>> result = dgex.evaluate({"LR": dgex.train(data, "ols")}, data, split="test")
    >>> result.overall["model"].tolist(), result.settings["baseline"]
    (['training mean', 'LR'], 'LR')
    """
    if are_models(data) and not are_models(models):
        models, data = data, models
    if not isinstance(block, int | np.integer) or block < 1:
        raise SettingsError("block", found=block, accepted="1 profile or more")
    if not isinstance(split, Iterable):
        raise SettingsError("split", found=split, accepted="names of splits or sets")
    loaded = loaded_models(models)
    names = [part.strip() for part in split.split(",")] if isinstance(split, str) else list(split)
    with ExitStack() as stack:
        for model in loaded.values():  # as infer does
            stack.enter_context(in_precision(model, "float32"))
        source = stack.enter_context(io.open(data))
        check_dataset(source, minimum_train=0)
        where = {name: rows_of(source, name) for name in dict.fromkeys(names)}
        differences = groups_within(source.obs, where, within, control)
        seen = trained_on(loaded, source, where)
        predictors, genes = aligned(loaded, source)
        mean = training_mean(source, genes, block)
        if mean is None:
            warn("the dataset has no training profiles: the trivial predictor is left out")
        else:
            none = np.array([], dtype=np.int64)
            predictors.insert(0, Predictor(TRIVIAL, None, none, none, mean))
        if not as_prepared:
            predictors = as_panels(predictors, source)
        measured_as = "those of a panel" if any(p.panel is not None for p in predictors) else "the dataset holds them"
        predictors = in_units(predictors, source, genes)
        base, why = baseline_of(baseline, predictors, source, genes, block)
        if baseline is None:
            note(f"the baseline is {base}: {why}")
        gene_names = source.var.index[genes].astype(str)
        check_cards(cards, gene_names)
        levels = Levels.of(source, genes, mean)
        overall, per_gene, per_profile, by_level, by_group = [], [], [], [], []
        drawn, of_within, kept = {}, {}, {}
        total = sum(map(len, where.values())) * len(predictors)
        with bar(total, "evaluating") as progress:
            for name, index in where.items():
                groups, drawn[name] = groups_of(source, index, name)
                compared = differences.get(name)
                draws = None if compared is None else draws_of(compared, groups)
                measured = measure(predictors, source, index, genes, block, spearman, progress, compared, draws)
                kept[name] = measured
                found = {p.name: m for p, m in zip(predictors, measured)}
                errors = {model: m.profiles for model, m in found.items()}
                table = overall_table(name, predictors, measured, base, Resampled(errors, groups))
                if compared is not None and draws is not None:
                    table = pd.concat([table, within_columns(found, base, compared)], axis=1)
                    names_of = source.obs.index[index].astype(str)
                    per_profile += [profile_table(name, n, m, compared, names_of) for n, m in found.items()]
                    over = drawn[name]["over"] if groups is not None else str(within)
                    of_within[name] = counted(compared) | {"over": over, "units": draws.units}
                overall.append(table)
                per_gene += [gene_table(name, n, m, gene_names) for n, m in found.items()]
                if groups is not None:
                    by_group += [group_table(name, n, m, groups) for n, m in found.items()]
                by_level += [levels.table(name, n, m) for n, m in found.items()]
        looks = look_closer(source, where, kept, predictors, base, genes, block, seen, cards)
        settings = {
            "dgex": __version__,
            "splits": list(where),
            "baseline": base,
            "baseline_because": why,
            "intervals": {"level": LEVEL, "draws": REPEATS, "of": drawn},
            "within": {} if within is None else {"column": within, "control": control, "of": of_within},
            "levels": levels.words,
            "landmarks": measured_as,
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
        pd.concat(overall, ignore_index=True),
        pd.concat(per_gene, ignore_index=True),
        settings,
        histories,
        pd.concat(by_level, ignore_index=True),
        pd.concat(per_profile, ignore_index=True) if per_profile else None,
        looks,
        pd.concat(by_group, ignore_index=True) if by_group else pd.DataFrame(),
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
