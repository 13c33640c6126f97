"""Columns of the table of models side by side: how they are called, written and compared."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pandas as pd

__all__ = ["BEST", "FORMATS", "LABELS", "right", "wrapped"]

#: Column of the overall table to its header.
LABELS = {
    "model": "Model",
    "kind": "Kind",
    "error": "Overall error",
    "sd": "± SD",
    "improvement": "Improvement",
    "interval": "95 % interval",
    "better": "Genes better",
    "pearson_mean": "Pearson",
    "pearson_median": "median",
    "spearman_mean": "Spearman",
    "spearman_median": "median",
    "recall": "Well inferred",
    "slope": "Slope",
    "rmse": "RMSE",
    "genes": "Genes",
    "profiles": "Profiles",
    "seconds": "Seconds",
}
FORMATS = {
    "error": ".4f",
    "sd": ".4f",
    "improvement": ".2%",
    "better": ".1%",
    "pearson_mean": ".4f",
    "pearson_median": ".4f",
    "spearman_mean": ".4f",
    "spearman_median": ".4f",
    "recall": ".1%",
    "slope": ".3f",
    "rmse": ".4f",
    "seconds": ".2f",
}
BEST = {
    "error": "min",
    "improvement": "max",
    "better": "max",
    "pearson_mean": "max",
    "pearson_median": "max",
    "spearman_mean": "max",
    "spearman_median": "max",
    "recall": "max",
    "rmse": "min",
}
_WIDE = 120  # characters of a line of the terminal


def wrapped(caption: str) -> str:
    """A text in lines that fit a terminal; lines of its own stay."""
    return "\n".join(line for part in caption.split("\n") for line in textwrap.wrap(part, _WIDE))


def right(table: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Pad columns of ready-made texts on the left, so that numbers and words among them end together."""
    table = table.copy()
    for name in ("improvement", "interval", "better"):
        width = max(len(labels[name]), *(len(text) for text in table[name]))
        table[name] = [text.rjust(width) for text in table[name]]
    return table
