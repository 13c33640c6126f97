"""Hub units as a table for people: what each joins, and the genes of its largest weights."""

from __future__ import annotations

import pandas as pd

from dgex.report.tables import EMPTY

__all__ = ["HUB_LABELS", "first_hubs", "hub_table"]

_NAMED = 6  # genes of a hub that its row names
_FIRST = 5  # hubs of a layer that a terminal shows
HUB_LABELS = {
    "part": "Part",
    "layer": "Layer",
    "rank": "Rank",
    "unit": "Unit",
    "connections": "Major weights",
    "landmarks": "Landmark genes",
    "targets": "Target genes",
    "positive": "Positive",
    "negative": "Negative",
    "share": "Share of layer",
}
_WORDY = ["Strongest landmark genes", "Strongest target genes", "Strongest genes"]


def hub_table(hubs: pd.DataFrame, gene_sets: pd.DataFrame) -> pd.DataFrame:
    """Hubs with the names of the genes of their largest weights, without columns that tell nothing."""
    table = hubs.copy()
    for role in ("landmark", "target"):
        rows = gene_sets[gene_sets["role"] == role]
        named = rows.groupby(["part", "layer", "unit"], sort=False).head(_NAMED)
        words = named["gene"].astype(str) + "\u00a0" + named["sign"].str.replace("-", "−")
        joined = words.groupby([named["part"], named["layer"], named["unit"]], sort=False).agg(", ".join)
        keys = pd.MultiIndex.from_frame(table[["part", "layer", "unit"]])
        table[f"Strongest {role} genes"] = joined.reindex(keys).fillna(EMPTY).to_numpy(dtype=object)
    alone = [name for name in ("part", "layer") if table[name].nunique() == 1]
    if (~table[["landmarks", "targets"]].astype(bool)).any(axis=1).all():  # each hub has genes of one role
        words = table.pop("Strongest landmark genes").where(table["landmarks"] > 0, table.pop("Strongest target genes"))
        table["Strongest genes"] = words
        alone += ["landmarks", "targets"]
    return table.drop(columns=alone)


def first_hubs(hubs: pd.DataFrame, gene_sets: pd.DataFrame) -> pd.DataFrame:
    """The first hubs of every layer, without their genes; empty where there are none."""
    if not len(hubs):
        return hubs
    table = hub_table(hubs, gene_sets).drop(columns=_WORDY, errors="ignore")
    shown: pd.DataFrame = table[table["rank"] <= _FIRST]
    return shown
