"""Blocks of profiles on their way: read, brought to the model's units, predicted, taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from dgex.dataset.scale import as_log2
from dgex.errors import DataError
from dgex.inference.missing import can_impute
from dgex.inference.plan import Plan
from dgex.inference.worth import halfwidths
from dgex.io.base import ExpressionFile
from dgex.progress import note, warn

__all__ = [
    "Inferred",
    "Predicted",
    "Ready",
    "finished",
    "inferred",
    "landmark_values",
    "measured_blocks",
    "own_statistics",
    "predicted",
    "raw_blocks",
    "ready",
]

FAR = 2.0  # standard deviations between the panel's and the training means that call for a warning


class Inferred(NamedTuple):
    """A block of the result.

    Attributes
    ----------
    values : ndarray of float32, shape (profiles, genes)
    farther : ndarray of float32, shape (profiles,)
        Share of held-out profiles that lie farther from the training profiles; NaN where the model does not know.
    half : ndarray of float32, shape (profiles, genes), or None
        Half-widths of intervals, where they were asked for.
    """

    values: np.ndarray
    farther: np.ndarray
    half: np.ndarray | None


class Ready(NamedTuple):
    """A block that was read: what the model takes, and what its result is finished with.

    Attributes
    ----------
    at : slice
        Which profiles.
    raw, further : ndarray of float32
        As `raw_blocks` gives them.
    values, x : ndarray of float32, shape (profiles, landmarks)
        Landmark genes on the training scale (NaN where missing), and as the model takes them.
    imputed : ndarray of bool, shape (profiles, landmarks)
    """

    at: slice
    raw: np.ndarray
    further: np.ndarray
    values: np.ndarray
    x: np.ndarray
    imputed: np.ndarray


class Predicted(NamedTuple):
    """What the model says of a block.

    Attributes
    ----------
    y : ndarray of float32, shape (profiles, targets)
    distance : ndarray of float64, shape (profiles,), or None
        From the training profiles, where the model knows it.
    """

    y: np.ndarray
    distance: np.ndarray | None


def raw_blocks(
    plan: Plan, data: ExpressionFile, block: int, samples: np.ndarray | None = None
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Blocks of landmark values (NaN where to be imputed) and of further values, as they come, one value a gene.

    Further are measured target genes (NaN where to be inferred), carried genes, and where depth needs it the factor to
    multiply each profile with. With `samples`, positions of profiles, these alone are read.
    """
    count, needed = int(plan.present.sum()), plan.collapse.needed
    names = data.obs.index if samples is None else data.obs.index[samples]
    before, data.allow_missing = data.allow_missing, True  # `_check` knows what may be missing
    try:
        wanted = None if plan.depth.needs_all else needed
        for where, read in data.iter_blocks(block, genes=wanted, samples=samples):
            values = plan.collapse(read[:, needed] if plan.depth.needs_all else read)
            _check(plan, data, values, names[where])
            landmarks = values[:, :count]
            if count < len(plan.present):
                landmarks = np.full((len(values), len(plan.present)), np.nan, dtype=np.float32)
                landmarks[:, plan.present] = values[:, :count]
            further = values[:, count:]
            if plan.depth.applies:
                totals = np.asarray(np.nansum(read, axis=1, dtype=np.float64)) if plan.depth.needs_all else None
                factors = plan.depth.factors(values[:, :count], totals, names[where].tolist())
                further = np.concatenate([further, factors], axis=1)
            yield where, landmarks, further
    finally:
        data.allow_missing = before


def _check(plan: Plan, data: ExpressionFile, values: np.ndarray, names: pd.Index) -> None:
    """Refuse infinity, and what is missing but not to be imputed, naming gene and sample."""
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):
            return
    count, total = int(plan.present.sum()), len(plan.present)
    genes = [*np.flatnonzero(plan.present), *(plan.model.n_features_in_ + plan.targets)]
    genes += range(len(plan.var) - len(plan.carried), len(plan.var))
    bad = np.isinf(values)
    missing = np.isnan(values)
    bad[:, count + len(plan.targets) :] |= missing[:, count + len(plan.targets) :]  # carried genes
    lacking = missing[:, :count].sum(axis=1)
    too_many = (lacking > 0) & (lacking + total - count > plan.missing * total)
    bad[too_many, :count] |= missing[too_many, :count]
    if not bad.any():
        if lacking.any() and not can_impute(plan.model):
            raise DataError(
                f"{data.path} lacks landmark values, and the model works in original units and knows no training means"
            )
        return
    row, column = (int(part[0]) for part in np.nonzero(bad))
    kind = "infinite" if np.isinf(values[row, column]) else "missing (NaN)"
    what = f"{int(bad.sum()):,} missing or infinite value{'s' if bad.sum() > 1 else ''}"
    filled = "takes the training mean for" if plan.model.confidence_ is None else "fills from the other landmark genes"
    advice = "" if kind == "infinite" or plan.missing else f"; missing='impute' {filled} missing ones"
    advice = f"; {int(lacking[row]):,} of its landmark genes are missing" if too_many[row] and plan.missing else advice
    raise DataError(
        f"{data.path} holds {what}; the first is {kind}: gene {plan.var.index[genes[column]]}, sample "
        f"{names[row]}; only finite numbers are accepted{advice}"
    )


def own_statistics(plan: Plan, data: ExpressionFile, block: int) -> None:
    """Mean and divisor (standard deviation + 1e-3) of landmark and measured target genes over the whole input."""
    count, mean, square = 0.0, np.zeros(1), np.zeros(1)
    for _, raw, further in raw_blocks(plan, data, block):
        values = np.concatenate(
            [_landmarks(plan, raw, further), _targets(plan, raw, further)], axis=1, dtype=np.float64
        )
        if np.isnan(values[:, plan.present.nonzero()[0]]).any():
            raise DataError("missing landmark values and standardize='own' do not go together")
        values = np.nan_to_num(values)
        total = count + len(values)
        delta = values.mean(0) - mean
        square = square + ((values - values.mean(0)) ** 2).sum(0) + delta**2 * count * len(values) / total
        mean, count = mean + delta * len(values) / total, total
    divisor = np.sqrt(square / count) + 1e-3
    split = len(plan.present)
    plan.shift = mean[:split].astype(np.float32), divisor[:split].astype(np.float32)
    plan.target_shift = mean[split:].astype(np.float32), divisor[split:].astype(np.float32)


def measured_blocks(plan: Plan, data: ExpressionFile, block: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Blocks of landmark and measured target values on the training scale, before standardising."""
    for at, raw, further in raw_blocks(plan, data, block):
        yield at, _landmarks(plan, raw, further), _targets(plan, raw, further)


def _factors(plan: Plan, further: np.ndarray) -> np.ndarray:
    return further[:, -1:] if plan.depth.applies else np.ones((1, 1), np.float32)


def _landmarks(plan: Plan, raw: np.ndarray, further: np.ndarray) -> np.ndarray:
    """Landmark values on the training scale, before standardising; what is to be imputed stays NaN."""
    if plan.model.normalization_ is None:
        return raw
    return _transformed(plan, raw * _factors(plan, further))


def _transformed(plan: Plan, values: np.ndarray, part: str = "landmarks") -> np.ndarray:
    """Values on the training scale, before standardising; what is missing stays NaN."""
    ours = plan.model.normalization_
    assert ours is not None
    return _of_each(values, lambda known: ours.transform(known, part=part, scale=plan.scale, platform=plan.platform))


def _of_each(values: np.ndarray, transform: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Transform what is there of each profile; profiles that lack the same genes together."""
    there = ~np.isnan(values)
    if there.all():
        return transform(values)
    result = np.full_like(values, np.nan)
    patterns, which = np.unique(there, axis=0, return_inverse=True) if (there != there[:1]).any() else (there[:1], None)
    for number, columns in enumerate(patterns):
        rows = np.arange(len(values)) if which is None else np.flatnonzero(which.ravel() == number)
        where = np.ix_(rows, np.flatnonzero(columns))
        result[where] = transform(np.ascontiguousarray(values[where]))
    return result


def _targets(plan: Plan, raw: np.ndarray, further: np.ndarray) -> np.ndarray:
    """Measured target values on the training scale, before standardising; missing ones stay NaN."""
    ours = plan.model.normalization_
    measured = further[:, : len(plan.targets)]
    if ours is None or not measured.shape[1]:
        return measured
    factors = _factors(plan, further)
    measured, landmarks = measured * factors, raw * factors
    if ours.quantile == "none":
        return _transformed(plan, measured, "all")
    if plan.whole:
        both = np.concatenate([landmarks, measured], axis=1)
        return _transformed(plan, both, "all")[:, landmarks.shape[1] :]
    return _along(plan, landmarks, measured)


def _along(plan: Plan, landmarks: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Take a few target genes to the reference along with the landmark genes: by the profile's own map, prolonged."""
    scale = plan.scale
    mapped = _transformed(plan, landmarks)
    result = np.empty_like(measured)
    for row, (x, y, values) in enumerate(zip(landmarks, mapped, measured)):
        there = ~np.isnan(x)
        known, value = (v if scale is None else as_log2(v, scale) for v in (x[there], values))
        order = np.argsort(known, kind="stable")
        known, reference = known[order], np.sort(y[there])
        slope = float(reference[-1] - reference[0]) / max(float(known[-1] - known[0]), 1e-6)
        beyond = np.maximum(value - known[-1], 0) + np.minimum(value - known[0], 0)
        result[row] = np.interp(value, known, reference) + slope * beyond
    return result


def ready(plan: Plan, at: slice, raw: np.ndarray, further: np.ndarray) -> Ready:
    """Everything of a block that comes before the model."""
    ours, known = plan.model.normalization_, plan.model.confidence_
    values, x, imputed = landmark_values(plan, raw, further)
    plan.check.missing += int(imputed[:, plan.present].sum())
    standardized = ours is not None and plan.shift is None and ours.standardize != "none"
    if known is None and at.start == 0 and standardized:
        _tell_distance(plan, x[:, plan.present])
    return Ready(at, raw, further, values, x, imputed)


def predicted(plan: Plan, block: Ready) -> Predicted:
    """All products of matrices of a block, in one thread: those of two threads would wait for each other."""
    known = plan.model.confidence_
    return Predicted(plan.model.predict(block.x), None if known is None else known.landmarks.distance(block.x))


def finished(plan: Plan, block: Ready, found: Predicted, out: np.ndarray | None = None) -> Inferred:
    """A block of the result: landmark genes, target genes, carried genes; what was measured is kept, in its unit.

    Parameters
    ----------
    out : ndarray of float32, shape (profiles, genes), optional
        Memory for the values. Not used where only some genes are kept.
    """
    ours, x, further, y = plan.model.normalization_, block.x, block.further, found.y
    known = _targets(plan, block.raw, further)
    farther, half = np.full(len(x), np.nan, np.float32), None
    if plan.model.confidence_ is not None and found.distance is not None:
        farther = plan.model.confidence_.farther(found.distance).astype(np.float32)
        if plan.interval is not None:
            measured = ~np.isnan(further[:, : len(plan.targets)])
            half = halfwidths(plan, y, found.distance, block.imputed, measured)
    if plan.target_shift is not None and ours is not None:
        known = ours.invert_targets((known - plan.target_shift[0]) / plan.target_shift[1], plan.targets)
    first, last = x.shape[1], x.shape[1] + y.shape[1]
    shape = (len(x), last + len(plan.carried))
    whole = np.empty(shape, np.float32) if out is None or plan.keep is not None else out
    targets = whole[:, first:last]
    if plan.units == "original" and ours is not None:
        landmarks = np.where(block.imputed | (plan.shift is not None), ours.invert_landmarks(x), block.values)
        ours.invert_targets(y, out=targets)
    else:
        landmarks = x if plan.units == "standardized" else np.where(block.imputed, x, block.values)
        known = known if ours is None or plan.units == "original" else ours.standardize_targets(known, plan.targets)
        targets[:] = y
    if len(plan.targets):
        _keep(plan, targets, known, further)
    whole[:, :first] = np.where(np.isnan(block.raw), landmarks, block.raw) if plan.measured == "raw" else landmarks
    whole[:, last:] = _carried(plan, further)
    plan.likeness.add(x, farther)
    if plan.keep is not None:
        whole, half = whole[:, plan.keep], None if half is None else half[:, plan.keep]
    return Inferred(whole, farther, half)


def inferred(plan: Plan, at: slice, raw: np.ndarray, further: np.ndarray) -> Inferred:
    """One block from what was read to the result."""
    block = ready(plan, at, raw, further)
    return finished(plan, block, predicted(plan, block))


def landmark_values(plan: Plan, raw: np.ndarray, further: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmark genes of a block on the training scale (NaN where missing), as the model takes them, where filled."""
    ours, values = plan.model.normalization_, _landmarks(plan, raw, further)
    if plan.shift is not None:
        x = (values - plan.shift[0]) / plan.shift[1]
    else:
        x = values if ours is None else ours.standardize_landmarks(values)
    imputed = np.isnan(x)
    return values, _filled(plan, x, imputed), imputed


def _filled(plan: Plan, x: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Landmark values with what is missing filled: from the profile's other genes, or with the training mean."""
    known = plan.model.confidence_
    if known is not None and imputed.any():
        return known.landmarks.fill(np.asarray(x, np.float32))
    return np.ascontiguousarray(np.where(imputed, np.float32(0), x), dtype=np.float32)


def _keep(plan: Plan, y: np.ndarray, known: np.ndarray, further: np.ndarray) -> None:
    """Put measured target values in the place of inferred ones, after comparing the two."""
    guessed = y[:, plan.targets]
    plan.check.add(known, guessed)
    kept = further[:, : len(plan.targets)] if plan.measured == "raw" else known
    y[:, plan.targets] = np.where(np.isnan(kept), guessed, kept)


def _carried(plan: Plan, further: np.ndarray) -> np.ndarray:
    start = len(plan.targets)
    values = further[:, start : start + len(plan.carried)]
    ours, scale = plan.model.normalization_, plan.scale
    if ours is None or scale is None or plan.measured == "raw" or not values.shape[1]:
        return values
    return ours.rescale(values * _factors(plan, further), scale)


def _tell_distance(plan: Plan, x: np.ndarray) -> None:
    """Say how far the input lies from the training data: the reader's first hint of how far to trust the result."""
    distance = float(np.median(np.abs(x.mean(0))))
    if distance <= FAR:
        note(f"the median landmark gene lies {distance:.1f} training standard deviations from its training mean")
        return
    plan.said.append(
        f"the input lies far from the training data: the median landmark gene is {distance:.1f} training standard "
        "deviations off; another scale or platform? standardize='own' uses its own statistics"
    )
    warn(plan.said[-1])
