"""The genes of an open file made fit for matching: rows that are no genes, ids that are joined, symbols elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from dgex import progress
from dgex.errors import first
from dgex.gene_ids import ID_COLUMNS, canonical, excel_dates, id_type, split_composites
from dgex.genes import texts
from dgex.io.base import ExpressionFile, Kept
from dgex.io.layouts import SUMMARY_ROWS

__all__ = ["tidy"]


def tidy(handle: ExpressionFile) -> ExpressionFile:
    """Leave out rows that count reads without a gene, and take joined ids apart; say what was done.

    Of joined ids (`ENSG…_TSPAN6`) every part becomes a column of `var`, and the best one the name.
    """
    ids = [str(name) for name in handle.var.index]
    counters = np.array([name[:2] in ("N_", "__") and bool(SUMMARY_ROWS.match(name)) for name in ids])
    keep = np.flatnonzero(~counters)
    name = handle.path.name
    if counters.any():
        progress.note(f"{name}: {int(counters.sum()):,} counts of reads without a gene are left out")
    var = handle.var
    if 0 < keep.size < len(ids):
        var, ids = var.iloc[keep], [ids[at] for at in keep]
    if not _is_dataset(handle):
        var = _described(_split(var, ids, name))
        if dates := excel_dates(ids):
            progress.warn(
                f"{name}: {len(dates):,} gene names are dates, as a spreadsheet makes of MARCHF1 or SEPTIN2: "
                f"{first(dates, 5)}; they match no gene: read the table from its source without the spreadsheet"
            )
    if 0 < keep.size < len(handle.var):
        return Kept(handle, keep, var)
    handle.var = var
    return handle


def _is_dataset(handle: ExpressionFile) -> bool:
    record = handle.uns.get("dgex")
    return isinstance(record, dict) and record.get("kind") == "dataset"


def _split(var: pd.DataFrame, ids: Sequence[str], name: str) -> pd.DataFrame:
    """Take joined ids apart; the name becomes the Ensembl id or the symbol, where only one gene has it."""
    parts = split_composites(ids)
    if parts is None:
        return var
    best = parts.get("ensembl", parts["symbol"])
    counts = Counter(best)
    var = var.copy(deep=False)
    for kind, values in parts.items():
        if kind not in var.columns:
            var[kind] = pd.Series(values, index=var.index, dtype=object)
    named = [new if new and counts[new] == 1 else old for new, old in zip(best, ids)]
    progress.note(f"{name}: gene names such as {ids[0]!r} are taken apart into {' and '.join(parts)}")
    return var.set_axis(pd.Index(named, dtype=object))


def _described(var: pd.DataFrame) -> pd.DataFrame:
    """Symbols that stand in a column called description or name, as GTEx has them, become a column `symbol`."""
    if any(canonical(column) in ID_COLUMNS["symbol"] for column in var.columns):
        return var
    for column in var.columns:
        if canonical(column) not in ("description", "name", "names"):
            continue
        values = texts(var[column]).tolist()
        short = [value for value in values if value and len(value) < 25 and " " not in value]
        if 10 * len(short) >= 9 * len(values) and id_type(short) == "symbol" and 2 * len(set(short)) > len(values):
            var = var.copy(deep=False)
            var["symbol"] = pd.Series(values, index=var.index, dtype=object)
            break
    return var
