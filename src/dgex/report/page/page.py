"""One HTML file with text, tables and figures: opens anywhere, asks nothing of the network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from dgex._version import __version__
from dgex.aliases import PathLike
from dgex.atomic import atomic_file
from dgex.errors import DataError
from dgex.report.look import Points
from dgex.report.page.assets import SCRIPT, STYLE
from dgex.report.page.finder import finder, fitting
from dgex.report.page.gene_cards import gene_cards
from dgex.report.page.markup import classes, csv_link, json_element, scroll_box, slug
from dgex.report.page.matrix import Cell, matrix_legend, matrix_table
from dgex.report.page.sortable import sortable_table
from dgex.report.page.svg import embed
from dgex.report.style import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Cell", "Page"]

# The browser may load nothing but what the file itself holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'"

_FEW = 6  # sections whose links stand in a row


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
        self._taken = {"content"}  # ids of headings; every other id has an underscore, which theirs never have
        self._count = 0
        self._names: dict[tuple[str, ...], str] = {}  # genes to the id of the element that lists them

    def add_heading(self, text: str, level: int = 2) -> Self:
        """Begin a section (level 2, listed in the page's navigation), a part of one (level 3), or a part of that (4).

        A link reaches it by its words: `#table-1-overall-error` for "Table 1: overall error".
        """
        name = slug(text, self._taken)
        self._taken.add(name)
        if level == 2:
            self._sections.append((name, text))
        kind, tag = "section" if level == 2 else "html", f"h{level}"
        return self._add(kind, f'<{tag} id="{name}">{escape(text)}</{tag}>')

    def add_text(self, text: str, *, code: bool = False, kind: str = "") -> Self:
        """Add paragraphs, parted by empty lines; with `code` one block kept as it is.

        A `kind` is "lead", what is to be read first, or "warning".
        """
        if code:
            return self._add("html", f'<pre tabindex="0"><code>{escape(text)}</code></pre>')
        return self._add(
            "html", "".join(f"<p{classes(kind)}>{escape(part)}</p>" for part in text.strip().split("\n\n"))
        )

    def add_numbers(self, numbers: Sequence[tuple[str, str, str]]) -> Self:
        """Add a row of headline figures, each a (label, value, remark)."""
        boxes = "".join(
            f"<div><dt>{escape(label)}</dt><dd>{escape(value)}"
            + (f"<small>{escape(remark)}</small>" if remark else "")
            + "</dd></div>"
            for label, value, remark in numbers
        )
        return self._add("html", f'<dl class="numbers">{boxes}</dl>')

    def add_table(
        self,
        frame: pd.DataFrame,
        caption: str,
        *,
        labels: Mapping[str, str] | None = None,
        formats: Mapping[str, str] | None = None,
        best: Mapping[str, str] | None = None,
        selected: Collection[int] = (),
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
        selected
            Positions of rows to mark as selected, counted from 0.

        Raises
        ------
        DataError
            If a position lies outside the table.
        """
        body = sortable_table(frame, labels or {}, formats or {}, best or {}, selected)
        return self._add("html", scroll_box(self._name("caption"), caption, body, "sortable"))

    def add_matrix(
        self,
        cells: Sequence[Sequence[Cell | None]],
        *,
        rows: Sequence[object],
        columns: Sequence[object],
        corner: str,
        caption: str,
        over: str = "",
        digits: int = 4,
        best: str = "lowest",
        selected: str = "selected",
    ) -> Self:
        """Add measured values with the published ones below, laid out as tables 1 and 2 of the paper.

        Parameters
        ----------
        cells
            One sequence a row, one `Cell` a column; None is an empty cell.
        rows, columns
            Their headers: numbers of hidden layers (or methods) and of hidden units.
        corner, over
            What the rows are, and what the columns are: a header over all of theirs.
        caption
            What the table shows.
        digits
            Decimals.
        best, selected
            What the two marks mean, for the line below the table that explains them.

        Raises
        ------
        DataError
            If the cells are not as many as rows and columns.
        """
        body = matrix_table(cells, rows, columns, corner, over, digits)
        box = scroll_box(self._name("caption"), caption, body, "matrix")
        return self._add("html", box + matrix_legend(cells, "paper", best, selected))

    def add_finder(
        self,
        measures: Mapping[str, pd.DataFrame],
        caption: str,
        *,
        best: Mapping[str, str] | None = None,
        digits: int = 3,
        max_values: int = 300_000,
        given: bool = False,
    ) -> Self:
        """Add a searchable table of many genes, whose values travel in the page as compact JSON.

        Parameters
        ----------
        measures
            Name of a measure to a frame of numbers or words, genes x methods; all frames have the same index. The
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
        given
            Show the genes in their own order until a header is clicked, rather than by name.

        Raises
        ------
        DataError
            If there is no measure, or their genes differ.
        """
        frames, left_out = fitting(measures, max_values)
        if left_out:
            caption += f" Left out of this page for its size: {', '.join(left_out)}."
        names = self._share_names(next(iter(frames.values())).index)
        return self._add("html", finder(frames, names, self._name("caption"), caption, best or {}, digits, given))

    def add_cards(self, sets: Mapping[str, Points], facts: Mapping[str, pd.Series]) -> Self:
        """Add cards of genes, which a click on a gene in a table or a scatter opens; see `gene_cards`."""
        return self._add("html", gene_cards(sets, facts))

    def add_figure(self, figure: str | Figure, caption: str) -> Self:
        """Add a figure, or an SVG document; figures that follow each other stand side by side.

        Below a figure of this package is a link that saves what it draws as CSV.

        Raises
        ------
        DataError
            If it is not a well-formed SVG document.
        """
        name, link = self._name("figure"), ""
        if not isinstance(figure, str):
            from dgex.report.figures.data import csv_of, title_of
            from dgex.report.figures.evaluation import to_svg

            link, figure = csv_link(title_of(figure) or caption, csv_of(figure)), to_svg(figure)
        drawing = embed(figure, f"{name}-", caption)
        return self._add("figure", f"<figure>{drawing}<figcaption>{escape(caption)}{link}</figcaption></figure>")

    def add_scatter(
        self,
        x: np.ndarray,
        y: np.ndarray,
        names: Sequence[str],
        *,
        xlabel: str,
        ylabel: str,
        title: str,
        caption: str,
        color: str = PALETTE[0],
        above: str = "",
        below: str = "",
    ) -> Self:
        """Add a scatter of one value against another, gene by gene, that tells the gene under the pointer.

        A gene can also be found by its name. Scatters and tables of the same genes share one list of names.

        Parameters
        ----------
        x, y
            One value a gene; genes without a finite pair have no dot. The page holds them to 4 decimals.
        names
            The genes, in the same order.
        xlabel, ylabel, title, caption
            Texts.
        color
            Of the dots.
        above, below
            What it means to lie above and below the diagonal: words in the two corners.

        Raises
        ------
        DataError
            If x, y and names differ in length or no gene has a finite pair.
        """
        from dgex.report.figures.evaluation import gene_scatter
        from dgex.report.page.scatter import hoverable

        x, y = np.asarray(x, np.float64).ravel(), np.asarray(y, np.float64).ravel()
        if not len(x) == len(y) == len(names):
            raise DataError(f"a scatter needs one x, y and name a gene; found {len(x)}, {len(y)} and {len(names)}")
        figure = gene_scatter(x, y, xlabel, ylabel, title, color=color, above=above, below=below)
        shared, prefix = self._share_names(names), f"{self._name('figure')}-"
        return self._add("figure", hoverable(figure, x, y, shared, prefix, caption, (xlabel, ylabel)))

    def html(self) -> str:
        """The whole page."""
        subtitle = f"<p>{escape(self.subtitle)}</p>" if self.subtitle else ""
        names = "\n".join(json_element(list(key), id=name) for key, name in self._names.items())
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta name="generator" content="dgex {__version__}">\n<title>{escape(self.title)}</title>\n'
            f'<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n</head>\n<body>\n'
            '<a class="skip" href="#content">Skip to content</a>\n'
            f"<header><h1>{escape(self.title)}</h1>{subtitle}</header>\n{self._contents()}\n"
            f'<main id="content">\n{self._body()}\n</main>\n'
            f"<footer>Made with dgex {__version__}.</footer>\n{names}\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
        )

    def _contents(self) -> str:
        """Links to the sections; many of them fold away, so that they never cover a small screen."""
        if len(self._sections) < 2:
            return ""
        links = "".join(f'<li><a href="#{name}">{escape(text)}</a></li>' for name, text in self._sections)
        if len(self._sections) <= _FEW:
            return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'
        summary = '<summary>Contents<span class="here" aria-hidden="true"></span></summary>'
        return f'<nav aria-label="Contents" class="many"><details>{summary}<ul>{links}</ul></details></nav>'

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

    def save(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write the page, whole or not at all, and return its path.

        Raises
        ------
        OutputExistsError, FileError
            If the file exists and `overwrite` is False, or cannot be written.
        """
        with atomic_file(path, overwrite) as temporary:
            temporary.write_text(self.html(), "utf-8")
        return Path(path)

    def _add(self, kind: str, html: str) -> Self:
        self._parts.append((kind, html))
        return self

    def _name(self, kind: str) -> str:
        """A new id."""
        self._count += 1
        return f"{kind}_{self._count}"

    def _share_names(self, names: Sequence[str] | pd.Index) -> str:
        """The id of the element that lists these genes; every list stands in the page once."""
        key = tuple(str(name) for name in names)
        if key not in self._names:
            self._names[key] = f"names_{len(self._names) + 1}"
        return self._names[key]
