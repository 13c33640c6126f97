"""Blocks of profiles on their way: read, brought to the model's units, predicted, taken back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dgex.dataset.scale import LOG2_LIMIT, to_log2
from dgex.errors import DataError
from dgex.inference.plan import Plan
from dgex.io.base import ExpressionFile
from dgex.progress import note, warn

__all__ = ["inferred", "own_statistics", "raw_blocks"]

FAR = 2.0  # standard deviations between the panel's and the training means that call for a warning


def raw_blocks(
    plan: Plan, data: ExpressionFile, block: int, start: int = 0
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Blocks of landmark values (NaN where to be imputed) and of carried genes, as they come."""
    present = plan.present
    wanted = np.concatenate([plan.source[present], plan.carried])
    count = int(present.sum())
    for at, values in data.iter_blocks(block, genes=wanted, samples=slice(start, None)):
        landmarks = np.full((len(values), len(plan.source)), np.nan, dtype=np.float32)
        landmarks[:, present] = values[:, :count]
        yield slice(start + at.start, start + at.stop), landmarks, values[:, count:]


def own_statistics(plan: Plan, data: ExpressionFile, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and divisor (standard deviation + 1e-3) of the landmark genes over the whole input."""
    count, mean, square = 0, np.zeros(len(plan.source)), np.zeros(len(plan.source))
    for _, raw, _ in raw_blocks(plan, data, block):
        values = np.nan_to_num(_transformed(plan, raw).astype(np.float64))
        total = count + len(values)
        delta = values.mean(0) - mean
        square += ((values - values.mean(0)) ** 2).sum(0) + delta**2 * count * len(values) / total
        mean, count = mean + delta * len(values) / total, total
    return mean.astype(np.float32), (np.sqrt(square / count) + 1e-3).astype(np.float32)


def _transformed(plan: Plan, raw: np.ndarray) -> np.ndarray:
    """Raw landmark values on the training scale, before standardising; imputed ones stay NaN."""
    normalization = plan.model.normalization_
    if normalization is None:
        return raw
    values = raw.copy()
    values[:, plan.present] = normalization.transform(np.ascontiguousarray(_logged(plan, raw[:, plan.present])))
    return values


def _logged(plan: Plan, values: np.ndarray) -> np.ndarray:
    """Log profiles on a linear scale where asked to; refuse them where the model is of log2 expression."""
    normalization = plan.model.normalization_
    assert normalization is not None
    linear = values.max(axis=1, initial=0) > LOG2_LIMIT
    of_linear = normalization.landmark_mean is not None and normalization.landmark_mean.max() > LOG2_LIMIT
    if not linear.any() or of_linear or normalization.log2 != "never":
        return values
    if plan.log2:
        values = values.copy()
        values[linear] = to_log2(values[linear])
    elif normalization.quantile == "none":  # ranks do not depend on the scale
        raise DataError(
            f"the input looks linear (up to {values.max():.4g}) and the model is of log2 expression; "
            "log2='auto' takes log2(x + 1)"
        )
    return values


def inferred(plan: Plan, at: slice, raw: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """One block of the result: landmark genes as measured, inferred targets, carried genes."""
    normalization, imputed = plan.model.normalization_, ~plan.present
    values = _transformed(plan, raw)
    if plan.shift is not None:
        x = (values - plan.shift[0]) / plan.shift[1]
    else:
        x = values if normalization is None else normalization.standardize_landmarks(values)
    x = np.ascontiguousarray(np.where(imputed, np.float32(0), x), dtype=np.float32)
    if at.start == 0 and normalization is not None and plan.shift is None and normalization.standardize != "none":
        _tell_distance(x[:, plan.present])
    y = plan.model.predict(x)
    if plan.units == "original" and normalization is not None:
        measured = np.where(imputed, normalization.invert_landmarks(x), raw)
        y = normalization.invert_targets(y)
    elif plan.units == "standardized":
        measured = x
    else:
        measured = np.where(imputed, np.float32(0), raw)
    return np.concatenate([measured, y, carried], axis=1).astype(np.float32, copy=False)


def _tell_distance(x: np.ndarray) -> None:
    """Say how far the input lies from the training data: the reader's first hint of how far to trust the result."""
    distance = float(np.median(np.abs(x.mean(0))))
    if distance <= FAR:
        note(f"the median landmark gene lies {distance:.1f} training standard deviations from its training mean")
        return
    warn(
        f"the input lies far from the training data: the median landmark gene is {distance:.1f} training standard "
        "deviations off; another scale or platform? standardize='own' uses its own statistics"
    )
