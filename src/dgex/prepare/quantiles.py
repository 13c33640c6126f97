"""Quantile normalisation of the dataset in the making, and what the rule for ties does to it."""

from __future__ import annotations

import numpy as np

from dgex.arrays.passes import slices
from dgex.arrays.rowfile import RowFile, Rows
from dgex.dataset.normalization import ties_rule
from dgex.dataset.quantile import ReferenceSum, normalized_blocks, reference_profile
from dgex.dataset.roles import landmarks
from dgex.dataset.scale import to_log2
from dgex.dataset.split import SPLITS
from dgex.dataset.standardize import Moments
from dgex.prepare.options import Options
from dgex.prepare.preparation import TRAIN, Preparation, mask_of, put_in, sets_of
from dgex.progress import bar, note, warn

__all__ = ["normalize_quantiles"]

_LOOKED_AT = 1024  # profiles, evenly spaced, by which a rule for ties is judged
_SPREAD = 0.01  # of the reference's own spread: below, errors of linear regression change by 1 % at most
_RANKS = {"average": "average", "floor": "floored average", "dense": "dense"}


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
    looked = {}
    for ties in dict.fromkeys(rules.tolist()):
        rows = np.flatnonzero(rules == ties)
        looked[ties] = rows[:: -(-len(rows) // _LOOKED_AT)]
    before = {ties: work.X[rows] for ties, rows in looked.items()}
    alone = options.landmark_ranks == "alone"
    work.panel = _panel_of(work) if alone else None
    # What a panel of landmark genes alone is mapped to: their share of the normalised profiles.
    landmark_reference = _normalize(work, options, reference, rules, source).astype(np.float32)
    measures = {}
    for ties, rows in looked.items():
        measures[ties] = _measure_ties(before.pop(ties), work.X[rows], logs[rows])
        _warn_of_ties(ties, int((rules == ties).sum()), float(reference.std()), **measures[ties])
    if alone:
        _rank_alone(work, landmark_reference, rules)
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


def _normalize(
    work: Preparation, options: Options, reference: np.ndarray, rules: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """Normalise all profiles in their place; gives the landmark genes' own reference, and keeps what is known then."""
    wanted = {TRAIN: work.train} | (sets_of(work) if options.standardize == "paper" else {})
    moments = {name: (Moments(work.X.shape[1]), mask_of(rows, len(work.X))) for name, rows in wanted.items()}
    own, of_source = ReferenceSum(np.flatnonzero(landmarks(work.var))), mask_of(source, len(work.X))
    panel, genes = work.panel, np.flatnonzero(landmarks(work.var))

    def keep(where: slice, block: np.ndarray) -> None:
        if panel is not None:  # ranks of what was measured, not of what becomes of it
            panel[where] = block[:, genes]

    with bar(len(work.X), "normalising quantiles") as progress:
        for where, block in normalized_blocks(work.X, reference, rules, before=keep):
            own.add(block[of_source[where]])
            for taken, mask in moments.values():
                taken.add(block[mask[where]])
            progress.advance(len(block))
    work.statistics = {name: taken.statistics() for name, (taken, mask) in moments.items() if mask.any()}
    return own.mean()


def _panel_of(work: Preparation) -> Rows:
    """Room for the landmark genes, where the matrix has it."""
    shape = len(work.X), int(landmarks(work.var).sum())
    return RowFile(shape, work.X.folder) if isinstance(work.X, RowFile) else np.empty(shape, np.float32)


def _rank_alone(work: Preparation, reference: np.ndarray, rules: np.ndarray) -> None:
    """Bring the landmark genes that were measured to their own reference by their ranks among themselves."""
    assert work.panel is not None
    for _ in normalized_blocks(work.panel, reference, rules):
        pass
    known, count, mask = work.statistics, len(work.X), landmarks(work.var)
    rows = {TRAIN: work.train, **sets_of(work)}
    for name in known:
        moments, wanted = Moments(int(mask.sum())), mask_of(rows[name], count)
        for where in slices(count, _LOOKED_AT):
            moments.add(work.panel[where][wanted[where]])
        put_in(known[name], moments.statistics(), mask)


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
