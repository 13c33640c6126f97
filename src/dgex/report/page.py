"""One HTML file with text, tables and figures: opens anywhere, asks nothing of the network."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from dgex._version import __version__
from dgex.atomic import atomic_file
from dgex.report.assets import SCRIPT, STYLE
from dgex.report.svg import embed
from dgex.report.tables import cell, is_number

__all__ = ["Page"]

# The browser may load nothing but what the file itself holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'"


class Page:
    """Builder of a self-contained HTML page; every `add_` method returns the page itself.

    Parameters
    ----------
    title, subtitle
        Shown at the top; plain text, as all texts given to a page: nothing is read as HTML.

    Examples
    --------
    >>> table = pd.DataFrame({"Method": ["LR", "D-GEX"], "Error": [0.3784, 0.3204]})
    >>> page = Page("Comparison").add_heading("Overall").add_table(table, "Errors on GEO-te.")
    >>> page.save("report.html")  # doctest: +SKIP
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title, self.subtitle = title, subtitle
        self._parts: list[tuple[str, str]] = []  # (kind, HTML)
        self._sections: list[tuple[str, str]] = []  # (id, heading) of the second level
        self._count = 0

    def add_heading(self, text: str, level: int = 2) -> Self:
        """Begin a section (level 2, listed in the page's navigation) or a part of one (level 3)."""
        if level == 2:
            name = f"section-{len(self._sections) + 1}"
            self._sections.append((name, text))
            self._parts.append(("section", f'<h2 id="{name}">{escape(text)}</h2>'))
        else:
            self._parts.append(("html", f"<h3>{escape(text)}</h3>"))
        return self

    def add_text(self, text: str, *, code: bool = False) -> Self:
        """Add paragraphs, parted by empty lines; with `code` one block kept as it is."""
        if code:
            self._parts.append(("html", f'<pre tabindex="0"><code>{escape(text)}</code></pre>'))
        else:
            for paragraph in text.strip().split("\n\n"):
                self._parts.append(("html", f"<p>{escape(paragraph)}</p>"))
        return self

    def add_numbers(self, numbers: Sequence[tuple[str, str, str]]) -> Self:
        """Add a row of headline figures, each a (label, value, remark)."""
        boxes = "".join(
            f"<div><dt>{escape(label)}</dt><dd>{escape(value)}"
            + (f"<small>{escape(remark)}</small>" if remark else "")
            + "</dd></div>"
            for label, value, remark in numbers
        )
        self._parts.append(("html", f'<dl class="numbers">{boxes}</dl>'))
        return self

    def add_table(
        self,
        frame: pd.DataFrame,
        caption: str,
        *,
        labels: Mapping[str, str] | None = None,
        formats: Mapping[str, str] | None = None,
        best: Mapping[str, str] | None = None,
    ) -> Self:
        """Add a table that a click on a header sorts; the first column names the rows.

        Parameters
        ----------
        frame
            The index is not shown: reset it where it matters.
        caption
            What the table shows.
        labels, formats
            Column to header and to format specification (`".4f"`, `".1%"`).
        best
            Column to "min" or "max": the best value of that column is marked.
        """
        labels, formats = labels or {}, formats or {}
        numeric = {name: is_number(frame[name]) for name in frame.columns}
        head = "".join(
            f'<th scope="col"{_class("n" if numeric[name] else "")}>{escape(str(labels.get(name, name)))}</th>'
            for name in frame.columns
        )
        marked = {name: _best_rows(frame[name], rule) for name, rule in (best or {}).items() if name in frame}
        rows = []
        for at in range(len(frame)):
            cells = []
            for column, name in enumerate(frame.columns):
                value = frame.iat[at, column]
                text = escape(cell(value, formats.get(name, "")))
                if column == 0:
                    cells.append(f'<th scope="row"{_value(value, numeric[name])}>{text}</th>')
                    continue
                kind = ("n" if numeric[name] else "") + (" best" if at in marked.get(name, ()) else "")
                cells.append(f"<td{_class(kind)}{_value(value, numeric[name])}>{text}</td>")
            rows.append(f"<tr>{''.join(cells)}</tr>")
        self._count += 1
        self._parts.append(
            (
                "html",
                f'<div class="scroll" role="region" tabindex="0" aria-labelledby="table-{self._count}">'
                f'<table class="sortable"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
                f'<p class="caption" id="table-{self._count}">{escape(caption)}</p>',
            )
        )
        return self

    def add_finder(
        self,
        measures: Mapping[str, pd.DataFrame],
        caption: str,
        *,
        best: Mapping[str, str] | None = None,
        digits: int = 3,
        max_values: int = 300_000,
    ) -> Self:
        """Add a searchable table of many genes, whose values travel in the page as compact JSON.

        Parameters
        ----------
        measures
            Name of a measure to a frame of numbers, genes x methods; all frames have the same index. The
            reader picks one measure at a time.
        caption
            What the table shows.
        best
            Measure to "min" or "max": the best method of each gene is marked.
        digits
            Decimals kept.
        max_values
            Numbers the page may hold: measures that do not fit are left out, last ones first, and the
            caption says so. The first measure always stays.
        """
        frames = dict(measures)
        left_out: list[str] = []
        while len(frames) > 1 and sum(frame.size for frame in frames.values()) > max_values:
            left_out.insert(0, frames.popitem()[0])
        if left_out:
            caption += f" Left out of this page for its size: {', '.join(left_out)}."
        first = next(iter(frames.values()))
        data = {
            "index": str(first.index.name or "Gene").capitalize(),
            "digits": digits,
            "names": [str(name) for name in first.index],
            "measures": [
                {
                    "name": name,
                    "best": (best or {}).get(name),
                    "columns": [str(column) for column in frame.columns],
                    "values": [_rounded(frame.iloc[:, at], digits) for at in range(frame.shape[1])],
                }
                for name, frame in frames.items()
            ],
        }
        # "<" cannot end the script element when it is written as an escape, whatever a gene is called
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
        text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        options = "".join(f"<option>{escape(name)}</option>" for name in frames)
        pick = f"<label>Show<select>{options}</select></label>" if len(frames) > 1 else ""
        self._count += 1
        self._parts.append(
            (
                "html",
                f'<div class="finder"><script type="application/json">{text}</script>'
                '<div class="tools"><label>Find genes<input type="search" autocomplete="off" spellcheck="false" '
                f'placeholder="names, parted by spaces"></label>{pick}<output aria-live="polite"></output></div>'
                f'<div class="scroll" role="region" tabindex="0" aria-labelledby="table-{self._count}">'
                "<table><thead></thead><tbody></tbody></table></div>"
                '<button class="more" type="button" hidden>Show more</button>'
                f'<p class="caption" id="table-{self._count}">{escape(caption)}</p>'
                "<noscript><p>This table needs JavaScript; the same values stand in the CSV file.</p></noscript></div>",
            )
        )
        return self

    def add_figure(self, svg: str, caption: str) -> Self:
        """Add a figure given as an SVG document; figures that follow each other stand side by side.

        Raises
        ------
        DataError
            If `svg` is not a well-formed SVG document.
        """
        self._count += 1
        drawing = embed(svg, f"f{self._count}-", caption)
        self._parts.append(("figure", f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"))
        return self

    def html(self) -> str:
        """The whole page."""
        navigation = ""
        if len(self._sections) > 1:
            links = "".join(f'<li><a href="#{name}">{escape(text)}</a></li>' for name, text in self._sections)
            navigation = f'<nav aria-label="Sections"><ul>{links}</ul></nav>'
        subtitle = f"<p>{escape(self.subtitle)}</p>" if self.subtitle else ""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta name="generator" content="dgex {__version__}">\n<title>{escape(self.title)}</title>\n'
            f'<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n</head>\n<body>\n'
            '<a class="skip" href="#content">Skip to content</a>\n'
            f"<header><h1>{escape(self.title)}</h1>{subtitle}</header>\n{navigation}\n"
            f'<main id="content">\n{self._body()}\n</main>\n'
            f"<footer>Made with dgex {__version__}.</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
        )

    def _body(self) -> str:
        lines, inside, figures = [], False, False
        for kind, html in self._parts:
            if figures and kind != "figure":
                lines.append("</div>")
            if kind == "section":
                lines.append(("</section>\n" if inside else "") + "<section>")
                inside = True
            if kind == "figure" and not figures:
                lines.append('<div class="figures">')
            figures = kind == "figure"
            lines.append(html)
        return "\n".join([*lines, "</div>" * figures, "</section>" * inside])

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the page, whole or not at all, and return its path.

        Raises
        ------
        OutputExistsError, FileError
            If the file exists and `overwrite` is False, or cannot be written.
        """
        with atomic_file(path, overwrite) as temporary:
            temporary.write_text(self.html(), "utf-8")
        return Path(path)


def _class(names: str) -> str:
    return f' class="{names.strip()}"' if names.strip() else ""


def _value(value: object, numeric: bool) -> str:
    """The number to sort by, since its text is rounded; empty where there is none."""
    if not numeric:
        return ""
    number = float(value) if pd.notna(value) else math.nan  # type: ignore[call-overload,arg-type]
    return f' data-v="{number!r}"' if math.isfinite(number) else ' data-v=""'


def _best_rows(column: pd.Series, rule: str) -> set[int]:
    values = column.to_numpy(np.float64)
    if np.isfinite(values).sum() < 2:
        return set()
    target = np.nanmin(values) if rule == "min" else np.nanmax(values)
    return set(np.flatnonzero(values == target).tolist())


def _rounded(column: pd.Series, digits: int) -> list[float | None]:
    values = column.to_numpy(np.float64)
    return [round(value, digits) if math.isfinite(value) else None for value in values.tolist()]
