"""A searchable table of many genes, whose values travel in the page as compact JSON."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd

from dgex.errors import DataError
from dgex.report.page.markup import json_element, rounded, scroll_box
from dgex.report.tables import cell, is_number

__all__ = ["finder", "fitting"]


def fitting(measures: Mapping[str, pd.DataFrame], max_values: int) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The first measures that hold at most so many numbers, the first one always, and the names of the others."""
    if not measures:
        raise DataError("a table of genes needs at least one measure; found none")
    frames = dict(measures)
    left_out: list[str] = []
    while len(frames) > 1 and sum(frame.size for frame in frames.values()) > max_values:
        left_out.insert(0, frames.popitem()[0])
    first = next(iter(frames.values()))
    for name, frame in frames.items():
        if not frame.index.equals(first.index):
            raise DataError(f"all measures of a table of genes need the same genes in one order; {name!r} has others")
    return frames, left_out


def finder(
    measures: Mapping[str, pd.DataFrame],
    names: str,
    caption_id: str,
    caption: str,
    best: Mapping[str, str],
    digits: int,
    given: bool = False,
) -> str:
    """The whole element; `names` is the id of the element that holds the genes' names, `given` keeps their order."""
    first = next(iter(measures.values()))
    data = {
        "index": str(first.index.name or "Gene").capitalize(),
        "digits": digits,
        "names": names,
        "given": given,
        "measures": [
            {
                "name": name,
                "best": best.get(name),
                "columns": [str(column) for column in frame.columns],
                "values": [_values(frame.iloc[:, at], digits) for at in range(frame.shape[1])],
            }
            for name, frame in measures.items()
        ],
    }
    options = "".join(f"<option>{escape(name)}</option>" for name in measures)
    pick = f"<label>Show<select>{options}</select></label>" if len(measures) > 1 else ""
    return (
        f'<div class="finder">{json_element(data)}'
        '<div class="tools"><label>Find genes<input type="search" autocomplete="off" spellcheck="false" '
        f'placeholder="names, separated by spaces"></label>{pick}<output aria-live="polite"></output></div>'
        + scroll_box(caption_id, caption, "<thead></thead><tbody></tbody>")
        + '<button class="more" type="button" hidden>Show more</button>'
        "<noscript><p>This table needs JavaScript; the same values stand in the CSV file.</p></noscript></div>"
    )


def _values(column: pd.Series, digits: int) -> list[float | None] | list[str]:
    return rounded(column, digits) if is_number(column) else [cell(value) for value in column]
