"""Small pieces of HTML that all parts of a page are made of."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Container
from html import escape
from typing import Any
from urllib.parse import quote

import numpy as np

__all__ = ["BEST", "SELECTED", "classes", "csv_link", "json_element", "rounded", "scroll_box", "slug"]

_LARGEST = 300_000  # characters of a figure's data that a page holds; files beside it hold them all
_PLAIN = ",.:;=+-_()[]{}/!*$@~"  # stand in a data: address as they are

# A mark is never colour alone: the chosen one has a sign, the best one weight, and both a word for screen readers.
BEST = '<span class="unseen"> (best)</span>'
SELECTED = '<span class="sign" aria-hidden="true">◆</span><span class="unseen"> (selected)</span>'


def classes(*names: str) -> str:
    """A class attribute of the names that are not empty; "" if none is."""
    text = " ".join(name for name in names if name)
    return f' class="{text}"' if text else ""


def slug(text: str, taken: Container[str]) -> str:
    """A name for a link to a heading: its letters and digits in small, dashes between, a number where `taken`."""
    plain = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFKC", text).lower()).strip("-") or "section"
    name, count = plain, 1
    while name in taken:
        count += 1
        name = f"{plain}-{count}"
    return name


def csv_link(title: str, text: str) -> str:
    """A link that saves `text`, held in the page itself, under the first words of a figure's title.

    "" for no text, and for more of it than a page should hold.
    """
    if not text or len(text) > _LARGEST:
        return ""
    name = f"{slug(' '.join(title.split()[:8]), ())}.csv"
    address = escape(f"data:text/csv;charset=utf-8,{quote(text, safe=_PLAIN)}")
    return f' <a class="data" download="{name}" href="{address}">Data (CSV)</a>'


def json_element(data: Any, **attributes: str) -> str:
    """A script element that holds `data` as compact, strict JSON."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # "<" cannot end the script element when it is written as an escape, whatever a gene is called
    for character in "<\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    extra = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f'<script type="application/json"{extra}>{text}</script>'


def rounded(values: Any, digits: int) -> list[float | None]:
    """Numbers with so many decimals, None where one is not finite: what JSON can hold."""
    array = np.asarray(values, np.float64).ravel()
    return [round(value, digits) if math.isfinite(value) else None for value in array.tolist()]


def scroll_box(name: str, caption: str, table: str, kind: str = "") -> str:
    """A captioned table in a box that scrolls sideways by itself, also with the keyboard.

    `name` is the id of the caption, `table` what stands inside the table element after it.
    """
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{name}"><table{classes(kind)}>'
        f'<caption><span id="{name}">{escape(caption)}</span></caption>{table}</table></div>'
    )
