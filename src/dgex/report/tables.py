"""Data frames as text for people: the same words and digits in the terminal and on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dgex import notebook

__all__ = ["EMPTY", "between", "cell", "html_table", "is_number", "percent", "share_text", "text_table"]

EMPTY = "–"

Formats = Mapping[str, str]


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers (and not flags): it is then aligned right and sorted by value."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def cell(value: Any, spec: str = "") -> str:
    """Format one value by a format specification; whole numbers get thousands separators, no value a dash."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)) or value is pd.NA:
        return EMPTY
    if isinstance(value, str | bool | np.bool_):
        return str(value)
    if isinstance(value, int | np.integer):
        return format(int(value), spec or ",")
    if isinstance(value, float | np.floating):
        return format(float(value), spec or ".4g").replace("-", "−")
    return str(value)


def percent(value: Any, spec: str) -> str:
    """A gain as a percentage; words as they are."""
    if isinstance(value, str):
        return value
    return EMPTY if not np.isfinite(value) else format(value, spec).replace("-", "−")


def between(low: float, high: float) -> str:
    """An interval of shares in words: `1.2 to 3.4%`."""
    if not np.isfinite([low, high]).all():
        return EMPTY
    return f"{100 * low:.1f} to {high:.1%}".replace("-", "−")


def share_text(share: float) -> str:
    """A share in percent: never "100.0%" while one is missing, nor "0.0%" while one is there."""
    if np.isnan(share):
        return EMPTY
    digits = 1 if share in (0.0, 1.0) or 0.0005 <= share < 0.9995 else 2
    return f"{share:.{digits}%}"


def text_table(
    frame: pd.DataFrame,
    labels: Mapping[str, str] | None = None,
    formats: Formats | None = None,
    *,
    bold: Sequence[int] = (),
) -> str:
    """Align a frame's columns as plain text: words left, numbers right, a rule under the header.

    Parameters
    ----------
    frame
        The index is not shown.
    labels, formats
        Column to header and to format specification.
    bold
        Positions of rows to mark with a star in front.
    """
    labels, formats = labels or {}, formats or {}
    columns = []
    for name in frame.columns:
        texts = [str(labels.get(name, name)), *(cell(v, formats.get(name, "")) for v in frame[name])]
        width = max(map(len, texts))
        right = is_number(frame[name])
        columns.append([text.rjust(width) if right else text.ljust(width) for text in texts])
    rows = ["  ".join(parts).rstrip() for parts in zip(*columns)]
    marks = ["  ", *("* " if row in set(bold) else "  " for row in range(len(frame)))] if bold else [""] * len(rows)
    rows = [mark + row for mark, row in zip(marks, rows)]
    return "\n".join([rows[0], "─" * max(map(len, rows)), *rows[1:]]) if rows else ""


def html_table(
    frame: pd.DataFrame, labels: Mapping[str, str] | None = None, formats: Formats | None = None, caption: str = ""
) -> str:
    """The same as a plain table of HTML, which a notebook shows in its own style.

    >>> html_table(pd.DataFrame({"gene": ["<TP53>"], "error": [0.5]}), formats={"error": ".2f"}).count("&lt;TP53&gt;")
    1
    """
    labels, formats = labels or {}, formats or {}
    columns = [[cell(value, formats.get(name, "")) for value in frame[name]] for name in frame.columns]
    return notebook.table([str(labels.get(name, name)) for name in frame.columns], zip(*columns), caption)
