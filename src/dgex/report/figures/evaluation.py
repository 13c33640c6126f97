"""Figures of a comparison: densities of gene-wise errors, gene against gene, and learning curves.

Every function returns a matplotlib `Figure` of its own and touches no global state, so that it works in a
notebook, on a server and in several threads one after another. `save` writes it as PNG, SVG and CSV.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import gaussian_kde

from dgex.aliases import PathLike
from dgex.atomic import atomic_file
from dgex.errors import DataError
from dgex.metrics import share_better
from dgex.report.figures.data import csv_of, curves_table, keep_data
from dgex.report.figures.shown import Shown
from dgex.report.style import INK, LINES, MUTED, PALETTE, SHADE, house_style
from dgex.report.tables import share_text

__all__ = ["density", "gene_scatter", "learning_curves", "new_figure", "save", "save_all", "scatter", "to_svg"]

_SIZE = (5.4, 4.0)
_POINTS = 240  # of a density curve
_TITLE = 42  # letters that fit over a square figure


def density(
    values: Mapping[str, np.ndarray],
    xlabel: str = "Mean absolute error of a gene",
    title: str = "",
    *,
    grey: Sequence[str] = (),
) -> Figure:
    """Draw how a value spreads over genes, one curve a method (figure 2 of the paper).

    Parameters
    ----------
    values
        Method to one value a gene; NaN is left out.
    xlabel, title
        Texts; the title may stay empty.
    grey
        Methods drawn in grey as a background to the others, such as the trivial predictor.

    Returns
    -------
    Figure
        Gaussian kernel densities with Scott's bandwidth; the legend gives each method's mean over genes.
        A method whose values are all equal is a vertical line.

    Raises
    ------
    DataError
        If no method has a finite value.
    """
    finite = {name: _finite(array) for name, array in values.items()}
    finite = {name: array for name, array in finite.items() if len(array)}
    if not finite:
        raise DataError("a density needs at least one finite value; found none")
    grid = _grid(finite)
    with house_style():
        figure, axes = new_figure()
        curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for (name, array), look in zip(finite.items(), _looks(finite, grey)):
            label = f"{name}  ({array.mean():.3f})"
            if np.ptp(array) < 1e-9 * max(1.0, abs(array).max()):
                axes.axvline(array[0], label=label, **look)
                curves[name] = array[:1], np.array([np.inf])
            else:
                curve = gaussian_kde(array)(grid)
                curves[name] = grid, curve
                axes.plot(grid, curve, label=label, **look)
                axes.fill_between(grid, curve, color=look["color"], alpha=0.24 / max(3, len(finite)), linewidth=0)
        axes.set(xlabel=xlabel, ylabel="Density of target genes", xlim=(grid[0], grid[-1]))
        axes.set_ylim(bottom=0)
        keep_data(figure, curves_table(xlabel, "Density of target genes", curves))
        _legend(figure, axes, "Method (mean over genes)")
        axes.set_title(title)
    return figure


def scatter(
    errors: np.ndarray,
    baseline_errors: np.ndarray,
    name: str,
    baseline_name: str,
    *,
    unit: str = "",
    color: str = PALETTE[0],
    genes: Sequence[str] | None = None,
) -> Figure:
    """Draw each gene's error by one method against another's (figures 3 and 4 of the paper).

    Parameters
    ----------
    errors, baseline_errors
        One error a gene, in the same order. Genes without a finite pair are not drawn.
    name, baseline_name
        The two methods; a dot above the diagonal is a gene that `name` infers better.
    unit
        Unit of the errors, for the axes.
    color
        Of the dots.
    genes
        Their names, for the figure's table.
    """
    errors, baseline_errors = np.asarray(errors, np.float64), np.asarray(baseline_errors, np.float64)
    fits = np.isfinite(errors) & np.isfinite(baseline_errors)
    if not fits.any():
        raise DataError(f"no gene has finite errors by both {name} and {baseline_name}")
    share = share_text(share_better(errors[fits], baseline_errors[fits]))
    suffix = f" ({unit})" if unit else ""
    return gene_scatter(
        errors,
        baseline_errors,
        f"Error by {name}{suffix}",
        f"Error by {baseline_name}{suffix}",
        f"{name} is better on {share} of {fits.sum():,} genes",
        color=color,
        above=f"{name} better",
        below=f"{baseline_name} better",
        genes=genes,
    )


def gene_scatter(
    x: np.ndarray,
    y: np.ndarray,
    xlabel: str,
    ylabel: str,
    title: str = "",
    *,
    color: str = PALETTE[0],
    above: str = "",
    below: str = "",
    genes: Sequence[str] | None = None,
) -> Figure:
    """Draw one value against another, a dot a gene, on two equal axes with their diagonal.

    Parameters
    ----------
    x, y
        One value a gene, in the same order. Genes without a finite pair are not drawn.
    xlabel, ylabel, title
        Texts.
    color
        Of the dots.
    above, below
        What it means to lie above and below the diagonal: words in the two corners.
    genes
        Their names, for the figure's table.

    Raises
    ------
    DataError
        If no gene has a finite pair.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    fits = np.isfinite(x) & np.isfinite(y)
    named = {} if genes is None else {"Gene": np.asarray(genes, dtype=object)[fits]}
    x, y = x[fits], y[fits]
    if not len(x):
        raise DataError(f"no gene has a finite value on both axes: {xlabel}, {ylabel}")
    low, top = _limits(x, y)
    with house_style():
        figure, axes = new_figure((4.6, 4.6))
        axes.plot([low, top], [low, top], color=INK, linewidth=1.0, zorder=3)
        # Thousands of dots are drawn as pixels inside the SVG: a tenth of the size, nothing lost to the eye.
        axes.scatter(x, y, s=7, color=color, alpha=_alpha(len(x)), linewidths=0, rasterized=True, zorder=2)
        axes.set(xlim=(low, top), ylim=(low, top), aspect="equal", xlabel=xlabel, ylabel=ylabel)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axes.set_title(fill(title, _TITLE))
        style: dict[str, Any] = {"transform": axes.transAxes, "color": MUTED, "fontsize": 9.5}
        axes.text(0.03, 0.97, above, va="top", **style)
        axes.text(0.97, 0.03, below, ha="right", **style)
        keep_data(figure, pd.DataFrame({**named, xlabel: x, ylabel: y}))
    return figure


def _limits(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Limits of both axes: from zero where that wastes little, with room on every side."""
    least, most = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    if least < 0:
        margin = 0.04 * (max(most, 0.0) - least)
        return least - margin, max(most, 0.0) + margin
    top = most * 1.04 or 1.0
    low = min(least * 0.9, top * 0.5)
    return (0.0 if low < 0.25 * top else low), top


def learning_curves(
    curves: Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]],
    ylabel: str = "Overall error",
    title: str = "",
    *,
    baselines: Mapping[str, float] | None = None,
) -> Figure:
    """Draw error against epoch; a dot marks each curve's best epoch.

    Parameters
    ----------
    curves
        Set or method to (epochs, errors).
    ylabel, title
        Texts.
    baselines
        Method to an error that does not change with epochs, drawn as a horizontal line.
    """
    if not curves:
        raise DataError("learning curves need at least one history; found none")
    with house_style():
        figure, axes = new_figure()
        for (name, (epochs, errors)), look in zip(curves.items(), _looks(curves, ())):
            x, y = np.asarray(epochs, np.float64), np.asarray(errors, np.float64)
            label = name
            if np.isfinite(y).any():
                best = int(np.nanargmin(y))
                label = f"{name}  (best {y[best]:.3f}, epoch {x[best]:g})"
                axes.plot(x[best], y[best], "o", color=look["color"], markersize=6, zorder=4)
            axes.plot(x, y, label=label, **look)
        for name, error in (baselines or {}).items():
            axes.axhline(error, color=SHADE, linewidth=1.2, linestyle=(0, (2, 2)))
            axes.annotate(
                f"{name} {error:.3f}",
                (1, error),
                xycoords=("axes fraction", "data"),
                xytext=(-2, 3),
                textcoords="offset points",
                ha="right",
                color=MUTED,
                fontsize=9.5,
            )
        axes.set(xlabel="Epoch", ylabel=ylabel)
        keep_data(figure, curves_table("Epoch", ylabel, curves, baselines))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
        _legend(figure, axes)
        axes.set_title(title)
    return figure


def to_svg(figure: Figure) -> str:
    """Render a figure as an SVG document whose text stays text; the same figure gives the same document."""
    buffer = io.StringIO()
    with house_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def save(figure: Figure, stem: PathLike, *, overwrite: bool = False) -> list[Path]:
    """Write `stem`.png (150 dots an inch), `stem`.svg and what they draw, `stem`.csv, and return the paths.

    Raises
    ------
    OutputExistsError
        If one of them exists and `overwrite` is False.
    """
    values = csv_of(figure)
    paths = [Path(f"{os.fspath(stem)}{suffix}") for suffix in (".png", ".svg", *([".csv"] if values else []))]
    with ExitStack() as stack:
        png, svg, *data = (stack.enter_context(atomic_file(path, overwrite)) for path in paths)
        with house_style():
            figure.savefig(png, format="png", dpi=150)
        svg.write_text(to_svg(figure), "utf-8")
        for path in data:
            path.write_text(values, "utf-8")
    return paths


def save_all(figures: Mapping[str, Figure], folder: PathLike, *, overwrite: bool = False) -> list[Path]:
    """Write every figure under its name into a folder, made if it is not there; see `save`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return [path for name, figure in figures.items() for path in save(figure, Path(folder) / name, overwrite=overwrite)]


def new_figure(size: tuple[float, float] = _SIZE) -> tuple[Figure, Any]:
    """A figure of so many inches and its axes; to be called inside `house_style`."""
    figure = Shown(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(True)
    axes.set_axisbelow(True)
    return figure, axes


def _legend(figure: Figure, axes: Any, title: str = "") -> None:
    """Inside the axes while few curves leave room, below them otherwise (the figure grows by what it needs)."""
    count = len(axes.get_legend_handles_labels()[0])
    if count <= 4:
        axes.legend(title=title, title_fontsize=10, alignment="left", loc="best")
        return
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.2 * (count // 2 + 1))
    figure.legend(loc="outside lower left", ncols=2, title=title, title_fontsize=10, alignment="left")


def _looks(names: Mapping[str, Any], grey: Sequence[str]) -> list[dict[str, Any]]:
    """Colour and dash of each curve: grey ones aside, in the order of the palette."""
    looks, at = [], 0
    for name in names:
        if name in grey:
            looks.append({"color": SHADE, "linestyle": LINES[1], "linewidth": 1.5})
        else:
            looks.append({"color": PALETTE[at % len(PALETTE)], "linestyle": LINES[at % len(LINES)]})
            at += 1
    return looks


def _grid(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """From the smallest value to where nearly all of every method has come: a few extreme genes may fall outside."""
    low = min(float(np.quantile(array, 0.001)) for array in values.values())
    high = max(float(np.quantile(array, 0.995)) for array in values.values())
    margin = 0.06 * (high - low) or 0.5
    return np.linspace(max(0.0, low - margin) if low >= 0 else low - margin, high + margin, _POINTS)


def _finite(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array, np.float64).ravel()
    return array[np.isfinite(array)]


def _alpha(count: int) -> float:
    return float(np.clip(20 / np.sqrt(count), 0.15, 0.8))
