"""What a member predicts of held-out profiles, and the settings that these chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dgex.models.base import Estimator
from dgex.models.stack.evidence import Evidence, Pair
from dgex.models.stack.members import Member

__all__ = ["Judged", "judge"]

BLOCK = 4096


class Judged(NamedTuple):
    """A member after its judgement.

    Attributes
    ----------
    settings : dict
        Those it is to be fitted with for good.
    predicted : ndarray of float32, shape (held-out profiles, targets)
        What it predicts of all held-out profiles, in the order of the folds.
    fitted : Estimator or None
        The model, where there was one fold only.
    """

    settings: dict[str, Any]
    predicted: np.ndarray
    fitted: Estimator | None


def judge(member: Member, evidence: Evidence, keep: bool = True) -> Judged:
    """Fit a member on every fold and predict what the fold holds out.

    A method with a hook `_settle` chooses its settings on the held-out profiles of all folds together, and is then
    fitted with these on each. Any other chooses in each fold for itself; what they chose is then averaged. The model
    of a single fold is given back where it is to be kept.
    """
    pairs = evidence.pairs()
    settle = getattr(member.new(), "_settle", None)
    settings: dict[str, Any] | None = None
    if len(pairs) > 1 and settle is not None:
        settings = settle(pairs)
    fitted: list[Estimator] = []
    rows, chosen = [], []
    for pair in pairs:
        model = member.new(**(settings or {}))
        model.fit(pair.X, pair.Y, None if settings is not None else {"held out": (pair.held_X, pair.held_Y)})
        rows.append(_predicted(model, pair))
        chosen.append(model.settled())
        if keep and len(pairs) == 1:
            fitted.append(model)
        del model  # what it holds of a device goes before the next one comes
    return Judged(member.settings | (settings or _average(chosen)), np.concatenate(rows), fitted[0] if fitted else None)


def _predicted(model: Estimator, pair: Pair) -> np.ndarray:
    starts = range(0, len(pair.held_X), BLOCK)
    return np.concatenate([model.predict(pair.held_X[at : at + BLOCK]) for at in starts])


def _average(chosen: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of numbers, the most frequent of all else."""
    settings: dict[str, Any] = {}
    for name in chosen[0]:
        values = [one[name] for one in chosen]
        numbers = all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values)
        if numbers:
            middle = float(np.median(values))
            whole = all(isinstance(v, int | np.integer) for v in values)
            settings[name] = round(middle) if whole else middle
        else:
            most = Counter(map(repr, values)).most_common(1)[0][0]
            settings[name] = next(v for v in values if repr(v) == most)
    return settings
