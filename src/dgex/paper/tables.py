"""Tables of the study: measured errors laid out as the paper lays them out, with what it published beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dgex.dataset.platforms import Platform
from dgex.metrics import relative_improvement, share_better
from dgex.paper.intervals import gain_words, interval_words, over_words
from dgex.paper.measured import Measured
from dgex.paper.published import Table, number, table
from dgex.paper.results import KNN_GE, LR, Results, Row, dropout_words
from dgex.paper.study import Study, interpretation_folder, read_record
from dgex.report.page.matrix import Cell
from dgex.report.tables import EMPTY, between, percent, text_table

__all__ = [
    "Grid",
    "comparison",
    "counterparts",
    "every_dropout",
    "main_table",
    "method_table",
    "size_of",
    "text",
]

PENALIZED = "LR-L1", "LR-L2"
Grid = tuple[list[list[Cell | None]], list[str], list[str]]  # cells, names of rows, names of columns


def size_of(name: str, results: Results) -> tuple[int, int, float]:
    """Units of a layer, layers and dropout rate of a network of the grid."""
    axes = results.networks[name][0].axes
    return int(axes["hidden"]), int(axes["layers"]), float(axes["dropout"])


def counterparts(results: Results, published: Table | None) -> dict[int, int]:
    """The paper's hidden units that stand beside each size of the grid.

    The same size; where the grid shares none with the paper but has as many, the size of the same rank.
    """
    if published is None:
        return {}
    ours, theirs = sorted(results.plan.hidden), sorted({units for units, _ in published.networks})
    if set(ours) & set(theirs):
        return {units: units for units in ours if units in theirs}
    return dict(zip(ours, theirs)) if len(ours) == len(theirs) else {}


def main_table(results: Results, platform: Platform, rate: float) -> Grid:
    """Tables 1 and 2: test errors of the networks of one dropout rate, layers x units."""
    published = table(platform.published)
    pairs, networks = counterparts(results, published), published.networks if published else {}
    columns, rows = sorted(results.plan.hidden), sorted(results.plan.layers)
    cells = [
        [
            _cell(results, platform, (units, layers, rate), platform.test, networks.get((pairs.get(units, 0), layers)))
            for units in columns
        ]
        for layers in rows
    ]
    return cells, [_layers(layers) for layers in rows], [f"{units:,}" for units in columns]


def every_dropout(results: Results, platform: Platform, name: str) -> Grid:
    """Tables S2 to S5: errors on one set of all networks, dropout rate and layers x units."""
    columns = sorted(results.plan.hidden)
    rows = [(rate, layers) for rate in sorted(results.plan.dropout) for layers in sorted(results.plan.layers)]
    cells = [[_cell(results, platform, (units, layers, rate), name) for units in columns] for rate, layers in rows]
    return cells, [f"{dropout_words(rate)}, {_layers(layers)}" for rate, layers in rows], [f"{u:,}" for u in columns]


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
    """`Results.table` with the published errors beside it, and the position of the selected network.

    The interval of a gain is one column of words, `interval`, with the word tie where it holds 0. Columns that tell
    nothing are left out: the number of genes where it is the same for all, and what is empty.
    """
    published, frame = table(platform.published), results.table(platform)
    name = results.selected(platform)
    label = "" if name is None else results.label(name)
    if published is not None:
        known = {method: error for method, (error, _) in published.methods.items()}
        known |= dict.fromkeys((label, f"{label}, in halves"), _least(published))
        frame.insert(4, "published", [known.get(method, np.nan) for method in frame["method"]])
    rows = results.rows(platform)
    words = [interval_words(row.interval) for row in rows]
    told = any(row.interval is not None for row in rows)
    frame.insert(list(frame.columns).index("improvement") + 1, "interval", words if told else np.nan)
    frame = frame.drop(columns=["improvement_low", "improvement_high", "tie"])
    if frame["genes"].nunique() <= 1:
        frame = frame.drop(columns="genes")
    selected = [at for at, method in enumerate(frame["method"]) if method == label]
    return frame.dropna(axis=1, how="all"), selected


def comparison(results: Results) -> pd.DataFrame:
    """What the paper states, measured again: quantity, published, measured, place, as words."""
    records: list[tuple[str, str, str, str]] = []
    for platform in results.data.platforms:
        published, methods, name = table(platform.published), results.methods(platform), results.selected(platform)
        if name is None or LR not in methods:
            continue
        network = results.networks[name][1]
        shown = {LR: methods[LR], "D-GEX": network, **({KNN_GE: methods[KNN_GE]} if KNN_GE in methods else {})}
        for label, measured in shown.items():
            known = (
                None if published is None else _least(published) if label == "D-GEX" else published.methods[label][0]
            )
            error = measured.overall(platform.test)[0]
            place = "" if published is None else published.place
            records.append((f"{platform.te}: overall error, {label}", _plain(known), _plain(error), place))
        for base in (LR, KNN_GE):
            if base in methods:
                records += _against(results, platform, network, methods[base], base)
        records += [
            record for label in PENALIZED if label in methods for record in _penalized(results, platform, label)
        ]
        records += _interpreted(results, platform, name)
    records += _largest(results)
    frame = pd.DataFrame(records, columns=["quantity", "published", "measured", "place"])
    return frame if (frame["published"] != EMPTY).any() else frame.drop(columns=["published", "place"])


def _against(
    results: Results, platform: Platform, network: Measured, other: Measured, base: str
) -> list[tuple[str, str, str, str]]:
    ours, theirs = network.errors[platform.test], other.errors[platform.test]
    gain = float(relative_improvement(ours.mean(dtype=float), theirs.mean(dtype=float)))
    rows = []
    for what, words, value in (
        ("improvement", "relative improvement over", gain),
        ("better", "share of genes better than", share_better(ours, theirs)),
    ):
        known, place = number(f"{what}.{platform.published}.{base}"), ""
        stated = EMPTY if known is None else f"{known.value:.2%}"
        published = table(platform.published)
        if known is not None:
            place = known.place
        elif published is not None and what == "improvement":
            stated = f"{1 - _least(published) / published.methods[base][0]:.2%}"
            place = f"computed from {published.place}"
        interval = results.interval(network, other, platform) if what == "improvement" else None
        measured = gain_words(value, interval)
        rows.append((f"{platform.te}: {words} {base}", stated, measured, place))
    return rows


def _penalized(results: Results, platform: Platform, label: str) -> list[tuple[str, str, str, str]]:
    """What a penalty gains over plain linear regression, where the paper says so."""
    known = number(f"improvement.{platform.published}.{label}")
    if known is None:
        return []
    methods = results.methods(platform)
    gain = relative_improvement(methods[label].overall(platform.test)[0], methods[LR].overall(platform.test)[0])
    interval = results.interval(methods[label], methods[LR], platform)
    words = f"{platform.te}: relative improvement over {LR}, {label}"
    return [(words, f"{known.value:.2%}", gain_words(float(gain), interval), known.place)]


def _interpreted(results: Results, platform: Platform, name: str) -> list[tuple[str, str, str, str]]:
    """Share of genes that the last hidden layer fits better than landmark genes do, and the network it is of."""
    known, units, targets = map(
        number, (f"adjusted-r2.{platform.published}", "interpreted.units", "interpreted.targets")
    )
    folder = interpretation_folder(Study(results.folder, results.plan), platform, name)
    r2 = read_record(folder / "interpretation.json").get("adjusted_r2") or {}
    share = r2.get("share_rising")
    if known is None or units is None or targets is None or share is None:
        return []
    hidden, layers, _ = size_of(name, results)
    network = f"{units.value:,.0f} × 1, {targets.value:,.0f} target genes"
    ours = f"{hidden:,} × {layers}, {len(results.data.genes):,} target genes"
    return [
        (f"{platform.te}: genes whose adjusted R² is higher", f"{known.value:.2%}", f"{share:.2%}", known.place),
        (f"{platform.te}: network whose weights are shown", network, ours, units.place),
    ]


def _largest(results: Results) -> list[tuple[str, str, str, str]]:
    """Weights of the largest networks of the grid, and how long one was trained."""
    known, hours = number("parameters"), number("hours")
    if known is None or hours is None or not results.networks:
        return []
    if not any(platform.published for platform in results.data.platforms):
        return []  # no counterpart in the paper
    name = max(results.networks, key=lambda network: size_of(network, results)[:2])
    facts = results.data.facts
    count = results.networks[name][0].extent(2, facts["landmarks"], facts["targets"]).weights  # whatever the profiles
    seconds = results.networks[name][1].facts.get("seconds", float("nan"))
    took = f"{seconds / 3600:.1f} h" if seconds >= 360 else f"{seconds:,.0f} s"
    return [
        (
            "Parameters of the largest network (the paper: of two halves)",
            f"{known.value:,.0f}",
            f"{count:,}",
            known.place,
        ),
        ("Training of the largest network (the paper: of one half)", f"about {hours.value:g} h", took, hours.place),
    ]


def _least(published: Table) -> float:
    return min(error for error, _ in published.networks.values())


def _plain(value: float | None) -> str:
    return EMPTY if value is None or not np.isfinite(value) else f"{value:.4f}"


def text(results: Results) -> str:
    """The methods of every platform as aligned plain text, for a terminal."""
    parts, over = [], []
    labels = {"method": "Method", "validation": "Validation", "error": "Test", "sd": "± SD", "published": "Published"}
    labels |= {"improvement": "Improvement", "interval": "95 % interval", "better": "Genes better", "genes": "Genes"}
    for platform in results.data.platforms:
        frame = method_table(results, platform)[0]
        head = f"{platform.name}: selected on {platform.va}, tested on {platform.te}"
        if not len(frame):
            parts.append(f"{head}\n\nnothing was measured yet")
            continue
        shown = frame[[name for name in labels if name in frame]].copy()
        shown = _in_words(shown, results.rows(platform))
        for name in [name for name in ("improvement", "interval", "better") if name in shown]:
            width = max(len(labels[name]), *map(len, shown[name]))
            shown[name] = [word.rjust(width) for word in shown[name]]
        formats = dict.fromkeys(("validation", "error", "sd", "published"), ".4f")
        words = over_words(results.data.drawn.get(platform.test), "interval" in frame)
        over.append(f"{platform.te}: {words}")
        parts.append(f"{head}\n\n{text_table(shown, labels, formats)}")
    legend = "Overall error: mean over genes of the mean absolute error; improvement and genes better: over LR."
    return "\n\n".join([*parts, "\n".join([legend, *over])])


def _in_words(shown: pd.DataFrame, rows: list[Row]) -> pd.DataFrame:
    """Gains for a terminal: the word tie in the place of one that is smaller than its interval."""
    intervals = [row.interval for row in rows]
    for name, spec in (("improvement", ".2%"), ("better", ".1%")):
        if name in shown:
            shown[name] = [percent(value, spec) for value in shown[name]]
    if "interval" in shown:
        ties = [interval is not None and interval.tie for interval in intervals]
        shown["improvement"] = ["tie" if tie else word for tie, word in zip(ties, shown["improvement"])]
        ends = [(np.nan, np.nan) if i is None else (i.improvement_low, i.improvement_high) for i in intervals]
        shown["interval"] = [between(*pair) for pair in ends]
    return shown
