"""Tables of the study: measured errors laid out as the paper lays them out, with what it published beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dgex.datasets.platforms import Platform
from dgex.metrics import relative_improvement, share_better
from dgex.paper.published import Table, number, table
from dgex.paper.results import LR, Results
from dgex.report.matrix import Cell
from dgex.report.tables import EMPTY, text_table

__all__ = ["Grid", "comparison", "dropout_words", "every_dropout", "main_table", "method_table", "size_of", "text"]

Grid = tuple[list[list[Cell | None]], list[str], list[str]]  # cells, names of rows, names of columns
KNN_GE = "KNN-GE"


def dropout_words(rate: float) -> str:
    """A dropout rate in percent."""
    return f"{100 * rate:g} %"


def size_of(name: str, results: Results) -> tuple[int, int, float]:
    """Units of a layer, layers and dropout rate of a network of the grid."""
    axes = results.networks[name][0].axes
    return int(axes["hidden"]), int(axes["layers"]), float(axes["dropout"])


def counterparts(results: Results, published: Table | None) -> dict[tuple[int, int], tuple[int, int]]:
    """The paper's network that stands beside each (units, layers) of the grid.

    The one of the same size; in a small study of as many sizes the one of the same rank.
    """
    if published is None:
        return {}
    plan = results.plan
    units, layers = sorted(plan.hidden), sorted(plan.layers)
    theirs = sorted({size[0] for size in published.networks})
    if set(units) <= set(theirs):
        same = {u: u for u in units}
    elif len(units) == len(theirs):
        same = dict(zip(units, theirs))
    else:
        return {}
    return {(u, n): (same[u], n) for u in units for n in layers if (same[u], n) in published.networks}


def main_table(results: Results, platform: Platform, rate: float) -> Grid:
    """Tables 1 and 2: test errors of the networks of one dropout rate, layers x units."""
    published = table(platform.published)
    pairs = counterparts(results, published)

    def cell(units: int, layers: int) -> Cell | None:
        beside = published.networks.get(pairs.get((units, layers), (0, 0))) if published else None
        return _cell(results, platform, (units, layers, rate), platform.test, beside)

    return _laid_out(results, [(layers, cell) for layers in sorted(results.plan.layers)])


def every_dropout(results: Results, platform: Platform, name: str) -> Grid:
    """Tables S2 to S5: errors on one set of all networks, dropout rate and layers x units."""
    columns = sorted(results.plan.hidden)
    rows = [(rate, layers) for rate in sorted(results.plan.dropout) for layers in sorted(results.plan.layers)]
    cells = [[_cell(results, platform, (units, layers, rate), name) for units in columns] for rate, layers in rows]
    return cells, [f"{dropout_words(rate)}, {_layers(layers)}" for rate, layers in rows], [f"{u:,}" for u in columns]


def _laid_out(results: Results, rows: Sequence[tuple[int, object]]) -> Grid:
    columns = sorted(results.plan.hidden)
    cells = [[cell(units, layers) for units in columns] for layers, cell in rows]  # type: ignore[operator]
    return cells, [_layers(layers) for layers, _ in rows], [f"{units:,}" for units in columns]


def _layers(count: int) -> str:
    return f"{count} hidden layer{'s' if count > 1 else ''}"


def _cell(
    results: Results,
    platform: Platform,
    size: tuple[int, int, float],
    name: str,
    published: tuple[float, float] | None = None,
) -> Cell | None:
    network = next((n for n in results.networks if size_of(n, results) == size), None)
    theirs, their_spread = published or (None, None)
    if network is None:
        return Cell(published=theirs, published_spread=their_spread)
    error, spread = results.networks[network][1].overall(name)
    least = results.best(platform) if name == platform.test else results.selected(platform)
    return Cell(
        error,
        spread,
        theirs,
        their_spread,
        best=network == least,
        selected=network == results.selected(platform),
    )


def method_table(results: Results, platform: Platform) -> tuple[pd.DataFrame, list[int]]:
    """Every method of a platform with the published error beside it, and the position of the selected network."""
    published = table(platform.published)
    records, selected = [], []
    rate = published.dropout if published else float("nan")
    for at, row in enumerate(results.rows(platform)):
        beside = published.methods.get(row.label) if published else None
        if row.label.startswith("D-GEX") and not row.label.endswith("halves"):
            selected.append(at)
            beside = min(published.networks.values()) if published else None
        records.append(
            {
                "method": row.label,
                "validation": row.validation[0],
                "error": row.test[0],
                "sd": row.test[1],
                "published": beside[0] if beside else np.nan,
                "improvement": row.improvement,
                "better": row.better,
                "genes": row.genes,
                "chosen": _chosen(row.measured.facts, platform),
                "seconds": row.measured.facts.get("seconds", np.nan),
            }
        )
    frame = pd.DataFrame(records)
    return (frame if np.isfinite(rate) else frame.drop(columns="published")), selected


def _chosen(facts: dict, platform: Platform) -> str:
    """What the validation set chose, in words."""
    settings = facts.get("settings", {})
    if facts.get("method") in ("ridge", "lasso"):
        return f"alpha {settings['alpha']:.3g}"
    if facts.get("method") in ("knn", "knn-ge"):
        return f"{settings['n_neighbors']} neighbours"
    if facts.get("method") == "dgex":
        return f"epoch {_words(facts['best'][platform.validation]['epoch'])}"
    return ""


def _words(epoch: object) -> str:
    return "/".join(map(str, epoch)) if isinstance(epoch, list) else str(epoch)


def comparison(results: Results) -> pd.DataFrame:
    """What the abstract says, measured again: quantity, published, measured, place; percentages as words."""
    records = []
    for platform in results.data.platforms:
        published = table(platform.published)
        name = results.selected(platform)
        methods = results.methods(platform)
        if name is None or LR not in methods:
            continue
        network = results.networks[name][1]
        errors = [(LR, methods[LR].overall(platform.test)[0], published.methods[LR][0] if published else None)]
        errors.append(("D-GEX", network.overall(platform.test)[0], _least(published)))
        if KNN_GE in methods:
            theirs = published.methods[KNN_GE][0] if published else None
            errors.append((KNN_GE, methods[KNN_GE].overall(platform.test)[0], theirs))
        place = published.place if published else ""
        for label, error, theirs in errors:
            records.append((f"{platform.te}: overall error, {label}", _plain(theirs), _plain(error), place))
        for base in (LR, KNN_GE):
            if base in methods:
                records += _against(platform, network.errors[platform.test], methods[base].errors[platform.test], base)
    return pd.DataFrame(records, columns=["quantity", "published", "measured", "place"])


def _against(platform: Platform, ours: np.ndarray, theirs: np.ndarray, base: str) -> list[tuple[str, str, str, str]]:
    found = []
    gain = float(relative_improvement(ours.mean(dtype=float), theirs.mean(dtype=float)))
    for what, words, value in (
        ("improvement", "relative improvement over", gain),
        ("better", "share of genes better than", share_better(ours, theirs)),
    ):
        known = number(f"{what}.{platform.published}.{base}")
        published = f"{known.value:.2%}" if known else ""
        measured = f"{value:.2%}".replace("-", "−")
        found.append((f"{platform.te}: {words} {base}", published, measured, known.place if known else ""))
    return found


def _least(published: Table | None) -> float | None:
    return min(error for error, _ in published.networks.values()) if published else None


def _plain(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.4f}"


def text(results: Results) -> str:
    """The methods of every platform as aligned plain text, for a terminal."""
    parts = []
    labels = {"method": "Method", "validation": "Validation", "error": "Test", "sd": "± SD", "published": "Published"}
    labels |= {"improvement": "Improvement", "better": "Genes better", "genes": "Genes"}
    for platform in results.data.platforms:
        frame = method_table(results, platform)[0]
        frame = frame.drop(columns="genes") if frame["genes"].nunique() == 1 else frame
        if not len(frame):
            continue
        shown = frame[[name for name in labels if name in frame]].copy()
        for name, digits in (("improvement", 2), ("better", 1)):
            width = len(labels[name])
            words = [EMPTY if np.isnan(v) else f"{v:.{digits}%}".replace("-", "−") for v in shown[name]]
            shown[name] = [word.rjust(width) for word in words]
        formats = dict.fromkeys(("validation", "error", "sd", "published"), ".4f")
        head = f"{platform.name}: selected on {platform.va}, tested on {platform.te}"
        parts.append(f"{head}\n\n{text_table(shown, labels, formats)}")
    legend = "Overall error: mean over genes of the mean absolute error; improvement and genes better: over LR."
    return "\n\n".join([*parts, legend])
