"""Figures 1 to 5 of the paper, from what a study has measured."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dgex.dataset.platforms import Platform
from dgex.metrics import share_better
from dgex.paper.results import KNN_GE, LR, TRIVIAL, Results, dropout_words
from dgex.paper.tables import size_of
from dgex.report.figures.evaluation import density
from dgex.report.figures.study import curves_by_dropout, error_by_units
from dgex.report.page.page import Page
from dgex.report.style import PALETTE
from dgex.report.tables import share_text

__all__ = ["LETTERS", "figure_5", "platform_figures"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def platform_figures(page: Page, results: Results, platform: Platform, at: int, genes: pd.Index) -> None:
    """Figures 1 to 4 of the paper for one platform.

    The paper draws figures 1 and 2 of its first platform, and figures 3 and 4 gene by gene of its first and its second,
    panel a against LR and panel b against KNN-GE. What it has no figure of is named after the one that it is like.
    """
    name, methods = results.selected(platform), results.methods(platform)
    if name is None or LR not in methods:
        return
    test, like = platform.test, "Figure" if at == 1 else "As figure"
    network, rate = results.networks[name][1].errors[test], size_of(name, results)[2]
    sizes: dict[int, dict[int, float]] = {}
    for member, measured in results.networks.values():
        if float(member.axes["dropout"]) == rate:
            sizes.setdefault(int(member.axes["layers"]), {})[int(member.axes["hidden"])] = measured.overall(test)[0]
    ours = results.label(name)
    later = set(results.newer(platform))  # no part of the paper's figures
    shown = {
        label: measured.errors[test]
        for label, measured in methods.items()
        if test in measured.errors and label not in later
    }
    which = {1: "Figures 1 to 3", 2: "Figure 4, and more"}.get(at, "Figures")
    page.add_heading(f"{which} on {platform.te}", level=3)
    page.add_figure(
        error_by_units(sizes, {LR: methods[LR].overall(test)[0]}, f"Overall error on {platform.te}"),
        f"{like} 1: overall error on {platform.te} by hidden units and layers, with {dropout_words(rate)} "
        "dropout; LR is a line.",
    )
    page.add_figure(
        density({ours: network, **shown}, title=f"Errors on {platform.te}", grey=[TRIVIAL]),
        f"{like} 2: how the errors of target genes spread, by method; further left is better.",
    )
    number = f"Figure {at + 2}" if at <= 2 else "As figure 4"
    for panel, label in (("a", LR), ("b", KNN_GE)):
        if label not in shown:
            continue
        better = share_text(share_better(network, shown[label]))
        page.add_scatter(
            network,
            shown[label],
            genes.tolist(),
            xlabel=f"Error by {ours}",
            ylabel=f"Error by {label}",
            title=f"Above the diagonal: {better} of {len(genes):,} genes",
            caption=f"{number}{panel}: every dot is a target gene of {platform.te}; above the diagonal {ours} "
            f"is better than {label}.",
            color=PALETTE["ab".index(panel)],
            above="D-GEX better",
            below=f"{label} better",
        )


def figure_5(page: Page, results: Results) -> None:
    """Error against epoch by dropout rate: in the paper of the network that was selected on its second platform."""
    platforms = results.data.platforms
    name = results.selected(platforms[min(1, len(platforms) - 1)])
    if name is None:
        return
    units, layers, _ = size_of(name, results)
    histories = {
        dropout_words(member.axes["dropout"]): measured.history
        for member, measured in results.networks.values()
        if (member.axes["hidden"], member.axes["layers"]) == (units, layers) and measured.history is not None
    }
    if not histories:
        return
    page.add_heading("Figure 5: error by epoch and dropout")
    for at, platform in enumerate(platforms):
        column = f"{platform.validation}.error"
        known = {rate: history for rate, history in histories.items() if column in history}
        if not known:
            continue
        held_out = {rate: _curve(history, column) for rate, history in known.items()}
        training = {rate: _curve(history, "train.error") for rate, history in known.items()}
        title = f"{layers} layers of {units:,} units on {platform.va}"
        linear = results.methods(platform).get(LR)
        baselines = {} if linear is None else {LR: linear.overall(platform.validation)[0]}
        like = "Figure 5" if at == 1 or len(platforms) == 1 else "As figure 5"
        page.add_figure(
            curves_by_dropout(held_out, title, training=training, baselines=baselines),
            f"{like}: overall error of D-GEX with {layers} hidden layers of {units:,} units after every epoch on "
            f"{platform.va} (solid) and on fixed training profiles (dashed, at most 5,000), by dropout rate; LR is a "
            f"line. The paper draws the error on {platform.te}, which is not looked at here before all is chosen. The "
            "first epochs may lie above the frame.",
        )


def _curve(history: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    return history["epoch"].to_numpy(), history[column].to_numpy(np.float64)
