"""Figures of what a network has learned: the map of its major weights, and the fit from its last hidden layer.

As in `dgex.report.figures.evaluation`, every function returns a `Figure` of its own and touches no global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from dgex.errors import DataError
from dgex.report.figures.data import keep_data
from dgex.report.figures.evaluation import gene_scatter, new_figure
from dgex.report.style import INK, MUTED, PALETTE, PAPER, house_style
from dgex.report.tables import EMPTY, share_text

__all__ = ["LINES", "NEGATIVE", "POSITIVE", "adjusted_r2", "r2_texts", "weight_map"]

# ColorBrewer's red beside the house's blue: told apart by colour-blind eyes, and of unlike lightness in grey.
POSITIVE, NEGATIVE = "#D23B3B", PALETTE[0]
LINES = 4_000
_SWEEPS = 24
_LABELS = 10


def adjusted_r2(landmarks: np.ndarray, hidden: np.ndarray, genes: Sequence[str] | None = None) -> Figure:
    """Draw adjusted R2 from the last hidden layer against that from raw landmark genes, gene by gene (figure S2).

    Parameters
    ----------
    landmarks, hidden : ndarray, shape (genes,)
        Adjusted R2 of every target gene. Genes without a finite pair are not drawn.
    genes : sequence of str, optional
        Their names, for the figure's table.

    Raises
    ------
    DataError
        No gene has both.
    """
    return gene_scatter(landmarks, hidden, **r2_texts(landmarks, hidden), genes=genes)


def r2_texts(landmarks: np.ndarray, hidden: np.ndarray) -> dict[str, Any]:
    """The words of the figure of adjusted R2."""
    gain = np.asarray(hidden, np.float64) - np.asarray(landmarks, np.float64)
    gain = gain[np.isfinite(gain)]
    share = share_text(float((gain > 0).mean())) if len(gain) else EMPTY
    return {
        "xlabel": "Adjusted R² by the landmark genes",
        "ylabel": "Adjusted R² by the last hidden layer",
        "title": f"Adjusted R² rises for {share} of {len(gain):,} genes",
        "above": "more by the hidden layer",
        "below": "more by the landmark genes",
    }


@dataclass
class _Row:
    """Units or genes on one level of the map."""

    level: float
    names: np.ndarray
    x: np.ndarray


def weight_map(
    major: pd.DataFrame, sizes: Sequence[int], hubs: Mapping[int, Sequence[int]], *, max_lines: int = LINES
) -> Figure:
    """Draw the major weights: landmark genes below, hidden units between, target genes above (figure S3).

    Parameters
    ----------
    major : DataFrame
        One row a major weight: layer (hidden layer, from 1), unit, role ("landmark" or "target"), gene, weight, z.
    sizes : sequence of int
        Landmark genes, units of each hidden layer, target genes.
    hubs : mapping of layer to units
        Drawn above the others, the first of them with their numbers; most connected first.
    max_lines : int
        Inputs and outputs drawn at most, so many of each; the farthest (by |z|) are.

    Returns
    -------
    Figure
        Red lines are positive weights, blue ones negative. Genes and units without a line are left out; the others have
        as much room as lines, in an order that brings connected ones near each other. Of a network of several hidden
        layers the first one is drawn with its inputs and the last one with its outputs.

    Raises
    ------
    DataError
        There is no major weight.
    """
    if not len(major):
        raise DataError("no weight is major; found none to draw")
    inputs, outputs = (_farthest(major[major["role"] == role], max_lines) for role in ("landmark", "target"))
    deep = len(sizes) > 3
    if deep:
        groups = [[(inputs, 0.0, 1.0)], [(outputs, 2.5, 1.5)]]
        levels = [(0.0, "Landmark genes", sizes[0]), (1.0, "First hidden layer", sizes[1])]
        levels += [(1.5, "Last hidden layer", sizes[-2]), (2.5, "Target genes", sizes[-1])]
    else:
        groups = [[(inputs, 0.0, 1.0), (outputs, 2.0, 1.0)]]
        levels = [(0.0, "Landmark genes", sizes[0]), (1.0, "Hidden units", sizes[1]), (2.0, "Target genes", sizes[2])]
    counts = dict.fromkeys((level for level, _, _ in levels), 0)
    with house_style():
        figure, axes = new_figure((6.6, 5.6 if deep else 4.9))
        for group in groups:
            shown = [part for part in group if len(part[0])]
            if shown:
                counts |= _draw_group(axes, shown, hubs)
        for level, name, size in levels:
            text = f"{name}\n{counts[level]:,} of {size:,}"
            axes.text(-0.03, level, text, ha="right", va="center", fontsize=10, linespacing=1.3)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.05, levels[-1][0] + 0.05))
        axes.set_axis_off()
        _legend(axes, major, len(inputs) + len(outputs))
        keep_data(figure, pd.concat([inputs, outputs], ignore_index=True))
    return figure


def _farthest(weights: pd.DataFrame, count: int) -> pd.DataFrame:
    """The farthest of the weights, nearest first: what is drawn last lies on top."""
    far = weights["z"].abs().to_numpy(np.float64)
    return weights.iloc[np.argsort(far, kind="stable")[max(0, len(far) - count) :]]


def _draw_group(
    axes: Any, group: list[tuple[pd.DataFrame, float, float]], hubs: Mapping[int, Sequence[int]]
) -> dict[float, int]:
    """Draw levels that share hidden units, given as (weights, level of the genes, level of the units)."""
    edges = pd.concat([weights.assign(genes=genes, units=units) for weights, genes, units in group], ignore_index=True)
    own = list(hubs.get(int(edges["layer"].to_numpy()[0]), ()))
    units, genes = _ordered(edges)
    ends = edges[["gene_x", "genes", "unit_x", "units"]].to_numpy(np.float64).reshape(-1, 2, 2)
    colours = np.where(edges["weight"] > 0, POSITIVE, NEGATIVE)
    of_hub = edges["unit"].isin(own).to_numpy()
    for chosen, width, ink in ((~of_hub, 0.35, 10.0), (of_hub, 0.55, 20.0)):
        alpha = float(np.clip(ink / np.sqrt(max(1, chosen.sum())), 0.15, 0.75))
        lines = LineCollection(
            ends[chosen].tolist(), colors=colours[chosen].tolist(), linewidths=width, alpha=alpha, zorder=1
        )
        lines.set_rasterized(True)  # thousands of lines as pixels inside the SVG
        axes.add_collection(lines)
    for row in (*genes, units):
        axes.scatter(row.x, np.full(len(row.x), row.level), s=2, color=MUTED, linewidths=0, rasterized=True, zorder=2)
    counts = np.array([(edges["unit"] == hub).sum() for hub in own])
    x = np.array([units.x[units.names == hub][0] if count else np.nan for hub, count in zip(own, counts)])
    if len(own):
        size = 10 + 110 * counts / max(1, counts.max())
        axes.scatter(x, np.full(len(x), units.level), s=size, color=INK, edgecolors=PAPER, linewidths=0.8, zorder=3)
        above = len(genes) == 1 and genes[0].level > units.level  # all lines go up: the numbers go below
        _label(axes, own, x, units.level, -16 if above else 10)
    return {row.level: len(row.names) for row in (*genes, units)}


def _ordered(edges: pd.DataFrame) -> tuple[_Row, list[_Row]]:
    """Positions along the rows: genes and units in turn move to the mean of what they are connected with.

    Every gene and unit has as much room as it has lines; the sweeps of this barycentre rule (Sugiyama et al. 1981)
    bring connected ones together. The columns `gene_x` and `unit_x` are added to `edges`.
    """
    unit, units = pd.factorize(edges["unit"], sort=True)
    genes = []
    for level in np.unique(edges["genes"]):
        index = np.flatnonzero(edges["genes"] == level)
        genes.append((float(level), index, *pd.factorize(edges["gene"].to_numpy()[index])))
    unit_x, gene_x = _spaced(np.arange(len(units), dtype=float), np.bincount(unit)), np.empty(len(edges))
    rows: list[_Row] = []
    for _ in range(_SWEEPS):
        rows.clear()
        for level, index, gene, names in genes:
            places = _spaced(_means(gene, unit_x[unit[index]]), np.bincount(gene))
            gene_x[index] = places[gene]
            rows.append(_Row(level, np.asarray(names), places))
        unit_x = _spaced(_means(unit, gene_x), np.bincount(unit))
    edges["unit_x"], edges["gene_x"] = unit_x[unit], gene_x
    return _Row(float(edges["units"].to_numpy()[0]), np.asarray(units), unit_x), rows


def _means(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(labels, values) / np.bincount(labels)


def _spaced(values: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Places from 0 to 1 in the order of the values, each in the middle of its room."""
    order = np.argsort(values, kind="stable")
    places = np.empty(len(values))
    places[order] = (np.cumsum(room[order]) - room[order] / 2) / room.sum()
    return places


def _label(axes: Any, hubs: Sequence[int], x: np.ndarray, level: float, offset: float) -> None:
    """Write the numbers of the first hubs above or below their dots (offset in points), where there is room."""
    taken: list[float] = []
    for hub, at in zip(hubs, x):
        if np.isnan(at) or len(taken) == _LABELS or any(abs(at - other) < 0.07 for other in taken):
            continue
        taken.append(float(at))
        text = axes.annotate(
            f"{hub}", (at, level), xytext=(0, offset), textcoords="offset points", ha="center", fontsize=9, zorder=4
        )
        text.set_bbox({"facecolor": PAPER, "alpha": 0.85, "edgecolor": "none", "pad": 1.0})


def _legend(axes: Any, major: pd.DataFrame, drawn: int) -> None:
    positive = float((major["weight"] > 0).mean())
    which = f"{len(major):,}" if drawn == len(major) else f"{drawn:,} largest of {len(major):,}"
    axes.set_title(f"Major weights: {which}", pad=28)
    for x, colour, text in (
        (0.0, POSITIVE, f"— positive {share_text(positive)}"),
        (0.28, NEGATIVE, f"— negative {share_text(1 - positive)}"),
        (0.56, INK, "● hub unit and its number"),
    ):
        axes.annotate(text, (x, 1), (0, 8), "axes fraction", "offset points", color=colour, fontsize=10)
