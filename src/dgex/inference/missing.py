"""Landmark genes that an input lacks: refused, or imputed, with what that costs."""

from __future__ import annotations

import numpy as np

from dgex.errors import GeneError, first
from dgex.models.base import Estimator
from dgex.progress import warn

__all__ = ["FEW", "LEAST", "can_impute", "cost", "imputed"]

LEAST = 0.5  # share of the landmark genes that must be there before the others are imputed
FEW = 0.05  # share of the landmark genes that missing='auto' imputes


def imputed(model: Estimator, lacking: list[str], total: int, missing: str, why: str) -> None:
    """Say which landmark genes are imputed, or refuse to."""
    if not lacking:
        return
    there = total - len(lacking)
    price = cost(model, len(lacking), total)
    count, names = f"{len(lacking):,} of {total:,} landmark genes are missing from the input", first(lacking)
    names += why
    if missing == "error":
        raise GeneError(f"{count}: {names}; missing='impute' {price}")
    if missing == "auto" and len(lacking) > FEW * total:
        raise GeneError(f"{count}, and missing='auto' imputes up to {FEW:.0%}: {names}; missing='impute' {price}")
    if there < total * LEAST:
        raise GeneError(
            f"only {there:,} of {total:,} landmark genes are in the input: too few to infer from, at least "
            f"{LEAST:.0%} are needed{why}"
        )
    if not can_impute(model):
        raise GeneError(
            f"{count} ({names}) and cannot be imputed: the model works in original units and knows no training means"
        )
    known = model.confidence_
    if known is None:
        warn(f"{len(lacking):,} landmark genes are imputed by the training mean: {names}")
        return
    more = known.missing.factor(len(lacking) / total) - 1
    warn(
        f"{len(lacking):,} of {total:,} landmark genes are filled from the others: {names}; the expected error rises "
        f"by {_percent(more)}"
    )


def cost(model: Estimator, lacking: int, total: int) -> str:
    """What imputing some of the landmark genes would do, in words."""
    if model.confidence_ is None:
        return "takes the training mean for them"
    more = model.confidence_.missing.factor(lacking / total) - 1
    return f"would fill them from the others and raise the expected error by {_percent(more)}"


def can_impute(model: Estimator) -> bool:
    """Whether the model knows the training means of its landmark genes."""
    return model.normalization_ is None or model.normalization_.landmark_mean is not None


def _percent(more: float | np.ndarray) -> str:
    return "less than 0.1%" if more < 0.001 else f"{float(more):.1%}"
