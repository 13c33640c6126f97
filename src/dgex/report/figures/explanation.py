"""The figure of one inferred value: where it lies with its interval, and the landmark genes that bring it there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dgex.report.figures.data import keep_data
from dgex.report.figures.network import NEGATIVE, POSITIVE
from dgex.report.figures.shown import Shown
from dgex.report.style import INK, MUTED, SHADE, house_style
from dgex.report.tables import cell

__all__ = ["why"]


def why(value: pd.Series, landmarks: pd.DataFrame, unit: str, interval: float | None, top: int = 10) -> Figure:
    """Draw one value of an explanation.

    Parameters
    ----------
    value : Series
        A row of `Explanation.values`.
    landmarks : DataFrame
        Its rows of `Explanation.landmarks`, by rank.
    unit : str
        Of the value.
    interval : float or None
        Coverage of the interval; None where the model knows none.
    top : int
        Landmark genes drawn by themselves; the others stand together.
    """
    shown, rest = landmarks.iloc[:top], landmarks.iloc[top:]
    names = [_label(name, at, filled) for name, at, filled in zip(shown["landmark"], shown["value"], shown["filled"])]
    sizes = shown["contribution"].tolist()
    if len(rest):
        names.append(f"{len(rest):,} others")
        sizes.append(float(rest["contribution"].sum()))
    with house_style():
        figure = Shown(figsize=(6.4, 1.9 + 0.28 * len(names)), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # type: ignore[union-attr, call-arg]
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, height_ratios=[1.0, 0.28 * len(names) + 0.4])
        _place(upper, value, unit, interval)
        _bars(lower, names, np.array(sizes), len(rest) > 0)
        lower.set_xlabel(f"Contribution ({unit})")
        keep_data(figure, _table(value, names, sizes, unit, interval))
    return figure


def _table(value: pd.Series, names: list[str], sizes: list[float], unit: str, interval: float | None) -> pd.DataFrame:
    """The value with what it is compared with, and the contributions."""
    places = {"inferred": value["value"], "mean training profile": value["at_mean"]}
    if interval is not None:
        places |= {f"{end} end of the {interval:.0%} interval": value[end] for end in ("low", "high")}
    above = pd.DataFrame({"What": list(places), unit: list(places.values())})
    return pd.concat([above, pd.DataFrame({"What": names, f"Contribution ({unit})": sizes})], ignore_index=True)


def _label(name: str, at: float, filled: bool) -> str:
    short = name if len(name) <= 18 else f"{name[:17]}…"
    return f"{short} ({cell(at, '.1f')}{', filled' if filled else ''})"


def _place(axes: Any, value: pd.Series, unit: str, interval: float | None) -> None:
    """The value, its interval, and the mean training profile's, on one line."""
    if interval is not None:
        axes.plot([value["low"], value["high"]], [0, 0], color=SHADE, linewidth=6, solid_capstyle="butt", zorder=1)
    rises = value["value"] >= value["at_mean"]
    axes.annotate(
        "",
        (value["value"], 0),
        (value["at_mean"], 0),
        arrowprops={"arrowstyle": "-", "color": POSITIVE if rises else NEGATIVE, "linewidth": 1.8},
    )
    axes.plot([value["at_mean"]], [0], "|", color=MUTED, markersize=16, markeredgewidth=1.8, zorder=3)
    axes.plot([value["value"]], [0], "o", color=INK, markersize=7, zorder=4)
    for at, text, side, high in (
        (value["value"], f"inferred {cell(value['value'], '.2f')}", rises, 11),
        (value["at_mean"], f"mean training profile {cell(value['at_mean'], '.2f')}", not rises, -19),
    ):
        axes.annotate(text, (at, 0), (0, high), textcoords="offset points", ha="left" if side else "right", fontsize=10)
    words = "" if interval is None else f"; grey: {interval:.0%} interval, trust {value['trust']}"
    axes.set_title(f"{_cut(value['gene'], 24)} in {_cut(value['profile'], 40)}")
    axes.set_xlabel(f"{unit}{words}")
    axes.set_ylim(-1, 1)
    axes.margins(x=0.25)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _bars(axes: Any, names: list[str], sizes: np.ndarray, others: bool) -> None:
    places = np.arange(len(names))[::-1]
    colours = [POSITIVE if size >= 0 else NEGATIVE for size in sizes]
    if others:
        colours[-1] = SHADE
    axes.barh(places, sizes, color=colours, height=0.66)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.16, y=0.02)
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    for place, size in zip(places, sizes):
        axes.annotate(
            cell(float(size), "+.2f"),
            (size, place),
            (3 if size >= 0 else -3, 0),
            textcoords="offset points",
            ha="left" if size >= 0 else "right",
            va="center",
            fontsize=9,
            color=MUTED,
        )
