"""How far differences between the models of a study may be chance, from their errors profile by profile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dgex.dataset.platforms import Platform
from dgex.errors import ModelError
from dgex.evaluation.bootstrap import Interval, Resampled
from dgex.evaluation.result import drawn_words
from dgex.paper.data import Described
from dgex.paper.measured import Measured
from dgex.report.tables import between, percent

__all__ = ["gain_words", "interval_words", "over_words", "resampled", "stored"]


def resampled(models: Iterable[Measured], platform: Platform, data: Described) -> Resampled | None:
    """All models that were measured profile by profile on a test set, on the same draws; None where none was.

    Models of other target genes than the data's stay out: their profiles' errors are means over other genes.

    Raises
    ------
    ModelError
        What was measured is of another number of profiles.
    """
    drawn, test = data.drawn.get(platform.test), platform.test
    if drawn is None:
        return None
    profiles = data.facts["profiles"][test]
    errors = {}
    for measured in models:
        by_gene = measured.errors.get(test)
        if test not in measured.profiles or by_gene is None or np.isnan(by_gene).any():
            continue
        found = measured.profiles[test]
        if len(found) != profiles:
            raise ModelError(
                f"what was measured of {measured.name} is damaged: {test} has {profiles:,} profiles, it has "
                f"{len(found):,}; remove it to measure anew"
            )
        errors[measured.name] = found.astype(np.float64)
    members = drawn["members"]
    return Resampled(errors, None if members is None else np.asarray(members)) if errors else None


def stored(measured: Measured, baseline: str, test: str) -> Interval | None:
    """The interval that was found when a model was measured, of one that infers only some of the target genes."""
    found = measured.facts.get("against", {}).get(baseline, {}).get(test)
    return None if found is None else Interval(**found)


def interval_words(interval: Interval | None) -> str:
    """The interval of a gain: `1.2 to 3.4%`, `tie (-0.1 to 0.3%)`."""
    if interval is None:
        return between(float("nan"), float("nan"))
    words = between(interval.improvement_low, interval.improvement_high)
    return f"tie ({words})" if interval.tie else words


def gain_words(gain: float, interval: Interval | None) -> str:
    """A gain with its interval; one that is smaller than its interval is a tie."""
    if interval is None or not np.isfinite([interval.improvement_low, interval.improvement_high]).all():
        return percent(gain, ".2%")
    words = between(interval.improvement_low, interval.improvement_high)
    return f"tie ({words})" if interval.tie else f"{percent(gain, '.2%')} ({words})"


def over_words(drawn: dict[str, Any] | None, known: bool) -> str:
    """What intervals on a test set are over, for captions."""
    if drawn is None or not known:
        return "No intervals: these were measured before errors were kept profile by profile."
    return f"Interval: of the gain, 95 %, by bootstrap {drawn_words(drawn)}; tie: it holds 0."
