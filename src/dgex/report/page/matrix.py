"""A table of measured values with the published ones below, laid out as tables 1 and 2 of the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dgex.errors import DataError
from dgex.report.page.markup import BEST, SELECTED, classes
from dgex.report.tables import EMPTY

__all__ = ["Cell", "matrix_legend", "matrix_table"]


@dataclass(frozen=True)
class Cell:
    """One measured value beside its published counterpart; None or NaN where there is none.

    Attributes
    ----------
    value, spread
        What was measured, and its standard deviation over genes.
    published, published_spread
        The same as published.
    best, selected
        Whether to mark the cell as the best, and as the one that was chosen.
    note
        A short remark below the numbers, such as "40 epochs".
    """

    value: float | None = None
    spread: float | None = None
    published: float | None = None
    published_spread: float | None = None
    best: bool = False
    selected: bool = False
    note: str = ""


def matrix_table(
    cells: Sequence[Sequence[Cell | None]],
    rows: Sequence[object],
    columns: Sequence[object],
    corner: str,
    over: str,
    digits: int,
) -> str:
    """The head and body of the table that `Page.add_matrix` adds."""
    if len(cells) != len(rows) or any(len(line) != len(columns) for line in cells):
        sizes = f"{len(cells)} rows of {sorted({len(line) for line in cells})} cells"
        raise DataError(f"a table of {len(rows)} rows and {len(columns)} columns needs as many cells; found {sizes}")
    names = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in columns)
    first = f'<th scope="col"{" rowspan=2" if over else ""}>{escape(corner)}</th>'
    head = f"<tr>{first}{names}</tr>"
    if over:
        head = f'<tr>{first}<th scope="colgroup" colspan="{len(columns)}">{escape(over)}</th></tr><tr>{names}</tr>'
    body = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th>{"".join(_cell(cell or Cell(), digits) for cell in line)}</tr>'
        for name, line in zip(rows, cells)
    )
    return f"<thead>{head}</thead><tbody>{body}</tbody>"


def matrix_legend(cells: Sequence[Sequence[Cell | None]], paper: str, best: str, selected: str) -> str:
    """Explain the marks that occur, and no others."""
    values = [cell for line in cells for cell in line if cell]
    parts = []
    if any(_known(cell.spread) for cell in values):
        parts.append("±: standard deviation over genes")
    if any(_known(cell.published) for cell in values):
        parts.append(f"{escape(paper)}: as published")
    if any(cell.best for cell in values):
        parts.append(f'<span class="best">shaded</span>: {escape(best)}')
    if any(cell.selected for cell in values):
        parts.append(f'<span class="sign" aria-hidden="true">◆</span> framed: {escape(selected)}')
    if any(not _known(cell.value) for line in cells for cell in [c or Cell() for c in line]):
        parts.append(f"{EMPTY}: not measured")
    return f'<p class="legend">{"; ".join(parts)}.</p>' if parts else ""


def _cell(cell: Cell, digits: int) -> str:
    measured = escape(_pair(cell.value, cell.spread, digits))
    marks = (BEST if cell.best else "") + (SELECTED if cell.selected else "")
    lines = [f"<span>{measured}{marks}</span>"]
    if _known(cell.published):
        lines.append(f"<small>paper {escape(_pair(cell.published, cell.published_spread, digits))}</small>")
    if cell.note:
        lines.append(f"<small>{escape(cell.note)}</small>")
    return f"<td{classes('best' if cell.best else '', 'selected' if cell.selected else '')}>{''.join(lines)}</td>"


def _pair(value: float | None, spread: float | None, digits: int) -> str:
    if value is None or not math.isfinite(value):
        return EMPTY
    text = f"{value:.{digits}f}"
    if spread is not None and math.isfinite(spread):
        text += f" ± {spread:.{digits}f}"
    return text.replace("-", "−")


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
