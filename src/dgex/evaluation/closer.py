"""A closer look at one of the models: what to believe, profiles that it infers badly, points of some genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dgex.arrays.index import evenly
from dgex.dataset.normalization import Normalization
from dgex.dataset.roles import set_statistics
from dgex.dataset.studies import split_by, study_columns
from dgex.errors import DataError, GeneError, first
from dgex.evaluation.measuring import Measurement, Predictor, blocks
from dgex.evaluation.original_units import InDatasetUnits
from dgex.genes import texts
from dgex.io.base import ExpressionFile
from dgex.report.look import Look, Points, best_first
from dgex.report.words import plural

__all__ = ["check_cards", "look_closer", "shown_model", "where_words"]

PROFILES = 2000  # that are inferred once more, spread evenly; the worst ones besides
WORST = 20
POINTS = 200  # profiles in a gene's card
CELLS = 120_000  # points of all cards of a page: about a megabyte
GROUPS = 40  # largest groups in a gene's card
DRIVERS = 8


def check_cards(cards: Sequence[str], genes: Sequence[str] | pd.Index) -> None:
    """Refuse cards of genes that are not compared.

    Raises
    ------
    GeneError
    """
    if unknown := [name for name in cards if name not in set(genes)]:
        raise GeneError(f"{len(unknown):,} genes that cards are asked for are not compared: {first(unknown)}")


def shown_model(predictors: Sequence[Predictor]) -> tuple[Predictor | None, str]:
    """The model that is told of first, chosen without a look at the profiles it is measured on; and why it is this one.

    The one of least error on the held-out profiles that each was judged by when it was trained, where all were trained
    on the same data and judged; else the first.
    """
    models = [p for p in predictors if p.model is not None]
    if not models:
        return None, ""
    if len(models) == 1:
        return models[0], "the only model"
    errors, prints = [], set()
    for predictor in models:
        known = getattr(predictor.model, "confidence_", None)
        if known is None or isinstance(predictor, InDatasetUnits) or predictor.model is None:
            return models[0], "the first one given: not all are judged by held-out profiles in the unit of the data"
        prints.add(predictor.model.fingerprint_)
        errors.append(float(known.accuracy["error"].to_numpy(np.float64)[predictor.take].mean()))
    if len(prints) > 1 or not np.isfinite(errors).all():
        return models[0], "the first one given: they were not trained on the same data"
    best = int(np.argmin(errors))
    return models[best], f"least error on the held-out profiles of its training, {errors[best]:.4f}"


def where_words(source: ExpressionFile, index: np.ndarray, name: str) -> str:
    """On which profiles a split measures, in words that tell how new they are to a model of the same dataset.

    Parameters
    ----------
    source : ExpressionFile
        The dataset.
    index : ndarray of int
        Positions of the profiles of the split.
    name : str
        Of the split.
    """
    if name == "train":
        return "its own training profiles (which say nothing of new ones)"
    own = "" if name in ("validation", "test") else f"{name}, "
    chosen = ", by which its settings may have been chosen" if name == "validation" else ""
    column = split_by(source.uns)
    train = (texts(source.obs["split"]) == "train").to_numpy()
    if column and column in source.obs and train.any():
        groups = texts(source.obs[column])
        found, seen = set(groups.iloc[index]) - {""}, set(groups[train])
        if found and not found & seen:
            many = plural(column) if len(found) > 1 else column
            return f"{own}{many} it has never seen ({len(found):,}, with {len(index):,} profiles{chosen})"
        if found:
            return f"{own}profiles of {len(found):,} {plural(column)}, {len(found & seen):,} of which it knows"
    if own:
        return f"{name}, a set of {len(index):,} profiles apart from its training profiles"
    if column == "":
        others = study_columns(source.obs)
        study = next(iter(others), "")
        alike = f" (others of the same {study} it knows: expect less of new {plural(study)})" if study else ""
        return f"{len(index):,} profiles drawn at random that it has never seen{chosen}{alike}"
    return f"{len(index):,} held-out profiles (how they were chosen is not recorded)"


def look_closer(
    source: ExpressionFile,
    where: Mapping[str, np.ndarray],
    measured: Mapping[str, Sequence[Measurement]],
    predictors: Sequence[Predictor],
    baseline: str,
    genes: np.ndarray,
    block: int,
    seen: Mapping[str, Mapping[str, int]],
    cards: Sequence[str] = (),
) -> dict[str, Look]:
    """Look closer at one model on every split; {} where there is none.

    Parameters
    ----------
    source : ExpressionFile
        The dataset.
    where : dict of split to ndarray of int
        Positions of the profiles of each split.
    measured : dict of split to sequence of Measurement
        What every predictor reached there.
    predictors, baseline
        Who was measured; the name of whom they are compared with.
    genes : ndarray of int
        Positions of the compared target genes in the data.
    block : int
        Profiles inferred at a time.
    seen : dict
        Model to split to how many of its profiles were training profiles.
    cards : sequence of str
        Genes that get a card in any case.
    """
    predictor, because = shown_model(predictors)
    if predictor is None:
        return {}
    names = source.var.index[genes].astype(str)
    chosen: np.ndarray | None = None
    looks = {}
    for name, index in where.items():
        of = {p.name: m for p, m in zip(predictors, measured[name])}
        frame = _genes(predictor, of[predictor.name], names)
        if chosen is None:
            chosen = _chosen(frame, cards, min(POINTS, max(1, len(index))) * len(where))
        statistics, unit = _statistics(source, index, genes)
        if statistics is not None:
            frame["original"] = frame["error"] * statistics[1]
        column, groups = _groups(source, index)
        order = np.argsort(-of[predictor.name].profiles, kind="stable")
        rows = np.unique(np.r_[evenly(len(index), PROFILES), order[:WORST]])
        truth, guess, original = _inferred(predictor, source, index[rows], genes, chosen, block, statistics)
        profiles = pd.DataFrame(
            {
                "group": groups,
                "error": of[predictor.name].profiles,
                "baseline": of[baseline].profiles,
                "original": np.nan,
            },
            index=source.obs.index[index].astype(str),
        )
        profiles.iloc[rows, 3] = original
        known = getattr(predictor.model, "confidence_", None)
        looks[name] = Look(
            predictor.name,
            because,
            where_words(source, index, name),
            _beware(seen.get(predictor.name, {}).get(name, 0), len(index)),
            frame,
            "standard deviations" if "std" in source.varm else "",
            unit,
            profiles.iloc[order],
            column,
            "" if known is None else str(known.judged["words"]),
            baseline,
            _points(predictor, profiles.iloc[rows], column, names[chosen].tolist(), chosen, truth, guess, unit),
        )
    return looks


def _genes(predictor: Predictor, found: Measurement, names: pd.Index) -> pd.DataFrame:
    known = getattr(predictor.model, "confidence_", None)
    trust = np.full(len(names), "", dtype=object) if known is None else known.trust[predictor.take]
    columns = {"error": found.errors.mae, "r": found.errors.pearson, "trust": trust, "original": np.nan}
    return pd.DataFrame(columns, index=names)


def _beware(count: int, of: int) -> str:
    if not count:
        return ""
    return (
        f"Beware: {count:,} of these {of:,} profiles were among its training profiles, so that new ones will be worse."
    )


def _chosen(frame: pd.DataFrame, cards: Sequence[str], points: int) -> np.ndarray:
    """Positions of the genes that get a card, best first: those asked for, and others spread over all."""
    order = best_first(frame["trust"], frame["r"], frame["error"])
    asked = np.isin(frame.index[order], list(cards))
    room = max(1, CELLS // points - int(asked.sum()))
    take = asked.copy()
    take[evenly(len(order), room)] = True
    return np.asarray(order[take])


def _statistics(
    source: ExpressionFile, index: np.ndarray, genes: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray] | None, str]:
    """Mean and divisor of the target genes, where one pair holds for all profiles; and the unit they lead back to."""
    sets = texts(source.obs["set"]).iloc[index].unique() if "set" in source.obs else np.array(["train"])
    try:
        found = set_statistics(source, str(sets[0])) if len(sets) == 1 else None
    except DataError:
        found = None
    if found is None:
        return None, ""
    ours = Normalization.from_dataset(source)
    log2 = ours.scale == "log2" or ours.units == "log2 expression"
    unit = "log2" if log2 else "original units" if ours.units in ("as given", "standardized") else ours.units
    return (found[0][genes].astype(np.float64), found[1][genes].astype(np.float64)), unit


def _groups(source: ExpressionFile, index: np.ndarray) -> tuple[str, np.ndarray]:
    """The column that tells profiles' groups apart, and theirs; "" where there is none."""
    column = split_by(source.uns) or next(iter(study_columns(source.obs)), "")
    if not column or column not in source.obs:
        return "", np.full(len(index), "", dtype=object)
    return column, texts(source.obs[column]).iloc[index].to_numpy(dtype=object)


def _inferred(
    predictor: Predictor,
    source: ExpressionFile,
    samples: np.ndarray,
    genes: np.ndarray,
    chosen: np.ndarray,
    block: int,
    statistics: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measured and inferred values of the chosen genes, and the error of each profile, in original units if known."""
    truth = np.empty((len(samples), len(chosen)), np.float32)
    guess, errors = np.empty_like(truth), np.full(len(samples), np.nan)
    at = 0
    for X, Y in blocks(source, samples, predictor.inputs, genes, block):
        here = slice(at, at + len(Y))
        inferred = predictor(X, samples[here])
        truth[here], guess[here] = Y[:, chosen], inferred[:, chosen]
        if statistics is not None:
            errors[here] = np.abs(Y - inferred).astype(np.float64) @ statistics[1] / len(genes)
        at += len(Y)
    if statistics is not None:
        mean, std = (part[chosen].astype(np.float32) for part in statistics)
        truth, guess = truth * std + mean, guess * std + mean
    return truth, guess, errors


def _points(
    predictor: Predictor,
    profiles: pd.DataFrame,
    column: str,
    names: list[str],
    chosen: np.ndarray,
    truth: np.ndarray,
    guess: np.ndarray,
    unit: str,
) -> Points:
    by_group = pd.DataFrame()
    if column:
        largest = profiles["group"].value_counts().index[:GROUPS]
        apart = pd.DataFrame(np.abs(truth - guess), columns=names)
        by_group = apart.groupby(profiles["group"].to_numpy()).mean().loc[largest].rename_axis(column)
    rows = evenly(len(profiles), POINTS)
    return Points(
        names,
        profiles.index[rows].tolist(),
        profiles["group"].iloc[rows].tolist(),
        truth[rows],
        guess[rows],
        unit,
        by_group,
        _drivers(predictor, names, chosen),
    )


def _drivers(predictor: Predictor, names: list[str], chosen: np.ndarray) -> dict[str, list[tuple[str, float]]]:
    """Landmark genes of most weight, of models that are one matrix of weights over standardised values."""
    model, weights = predictor.model, getattr(predictor.model, "coef_", None)
    if model is None or isinstance(predictor, InDatasetUnits):
        return {}
    if not isinstance(weights, np.ndarray) or weights.shape != (model.n_targets_, model.n_features_in_):
        return {}
    found = {}
    for name, at in zip(names, predictor.take[chosen]):
        row = weights[at]
        top = np.argsort(-np.abs(row), kind="stable")[:DRIVERS]
        found[name] = [(str(model.landmarks_[k]), float(row[k])) for k in top if row[k]]
    return found
