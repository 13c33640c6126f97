"""What an interpretation found, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgex import notebook
from dgex.aliases import PathLike
from dgex.atomic import atomic_file, atomic_folder, json_dump
from dgex.errors import FileError
from dgex.interpretation.hub_table import HUB_LABELS, first_hubs, hub_table
from dgex.records import read_json
from dgex.report.figures.evaluation import save_all
from dgex.report.figures.network import LINES, adjusted_r2, r2_texts, weight_map
from dgex.report.page.page import Page
from dgex.report.tables import EMPTY, html_table, share_text, text_table
from dgex.work import Work

__all__ = ["Interpretation", "place"]

_SHOWN = 10  # landmark genes of a target gene on the page
COLUMNS = {
    "hubs": ["part", "layer", "rank", "unit", "connections", "landmarks", "targets", "positive", "negative", "share"],
    "gene_sets": ["part", "layer", "rank", "unit", "role", "gene", "weight", "sign", "z"],
    "major_weights": ["part", "layer", "unit", "role", "gene", "weight", "z"],
    "adjusted_r2": ["gene", "landmarks", "hidden"],
    "attributions": ["gene", "landmark", "rank", "mean", "mean_absolute", "effect"],
}


@dataclass(frozen=True)
class Interpretation:
    """What `interpret` found. Tables of a linear model are empty, but for its attributions.

    Attributes
    ----------
    hubs : DataFrame
        One row a hub unit: part (of the targets, from 1), layer (hidden layer, from 1), rank (within both), unit (from
        0: the row of the layer's weights), connections (major weights), landmarks and targets (how many of them),
        positive and negative (by the sign of the weight), share (of the major weights of its layer).
    gene_sets : DataFrame
        One row a hub and gene: part, layer, rank, unit, role, gene, weight, sign, z.
    major_weights : DataFrame
        One row a major weight: part, layer, unit, role, gene, weight, z (standard deviations from the mean of its
        gene's weights).
    adjusted_r2 : DataFrame
        One row a target gene: gene, landmarks, hidden (adjusted R2 by raw landmark genes and by the last hidden
        layer; NaN where it is not defined).
    attributions : DataFrame
        One row a target gene and landmark gene, the strongest landmark genes of each target gene: gene, landmark, rank,
        mean, mean_absolute, effect (signed: above 0 where more of the landmark gene means more of the target gene;
        mean near 0 is no sign of no effect, as attributions of profiles on both sides of the baseline cancel). In the
        units of the dataset's target genes.
    summary : dict
        Model, data, thresholds, and the numbers: connections, share of positive ones, share of genes whose adjusted R2
        rises, numerical ranks, completeness gap of the attributions. None where something does not apply.
    """

    hubs: pd.DataFrame
    gene_sets: pd.DataFrame
    major_weights: pd.DataFrame
    adjusted_r2: pd.DataFrame
    attributions: pd.DataFrame
    summary: dict[str, Any]

    @property
    def parts(self) -> int:
        """Networks that share the target genes out between them."""
        return len(self.summary["model"]["hidden"])

    def figures(self) -> dict[str, Figure]:
        """Every figure by its file name, without suffix: adjusted R2, and a map of major weights for each part.

        A linear model has none. Pyplot does not know them, and none needs to be closed.

        Examples
        --------
        >>> import dgex
        >>> data = dgex.prepare(dgex.simulate(samples=120, landmarks=5, targets=6, seed=0), seed=0)
        >>> dgex.interpret(dgex.train(data, "ols"), data).figures()
        {}
        """
        drawn: dict[str, Figure] = {}
        if self.adjusted_r2[["landmarks", "hidden"]].notna().all(axis=1).any():
            drawn["adjusted-r2"] = adjusted_r2(*self._r2(), self.adjusted_r2["gene"].tolist())
        model = self.summary["model"]
        for number, hidden in enumerate(model["hidden"], start=1):
            major = self.major_weights[self.major_weights["part"] == number]
            if len(major):
                own = self.hubs[self.hubs["part"] == number]
                hubs = {layer: own.loc[own["layer"] == layer, "unit"].tolist() for layer in (1, len(hidden))}
                sizes = [model["landmarks"], *hidden, self._targets(number)]
                drawn["major-weights" + (f"-part-{number}" if self.parts > 1 else "")] = weight_map(major, sizes, hubs)
        return drawn

    def table(self) -> str:
        """The numbers and the first hubs as aligned plain text."""
        lines = [f"{label}: {value}{f' ({remark})' if remark else ''}" for label, value, remark in self._all_numbers()]
        if len(hubs := first_hubs(self.hubs, self.gene_sets)):
            lines += ["", text_table(hubs, HUB_LABELS, {"share": ".1%"})]
        return "\n".join(lines)

    __str__ = __repr__ = table

    def _repr_html_(self) -> str:
        rows = [(label, f"{value}{f' ({remark})' if remark else ''}") for label, value, remark in self._all_numbers()]
        hubs = first_hubs(self.hubs, self.gene_sets)
        shown = html_table(hubs, HUB_LABELS, {"share": ".1%"}, "The first hub units") if len(hubs) else ""
        return notebook.facts(rows, "What the network has learned") + shown

    def page(self, title: str = "What the network has learned", figures: Mapping[str, Figure] | None = None) -> Page:
        """Build the page: numbers, figures, hubs, a search for a gene's landmark genes."""
        model, data = self.summary["model"], self.summary["data"]
        hidden = "; ".join(" x ".join(map(str, sizes)) for sizes in model["hidden"] if sizes)
        page = Page(
            title,
            f"{model['name']}: {model['landmarks']:,} landmark genes, {model['targets']:,} target genes"
            + (f", hidden units {hidden}" if hidden else "")
            + f"; {data['profiles']:,} training profiles of {data['name']}",
        )
        return self.add_to(page, figures)

    def add_to(
        self,
        page: Page,
        figures: Mapping[str, Figure] | None = None,
        level: int = 2,
        numbers: Mapping[str, str] | None = None,
    ) -> Page:
        """Add the interpretation's sections to a page.

        Parameters
        ----------
        page
            To add to.
        figures
            What `figures` gave, where they are drawn already.
        level
            Of the headings.
        numbers
            Figure by its file name to what it is called in front of its caption, such as "Figure S3".
        """
        figures, numbers = self.figures() if figures is None else figures, numbers or {}
        found = self._numbers()
        page.add_heading("What was found", level)
        if found:
            page.add_numbers(found)
        for name, figure in figures.items():
            number = f"{numbers[name]}: " if name in numbers else ""
            if name == "adjusted-r2":
                caption = number + self._caption(name)
                page.add_scatter(
                    *self._r2(), self.adjusted_r2["gene"].tolist(), **r2_texts(*self._r2()), caption=caption
                )
                if warning := self._flattering():
                    page.add_text(warning)
            else:
                page.add_heading("Map of major weights", level + 1)  # a part of its own: the map needs the whole width
                page.add_figure(figure, number + self._caption(name))
        if any(self.summary["model"]["hidden"]) and not len(self.major_weights):
            page.add_text(
                "No weight lies beyond these thresholds, so there is no map and no hub: a network of few units, or one "
                "trained for a short time, may have none. Lower thresholds (input_threshold, output_threshold) "
                "show its largest weights, which then are a choice of what to draw and no finding."
            )
        if len(self.hubs):
            page.add_heading("Hub units", level)
            hubs = hub_table(self.hubs, self.gene_sets)
            page.add_table(hubs, self._hub_caption(), labels=HUB_LABELS, formats={"share": ".1%"})
        if len(self.attributions):
            page.add_heading("Landmark genes of a target gene", level)
            page.add_finder({"Landmark genes": self._by_gene()}, self._attribution_caption())
        return page

    def save(self, folder: PathLike, *, overwrite: bool = False) -> None:
        """Write all into one folder that appears when it is complete.

        It holds `report.html`, `interpretation.json`, `figures/` and the tables as CSV: `attributions.csv` and, of
        a network, `hubs.csv`, `gene_sets.csv`, `major_weights.csv` and `adjusted_r2.csv`.

        Raises
        ------
        OutputExistsError
            The folder exists and `overwrite` is False.
        SettingsError
            The folder is to be overwritten and holds something else than an interpretation.
        FileError
            It cannot be written.
        """
        target = Path(folder)
        place(target).refuse_other()
        names = ["attributions"]
        if any(self.summary["model"]["hidden"]):
            names += ["hubs", "gene_sets", "major_weights", "adjusted_r2"]
        with atomic_folder(target, overwrite) as temporary:
            drawn = self.figures()
            save_all(drawn, temporary / "figures")
            self.page(figures=drawn).save(temporary / "report.html")
            for name in names:
                with atomic_file(temporary / f"{name}.csv") as path:
                    getattr(self, name).to_csv(path, index=False, float_format="%.6g")
            json_dump(self.summary, temporary / "interpretation.json")

    @classmethod
    def load(cls, folder: PathLike) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        FileError
            The folder holds no interpretation, or a part of it is missing.
        """
        where, tables = Path(folder), {}
        words = dict.fromkeys(("gene", "landmark", "role", "sign"), str)
        try:
            summary = read_json(where / "interpretation.json")
            for name, columns in COLUMNS.items():
                path = where / f"{name}.csv"
                if path.exists():  # a gene may be called NA
                    numbers = {column: [""] for column in columns if column not in words}
                    tables[name] = pd.read_csv(path, dtype=words, keep_default_na=False, na_values=numbers)
                else:
                    tables[name] = pd.DataFrame(columns=columns)
            return cls(**tables, summary=summary)
        except (OSError, ValueError, TypeError) as error:
            raise FileError(f"{where} holds no whole interpretation: {str(error).splitlines()[0]}") from None

    # ---- words and numbers of the page

    def _flattering(self) -> str:
        """Words for a regression on raw landmark genes that has hardly more profiles than genes."""
        profiles, landmarks = self.summary["data"]["profiles"], self.summary["model"]["landmarks"]
        if profiles >= 5 * landmarks:
            return ""
        return (
            f"With {profiles:,} profiles for {landmarks:,} landmark genes the fit on raw landmark genes flatters "
            "itself: this is no failure of the network, and no success of linear regression."
        )

    def _r2(self) -> tuple[np.ndarray, np.ndarray]:
        landmarks, hidden = (self.adjusted_r2[name].to_numpy(np.float64) for name in ("landmarks", "hidden"))
        return landmarks, hidden

    def _targets(self, number: int) -> int:
        return int(self.summary["model"]["part_targets"][number - 1])

    def _numbers(self) -> list[tuple[str, str, str]]:
        weights, r2 = self.summary["major_weights"], self.summary["adjusted_r2"]
        numbers = []
        if r2 is not None:
            remark = "not defined: too few training profiles"
            if r2["genes"]:
                remark = (
                    f"of {r2['genes']:,}; median {r2['median_landmarks']:.3f} by landmark genes, "
                    f"{r2['median_hidden']:.3f} by the last hidden layer"
                )
            share = EMPTY if r2["share_rising"] is None else share_text(r2["share_rising"])
            numbers.append(("Genes whose adjusted R² rises", share, remark))
            inputs, outputs = weights["inputs"], weights["outputs"]
            remark = f"inputs beyond {weights['input_threshold']:g} SD: {inputs:,}; "
            remark += f"outputs beyond {weights['output_threshold']:g} SD: {outputs:,}"
            numbers.append(("Major weights", f"{inputs + outputs:,}", remark))
            if weights["positive"] is not None:
                numbers.append(("Positive major weights", share_text(weights["positive"]), ""))
        return numbers

    def _all_numbers(self) -> list[tuple[str, str, str]]:
        told = self.summary["attributions"]
        remark = f"largest {told['gap_largest']:.1e}; {told['genes']:,} target genes, {told['profiles']:,} profiles"
        return [*self._numbers(), ("Completeness gap of attributions", f"{told['gap_share']:.1e}", remark)]

    def _caption(self, name: str) -> str:
        weights, r2 = self.summary["major_weights"], self.summary["adjusted_r2"]
        if name == "adjusted-r2":
            ranks = ", ".join(f"{rank:,}" for rank in r2["regressors_hidden"])
            return (
                "Adjusted R² of linear fits of every target gene on the training profiles: every dot is a gene, above "
                f"the diagonal where the last hidden layer (rank {ranks}) explains more than the raw landmark genes "
                f"(rank {r2['regressors_landmarks']:,})."
            )
        part = f" of part {name.rpartition('-')[2]}" if self.parts > 1 else ""
        return (
            f"Major weights{part}: inputs of the first hidden layer beyond {weights['input_threshold']:g} standard "
            f"deviations of a landmark gene's outgoing weights, outputs beyond {weights['output_threshold']:g} of a "
            f"target gene's incoming weights; of each the {LINES:,} largest at most (in standard deviations) are "
            "drawn. Red: positive, blue: negative. Genes and units without one are left out, and so are the weights "
            "between hidden layers; a hub's dot grows with its major weights; its number stands where there is room."
        )

    def _hub_caption(self) -> str:
        deep = any(len(hidden) > 1 for hidden in self.summary["model"]["hidden"])
        joins = "" if not deep else " The first hidden layer is told by its inputs, the last one by its outputs."
        return (
            f"The hidden units with most major weights, at most {self.summary['major_weights']['hubs_asked']} a layer, "
            f"and the genes of their largest weights with the sign of the weight; units count from 0.{joins} All genes "
            "of every hub: gene_sets.csv."
        )

    def _by_gene(self) -> pd.DataFrame:
        """Target genes x ranks: the landmark gene and its strength with the sign of its effect, in words."""
        rows = self.attributions[self.attributions["rank"] <= _SHOWN]
        strengths = rows["mean_absolute"] * np.where(rows["effect"] < 0, -1, 1)
        words = [f"{name} {'−' if s < 0 else '+'}{abs(s):.3f}" for name, s in zip(rows["landmark"], strengths)]
        wide = rows.assign(words=words).pivot(index="gene", columns="rank", values="words")
        wide = wide.reindex(rows["gene"].drop_duplicates())
        wide.columns = pd.Index([f"{rank}" for rank in wide.columns])
        wide.index.name = "target gene"
        return wide

    def _attribution_caption(self) -> str:
        facts = self.summary["attributions"]
        how = f"{facts['steps']} points of the path" if facts["steps"] else "the path integrated exactly"
        return (
            "The landmark genes that a target gene is inferred from, strongest first: by the mean absolute integrated "
            f"gradient from the mean profile over {facts['profiles']:,} profiles ({how}), in the units of the target "
            "gene; its sign is + where more of the landmark gene means more of the target gene. The attributions of a "
            "profile add up to its inferred value less that of the mean profile, within "
            f"{max(facts['gap_largest'], 1e-9):.1g} of it. All numbers: attributions.csv."
        )


def place(folder: PathLike) -> Work:
    """A folder of an interpretation as a place that may be written to."""
    return Work(folder, "interpretation.json", "an interpretation")
