"""Figures of the whole study: error by size of the network, by epoch and dropout, and the network itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from dgex.aliases import Sets
from dgex.errors import DataError
from dgex.report.figures.data import curves_table, keep_data
from dgex.report.figures.evaluation import new_figure
from dgex.report.style import INK, MUTED, PALETTE, PAPER, SHADE, house_style

__all__ = ["architecture", "curves_by_dropout", "error_by_units"]

_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINE = 0.052  # of the height of the axes: what a line of small text takes
_FLAT = (0, (2, 2))
_APART = 1.5  # layers of a drawn network, where a unit is 0.26 wide

_Label = tuple[float, float, str, str]  # where a line ends, its name and its colour
Curve = tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]


def error_by_units(
    errors: Mapping[int, Mapping[int, float]],
    baselines: Mapping[str, float] | None = None,
    title: str = "",
    *,
    xlabel: str = "Hidden units in a layer",
    ylabel: str = "Overall error",
) -> Figure:
    """Draw overall error against hidden units, one line a number of hidden layers (figure 1 of the paper).

    Parameters
    ----------
    errors
        Number of hidden layers to (hidden units to error). What is missing or not finite is left out.
    baselines
        Method without hidden units to its error: a horizontal line.
    title, xlabel, ylabel
        Texts.

    Raises
    ------
    DataError
        If there is no finite error.
    """
    lines = {layers: {u: e for u, e in sorted(row.items()) if np.isfinite(e)} for layers, row in sorted(errors.items())}
    lines = {layers: row for layers, row in lines.items() if row}
    if not lines:
        raise DataError("errors by hidden units need at least one finite error; found none")
    units = sorted({u for row in lines.values() for u in row})
    with house_style():
        figure, axes = new_figure()
        labels: list[_Label] = []
        for at, (layers, row) in enumerate(lines.items()):
            color = PALETTE[at % len(PALETTE)]
            x, y = list(row), list(row.values())
            axes.plot(x, y, color=color, marker=_MARKERS[at % len(_MARKERS)], markersize=6, label=str(layers))
            labels.append((x[-1], y[-1], _layers(layers), color))
        axes.set_xticks(units, [f"{u:,}" for u in units])
        span = (units[-1] - units[0]) or max(1, units[0])
        axes.set_xlim(units[0] - 0.06 * span, units[-1] + 0.06 * span)
        labels += _baselines(axes, baselines)
        named = {_layers(layers): (list(row), list(row.values())) for layers, row in lines.items()}
        keep_data(figure, curves_table(xlabel, ylabel, named, _finite(baselines)))
        axes.margins(y=0.08)
        _label_ends(axes, labels)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.set_title(title)
    return figure


def curves_by_dropout(
    curves: Mapping[str, Curve],
    title: str = "",
    *,
    training: Mapping[str, Curve] | None = None,
    baselines: Mapping[str, float] | None = None,
    ylabel: str = "Overall error",
) -> Figure:
    """Draw error against epoch, one colour a dropout rate (figure 5 of the paper).

    Parameters
    ----------
    curves
        Dropout rate, as it is to be labelled, to (epochs, errors) on profiles held out; solid.
    title, ylabel
        Texts.
    training
        The same rates to (epochs, errors) on the training profiles; dashed. Any of them may be missing.
    baselines
        Method without epochs to its error: a horizontal line.

    Returns
    -------
    Figure
        The first epochs may leave the axes at the top: they would press all later ones into one line.

    Raises
    ------
    DataError
        If no curve has a finite error.
    """
    held_out, train = _clean(curves), _clean(training or {})
    if not held_out:
        raise DataError("curves by dropout need at least one finite error; found none")
    with house_style():
        figure, axes = new_figure()
        labels: list[_Label] = []
        colors = {name: PALETTE[at % len(PALETTE)] for at, name in enumerate(curves)}
        for name, (x, y) in held_out.items():
            axes.plot(x, y, color=colors[name], label=name)
            labels.append((x[-1], y[-1], name, colors[name]))
        for name, (x, y) in train.items():
            axes.plot(
                x, y, color=colors.get(name, SHADE), linestyle=(0, (4, 1.5)), linewidth=1.3, label=f"{name}, train"
            )
        every = [*held_out.values(), *train.values()]
        axes.set_xlim(0, max(x[-1] for x, _ in every))
        labels += _baselines(axes, baselines)
        both = {**held_out, **{f"{name}, training": curve for name, curve in train.items()}}
        keep_data(figure, curves_table("Epoch", ylabel, both, _finite(baselines)))
        axes.set_ylim(*_range([y for _, y in every], list((baselines or {}).values())))
        _label_ends(axes, labels)
        if train:
            looks: list[Any] = [("held out", "-", 1.8), ("training", (0, (4, 1.5)), 1.3)]
            handles = [Line2D([], [], color=MUTED, linestyle=d, linewidth=w, label=n) for n, d, w in looks]
            figure.legend(handles=handles, loc="outside lower left", ncols=2)  # the curves leave no room inside
        axes.set(xlabel="Epoch", ylabel=ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
        axes.set_title(title)
    return figure


def architecture(landmarks: int, hidden: Sequence[int], targets: int, parts: int = 1, title: str = "") -> Figure:
    """Draw the network: landmark genes, hidden layers, target genes (figure S1 of the paper).

    Parameters
    ----------
    landmarks, targets
        Numbers of genes that come in and go out.
    hidden
        Units of each hidden layer, the first one first.
    parts
        Into how many parts the targets are divided, each with a network of its own.
    title
        May stay empty.

    Raises
    ------
    DataError
        If a layer has no unit, no hidden layer is given, or there are more parts than targets.
    """
    if not hidden or min(landmarks, *hidden, parts) < 1 or targets < parts:
        caption = f"{landmarks} landmarks, hidden {list(hidden)}, {targets} targets in {parts} parts"
        raise DataError(f"a network needs a unit in every layer and a target in every part; found {caption}")
    layers = [("Landmark\ngenes", landmarks, SHADE)]
    layers += [
        (f"Hidden\nlayer {at + 1}" if len(hidden) > 1 else "Hidden\nlayer", n, PALETTE[0])
        for at, n in enumerate(hidden)
    ]
    share = -(-targets // parts)
    layers.append(("Target\ngenes", share, PALETTE[1]))
    with house_style():
        figure, axes = new_figure((1.1 * len(layers) + 0.2, 4.6))
        names = [name.replace("\n", " ") for name, _, _ in layers]
        keep_data(figure, pd.DataFrame({"Layer": names, "Units": [count for _, count, _ in layers]}))
        axes.set_axis_off()
        columns = [_unit_heights(count) for _, count, _ in layers]
        for at in range(len(layers) - 1):
            for a in columns[at]:
                for b in columns[at + 1]:
                    axes.plot(
                        [at * _APART, (at + 1) * _APART], [a, b], color=SHADE, linewidth=0.5, alpha=0.45, zorder=1
                    )
        for at, ((name, count, color), heights) in enumerate(zip(layers, columns)):
            x = at * _APART
            for height in heights:
                axes.add_patch(Circle((x, height), 0.13, facecolor=color, edgecolor=PAPER, linewidth=1.2, zorder=2))
            if len(heights) < count:
                axes.plot([x] * 3, [-0.2, 0, 0.2], "o", color=MUTED, markersize=2.6, zorder=2)
            last = at == len(layers) - 1
            way = "measured" if at == 0 else "linear" if last else "tanh"
            amount = f"about {count:,}" if last and targets % parts else f"{count:,}"
            axes.text(x, 2.05, name, ha="center", va="bottom", color=INK, fontweight="bold")
            axes.text(x, -2.0, amount, ha="center", va="top", color=INK, fontsize=12)
            axes.text(x, -2.3, way, ha="center", va="top", color=MUTED, fontsize=10)
        if parts > 1:
            words = f"{parts} such networks, each for its own part\nof the {targets:,} target genes"
            axes.text((len(layers) - 1) * _APART / 2, -2.75, words, ha="center", va="top", color=MUTED, fontsize=10)
        axes.set(
            xlim=(-0.5 * _APART, (len(layers) - 0.5) * _APART), ylim=(-3.4 if parts > 1 else -2.6, 2.7), aspect="equal"
        )
        axes.set_title(title)
    return figure


def _unit_heights(count: int) -> list[float]:
    """Where a layer's units are drawn: all of a few, else three above and three below the dots."""
    if count <= 7:
        return [0.5 * (count - 1) / 2 - 0.5 * at for at in range(count)]
    return [1.6, 1.1, 0.6, -0.6, -1.1, -1.6]


def _layers(count: int) -> str:
    return f"{count} hidden layer{'s' if count > 1 else ''}"


def _finite(baselines: Mapping[str, float] | None) -> dict[str, float]:
    return {name: float(error) for name, error in (baselines or {}).items() if np.isfinite(error)}


def _baselines(axes: Any, baselines: Mapping[str, float] | None) -> list[_Label]:
    labels: list[_Label] = []
    for name, error in _finite(baselines).items():
        axes.axhline(error, color=MUTED, linewidth=1.3, linestyle=_FLAT, label=name)
        labels.append((axes.get_xlim()[1], error, name, MUTED))
    return labels


def _label_ends(axes: Any, labels: Sequence[_Label]) -> None:
    """Write each line's name right of the axes, moved apart where they would meet, with a thread from where it ends."""
    labels = sorted(labels, key=lambda label: label[1])
    low, high = axes.get_ylim()
    heights = np.clip([(y - low) / (high - low) for _, y, _, _ in labels], 0.0, 1.0)
    for _ in range(200):  # push neighbours apart, half each
        gaps = _LINE - np.diff(heights)
        if not (gaps > 1e-6).any():
            break
        push = np.where(gaps > 0, gaps / 2, 0.0)
        heights[:-1] -= push
        heights[1:] += push
    for height, (x, y, text, color) in zip(heights, labels):
        axes.annotate(
            text,
            (x, y),
            xytext=(1.04, height),
            textcoords="axes fraction",
            va="center",
            color=INK,  # a coloured text of this size would be too faint
            fontsize=10,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 1.0, "shrinkA": 1, "shrinkB": 0},
        )


def _clean(curves: Mapping[str, Curve]) -> Sets:
    figures = {}
    for name, (epochs, errors) in curves.items():
        x, y = np.asarray(epochs, np.float64), np.asarray(errors, np.float64)
        if x.shape != y.shape:
            raise DataError(f"the curve of {name!r} needs one error an epoch; found {x.size} epochs, {y.size} errors")
        fits = np.isfinite(x) & np.isfinite(y)
        if fits.any():
            figures[name] = (x[fits], y[fits])
    return figures


def _range(curves: Sequence[np.ndarray], levels: Sequence[float]) -> tuple[float, float]:
    """From below the least error to above what every curve has come down to after a twentieth of its epochs."""
    known = [level for level in levels if np.isfinite(level)]
    low = min(min(float(y.min()) for y in curves), *known, np.inf)
    settled = [float(y[min(len(y) // 20 + (len(y) > 3), len(y) - 1) :].max()) for y in curves]
    high = max(*settled, *known, -np.inf)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 0.1
    return low - margin, high + margin
