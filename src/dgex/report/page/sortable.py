"""A data frame as an HTML table that a click on a header sorts."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from dgex.errors import DataError
from dgex.report.page.markup import BEST, SELECTED, classes
from dgex.report.tables import cell, is_number

__all__ = ["sortable_table"]

_LONG = 24  # letters of a text that is given room for several words


def sortable_table(
    frame: pd.DataFrame,
    labels: Mapping[str, str],
    formats: Mapping[str, str],
    best: Mapping[str, str],
    selected: Collection[int],
) -> str:
    """The head and body of the table that `Page.add_table` adds."""
    if outside := sorted(at for at in selected if not 0 <= at < len(frame)):
        raise DataError(f"row {outside[0]} cannot be marked as selected: the table has {len(frame)} rows, from 0")
    numeric = {name: is_number(frame[name]) for name in frame.columns}
    long = {name: not numeric[name] and frame[name].map(lambda v: len(str(v))).max() > _LONG for name in frame.columns}
    head = "".join(
        f'<th scope="col"{classes("n" if numeric[name] else "")}>{escape(str(labels.get(name, name)))}</th>'
        for name in frame.columns
    )
    marked = {name: _best_rows(frame[name], rule) for name, rule in best.items() if name in frame}
    rows = []
    for at in range(len(frame)):
        cells = []
        for column, name in enumerate(frame.columns):
            value, spec = frame.iat[at, column], formats.get(name, "")
            chosen = column == 0 and at in selected
            is_best = column > 0 and at in marked.get(name, ())
            text = escape(cell(value, spec)) + (SELECTED if chosen else "") + (BEST if is_best else "")
            key = _sort_key(value, numeric[name])
            if chosen and not numeric[name]:
                key = f' data-s="{escape(cell(value, spec))}"'
            if column == 0:
                cells.append(f'<th scope="row"{key}>{text}</th>')
            else:
                kind = classes("n" if numeric[name] else "long" if long[name] else "", "best" if is_best else "")
                cells.append(f"<td{kind}{key}>{text}</td>")
        rows.append(f"<tr{classes('selected' if at in selected else '')}>{''.join(cells)}</tr>")
    return f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"


def _sort_key(value: Any, numeric: bool) -> str:
    """The number to sort by, since its text is rounded; empty where there is none."""
    if not numeric:
        return ""
    number = float(value) if pd.notna(value) else math.nan
    return f' data-v="{number!r}"' if math.isfinite(number) else ' data-v=""'


def _best_rows(column: pd.Series, rule: str) -> set[int]:
    values = column.to_numpy(np.float64)
    if np.isfinite(values).sum() < 2:
        return set()
    target = np.nanmin(values) if rule == "min" else np.nanmax(values)
    return set(np.flatnonzero(values == target).tolist())
