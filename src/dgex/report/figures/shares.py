"""Figures of how many genes are how good: shares of genes below an error or above a correlation; distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from dgex.errors import DataError
from dgex.report.figures.data import curves_table, keep_data
from dgex.report.figures.evaluation import new_figure
from dgex.report.style import INK, LINES, MUTED, PALETTE, SHADE, house_style

__all__ = ["distance_histogram", "share_curves", "shares_at"]

_POINTS = 400  # of a curve: a page of many genes needs no more
_BINS = 20


def shares_at(values: np.ndarray, at: np.ndarray, above: bool = False) -> np.ndarray:
    """Share of all genes whose value is at most, or with `above` at least, each of `at`; NaN is neither.

    Examples
    --------
    >>> shares_at(np.array([0.1, 0.2, 0.3, np.nan]), np.array([0.0, 0.2, 1.0])).tolist()
    [0.0, 0.5, 0.75]
    >>> shares_at(np.array([0.1, 0.2, 0.3, np.nan]), np.array([0.0, 0.2, 1.0]), above=True).tolist()
    [0.75, 0.5, 0.0]
    """
    known = np.sort(values[np.isfinite(values)])
    below = np.searchsorted(known, at, side="left" if above else "right")
    return (len(known) - below if above else below) / max(1, len(values))


def share_curves(
    values: Mapping[str, np.ndarray],
    xlabel: str,
    title: str = "",
    *,
    above: bool = False,
    grey: Sequence[str] = (),
    mark: float | None = None,
    marked: str = "",
) -> Figure:
    """Draw the share of genes below each error, or above each correlation, one curve a method.

    Parameters
    ----------
    values
        Method to one value a gene; a gene without one counts as neither below nor above.
    xlabel, title
        Texts.
    above
        Genes at or above a value rather than at or below it.
    grey
        Methods drawn in grey, such as the trivial predictor.
    mark, marked
        A value to mark, with the share of this method's genes there.

    Raises
    ------
    DataError
        If no method has a finite value.
    """
    finite = {name: array for name, array in values.items() if np.isfinite(array).any()}
    if not finite:
        raise DataError("a curve of shares needs at least one finite value; found none")
    known = {name: array[np.isfinite(array)] for name, array in finite.items()}
    low = min(0.0, *(float(np.quantile(array, 0.005)) for array in known.values()))
    high = 1.0 if above else max(float(np.quantile(array, 0.99)) for array in known.values())
    grid = np.linspace(low, high if high > low else low + 1, _POINTS)
    with house_style():
        figure, axes = new_figure()
        coloured = 0
        curves = {name: shares_at(array, grid, above) for name, array in finite.items()}
        for name, curve in curves.items():
            if name in grey:
                axes.plot(grid, curve, label=name, color=SHADE, linestyle=LINES[1], linewidth=1.5)
                continue
            look = {"color": PALETTE[coloured % len(PALETTE)], "linestyle": LINES[coloured % len(LINES)]}
            axes.plot(grid, curve, label=name, **look)
            coloured += 1
        if mark is not None and marked in finite:
            share = float(shares_at(finite[marked], np.array([mark]), above)[0])
            axes.plot([mark, mark, low], [0, share, share], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
            axes.plot(mark, share, "o", color=INK, markersize=5, zorder=4)
            axes.annotate(f"{share:.0%}", (mark, share), xytext=(6, 6), textcoords="offset points", color=INK)
        words = "this or more" if above else "this or less"
        keep_data(figure, curves_table(xlabel, f"Genes with {words}", {name: (grid, y) for name, y in curves.items()}))
        axes.set(xlabel=xlabel, ylabel=f"Genes with {words}", xlim=(grid[0], grid[-1]), ylim=(0, 1.02))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(loc="upper right" if above else "lower right")
        axes.set_title(title)
    return figure


def distance_histogram(distance: np.ndarray, unlike: float, title: str = "") -> Figure:
    """Draw how far profiles lie from the training profiles, as shares of held-out profiles that lie nearer.

    Parameters
    ----------
    distance
        One value from 0 to 1 a profile.
    unlike
        Where profiles begin to be called unlike the training profiles; marked.
    title
        Text.

    Raises
    ------
    DataError
        If there is no finite value.
    """
    known = np.asarray(distance, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        raise DataError("a histogram of distances needs at least one finite value; found none")
    with house_style():
        figure, axes = new_figure()
        counts, edges = np.histogram(known, _BINS, (0, 1))
        nearer = "Held-out profiles that lie nearer"
        bins = {f"{nearer}, from": edges[:-1], f"{nearer}, to": edges[1:], "Profiles": counts}
        keep_data(figure, pd.DataFrame(bins))
        axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=PALETTE[0], linewidth=0, alpha=0.75)
        axes.axhline(len(known) / _BINS, color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
        axes.axvline(unlike, color=PALETTE[1], linewidth=1.6)
        axes.annotate(
            f"unlike, beyond {unlike:.0%}",
            (unlike, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            color=INK,
        )
        axes.set(xlabel=nearer, ylabel="Profiles", xlim=(0, 1.01))
        axes.set_ylim(top=1.15 * max(counts.max(), 1))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_title(title)
    return figure
