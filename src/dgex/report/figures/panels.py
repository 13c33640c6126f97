"""Figures of a panel: error against the number of genes measured, and what each gene adds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from dgex.report.figures.data import curves_table, keep_data
from dgex.report.figures.evaluation import new_figure
from dgex.report.style import LINES, MUTED, PALETTE, SHADE, house_style

__all__ = ["error_by_size", "gain_by_rank"]


def error_by_size(curve: pd.DataFrame, ours: str, trivial: str = "training mean") -> Figure:
    """Draw the overall error against the size of panels, one line a panel, the interval of ours as a band.

    Parameters
    ----------
    curve : DataFrame
        One row a size and panel: size, panel, error, low, high.
    ours : str
        Name of the panel that stands out.
    trivial : str
        Name of what needs no panel: a dotted line.
    """
    with house_style():
        figure, axes = new_figure()
        names = [ours, *(name for name in dict.fromkeys(curve["panel"]) if name not in (ours, trivial))]
        drawn: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for at, name in enumerate(names):
            rows = curve[curve["panel"] == name].sort_values("size")
            color, size, error = PALETTE[at % len(PALETTE)], rows["size"].to_numpy(), rows["error"].to_numpy()
            axes.plot(
                size,
                error,
                color=color,
                linestyle=LINES[at % len(LINES)],
                linewidth=2.6 if name == ours else 1.5,
                marker="o",
                markersize=5 if name == ours else 3.5,
                label=name,
                zorder=3 if name == ours else 2,
            )
            low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
            if name == ours and np.isfinite(low).all() and len(rows) > 1:
                axes.fill_between(size, low, high, color=color, alpha=0.15, linewidth=0)
            drawn[name] = size, error
            if name == ours:
                drawn |= {f"{name}, {end} end of the interval": (size, rows[end].to_numpy()) for end in ("low", "high")}
        level = curve.loc[curve["panel"] == trivial, "error"].to_numpy(np.float64)
        sizes = sorted({int(size) for size in curve["size"] if size > 0})
        top = curve.loc[curve["panel"] != trivial, "error"].max()
        levels = {trivial: float(level[0])} if len(level) and level[0] < 1.6 * top else {}
        ylabel = "Overall error of the other genes (SD)"
        keep_data(figure, curves_table("Genes measured", ylabel, drawn, levels))
        if levels:
            axes.axhline(level[0], color=SHADE, linestyle=":", label=trivial)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator([float(size) for size in sizes]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{size:,}" for size in sizes], rotation=45 if len(sizes) > 6 else 0)
        axes.set(xlabel="Genes measured", ylabel=ylabel)
        axes.grid(axis="y")
        axes.set_title("What panels of each size tell")
        axes.legend()
    return figure


def gain_by_rank(gains: pd.Series | np.ndarray) -> Figure:
    """Draw what the panel has explained of all other genes after each of its genes."""
    total = np.cumsum(np.asarray(gains, np.float64))
    with house_style():
        figure, axes = new_figure()
        order = np.arange(1, len(total) + 1)
        axes.plot(order, 100 * total, color=PALETTE[0])
        axes.set(xlabel="Genes measured, in the order chosen", ylabel="Gains added up (% of the variance of all genes)")
        keep_data(figure, pd.DataFrame({axes.get_xlabel(): order, axes.get_ylabel(): 100 * total}))
        axes.set_ylim(0, None)
        axes.tick_params(colors=MUTED)
        axes.grid(axis="y")
        axes.set_title("What each gene adds")
    return figure
