"""With whom models are compared, and what a bootstrap draws anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dgex.dataset.studies import split_by
from dgex.errors import SettingsError
from dgex.evaluation.bootstrap import FEW
from dgex.evaluation.measuring import Predictor, measure
from dgex.evaluation.result import TRIVIAL
from dgex.genes import texts
from dgex.io.base import ExpressionFile
from dgex.progress import bar, warn

__all__ = ["baseline_of", "groups_of"]


def baseline_of(
    asked: str | None, predictors: Sequence[Predictor], source: ExpressionFile, genes: np.ndarray, block: int
) -> tuple[str, str]:
    """Whom the others are compared with, and why."""
    names = [p.name for p in predictors]
    if asked is not None:
        if asked not in names:
            raise SettingsError(f"no baseline named {asked!r}", accepted=names)
        return asked, "as asked"
    linear = [p for p in predictors if p.model is not None and (p.kind == "ols" or p.name.lower() in {"ols", "lr"})]
    trivial = [p for p in predictors if p.model is None]
    either = [*linear[:1], *trivial]
    if len(either) < 2:
        missing = "linear regression" if trivial else "training profiles for their mean"
        return (either or predictors)[0].name, f"there is no {missing}{'' if either else ', and it is the first'}"
    index = np.flatnonzero((texts(source.obs["split"]) == "validation").to_numpy())
    if not len(index):
        return either[0].name, f"there are no validation profiles that would tell whether {TRIVIAL} is better"
    with bar(2 * len(index), "choosing the baseline") as progress:
        measured = measure(either, source, index, genes, block, False, progress)
    errors = [m.errors.overall for m in measured]
    best = int(np.nanargmin(errors)) if np.isfinite(errors).any() else 0
    other = 1 - best
    words = f"the better on validation, {errors[best]:.4f} against {errors[other]:.4f} of {either[other].name}"
    return either[best].name, words


def groups_of(
    source: ExpressionFile, index: np.ndarray, name: str, column: str | None = None
) -> tuple[np.ndarray | None, dict[str, Any]]:
    """What is drawn anew on a set, whole groups where the dataset was split by them; and the same in words.

    `column` tells the groups of a set that was parted otherwise than the dataset says.
    """
    column = column or split_by(source.uns)
    profiles: dict[str, Any] = {"over": "profiles", "units": len(index)}
    if not column or column not in source.obs:
        return None, profiles
    members = texts(source.obs[column].iloc[index]).to_numpy()
    units = len(np.unique(members))
    if (members == "").any() or units < 2:
        found = "some profiles have none" if (members == "").any() else f"all are of {members[0]}"
        warn(f"{name}: intervals are over profiles, not by {column}: {found}; on others the gain may differ more")
        return None, profiles
    if units < FEW:
        warn(f"{name}: {units} groups of {column} are too few for an interval of 95 %: take it as a rough range")
    return members, {"over": column, "units": units}
