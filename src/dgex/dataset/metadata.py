"""What columns of metadata hold: levels and how often each occurs, or the range of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex.errors import first

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_COLUMNS", "MOST_LEVELS", "column_words", "columns_of"]

MOST_COLUMNS = 200  # columns looked into; of those beyond the type alone is told
MOST_LEVELS = 50  # levels listed, the most frequent first
_FEW = 6  # levels that are all told in words
_SHOWN = 3  # levels told in words where they are many
_LONGEST = 40  # characters of a level in words


def columns_of(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Say of each column what it holds.

    Parameters
    ----------
    table : DataFrame
        `obs` or `var`: one row a profile or a gene.

    Returns
    -------
    dict of str to dict
        By column: `type`; of numbers `minimum` and `maximum` (None where none is finite); of all else `levels`, how
        many different values there are, and `counts`, how often each of the `MOST_LEVELS` most frequent occurs; and
        `missing`, where values are. A column beyond the first `MOST_COLUMNS` has its `type` alone.

    Examples
    --------
    >>> import pandas as pd
    >>> obs = pd.DataFrame({"sex": ["F", "M", "F", None], "age": [61.0, 58.0, 70.0, 44.0]})
    >>> columns_of(obs)["sex"]["counts"], columns_of(obs)["age"]["maximum"]
    ({'F': 2, 'M': 1}, 70.0)
    """
    types = [str(dtype) for dtype in table.dtypes]
    return {
        str(name): {"type": types[at]} | (_held(table.iloc[:, at]) if at < MOST_COLUMNS else {})
        for at, name in enumerate(table.columns)
    }


def _held(column: pd.Series) -> dict[str, Any]:
    import pandas as pd

    from dgex.genes import texts

    gaps = column.isna().to_numpy()
    held: dict[str, Any]
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        held = dict.fromkeys(("minimum", "maximum"))
        there = column[~gaps].to_numpy()
        if not pd.api.types.is_integer_dtype(column) and not np.iscomplexobj(there):
            there = there.astype(np.float64)
            there = there[np.isfinite(there)]
        if len(there) and not np.iscomplexobj(there):
            held = {"minimum": np.asarray(there.min()).item(), "maximum": np.asarray(there.max()).item()}
    else:
        words = texts(column)
        gaps = gaps | (words == "").to_numpy()
        counts = words[~gaps].value_counts(sort=False).sort_values(ascending=False, kind="stable")
        held = {"levels": len(counts), "counts": {str(name): int(n) for name, n in counts[:MOST_LEVELS].items()}}
    return held | ({"missing": int(gaps.sum())} if gaps.any() else {})


def column_words(held: Mapping[str, Any], rows: int) -> str:
    """One column of `columns_of` in words, such as `12 levels: GSE1 340, GSE2 20, GSE3 9 and 9 more; 3 missing`.

    Parameters
    ----------
    held : mapping
        What `columns_of` says of the column.
    rows : int
        How many rows the table has.
    """
    missing = held.get("missing", 0)
    gaps = f"; {missing:,} missing" if missing else ""
    if missing == rows and rows:
        return "all missing"
    if "minimum" in held:
        low, high = held["minimum"], held["maximum"]
        if low is None:
            return f"numbers ({held['type']}){gaps}"
        return (f"{_number(low)} everywhere" if low == high else f"{_number(low)} to {_number(high)}") + gaps
    if "levels" not in held:
        return str(held["type"])
    levels, counts = held["levels"], held["counts"]
    named = [_short(name) for name in counts]
    if levels == 1:
        return f"{named[0]} everywhere{gaps}"
    if levels == rows - missing and levels > _FEW:
        return f"all different: {', '.join(named[:_SHOWN])} …{gaps}"
    told = [f"{name} {count:,}" for name, count in zip(named, counts.values())]
    if levels <= _FEW:
        return f"{', '.join(told)}{gaps}"
    more = [*told, *[""] * (levels - len(told))]
    return f"{levels:,} levels: {first(more, _SHOWN)}{gaps}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
