"""Tables of an evaluation beside the main one, laid out for people: differences within groups, levels of expression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dgex.evaluation.bootstrap import FEW
from dgex.report.comparison import Further
from dgex.report.tables import EMPTY, percent

_MOST = 40  # groups in a table of a page

__all__ = ["group_tables", "level_tables", "within_tables"]


def within_tables(overall: pd.DataFrame, settings: Mapping[str, Any]) -> list[Further]:
    """Differences within groups, a table a set; none where they were not measured."""
    asked, tables = settings.get("within", {}), []
    for split, of in asked.get("of", {}).items():
        rows = overall[overall["split"] == split]
        compared = rows["model"] != settings["baseline"]
        shown = {
            "Model": rows["model"],
            "within error": _with_interval(rows, "within_error", ".3f"),
            "improvement": _with_interval(rows.where(compared), "within_improvement", ".1%"),
            "within r": _with_interval(rows, "within_r", ".3f"),
            "gain": _with_interval(rows.where(compared), "within_r_gain", "+.3f"),
            "within sign": _with_interval(rows, "within_sign", ".3f"),
            "r of a profile": [percent(value, ".3f") for value in rows["within_profile_r"]],
        }
        whose = f"the control profiles ({asked['control']})" if asked["control"] else "all profiles"
        left = f"; left out: {of['left_out_profiles']:,} profiles, {of['left_out_groups']:,} groups"
        few = ", too few for 95 %: a rough range" if of["units"] < FEW else ""
        caption = (
            f"Of {of['profiles']:,} profiles from the mean of {whose} of their {asked['column']} ({of['groups']:,} "
            f"groups{left if of['left_out_profiles'] else ''}), inferred against measured: mean absolute error, "
            "Pearson correlation and share of equal signs, means over genes; correlation over the genes of a profile, "
            f"mean over profiles.\nImprovement and gain: against {settings['baseline']}. Intervals of 95 %: by "
            f"bootstrap over {of['units']:,} groups of {of['over']}{few}."
        )
        table = pd.DataFrame(shown)
        table = table.loc[:, (table != EMPTY).any()]  # nothing is gained on a baseline without a correlation
        tables.append(Further(f"{split}: differences within {asked['column']}", table, caption, True))
    return tables


def group_tables(groups: pd.DataFrame, overall: pd.DataFrame, settings: Mapping[str, Any]) -> list[Further]:
    """Errors by study, or what else the dataset was split by, a table a set; none where it was split at random."""
    tables = []
    for split, rows in groups.groupby("split", sort=False) if len(groups) else []:
        of, models = settings["intervals"]["of"][str(split)], list(dict.fromkeys(rows["model"]))
        wide = rows.pivot(index="group", columns="model", values="error")[models]
        wide = wide.sort_values(models[-1], ascending=False)
        sizes = rows.drop_duplicates("group").set_index("group")["profiles"]
        shown = pd.DataFrame({str(of["over"]): wide.index.astype(str), "Profiles": sizes.loc[wide.index].to_numpy()})
        whole = overall[overall["split"] == split].set_index("model")
        for name in models:
            shown[str(name)] = [f"{error:.4f}" for error in wide[name]]
        ends: list[Any] = ["all, and 95 % interval", int(sizes.sum())]
        for name in models:
            error, low, high = whole.loc[name, ["error", "error_low", "error_high"]].to_numpy(np.float64)
            known = f" ({low:.2f} to {high:.2f})" if np.isfinite([low, high]).all() else ""
            ends.append(f"{error:.4f}{known}")
        several = len(wide) > _MOST
        kept = pd.concat([shown.iloc[:_MOST], pd.DataFrame([ends], columns=shown.columns)], ignore_index=True)
        worst = f", the {_MOST} of most error of {len(wide):,} (all are in groups.csv)" if several else ""
        few = ", too few for 95 %: a rough range" if of["units"] < FEW else ""
        caption = (
            f"Overall error of each {of['over']}{worst}. The interval is of the error itself, by bootstrap over "
            f"{of['units']:,} groups{few}: how much it depends on which were drawn."
        )
        tables.append(Further(f"{split}: errors by {of['over']}", kept, caption, True))
    return tables


def level_tables(levels: pd.DataFrame, settings: Mapping[str, Any]) -> list[Further]:
    """Errors by expression, a table a set; none where the genes' means are not known."""
    tables = []
    for split, rows in levels.groupby("split", sort=False) if len(levels) else []:
        shown = pd.DataFrame({"Model": list(dict.fromkeys(rows["model"]))})
        for number, level in rows.groupby("level"):
            head = level.iloc[0]
            name = f"{number}: {head['mean_low']:.2f} to {head['mean_high']:.2f}"
            shown[name] = [f"{error:.4f}" for error in level["error"]]
        caption = (
            f"Overall error of each fifth of the genes, from faint to strong by their {settings['levels']}, whose "
            "range the columns tell."
        )
        tables.append(Further(f"{split}: errors by expression", shown, caption))
    return tables


def _with_interval(rows: pd.DataFrame, name: str, spec: str) -> list[str]:
    """Values with their intervals in brackets, where they have one."""
    words = []
    for value, low, high in zip(rows[name], rows[f"{name}_low"], rows[f"{name}_high"]):
        known = bool(np.isfinite([low, high]).all())
        words.append(percent(value, spec) + (f" ({percent(low, spec)} to {percent(high, spec)})" if known else ""))
    return words
