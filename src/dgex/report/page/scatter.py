"""A gene-wise scatter that tells a dot's gene: the figure as SVG, its values beside it as compact JSON."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.figure import Figure

from dgex.report.figures.data import title_of
from dgex.report.figures.evaluation import to_svg
from dgex.report.page.markup import csv_link, json_element, rounded
from dgex.report.page.svg import embed

__all__ = ["hoverable"]

_MADE = "\n"  # stands for the values, which the script of the page writes when they are asked for
_POINTS = 72.0  # an inch of an SVG of matplotlib


def hoverable(
    figure: Figure, x: np.ndarray, y: np.ndarray, names: str, prefix: str, caption: str, labels: Sequence[str]
) -> str:
    """The whole figure element.

    Parameters
    ----------
    figure
        A scatter of `dgex.report.figures.evaluation`, with linear axes.
    x, y
        Its values, one a gene; a gene without a finite pair has no dot but is found by name.
    names
        The id of the element that holds the genes' names.
    prefix
        Of the ids in the figure.
    caption, labels
        What the figure shows; what x and y are.
    """
    drawing = embed(to_svg(figure), prefix, caption)
    data = {
        "names": names,
        "labels": list(labels),
        "box": _box(figure),
        "limits": [float(v) for v in (*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim())],
        "values": [rounded(x, 4), rounded(y, 4)],
    }
    return (
        f'<figure class="plot">{json_element(data)}<div class="drawing">{drawing}'
        '<div class="tip" aria-hidden="true" hidden></div></div>'
        f"<figcaption>{escape(caption)}</figcaption>"
        '<div class="tools"><label>Find a gene<input type="search" autocomplete="off" spellcheck="false"></label>'
        '<output aria-live="polite"></output>'
        f"{csv_link(title_of(figure) or caption, _MADE)}</div></figure>"
    )


def _box(figure: Figure) -> list[float]:
    """Left, right, bottom and top edge of the axes in the units of the SVG, as last drawn."""
    width, height = (float(inches) * _POINTS for inches in figure.get_size_inches())
    place = figure.axes[0].get_position()
    edges = (place.x0 * width, place.x1 * width, (1 - place.y0) * height, (1 - place.y1) * height)
    return [round(float(edge), 3) for edge in edges]
