"""The page of a study: every table and figure of the paper, measured, beside what was published."""

from __future__ import annotations

import pandas as pd

from dgex.dataset.platforms import Platform
from dgex.interpretation.interpretation import Interpretation
from dgex.metrics import relative_improvement
from dgex.paper.figures import LETTERS, figure_5, platform_figures
from dgex.paper.intervals import over_words
from dgex.paper.notes import (
    caveats,
    data_table,
    hardware_table,
    order_words,
    served_words,
    set_names,
    settings_table,
    standardized_words,
)
from dgex.paper.plan import METHODS, labels
from dgex.paper.published import table
from dgex.paper.results import LR, Results, Row, dropout_words
from dgex.paper.section_3_4 import add_section_3_4
from dgex.paper.study import Study, interpretation_folder
from dgex.paper.tables import comparison, counterparts, every_dropout, main_table, method_table, size_of
from dgex.report.figures.study import architecture
from dgex.report.page.page import Page
from dgex.report.tables import between, percent, share_text

__all__ = ["build_page"]

LABELS = {
    "method": "Method",
    "validation": "Validation error",
    "error": "Test error",
    "sd": "± SD",
    "published": "Published",
    "improvement": "Gain over LR",
    "interval": "95 % interval",
    "better": "Genes better",
    "genes": "Genes",
    "chosen": "Chosen",
    "seconds": "Seconds",
}
FORMATS = {
    **dict.fromkeys(("validation", "error", "sd", "published"), ".4f"),
    "improvement": ".2%",
    "better": ".2%",
    "seconds": ",.1f",
}
PAPER = "Chen et al., Gene expression inference with deep learning, Bioinformatics 32 (2016) 1832-1839"


def build_page(study: Study) -> Page:
    """Lay out what a study has measured so far; what is missing is said."""
    results, facts = study.results, study.data.facts
    names = set_names(study)
    profiles = ", ".join(f"{names.get(name, name)} {count:,}" for name, count in facts["profiles"].items())
    page = Page(
        "Gene expression inference with deep learning, reproduced",
        f"On {facts['title']}; profiles: {profiles}; {facts['landmarks']:,} landmark and {facts['targets']:,} target "
        "genes",
    )
    genes = pd.Index(study.data.genes, name="gene")
    _summary(page, study, results)
    for at, platform in enumerate(study.data.platforms, start=1):
        _platform(page, results, platform, at, study)
        platform_figures(page, results, platform, at, genes)
    _every_dropout(page, results)
    figure_5(page, results)
    _interpretation(page, study, results)
    add_section_3_4(page, study)
    _finder(page, results, genes)
    _how(page, study, results)
    return page


def _summary(page: Page, study: Study, results: Results) -> None:
    page.add_heading("In short")
    page.add_numbers(_headlines(results))
    for text in [*(order_words(results, platform) for platform in study.data.platforms), *caveats(study)]:
        if text:
            page.add_text(text)
    frame = comparison(results)
    if len(frame):
        stated = f"What the paper states ({PAPER}; of its networks the best) and what was measured here"
        page.add_table(
            frame,
            f"{stated if 'published' in frame else 'What was measured'}. D-GEX is the network selected on the "
            "validation set.",
            labels={"quantity": "Quantity", "published": "Published", "measured": "Measured", "place": "Place"},
        )


def _headlines(results: Results) -> list[tuple[str, str, str]]:
    numbers = []
    for platform in results.data.platforms:
        name = results.selected(platform)
        if name is None or LR not in results.methods(platform):
            continue
        row = results.row(results.label(name), results.networks[name][1], platform)
        base = results.methods(platform)[LR].overall(platform.test)[0]
        remark = f"{row.test[0]:.4f} against {base:.4f}; better on {share_text(row.better)} of the genes"
        if row.interval is not None:
            remark += f"; 95 % interval {between(row.interval.improvement_low, row.interval.improvement_high)}"
        tie = row.interval is not None and row.interval.tie
        numbers.append((f"{platform.name}: D-GEX over LR", "tie" if tie else percent(row.improvement, ".2%"), remark))
        numbers += _over_other(results, platform, row) + _lowest(results, platform)
    return numbers


def _over_other(results: Results, platform: Platform, network: Row) -> list[tuple[str, str, str]]:
    """The network against the best of the paper's other methods on validation, where that is not LR."""
    known = labels()
    rows = {row.label: row for row in results.rows(platform) if row.label in {known[kind] for kind in METHODS}}
    other = min(rows.values(), key=lambda row: row.validation[0], default=None)
    if other is None or other.label == LR:
        return []
    interval = results.interval(network.measured, other.measured, platform)
    gain = float(relative_improvement(network.test[0], other.test[0]))
    remark = (
        f"{network.test[0]:.4f} against {other.test[0]:.4f}, the best of the paper's other methods on {platform.va}"
    )
    if interval is not None:
        remark += f"; 95 % interval {between(interval.improvement_low, interval.improvement_high)}"
    tie = interval is not None and interval.tie
    return [(f"{platform.name}: D-GEX over {other.label}", "tie" if tie else percent(gain, ".2%"), remark)]


def _lowest(results: Results, platform: Platform) -> list[tuple[str, str, str]]:
    """The least test error, and who ties with it."""
    least = results.lowest(platform)
    if least is None:
        return []
    intervals = {row.label: results.interval(row.measured, least.measured, platform) for row in results.rows(platform)}
    ties = [label for label, interval in intervals.items() if interval is not None and interval.tie]
    words = least.label + (f"; a tie with {', '.join(ties)}" if ties else "")
    return [(f"{platform.name}: lowest test error", f"{least.test[0]:.4f}", words)]


def _platform(page: Page, results: Results, platform: Platform, at: int, study: Study) -> None:
    """One platform: the table of its networks, and all methods."""
    page.add_heading(f"{platform.name}: tested on {platform.te}")
    facts, published, name = study.data.facts, table(platform.published), results.selected(platform)
    select, test = (facts["profiles"].get(split, 0) for split in (platform.validation, platform.test))
    page.add_text(
        f"All was chosen on {platform.va} ({select:,} profiles) and is judged by {platform.te} ({test:,} profiles), "
        f"{served_words(study, platform)}."
    )
    if name is not None:
        rate = size_of(name, results)[2]
        beside = f" Published: {published.place}, {dropout_words(published.dropout)} dropout." if published else ""
        cells, rows, columns = main_table(results, platform, rate)
        page.add_heading(f"Table {at}: networks with {dropout_words(rate)} dropout", level=3)
        page.add_matrix(
            cells,
            rows=rows,
            columns=columns,
            corner="D-GEX",
            over="Hidden units in a layer",
            caption=f"Overall error on {platform.te}, mean over {facts['targets']:,} target genes, each network at "
            f"its best epoch on {platform.va}, {standardized_words(study)}.{_tied(results, platform)}{beside}"
            f"{_counterpart(results, platform)}",
            best=f"lowest of all networks on {platform.te}",
            selected=f"selected on {platform.va}",
        )
    page.add_heading(f"All methods on {platform.te}", level=3)
    frame, selected = method_table(results, platform)
    if not len(frame):
        page.add_text("Nothing was measured yet.")
        return
    best = f" Published D-GEX: the best network of {published.place}." if published else ""
    over = over_words(results.data.drawn.get(platform.test), "interval" in frame)
    page.add_table(
        frame,
        "Overall error: mean over target genes of the gene's mean absolute error, "
        f"{standardized_words(study)}, with its standard deviation over genes; whatever a method leaves "
        f"open was chosen on {platform.va}. Gain (of the error) and genes better: over LR, on the genes that both "
        f"methods infer. {over}{_newer(results, platform)}{best} Shaded: lowest of the methods listed; ◆: the "
        "selected network. Seconds: wall clock of training.",
        labels=LABELS,
        formats=FORMATS,
        best={"error": "min", "validation": "min"},
        selected=selected,
    )


def _tied(results: Results, platform: Platform) -> str:
    """The networks of the grid whose error is no different from the lowest as far as the interval tells."""
    best = results.best(platform)
    if best is None or len(results.networks) < 2:
        return ""
    lowest = results.networks[best][1]
    found = {name: results.interval(measured, lowest, platform) for name, (_, measured) in results.networks.items()}
    ties = [results.label(name) for name, interval in found.items() if interval is not None and interval.tie]
    known = sum(interval is not None for interval in found.values())
    if not known:
        return ""
    named = f": {', '.join(ties)}" if 0 < len(ties) <= 6 else ""
    return f" Of the other networks at any dropout rate {len(ties)} of {known} tie with the lowest{named}."


def _newer(results: Results, platform: Platform) -> str:
    """What a reader must know of the methods that came after the paper."""
    names = results.newer(platform)
    if not names:
        return ""
    came = f" {', '.join(names)} came after the paper and {'stand' if len(names) > 1 else 'stands'} in no figure of it."
    refitted = "auto" in names and results.methods(platform)["auto"].facts.get("refitted")
    if not refitted:
        return came
    return (
        f"{came} auto was fitted again on {platform.va} and the training profiles together once all was chosen, which "
        "is why it has no validation error."
    )


def _counterpart(results: Results, platform: Platform) -> str:
    pairs = counterparts(results, table(platform.published))
    if all(ours == theirs for ours, theirs in pairs.items()):
        return ""
    sizes = ", ".join(f"{theirs:,} beside {ours:,}" for ours, theirs in pairs.items())
    return f" The networks have other sizes than the paper's: its hidden units of the same rank stand there, {sizes}."


def _every_dropout(page: Page, results: Results) -> None:
    if not results.networks:
        return
    known = 2 * min(2, len(results.data.platforms))  # the paper has two platforms
    page.add_heading(f"Tables S2 to S{1 + known}: every dropout rate")
    number = 2
    for platform in results.data.platforms:
        for name, what in ((platform.validation, platform.va), (platform.test, platform.te)):
            cells, rows, columns = every_dropout(results, platform, name)
            page.add_heading(f"Table S{number}: {what}" if number < 2 + known else what, level=3)
            page.add_matrix(
                cells,
                rows=rows,
                columns=columns,
                corner="Dropout and layers",
                over="Hidden units in a layer",
                caption=f"Overall error on {what} of {len(results.networks)} networks.",
                best=f"lowest on {what}",
                selected=f"selected on {platform.va}",
            )
            number += 1


def _interpretation(page: Page, study: Study, results: Results) -> None:
    """Figures S1 to S3 and the tables of hubs and attributions, for the network of each platform."""
    if not results.networks:
        return
    page.add_heading("What the networks have learned")
    facts = study.data.facts
    name = results.selected(study.data.platforms[0])
    if name is not None:
        units, layers, _ = size_of(name, results)
        page.add_figure(
            architecture(facts["landmarks"], [units] * layers, facts["targets"]),
            f"Figure S1: the network {results.label(name)}: all target genes share its hidden layers.",
        )
    for at, platform in enumerate(study.data.platforms):
        name = results.selected(platform)
        if name is None:
            continue
        folder = interpretation_folder(study, platform, name)
        page.add_heading(f"{platform.name}: {results.label(name)}", level=3)
        if not folder.exists():
            page.add_text("This network was not interpreted.")
            continue
        if facts["targets"] > study.plan.attributed:
            page.add_text(
                f"Attributions are of {study.plan.attributed:,} of the {facts['targets']:,} target genes, evenly "
                f"spaced. Others: dgex interpret networks/{name} {study.data.path.name} OUT "
                f"--best {platform.validation} --genes …"
            )
        named = {"adjusted-r2": f"Figure S2{LETTERS[at]}", "major-weights": f"Figure S3{LETTERS[at]}"}
        Interpretation.load(folder).add_to(page, level=4, numbers=named)


def _finder(page: Page, results: Results, genes: pd.Index) -> None:
    frames = {
        f"{platform.te}: error": results.gene_table(platform, genes)
        for platform in results.data.platforms
        if results.rows(platform)
    }
    if frames:
        page.add_heading("Find a gene")
        page.add_finder(
            frames,
            "Mean absolute error of every target gene by every method; the best method of a gene is marked. The same "
            "values stand in tables/ beside this page, a CSV file for each platform.",
            best=dict.fromkeys(frames, "min"),
            max_values=700_000,
        )


def _how(page: Page, study: Study, results: Results) -> None:
    page.add_heading("How it was made")
    labels = {"what": "What", "value": "Value"}
    page.add_table(data_table(study), "The data.", labels=labels)
    page.add_table(settings_table(study), "The settings.", labels=labels)
    times = hardware_table(study)
    if len(times):
        page.add_table(
            times,
            "The stages: wall-clock seconds, and what they ran on.",
            labels={name: name.capitalize() for name in times.columns},
            formats={"seconds": ",.1f"},
        )
    if results.diverged:
        page.add_text("Networks whose loss did not stay finite, without a row: " + ", ".join(results.diverged) + ".")
