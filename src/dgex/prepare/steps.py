"""The steps of a preparation, each on the dataset in the making."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from dgex.arrays.packing import drop_columns, drop_rows
from dgex.arrays.passes import in_order, slices
from dgex.dataset.depth import factors_of, size_reference
from dgex.dataset.roles import landmarks
from dgex.dataset.scale import to_log2
from dgex.dataset.split import SPLITS, split_samples
from dgex.dataset.standardize import (
    PAPER_EPSILON,
    constant_genes,
    row_blocks,
    standardize,
)
from dgex.dataset.studies import study_columns
from dgex.errors import DataError, first
from dgex.genes import texts
from dgex.prepare import duplicates as duplicating
from dgex.prepare.groups import group_column, known_patients
from dgex.prepare.options import Options
from dgex.prepare.preparation import TRAIN, Preparation, mask_of, sets_of, statistics_of
from dgex.prepare.together import joined_groups, near_pairs
from dgex.progress import bar, note, warn

__all__ = [
    "drop_near_duplicates",
    "finished",
    "normalize_depth",
    "split_work",
    "standardize_sets",
    "treat_constant",
]

_ROWS = 64  # profiles that leave at a time


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
        how = f"; by {column}, whose values stay together: " + ", ".join(f"{n} {many:,}" for n, many in counts.items())
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
    note("split into profiles: " + ", ".join(f"{name} {size:,}" for name, size in sizes.items()) + how)
    known_patients(work.obs, options.group)


def _tell_pairs(work: Preparation, pairs: np.ndarray, given: np.ndarray, distance: float) -> None:
    """Say how many near-duplicates there are, and how many could not be kept on one side."""
    ends = np.sort(given[pairs].astype(str), axis=1)
    parted = ends[ends[:, 0] != ends[:, 1]]
    apart = len(parted)
    work.record["near_duplicates"] = {"distance": distance, "pairs": len(pairs), "on_both_sides": apart}
    if not len(pairs):
        note(f"no near-duplicates: no two profiles are closer than {distance:g}")
        return
    profiles = len(np.unique(pairs))
    kept = "all" if not apart else f"{len(pairs) - apart:,}"
    note(
        f"{len(pairs):,} pairs of near-duplicates ({profiles:,} profiles closer than {distance:g}): {kept} of them are "
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
    blocks = (work.X[rows][:, landmark] for rows in row_blocks(train, work.X.shape[1]))
    reference = size_reference(row for block in blocks for row in block)
    with bar(len(linear), "size factors") as progress:
        for rows in row_blocks(linear, work.X.shape[1]):
            block = work.X[rows]
            factors = factors_of(block[:, landmark], reference, work.obs.index[rows].tolist())
            values = block * factors[:, None].astype(np.float32)
            work.X[rows] = values if options.log2 == "never" else to_log2(values)
            progress.advance(len(rows))
    work.linear[:] &= options.log2 == "never"
    work.record["depth"] = {"size_reference": reference}
    note(f"size factors of {len(linear):,} profiles by the landmark genes of {len(train):,} training profiles")


def treat_constant(work: Preparation, options: Options) -> None:
    """Genes that are constant over the training samples teach nothing, and have no scale."""
    if options.standardize == "inductive" and options.quantile == "none":
        statistics_of(work, TRAIN, work.train)  # which are needed anyway
    known = work.statistics.get(TRAIN)
    constant = constant_genes(work.X, work.train) if known is None else known.constant
    work.record["genes"]["constant"] = work.record["genes"].get("constant", 0) + int(constant.sum())
    if not constant.any():
        return
    names = work.var.index[constant]
    if options.constant == "drop":
        note(f"{len(names):,} genes are constant over the training samples and are left out: {first(names)}")
        if work.panel is not None:
            work.panel = drop_columns(work.panel, ~constant[landmarks(work.var)])
        work.X, work.var = drop_columns(work.X, ~constant), work.var[~constant].copy()
        work.statistics.clear()  # taken again: how blocks are cut, and so the last digit, depends on the genes
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


def standardize_sets(work: Preparation, options: Options) -> None:
    """Take means and divisors; `finished` applies them."""
    parts = {TRAIN: work.train} if options.standardize == "inductive" else sets_of(work)
    mean, std = {}, {}
    for (kind, name), rows in parts.items():
        if len(rows) < 2 and kind == "set":
            raise DataError(f"the set {name} has 1 profile, and no statistics of its own; at least 2 are needed")
        statistics = statistics_of(work, (kind, name), rows)
        divisor = statistics.std + (PAPER_EPSILON if options.standardize == "paper" else 0.0)
        # Rounded first, so that the statistics kept are exactly those applied.
        mean[name], std[name] = statistics.mean.astype(np.float32), divisor.astype(np.float32)
        applied = np.arange(len(work.X)) if options.standardize == "inductive" else rows
        work.scales.append((mean[name], std[name], mask_of(applied, len(work.X))))
    work.varm = {"mean": pd.DataFrame(mean, index=work.var.index), "std": pd.DataFrame(std, index=work.var.index)}
    if options.standardize == "inductive":
        note(f"every gene is standardised: mean 0, standard deviation 1 over the {len(work.train):,} training profiles")
    else:
        sizes = ", ".join(f"{name} ({len(rows):,})" for (_, name), rows in parts.items())
        note(f"every gene is standardised, in each set by its own profiles: {sizes}")
        if options.group:
            warn(
                "standardize='paper' lets held-out profiles enter the mean and standard deviation of every gene: what "
                f"is measured on a {options.group} never seen is then not what a user gets; 'inductive' takes those of "
                "the training profiles"
            )


def finished(work: Preparation) -> Iterator[np.ndarray]:
    """The values as they are in the dataset, block by block: standardised, in memory in their own place."""

    panel = np.flatnonzero(landmarks(work.var))

    def work_on(where: slice) -> np.ndarray:
        block = work.X[where]
        if work.panel is not None:
            block[:, panel] = work.panel[where]
        for mean, std, mask in work.scales:
            rows = np.flatnonzero(mask[where])
            if len(rows):
                standardize(block, mean, std, None if len(rows) == len(block) else rows)
        return np.asarray(block)

    yield from in_order(work_on, slices(len(work.X), _ROWS))
