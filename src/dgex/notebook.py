"""Results as HTML for notebooks: plain tables, which take the colours of the notebook, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from dgex.errors import printable

__all__ = ["Folded", "facts", "paragraph", "table"]

_LEFT = ' style="text-align: left"'  # notebooks align cells right


class Folded(NamedTuple):
    """HTML that its title folds away, or that is `open` at first; `html` is made by this module."""

    title: str
    html: str
    open: bool = False


def _text(value: object) -> str:
    """Names come from files of others: no markup of theirs, and no mark that turns text around."""
    if isinstance(value, Folded):
        opened = " open" if value.open else ""
        return f"<details{opened}><summary>{_text(value.title)}</summary>{value.html}</details>"
    return escape(printable(str(value)))


def paragraph(text: str) -> str:
    """A paragraph; lines stay lines.

    >>> print(paragraph("TP53 < MYC"))
    <p>TP53 &lt; MYC</p>
    """
    return f"<p>{'<br>'.join(_text(line) for line in text.splitlines())}</p>"


def facts(rows: Iterable[tuple[str, object]], caption: str = "") -> str:
    """A table of two columns: what, and its value, a text or `Folded`."""
    cells = (f'<th scope="row"{_LEFT}>{_text(name)}</th><td{_LEFT}>{_text(value)}</td>' for name, value in rows)
    return f"<table>{_caption(caption)}<tbody>{''.join(f'<tr>{row}</tr>' for row in cells)}</tbody></table>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table whose first column names its rows.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : iterable of sequences
        Texts, one a column.
    caption : str
        What the table shows; "" for none.
    """
    top = "".join(f'<th scope="col"{"" if at else _LEFT}>{_text(name)}</th>' for at, name in enumerate(head))
    body = "".join(
        f'<tr><th scope="row"{_LEFT}>{_text(first)}</th>{"".join(f"<td>{_text(value)}</td>" for value in others)}</tr>'
        for first, *others in rows
    )
    return f"<table>{_caption(caption)}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _caption(text: str) -> str:
    lines = "<br>".join(_text(line) for line in text.splitlines())
    return f'<caption style="text-align: left">{lines}</caption>' if text else ""
