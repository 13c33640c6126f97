"""A panel of genes as a page and as text: the curve, the genes, what stays uninferable, who comes and who goes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgex import notebook
from dgex.report.figures.panels import error_by_size, gain_by_rank
from dgex.report.page.page import Page
from dgex.report.tables import EMPTY, html_table, text_table

__all__ = ["Facts", "error_figure", "gain_figure", "html_of", "laid_out", "text_of"]

error_figure, gain_figure = error_by_size, gain_by_rank

_LABELS = {
    "size": "Genes",
    "panel": "Panel",
    "error": "Overall error",
    "between": "95 % interval",
    "gain": "Chosen is better by",
    "interval": "95 % interval of that",
}
_GENES = {
    "gene": "Gene",
    "rank": "Rank",
    "order": "Order",
    "gain": "Gain",
    "cost": "Cost",
    "kept": "Kept",
    "also_inferred_from": "Told by",
    "inferred_from": "Inferred from",
    "pearson": "Correlation",
}
_SHARES = {"gain": ".3%", "cost": ".3%", "pearson": ".3f"}
_SHOWN = 500  # rows of a table of genes on the page; all are in the CSV file


@dataclass(frozen=True)
class Facts:
    """What a page of a panel is made from: the tables of `dgex.panels.result.PanelChoice`.

    `ours` is the name of the panel chosen in `curve` and, before " error", in `genes`.
    """

    chosen: pd.DataFrame
    curve: pd.DataFrame
    genes: pd.DataFrame
    uninferable: pd.DataFrame
    candidates: pd.DataFrame
    going: pd.DataFrame
    settings: Mapping[str, Any]
    ours: str

    @property
    def at_size(self) -> pd.DataFrame:
        """The rows of the curve at the size of the panel."""
        return self.curve[self.curve["size"] == len(self.chosen)]

    @property
    def error(self) -> float:
        """Overall error of the panel on genes of no panel."""
        rows = self.at_size.loc[self.at_size["panel"] == self.ours, "error"].to_numpy(np.float64)
        return float(rows[0]) if len(rows) else float("nan")


def text_of(facts: Facts) -> str:
    """Lay the result out for a terminal."""
    parts = [_headline(facts)]
    shown = curve_in_words(facts.curve, facts.ours)
    if len(shown):
        parts += [text_table(shown, _LABELS, {"error": ".4f"}), _legend(facts)]
    parts += [f"{what}: {names}" for what, names in _told(facts)]
    return "\n\n".join([*parts, _uninferable(facts)])


def html_of(facts: Facts) -> str:
    """The same as tables for a notebook."""
    shown = curve_in_words(facts.curve, facts.ours)
    curve = html_table(shown, _LABELS, {"error": ".4f"}, _legend(facts)) if len(shown) else ""
    genes = notebook.facts(_told(facts), "Genes of the panel, and those that come or go next")
    return f"{notebook.paragraph(_headline(facts))}{curve}{genes}{notebook.paragraph(_uninferable(facts))}"


def _told(facts: Facts) -> list[tuple[str, str]]:
    """The first genes of every list, by what the list is."""
    added = facts.chosen[~facts.chosen["kept"]]
    lists = [("Added, the best first", added, 20)] if facts.chosen["kept"].any() else []
    lists += [("First to measure", facts.chosen, 10), ("Next", facts.candidates, 10), ("First to go", facts.going, 10)]
    return [(what, _names(table["gene"], count)) for what, table, count in lists if len(table)]


def laid_out(facts: Facts, figures: Mapping[str, Figure]) -> Page:
    """Build the page."""
    page = Page("A panel of landmark genes", _headline(facts))
    page.add_heading("What it tells")
    page.add_numbers(_numbers(facts))
    captions = {
        "error-by-size": "Overall error of the genes that are in no panel on test profiles, by the "
        "number of genes measured; "
        "the band is the 95 % interval over splits.",
        "gain-by-rank": "Gains in the order of the choice, added up: what the choice expects on its training profiles.",
    }
    for name, figure in figures.items():
        page.add_figure(figure, captions.get(name, name))
    shown = curve_in_words(facts.curve, facts.ours)
    if len(shown):
        page.add_table(shown, _legend(facts), labels=_LABELS, formats={"error": ".4f"})
    page.add_heading("The panel")
    _genes(
        page,
        facts.chosen,
        "Genes to measure, the first first. Gain: share of the variance of all genes that a gene explains of the "
        "others beyond those before it. Cost: what is lost if it alone goes. Told by: genes of the panel "
        "that tell most of it.",
    )
    page.add_heading("What stays uninferable")
    page.add_text(_uninferable(facts))
    if len(facts.uninferable):
        columns = ["gene", "pearson", f"{facts.ours} error", "inferred_from"]
        _genes(
            page,
            facts.uninferable[[name for name in columns if name in facts.uninferable]],
            "Measure them or forget them.",
        )
    page.add_heading("Who comes and who goes next")
    if len(facts.candidates):
        _genes(page, facts.candidates, "The next candidates, in the order in which they would come.")
    if len(facts.going):
        _genes(page, facts.going, "Genes of the panel that can go at least cost, each with those before it gone.")
    _compared(page, facts)
    page.add_heading("Find a gene")
    numbers = facts.genes.set_index("gene").rename_axis("gene")
    errors = numbers[[name for name in numbers if str(name).endswith(" error")]]
    measures = {
        "Error": errors.rename(columns=lambda name: str(name).removesuffix(" error")),
        "Correlation": numbers[["pearson"]].rename(columns={"pearson": facts.ours}),
        "Inferred from": numbers[["inferred_from"]].rename(columns={"inferred_from": "genes of the panel"}),
    }
    page.add_finder(measures, "Every gene outside the panel, at the full size of every panel.", best={"Error": "min"})
    page.add_heading("How it was chosen")
    rows = [(name, _value(value)) for name, value in facts.settings.items() if name != "excluded"]
    rows += [(f"excluded: {row['reason']}", f"{row['genes']:,} genes") for row in facts.settings["excluded"]]
    page.add_table(pd.DataFrame(rows, columns=["What", "Value"]), "Data and settings.")
    return page


def curve_in_words(curve: pd.DataFrame, ours: str) -> pd.DataFrame:
    """The curve with intervals in words; what needs no panel comes first."""
    rows = [
        {
            "size": int(row["size"]),
            "panel": row["panel"],
            "error": row["error"],
            "between": _between(row["low"], row["high"], ".4f"),
            "gain": EMPTY if not np.isfinite(row["improvement"]) else _gain(row),
            "interval": _between(row["improvement_low"], row["improvement_high"], ".1%"),
        }
        for row in curve.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=list(_LABELS))


def _gain(row: Mapping[Any, Any]) -> str:
    words = format(row["improvement"], ".1%").replace("-", "−")
    return f"tie ({words})" if row["tie"] else words


def _between(low: float, high: float, spec: str) -> str:
    if not np.isfinite([low, high]).all():
        return EMPTY
    return f"{low:{spec}} to {high:{spec}}".replace("-", "−")


def _headline(facts: Facts) -> str:
    said = facts.settings
    profiles = said["profiles"]
    return (
        f"{len(facts.chosen):,} of {said['genes']:,} genes of {said['data']}, chosen on "
        f"{profiles['train']:,} training profiles "
        f"(split {said['split']}, seed {said['seed']}), measured on "
        + ("its test profiles" if said["splits"] == 1 else f"{said['splits']} such splits")
    )


def _legend(facts: Facts) -> str:
    genes = "the genes that are in none of the panels of a split"
    return (
        f"Overall error: mean absolute error over {genes}, in standard deviations, by ridge regression "
        f"with the penalty chosen on "
        "validation profiles; mean and 95 % interval (Student's t) over splits. Better by: relative; its "
        "interval by bootstrap "
        f"{facts.settings['intervals']}; tie: it holds 0."
    )


def _uninferable(facts: Facts) -> str:
    many, accuracy = len(facts.uninferable), facts.settings["accuracy"]
    return (
        f"{many:,} of {len(facts.genes):,} genes outside the panel correlate less than {accuracy:g} with "
        f"what was measured on test "
        "profiles: measure them or forget them."
    )


def _names(genes: pd.Series, count: int) -> str:
    return ", ".join(str(gene) for gene in genes[:count])


def _numbers(facts: Facts) -> list[tuple[str, str, str]]:
    numbers = []
    if np.isfinite(facts.error):
        numbers.append(("Overall error", f"{facts.error:.4f}", "SD, of genes in none of the panels"))
    for row in facts.at_size.to_dict("records"):
        if row["panel"] != facts.ours and np.isfinite(row["improvement"]):
            words = _between(row["improvement_low"], row["improvement_high"], ".1%")
            numbers.append((f"Better than {row['panel']}", _gain(row), f"95 % interval {words}"))
    share = len(facts.uninferable) / max(1, len(facts.genes))
    numbers.append(("Not inferable", f"{share:.0%}", f"correlation below {facts.settings['accuracy']:g}"))
    return numbers


def _genes(page: Page, table: pd.DataFrame, caption: str) -> None:
    shown = table.drop(columns="kept") if "kept" in table and not table["kept"].any() else table
    if len(shown) > _SHOWN:
        caption += f" The first {_SHOWN:,} of {len(shown):,}; all are in the CSV file."
    labels = _GENES | {str(name): str(name).capitalize() for name in shown if name not in _GENES}
    formats = _SHARES | {str(name): ".3f" for name in shown if str(name).endswith("error")}
    page.add_table(shown.head(_SHOWN), caption, labels=labels, formats=formats)


def _compared(page: Page, facts: Facts) -> None:
    """Which target genes gain and lose most against every other panel."""
    mine = f"{facts.ours} error"
    for rival in facts.settings.get("rivals_by_gene", []):
        both = facts.genes[["gene", mine, f"{rival} error"]].dropna()
        if not len(both):
            continue
        page.add_heading(f"Against {rival}, gene by gene")
        better = float((both[mine] < both[f"{rival} error"]).mean())
        page.add_scatter(
            both[mine].to_numpy(),
            both[f"{rival} error"].to_numpy(),
            both["gene"].tolist(),
            xlabel="Error by the panel chosen (SD)",
            ylabel=f"Error by {rival} (SD)",
            title=f"Better on {better:.0%} of {len(both):,} genes",
            caption="Every dot is a gene outside both panels, above the diagonal where the panel chosen infers it "
            f"better than {rival}.",
        )
        gained = both.assign(gain=1 - both[mine] / both[f"{rival} error"]).sort_values("gain", kind="stable")
        rows = pd.concat([gained.tail(10)[::-1], gained.head(5)])
        formats = {"gain": ".1%", mine: ".3f", f"{rival} error": ".3f"}
        labels = {"gene": "Gene", mine: "Chosen", f"{rival} error": rival.capitalize(), "gain": "Better by"}
        page.add_table(
            rows, "The ten genes that gain most, and the five that lose most.", labels=labels, formats=formats
        )


def _value(value: Any) -> str:
    if value is None or value == []:
        return EMPTY
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {one}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
