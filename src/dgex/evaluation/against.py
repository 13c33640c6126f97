"""With whom models are compared, and profiles with which others; what a bootstrap draws anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dgex.confidence.differences import Differences
from dgex.dataset.studies import split_by
from dgex.errors import SettingsError
from dgex.evaluation.bootstrap import FEW
from dgex.evaluation.control import controls, within_groups
from dgex.evaluation.measuring import Predictor, measure
from dgex.evaluation.result import TRIVIAL
from dgex.evaluation.within import Draws
from dgex.genes import texts
from dgex.io.base import ExpressionFile
from dgex.progress import bar, note, warn

__all__ = ["baseline_of", "draws_of", "groups_of", "groups_within"]


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


def groups_within(
    obs: pd.DataFrame, where: Mapping[str, np.ndarray], column: str | None, control: str | None
) -> dict[str, Differences]:
    """Which profiles of each set are compared with which others of their group; says what is left out.

    Raises
    ------
    SettingsError
        No such column, an expression that cannot be, controls without a column, or no group that has differences.
    """
    if column is None:
        if control is not None:
            raise SettingsError(
                f"control {control!r} without a column of groups", accepted="within, such as a column of plates"
            )
        return {}
    groups = within_groups(obs, column)
    controlled = None if control is None else controls(obs, control)
    lacks = "one profile" if control is None else "no control profile or nothing but these"
    found, none = {}, []
    for name, index in where.items():
        differences = Differences(groups[index], None if controlled is None else controlled[index])
        profiles, alone = differences.left_profiles, differences.left_groups
        left = f"{profiles:,} profiles without {column}, or in {alone:,} groups with {lacks}"
        if not len(differences.at):
            none.append(f"{name}: no differences within {column} can be measured: {left}")
            continue
        found[name] = differences
        if differences.left_profiles:
            note(f"{name}: left out of differences: {left}")
    if not found:
        what = "two profiles" if control is None else "a control profile and another"
        raise SettingsError(f"no group of {column} has {what} in {', '.join(where)}")
    for words in none:
        warn(words)
    return found


def draws_of(differences: Differences, groups: np.ndarray | None) -> Draws:
    """What is drawn anew for differences: the groups the dataset was split by, else those of the differences."""
    return Draws(differences.member if groups is None else groups[differences.at])
