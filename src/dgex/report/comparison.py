"""What a comparison of models says: its table, figures and page, made from plain data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgex.aliases import Sets
from dgex.notebook import paragraph
from dgex.report.believed import add_badly, add_cards, add_finder, add_first, file_name, share_figures
from dgex.report.captions import caption, kind_of
from dgex.report.columns import BEST, FORMATS, LABELS, right, wrapped
from dgex.report.figures.evaluation import density, learning_curves, scatter
from dgex.report.look import Look
from dgex.report.page.page import Page
from dgex.report.style import PALETTE
from dgex.report.tables import between, html_table, percent, share_text, text_table

__all__ = ["Comparison", "file_name"]

_MEASURES = {"mae": "error", "pearson": "Pearson correlation", "spearman": "Spearman correlation"}
_RULES = {"mae": "min", "pearson": "max", "spearman": "max"}


class Further(NamedTuple):
    """A table beside the main one, with columns in words; whether it is printed too."""

    heading: str
    table: pd.DataFrame
    caption: str
    printed: bool = False


@dataclass(frozen=True)
class Comparison:
    """Models side by side.

    Attributes
    ----------
    overall
        One row a model and split, with the columns of `dgex.evaluation.result.Evaluation.overall`.
    per_gene
        One row a gene, model and split: gene, model, split, mae, rmse, pearson, spearman and more.
    trivial
        Name of the predictor drawn in grey, "" where there is none.
    baseline
        Name of the model that the others are compared with.
    unit
        Unit of the errors, in words.
    histories
        Network to its learning curve, one row an epoch: `epoch` and an overall error `<set>.error` a set.
    details
        What to list at the end of the page: name to value.
    intervals
        Split to what its intervals are over, in words: `over 12 groups of study`.
    further
        Tables beside the main one.
    looks
        Split to a closer look at one of the models, which the page tells of first.
    """

    overall: pd.DataFrame
    per_gene: pd.DataFrame
    baseline: str
    trivial: str = ""
    unit: str = ""
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, str] = field(default_factory=dict)
    further: Sequence[Further] = ()
    looks: Mapping[str, Look] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        """Splits in the order they were asked for."""
        return list(dict.fromkeys(self.overall["split"]))

    def text(self) -> str:
        """Lay the overall table out for a terminal, one part a split."""
        parts = []
        for split in self.splits:
            shown = text_table(right(self._in_words(split), LABELS), LABELS, FORMATS)
            parts.append(f"{self._headline(split)}\n\n{shown}")
        parts.append(self._legend())
        parts += [f"{f.heading}\n\n{text_table(f.table)}\n\n{wrapped(f.caption)}" for f in self.further if f.printed]
        return "\n\n".join(parts)

    def html(self) -> str:
        """The overall table for a notebook, one part a split."""
        parts = [
            html_table(right(self._in_words(split), LABELS), LABELS, FORMATS, self._headline(split))
            for split in self.splits
        ]
        parts.append(paragraph(self._legend()))
        parts += [html_table(f.table, caption=f"{f.heading}\n{f.caption}") for f in self.further if f.printed]
        return "".join(parts)

    def _in_words(self, split: str) -> pd.DataFrame:
        """Rows of a split, gains as they are told."""
        rows = self._rows(split)
        drop = ["split", "kind", "genes", "profiles", "pearson_median", "spearman_median", "tie"]
        table = rows.drop(columns=drop).astype({"improvement": object, "better": object})
        of_baseline = (rows["model"] == self.baseline).to_numpy()
        table.loc[of_baseline, "improvement"] = "baseline"
        table.loc[rows["tie"].to_numpy(bool), "improvement"] = "tie"
        for name in ("improvement", "better"):
            table[name] = [percent(value, FORMATS[name]) for value in table[name]]
        return table

    def _headline(self, split: str) -> str:
        rows = self._rows(split)
        over = self.intervals.get(split, "")
        groups = over.removeprefix("over ").partition(" (")[0] if "groups of" in over else ""
        counts = [f"{rows['profiles'].iat[0]:,} profiles", groups, f"{rows['genes'].iat[0]:,} target genes"]
        return f"{split}: " + ", ".join(filter(None, counts))

    def _legend(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        return (
            f"Overall error: mean over genes of the mean absolute error{unit}; SD over genes.\n"
            f"Improvement and genes better: against {self.baseline}. Interval: of the improvement, by bootstrap "
            f"{self._over()}; tie: it holds 0.\nCorrelations: mean over genes. Well inferred: rank recall of .95 or "
            "more. Slope: of truth on inferred, median."
        )

    def figures(self) -> dict[str, Figure]:
        """Every figure by its file name, without suffix: those of every split, and learning curves once."""
        figures: dict[str, Figure] = {}
        grey = [self.trivial] if self.trivial else []
        suffix = f" ({self.unit})" if self.unit else ""
        colours = self._colours()
        for split in self.splits:
            errors = self._values(split, "mae")
            values = {"mae": errors, "pearson": self._values(split, "pearson")}
            figures |= share_figures(split, values, self.looks.get(split), self.trivial)
            if (pair := self._pair(split)) is not None:
                name, other = pair
                figures[f"errors-{file_name(split)}-{file_name(name)}"] = scatter(
                    errors[name],
                    errors[other],
                    name,
                    other,
                    unit=self.unit,
                    color=colours[name],
                    genes=self.wide(split, "mae").index.tolist(),
                )
            figures[f"error-density-{file_name(split)}"] = density(
                errors, f"Mean absolute error of a gene{suffix}", f"Errors on {split}", grey=grey
            )
            correlations = {n: values for n, values in values["pearson"].items() if np.isfinite(values).any()}
            if correlations:
                figures[f"pearson-density-{file_name(split)}"] = density(
                    correlations, "Pearson correlation of a gene", f"Correlations on {split}"
                )
        for name, history in self.histories.items():
            curves = _curves(history)
            if len(history) > 1 and curves:
                figures[f"learning-{file_name(name)}"] = learning_curves(curves, title=f"Training of {name}")
        return figures

    def _colours(self) -> dict[str, str]:
        """One colour a model in every figure: the order in which `density` hands them out."""
        names = [name for name in dict.fromkeys(self.overall["model"]) if name != self.trivial]
        return {name: PALETTE[at % len(PALETTE)] for at, name in enumerate(names)}

    def _pair(self, split: str) -> tuple[str, str] | None:
        """The model that is told of first, and whom to compare it with gene by gene."""
        look, names = self.looks.get(split), list(dict.fromkeys(self.overall["model"]))
        compared = [name for name in names if name not in (self.baseline, self.trivial)]
        name = look.model if look is not None else next(iter(compared), self.baseline)
        others = [other for other in (self.baseline, self.trivial) if other not in ("", name)]
        return (name, others[0]) if others and name in names and name != self.trivial else None

    def wide(self, split: str, measure: str) -> pd.DataFrame:
        """One measure on one split, genes x models, in the order of both."""
        part = self.per_gene[self.per_gene["split"] == split]
        names = list(dict.fromkeys(part["model"]))
        columns = {name: part.loc[part["model"] == name].set_index("gene")[measure] for name in names}
        return pd.DataFrame(columns)

    def _values(self, split: str, measure: str) -> dict[str, np.ndarray]:
        wide = self.wide(split, measure)
        return {str(name): wide[name].to_numpy(np.float64) for name in wide.columns}

    def _rows(self, split: str) -> pd.DataFrame:
        """The overall table of a split, its intervals in one column of words."""
        rows = self.overall[self.overall["split"] == split].reset_index(drop=True)
        words = [between(low, high) for low, high in zip(rows["improvement_low"], rows["improvement_high"])]
        rows.insert(list(rows.columns).index("improvement") + 1, "interval", words)
        apart = [n for n in map(str, rows) if n.endswith(("_low", "_high")) or n.startswith("within_")]
        return rows.drop(columns=[*apart, "difference"])

    def _over(self) -> str:
        return "; ".join(dict.fromkeys(self.intervals.values())) or "over profiles"

    def page(self, title: str = "Evaluation", figures: Mapping[str, Figure] | None = None) -> Page:
        """Build the page: headline numbers, tables, figures, every gene, and how it was measured."""
        page = Page(title, "; ".join(self._headline(split) for split in self.splits))
        self.add_to(page, figures)
        return page

    def add_to(self, page: Page, figures: Mapping[str, Figure] | None = None) -> Page:
        """Add the comparison's sections to a page."""
        figures = self.figures() if figures is None else figures
        several = len(self.splits) > 1
        for split in self.splits:
            page.add_heading(self._headline(split) if several else "What to believe" if self.looks else "Result")
            look = self.looks.get(split)
            if look is not None:
                add_first(page, look)
            self._add_figures(page, figures, split)
            page.add_heading("Models compared", level=3)
            self._add_result(page, split)
            if look is not None:
                page.add_heading("Inferred badly", level=3)
                add_badly(page, look)
        if self.further:
            page.add_heading("Further tables")
        for further in self.further:
            page.add_heading(further.heading, level=3)
            page.add_table(further.table, further.caption.replace("\n", " "))
        learning = {name: figure for name, figure in figures.items() if name.startswith("learning-")}
        if learning:
            page.add_heading("Learning")
            for name, figure in learning.items():
                page.add_figure(figure, caption(name, figure))
        if self.looks:
            page.add_heading("Cards of genes")
            add_cards(page, self.looks)
        page.add_heading("Find a gene")
        measures = {
            self._measure_name(split, measure): self.wide(split, measure)
            for measure in _MEASURES
            for split in self.splits
            if self.per_gene[measure].notna().any()
        }
        rules = {self._measure_name(split, name): rule for name, rule in _RULES.items() for split in self.splits}
        add_finder(page, self.looks, measures, rules)
        if self.details:
            page.add_heading("How it was measured")
            page.add_text(self._legend().replace("\n", " "))
            details = pd.DataFrame({"What": list(self.details), "Value": [str(v) for v in self.details.values()]})
            page.add_table(details, "Data, models and settings.")
        return page

    def _add_figures(self, page: Page, figures: Mapping[str, Figure], split: str) -> None:
        """Shares of genes, the scatter with its genes told, and densities."""
        pair = self._pair(split)
        for name in self._figure_names(split):
            if name not in figures:
                continue
            words = caption(name, figures[name])
            if kind_of(name) == "errors" and pair is not None:
                self._add_scatter(page, split, *pair, words)
            else:
                page.add_figure(figures[name], words)

    def _figure_names(self, split: str) -> list[str]:
        stem, pair = file_name(split), self._pair(split)
        scattered = [] if pair is None else [f"errors-{stem}-{file_name(pair[0])}"]
        shares = [f"{kind}-share-{stem}" for kind in ("pearson", "error", "original")]
        return [*shares, *scattered, f"error-density-{stem}", f"pearson-density-{stem}"]

    def _add_scatter(self, page: Page, split: str, name: str, other: str, words: str) -> None:
        wide, unit = self.wide(split, "mae"), f" ({self.unit})" if self.unit else ""
        page.add_scatter(
            wide[name].to_numpy(),
            wide[other].to_numpy(),
            wide.index.tolist(),
            xlabel=f"Error by {name}{unit}",
            ylabel=f"Error by {other}{unit}",
            title=f"{name} against {other}, {split}",
            caption=words,
            color=self._colours()[name],
            above=f"{name} better",
            below=f"{other} better",
        )

    def _measure_name(self, split: str, measure: str) -> str:
        name = _MEASURES[measure]
        return f"{split}: {name}" if len(self.splits) > 1 else name.capitalize()

    def _add_result(self, page: Page, split: str) -> None:
        rows = self._rows(split)
        models = rows[rows["model"] != self.trivial]
        if models["error"].notna().any():
            page.add_numbers(self._numbers(rows, models.iloc[int(np.nanargmin(models["error"]))]))
        page.add_table(
            self._shown(rows),
            f"{self._headline(split)}. {self._legend()}".replace("\n", " "),
            labels={**LABELS, "pearson_median": "Pearson, median", "spearman_median": "Spearman, median"},
            formats=FORMATS,
            best=BEST,
        )

    @staticmethod
    def _shown(rows: pd.DataFrame) -> pd.DataFrame:
        ties = rows["tie"].to_numpy(bool)
        rows["interval"] = [f"tie ({words})" if tie else words for tie, words in zip(ties, rows["interval"])]
        return rows.drop(columns=["split", "genes", "profiles", "tie"]).dropna(axis=1, how="all")

    def _numbers(self, rows: pd.DataFrame, best: pd.Series) -> list[tuple[str, str, str]]:
        numbers = [
            ("Lowest overall error", f"{best['error']:.4f}", f"{best['model']}; ± {best['sd']:.4f} over genes"),
        ]
        if best["model"] != self.baseline:
            gain, share = percent(best["improvement"], ".1%"), share_text(best["better"])
            words = f"relative, of the error; 95 % interval {best['interval']}"
            numbers.append((f"Improvement over {self.baseline}", "tie" if best["tie"] else gain, words))
            numbers.append((f"Genes better than {self.baseline}", share, str(best["model"])))
        # Linear regression can be worse than no model at all: an improvement over it alone would flatter.
        if self.trivial in set(rows["model"]) and self.trivial != self.baseline:
            trivial = rows.loc[rows["model"] == self.trivial, "error"].iat[0]
            gain = percent(1 - best["error"] / trivial, ".1%")
            numbers.append((f"Improvement over the {self.trivial}", gain, "relative, of the error"))
        if np.isfinite(best["pearson_median"]):
            numbers.append(("Median Pearson correlation", f"{best['pearson_median']:.3f}", str(best["model"])))
        return numbers


def _curves(history: pd.DataFrame) -> Sets:
    """The columns of a history that are overall errors, by the name of their set."""
    if "part" in history:  # networks of several target parts
        parts = [(f", part {part}", _curves(rows.drop(columns="part"))) for part, rows in history.groupby("part")]
        return {f"{name}{part}": curve for part, curves in parts for name, curve in curves.items()}
    epochs = history["epoch"].to_numpy()
    errors = [str(name) for name in history.columns if str(name).endswith(".error")]
    return {name.removesuffix(".error"): (epochs, history[name].to_numpy(np.float64)) for name in errors}
