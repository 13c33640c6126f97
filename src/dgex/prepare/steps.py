"""The steps of a preparation, each on the dataset in the making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dgex.arrays.packing import drop_columns, drop_rows
from dgex.dataset.depth import factors_of, size_reference
from dgex.dataset.normalization import ties_rule
from dgex.dataset.quantile import quantile_normalize, reference_profile
from dgex.dataset.roles import landmarks
from dgex.dataset.scale import to_log2
from dgex.dataset.split import SPLITS, split_samples
from dgex.dataset.standardize import PAPER_EPSILON, GeneStatistics, gene_statistics, row_blocks, standardize
from dgex.dataset.studies import study_columns
from dgex.errors import DataError, first
from dgex.genes import texts
from dgex.prepare import duplicates as duplicating
from dgex.prepare.groups import group_column, known_patients
from dgex.prepare.options import Options
from dgex.prepare.together import joined_groups, near_pairs
from dgex.progress import note, warn

__all__ = [
    "Preparation",
    "drop_near_duplicates",
    "normalize_depth",
    "normalize_quantiles",
    "split_work",
    "standardize_sets",
    "treat_constant",
]

_LOOKED_AT = 1024  # profiles, evenly spaced, by which a rule for ties is judged
_SPREAD = 0.01  # of the reference's own spread: below, errors of linear regression change by 1 % at most
_RANKS = {"average": "average", "floor": "floored average", "dense": "dense"}


@dataclass
class Preparation:
    """The dataset in the making."""

    X: np.ndarray
    obs: pd.DataFrame
    var: pd.DataFrame
    linear: np.ndarray
    record: dict[str, Any]
    varm: dict[str, pd.DataFrame]

    @property
    def train(self) -> np.ndarray:
        return np.flatnonzero((self.obs["split"] == "train").to_numpy())


def _logged(work: Preparation) -> duplicating.Transform | None:
    """What brings rows to the log2 scale, on which distances are taken; None where all are there."""

    def logged(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        at = work.linear[rows]
        values[at] = to_log2(np.maximum(values[at], 0))
        return values

    return logged if work.linear.any() else None


def drop_near_duplicates(work: Preparation, options: Options, found: duplicating.Duplicates | None = None) -> None:
    """Drop what was `found` already, or else look for it over the genes of the dataset."""
    if found is None:
        found = duplicating.near_duplicates(
            work.X,
            options.dedup,
            method=options.dedup_method,
            seed=options.seed,
            transform=_logged(work),
        )
    work.record["duplicates"] = {
        "distance": options.dedup,
        "method": options.dedup_method,
        "over": options.dedup_over,
        "pairs": len(found.pairs),
        "dropped": found.dropped,
        "dropped_samples": work.obs.index[~found.keep].tolist()[:1000],
    }
    note(
        f"{len(found.pairs):,} pairs of profiles are closer than {options.dedup:g}: dropped {found.dropped:,} of "
        f"{len(work.X):,} profiles"
    )
    work.X = drop_rows(work.X, found.keep)
    work.obs, work.linear = work.obs[found.keep].copy(), work.linear[found.keep]


def split_work(work: Preparation, options: Options) -> None:
    column = group_column(work.obs, options.group) if options.group else ""
    given = work.obs["split"].to_numpy(dtype=object).copy()
    drawn = np.flatnonzero(given == "")
    pairs = None
    if len(drawn):
        groups = work.obs[column].to_numpy(dtype=object)[drawn] if column else None
        parts = sum(share > 0 for share in options.split)
        if options.together and parts > 1:
            pairs = near_pairs(work.X, options.together, _logged(work))
            if pairs is not None:
                inside = np.isin(pairs, drawn).all(axis=1)
                among = np.searchsorted(drawn, pairs[inside])
                groups = joined_groups(len(drawn), among, parts, groups, options.together)
        given[drawn] = split_samples(len(drawn), options.split, seed=options.seed, groups=groups)
    if pairs is not None:
        _tell_pairs(work, pairs, given, options.together)
    work.obs["split"] = given
    sizes = {name: int((given == name).sum()) for name in dict.fromkeys([*SPLITS, *given]) if (given == name).any()}
    if sizes.get("train", 0) < 2:
        raise DataError(
            f"{sizes.get('train', 0)} training samples after {'dropping duplicates' if options.dedup else 'reading'}; "
            "at least 2 are needed (inputs without a name form the compendium that is split)"
        )
    how = ""
    if column:
        members = texts(work.obs[column])
        counts = {name: members[given == name].nunique() for name in sizes}
        how = f", by {column}: " + ", ".join(f"{name} {count:,} groups" for name, count in counts.items())
        train = set(members[given == "train"])
        for name in sizes:
            if name not in SPLITS and train & set(members[given == name]):
                warn(f"the set {name} shares values of {column} with training samples")
    elif len(drawn):
        for name, count in study_columns(work.obs.iloc[drawn]).items():
            note(
                f"split at random, though obs has {name} ({count:,} of them): errors will be those on profiles of "
                f"known ones, which are lower than on new ones; group='{name}' keeps each on one side"
            )
    work.record["split"] = {
        "sizes": sizes,
        "fractions": list(options.split),
        "seed": options.seed,
        "group": column,
    }
    work.record["samples"]["kept"] = len(work.X)
    note("split " + ", ".join(f"{name} {size:,}" for name, size in sizes.items()) + how)
    known_patients(work.obs, options.group)


def _tell_pairs(work: Preparation, pairs: np.ndarray, given: np.ndarray, distance: float) -> None:
    """Say how many near-duplicates there are, and how many could not be kept on one side."""
    ends = np.sort(given[pairs].astype(str), axis=1)
    parted = ends[ends[:, 0] != ends[:, 1]]
    apart = len(parted)
    work.record["near_duplicates"] = {"distance": distance, "pairs": len(pairs), "on_both_sides": apart}
    if not len(pairs):
        note(f"no two profiles are closer than {distance:g}")
        return
    profiles = len(np.unique(pairs))
    kept = "all" if not apart else f"{len(pairs) - apart:,}"
    note(
        f"{len(pairs):,} pairs of profiles ({profiles:,} profiles) are closer than {distance:g}; {kept} of them are "
        f"kept on one side of the split (together=0 does not look, dedup={distance:g} drops them)"
    )
    if apart:
        where = [" and ".join(names) for names in np.unique(parted, axis=0)]
        warn(f"{apart:,} pairs of near-duplicates lie on both sides of the split, in {first(where, 4)}")


def normalize_depth(work: Preparation, options: Options) -> None:
    """Size factors of the linear profiles by the landmark genes, against the training profiles; then the logarithm."""
    landmark = landmarks(work.var)
    linear = np.flatnonzero(work.linear)
    train = linear[np.isin(linear, work.train)]
    reference = size_reference(work.X[train][:, landmark])
    for rows in row_blocks(linear, work.X.shape[1]):
        factors = factors_of(work.X[rows][:, landmark], reference, work.obs.index[rows].tolist())
        values = work.X[rows] * factors[:, None].astype(np.float32)
        work.X[rows] = values if options.log2 == "never" else to_log2(values)
    work.linear[:] &= options.log2 == "never"
    work.record["depth"] = {"size_reference": reference}
    note(f"size factors of {len(linear):,} profiles by the landmark genes of {len(train):,} training profiles")


def treat_constant(work: Preparation, options: Options) -> None:
    """Genes that are constant over the training samples teach nothing, and have no scale."""
    constant = gene_statistics(work.X, work.train).constant
    work.record["genes"]["constant"] = work.record["genes"].get("constant", 0) + int(constant.sum())
    if not constant.any():
        return
    names = work.var.index[constant]
    if options.constant == "drop":
        note(f"{len(names):,} genes are constant over the training samples and are left out: {first(names)}")
        work.X, work.var = drop_columns(work.X, ~constant), work.var[~constant].copy()
        for role in ("landmark", "target"):
            if not (work.var["role"] == role).any():
                raise DataError(f"every {role} gene is constant over the training samples")
    elif options.standardize == "paper":
        note(
            f"{len(names):,} genes are constant over the training samples and are kept, since the paper's divisor "
            f"is never zero (constant='drop' leaves them out): {first(names)}"
        )
    else:
        roles = work.var["role"].to_numpy()[constant]
        what = " and ".join(
            f"{int((roles == role).sum()):,} {role} genes" for role in ("landmark", "target") if (roles == role).any()
        )
        raise DataError(f"{what} constant over the training samples: {first(names)}; constant='drop' leaves them out")


def normalize_quantiles(work: Preparation, options: Options) -> None:
    # A model treats a new profile by the mode: average ranks under a name of their own.
    mode = "average" if options.quantile == "paper" and options.ties == "average" else options.quantile
    platform = work.obs["platform"].to_numpy(dtype=object)
    split = work.obs["split"].to_numpy(dtype=object)
    if options.quantile == "inductive":
        source, origin = work.train, "the training samples"
        rules = np.full(len(work.X), "average", dtype=object)
    else:
        compendium = np.isin(split, SPLITS)
        arrays = np.flatnonzero(compendium & (platform != "rnaseq"))
        if len(arrays):
            source, origin = arrays, "the arrays of the compendium"
            rules = np.array([ties_rule("paper", name) for name in platform], dtype=object)
        else:
            source, origin = np.flatnonzero(compendium), "the compendium"
            rules = np.full(len(work.X), "floor", dtype=object)
        if options.ties == "average":
            rules[:] = "average"
    if work.linear[source].any():
        kind = "partly linear" if not work.linear[source].all() else "linear"
        warn(f"the quantile reference comes from {kind} values; --log2 auto logs them first")
    elif work.linear.any():
        work.record["units"] = "log2 expression"
    reference = reference_profile(work.X, rows=source).astype(np.float32)
    logs = work.linear & ~work.linear[source].any()  # the units of the reference
    panel = np.flatnonzero(landmarks(work.var))
    alone = options.landmark_ranks == "alone"
    measured = work.X[:, panel] if alone else None  # a copy: ranks of what was measured, not of what became of it
    measures = {}
    for ties in dict.fromkeys(rules.tolist()):
        rows = np.flatnonzero(rules == ties)
        looked = rows[:: -(-len(rows) // _LOOKED_AT)]
        before = work.X[looked]
        quantile_normalize(work.X, reference, ties=ties, rows=rows, out=work.X)
        measures[ties] = _measure_ties(before, work.X[looked], logs[looked])
        _warn_of_ties(ties, len(rows), float(reference.std()), **measures[ties])
    # What a panel of landmark genes alone is mapped to: their share of the normalised profiles.
    landmark_reference = reference_profile(work.X, rows=source, columns=panel).astype(np.float32)
    if measured is not None:
        for ties in measures:
            quantile_normalize(
                measured, landmark_reference, ties=ties, rows=np.flatnonzero(rules == ties), out=measured
            )
        work.X[:, panel] = measured
    else:
        note(
            "landmark genes are ranked together with the target genes, as published; dgex infer ranks those of a panel "
            "among themselves, and its errors are then larger: landmark_ranks='alone' trains on what it will be given"
        )
    work.record["quantile"] = {
        "mode": mode,
        "reference": reference,
        "landmark_reference": landmark_reference,
        "landmark_ranks": options.landmark_ranks,
        "samples": len(source),
        "measures": measures,
        "ties": {str(rule): int((rules == rule).sum()) for rule in dict.fromkeys(rules.tolist())},
    }
    counts = ", ".join(f"{count:,} by {_RANKS[rule]} ranks" for rule, count in work.record["quantile"]["ties"].items())
    note(f"quantile-normalised ({options.quantile}) to the mean of {len(source):,} profiles of {origin}: {counts}")


def _measure_ties(before: np.ndarray, after: np.ndarray, logs: np.ndarray) -> dict[str, float]:
    """Median share of different values in a profile, and spread of the profiles' means before and after."""
    different = float(np.median([len(np.unique(row)) for row in before]) / before.shape[1])
    before[logs] = to_log2(np.maximum(before[logs], 0))
    spread = [float(values.mean(axis=1, dtype=np.float64).std()) for values in (before, after)]
    return {"different": different, "spread_before": spread[0], "spread_after": spread[1]}


def _warn_of_ties(
    ties: str, profiles: int, within: float, different: float, spread_before: float, spread_after: float
) -> None:
    """Normalising brings profiles together; a rule that drives their means apart makes all genes of one move alike."""
    if spread_after > max(spread_before, _SPREAD * within):
        warn(
            f"{_RANKS[ties]} ranks drive the means of {profiles:,} profiles apart, by {spread_after:.2g} (standard "
            f"deviation) where it was {spread_before:.2g}: only {different:.0%} of a profile's values differ, and "
            "errors then compare ties, not methods; ties='average' is safe"
        )


def standardize_sets(work: Preparation, options: Options) -> None:
    sets = work.obs["set"].to_numpy(dtype=object)
    everything = np.arange(len(work.X))
    if options.standardize == "inductive":
        parts = {"train": (gene_statistics(work.X, work.train), everything)}
    else:
        parts = {
            str(name): _own(work, np.flatnonzero(sets == name), str(name)) for name in dict.fromkeys(sets.tolist())
        }
    mean, std = {}, {}
    for name, (statistics, rows) in parts.items():
        divisor = statistics.std + (PAPER_EPSILON if options.standardize == "paper" else 0.0)
        # Rounded first, so that the statistics kept are exactly those applied.
        mean[name], std[name] = statistics.mean.astype(np.float32), divisor.astype(np.float32)
        standardize(work.X, mean[name], std[name], rows)
    work.varm = {"mean": pd.DataFrame(mean, index=work.var.index), "std": pd.DataFrame(std, index=work.var.index)}
    if options.standardize == "inductive":
        note(f"standardised by the {len(work.train):,} training profiles")
    else:
        sizes = ", ".join(f"{name} ({len(rows):,})" for name, (_, rows) in parts.items())
        note(f"standardised each set by its own profiles: {sizes}")
        if options.group:
            warn(
                "standardize='paper' lets held-out profiles enter the mean and standard deviation of every gene: what "
                f"is measured on a {options.group} never seen is then not what a user gets; 'inductive' takes those of "
                "the training profiles"
            )


def _own(work: Preparation, rows: np.ndarray, name: str) -> tuple[GeneStatistics, np.ndarray]:
    if len(rows) < 2:
        raise DataError(f"the set {name} has 1 profile, and no statistics of its own; at least 2 are needed")
    return gene_statistics(work.X, rows), rows
