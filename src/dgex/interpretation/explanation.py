"""The result of `dgex.explain`: numbers to use, a page to read, files to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dgex.aliases import PathLike
from dgex.atomic import atomic_file, atomic_folder, json_dump
from dgex.notebook import paragraph
from dgex.report.page.markup import slug
from dgex.report.tables import cell, html_table, text_table
from dgex.work import Work

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dgex.report.page.page import Page

__all__ = ["Explanation", "place"]

LABELS = {
    "landmark": "Landmark gene",
    "value": "Value",
    "training_mean": "Training mean",
    "contribution": "Contribution",
    "filled": "",
    "rank": "Rank",
    "training_profile": "Training profile",
    "study": "Study",
    "distance": "Distance",
}
FORMATS = {"value": ".2f", "training_mean": ".2f", "contribution": "+.3f", "distance": ".3f"}
_LONGEST = 100  # characters of a file's name


@dataclass(frozen=True)
class Explanation:
    """Why inferred values are what they are.

    Attributes
    ----------
    values : DataFrame
        A row a value: `profile`, `gene`, `value`, `low` and `high` (the interval), `trust`, `expected_error`,
        `distance` (share of held-out profiles that lie nearer to the training profiles) and `unlike` (among the
        farthest 1 %), `at_mean` (what is inferred for the mean training profile) and `unexplained` (`value` less
        `at_mean` less the sum of the contributions). NaN and "unknown" where the model was never judged by held-out
        profiles.
    landmarks : DataFrame
        A row a value and landmark gene: `profile`, `gene`, `landmark`, `value` and `training_mean` of the landmark
        gene, `filled` where it was missing, `contribution` and `rank`, 1 for the largest absolute contribution.
    neighbours : DataFrame
        A row a profile and near training profile: `profile`, `rank`, `training_profile`, `study` (empty where none is
        known) and `distance` (root mean square difference of the landmark genes, in training deviations, as the
        index tells it). Empty where the model keeps no index.
    summary : dict
        Model, input, unit, coverage of the intervals, and how contributions were found.
    """

    values: pd.DataFrame
    landmarks: pd.DataFrame
    neighbours: pd.DataFrame
    summary: dict[str, Any]

    def _each(self) -> Iterator[tuple[pd.Series, pd.DataFrame]]:
        """Every value with its landmark genes."""
        size = self.summary["landmarks"]
        for at in range(len(self.values)):
            yield self.values.iloc[at], self.landmarks.iloc[at * size : (at + 1) * size]

    def figures(self) -> dict[str, Figure]:
        """A figure of every value by its file name, without suffix; pyplot does not know them.

        Examples
        --------
        >>> import dgex
        >>> raw = dgex.simulate(samples=120, landmarks=5, targets=6, seed=0)
        >>> model = dgex.train(dgex.prepare(raw.copy(), seed=0), "ols")
        >>> figures = dgex.explain(model, raw[:1], genes=model.targets_[:1]).figures()
        >>> list(figures)
        ['tg00001-s000001']
        >>> figures["tg00001-s000001"].savefig("why.pdf")
        """
        from dgex.report.figures.explanation import why

        drawn: dict[str, Figure] = {}
        for value, landmarks in self._each():
            name = slug(f"{value['gene']} {value['profile']}"[:_LONGEST], drawn)
            drawn[name] = why(value, landmarks, self.summary["unit"], self.summary["interval"], self.summary["top"])
        return drawn

    def table(self) -> str:
        """Every value with what it is worth and its strongest landmark genes, then near training profiles."""
        lines = []
        for value, landmarks in self._each():
            lines += [f"{value['gene']} in {value['profile']}: {cell(value['value'], '.2f')} {self.summary['unit']}"]
            lines += [f"  {self._worth(value)}", f"  {self._sum(value)}", ""]
            lines += [text_table(self._shown(landmarks), LABELS, FORMATS), ""]
        for name, near in self.neighbours.groupby("profile", sort=False):
            lines += [f"Training profiles nearest to {name}", "", text_table(_near(near), LABELS, FORMATS), ""]
        lines.append(f"Contributions: {self.summary['how']}.")
        return "\n".join(lines)

    __str__ = __repr__ = table

    def _repr_html_(self) -> str:
        parts = []
        for value, landmarks in self._each():
            told = f"{value['gene']} in {value['profile']}: {cell(value['value'], '.2f')} {self.summary['unit']}"
            caption = f"{told}\n{self._worth(value)}\n{self._sum(value)}"
            parts.append(html_table(self._shown(landmarks), LABELS, FORMATS, caption))
        for name, near in self.neighbours.groupby("profile", sort=False):
            parts.append(html_table(_near(near), LABELS, FORMATS, f"Training profiles nearest to {name}"))
        return "".join([*parts, paragraph(f"Contributions: {self.summary['how']}.")])

    def page(self, title: str = "Why these values", figures: Mapping[str, Figure] | None = None) -> Page:
        """Build the page: a section a value, and one for near training profiles."""
        model = self.summary["model"]
        from dgex.report.page.page import Page

        page = Page(title, f"{model['label']}, {self.summary['landmarks']:,} landmark genes; {self.summary['input']}")
        return self.add_to(page, figures)

    def add_to(self, page: Page, figures: Mapping[str, Figure] | None = None, level: int = 2) -> Page:
        """Add the sections to a page; `figures` is what `figures` gave, where they are drawn already."""
        drawn = self.figures() if figures is None else figures
        for (value, landmarks), figure in zip(self._each(), drawn.values(), strict=True):
            page.add_heading(f"{value['gene']} in {value['profile']}", level)
            page.add_numbers(self._numbers(value))
            page.add_figure(figure, f"{self._sum(value)} {self._how()}")
            page.add_table(self._shown(landmarks), self._caption(), labels=LABELS, formats=FORMATS)
        if len(self.neighbours):
            page.add_heading("Nearest training profiles", level)
            for name, near in self.neighbours.groupby("profile", sort=False):
                caption = f"Training profiles nearest to {name}, {self._distance()}"
                page.add_table(_near(near), caption, labels=LABELS, formats=FORMATS)
        return page

    def save(self, folder: PathLike, *, overwrite: bool = False) -> None:
        """Write all into one folder that appears when it is complete.

        It holds `report.html`, `explanation.json`, `figures/` (PNG, SVG and CSV, one a value) and the tables
        `values.tsv`, `landmarks.tsv` and `neighbours.tsv`.

        Raises
        ------
        OutputExistsError
            The folder exists and `overwrite` is False, or holds something else than an explanation.
        FileError
            It cannot be written.
        """
        from dgex.report.figures.evaluation import save_all

        target = Path(folder)
        place(target).refuse_other()
        with atomic_folder(target, overwrite) as temporary:
            drawn = self.figures()
            save_all(drawn, temporary / "figures")
            self.page(figures=drawn).save(temporary / "report.html")
            for name in ("values", "landmarks", "neighbours"):
                with atomic_file(temporary / f"{name}.tsv") as path:
                    getattr(self, name).to_csv(path, sep="\t", index=False, float_format="%.6g")
            json_dump(self.summary, temporary / "explanation.json")

    # ---- words

    def _worth(self, value: pd.Series) -> str:
        """What a value is worth, in words."""
        if self.summary["interval"] is None:
            return "trust unknown: the model was never judged by held-out profiles"
        interval = (
            f"{self.summary['interval']:.0%} interval {cell(value['low'], '.2f')} to {cell(value['high'], '.2f')}"
        )
        far = f"{value['distance']:.0%} of held-out profiles lie nearer to the training profiles"
        far += " (unlike them)" if value["unlike"] else ""
        return f"{interval}; trust {value['trust']}, expected error {cell(value['expected_error'], '.2f')}; {far}"

    def _sum(self, value: pd.Series) -> str:
        moved = value["value"] - value["at_mean"]
        mean = cell(value["at_mean"], ".2f")
        return f"{mean} for the mean training profile, {cell(moved, '+.2f')} by the landmark genes."

    def _numbers(self, value: pd.Series) -> list[tuple[str, str, str]]:
        numbers = [("Inferred value", cell(value["value"], ".2f"), self.summary["unit"])]
        if self.summary["interval"] is not None:
            bounds = f"{cell(value['low'], '.2f')} to {cell(value['high'], '.2f')}"
            numbers.append((f"{self.summary['interval']:.0%} interval", bounds, ""))
            numbers.append(("Trust", value["trust"], f"expected error {cell(value['expected_error'], '.2f')}"))
            remark = "of held-out profiles lie nearer to the training profiles"
            numbers.append(("Distance", f"{value['distance']:.0%}", remark + ("; unlike" if value["unlike"] else "")))
        return numbers

    def _shown(self, landmarks: pd.DataFrame) -> pd.DataFrame:
        """The strongest landmark genes, and all others together."""
        top = self.summary["top"]
        shown: pd.DataFrame = landmarks[landmarks["rank"] <= top][
            ["landmark", "value", "training_mean", "contribution", "filled"]
        ]
        rest = landmarks[landmarks["rank"] > top]
        shown = shown.assign(filled=shown["filled"].map({True: "missing, filled", False: ""}))
        if len(rest):
            others = {"landmark": f"{len(rest):,} others", "contribution": rest["contribution"].sum(), "filled": ""}
            shown = pd.concat([shown, pd.DataFrame([others])], ignore_index=True)
        if not bool(shown["filled"].any()):
            del shown["filled"]
        return shown

    def _how(self) -> str:
        return f"Contributions are counted from the mean training profile ({self.summary['how']})."

    def _caption(self) -> str:
        return (
            f"The landmark genes that contribute most, in {self.summary['unit']}. They say what the model does: "
            "landmark genes that go together share what each could tell. All of them: landmarks.tsv."
        )

    def _distance(self) -> str:
        index = self.summary["index"]
        kept = f"{index['profiles']:,} of {index['total']:,} training profiles are kept in the model"
        return (
            "by the root mean square difference of their landmark genes in training deviations, as "
            f"{index['directions']} main directions with {index['share']:.0%} of the variance tell it. {kept}."
        )


def _near(table: pd.DataFrame) -> pd.DataFrame:
    """Near training profiles of one profile, without columns that tell nothing."""
    return table[["rank", "training_profile", *(["study"] if bool(table["study"].any()) else []), "distance"]]


def place(folder: PathLike) -> Work:
    """A folder of an explanation as a place that may be written to."""
    return Work(folder, "explanation.json", "an explanation")
