"""What an evaluation found, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dgex.aliases import PathLike
from dgex.atomic import atomic_file, atomic_folder, json_dump
from dgex.evaluation.bootstrap import FEW
from dgex.evaluation.laid_out import group_tables, level_tables, within_tables
from dgex.places import check_output
from dgex.report.comparison import Comparison
from dgex.report.figures.evaluation import save_all
from dgex.report.look import Look
from dgex.report.tables import cell
from dgex.work import Work

__all__ = ["TRIVIAL", "Evaluation", "drawn_words", "place"]

TRIVIAL = "training mean"


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes
    ----------
    overall : DataFrame
        One row a split and model: split, model, kind, error (overall error), sd (over genes), error_low, error_high
        (the error's own 95 % interval, over profiles or groups as the improvement's), improvement
        (relative, against the baseline; 0 for itself), improvement_low, improvement_high (its 95 % interval; NaN for
        the baseline, and where one profile or group is too little), tie (the interval holds 0), difference,
        difference_low, difference_high (overall error less the baseline's, and its 95 % interval), better (share of
        genes better than the baseline; NaN for itself), pearson_mean, pearson_median, spearman_mean, spearman_median
        (over genes that vary), recall (share of genes whose rank recall is .95 or more), slope (median over genes),
        rmse (mean over genes), genes, profiles, seconds (of inferring). Where differences within groups were measured
        also within_error, within_r and within_sign (means over genes) with their intervals `…_low` and `…_high`,
        within_improvement (of the error) and within_r_gain against the baseline with theirs, within_profile_r (mean
        over profiles of the correlation over genes), within_profiles, within_groups.
    per_gene : DataFrame
        One row a split, model and gene: gene, model, split, mae, rmse, pearson, spearman, recall (rank recall), slope
        (calibration slope: of truth on inferred), and, of differences, within_error, within_r, within_sign.
    settings : dict
        What was compared: baseline and why it is that, what intervals are over, unit of the errors, data, how it was
        split and its fingerprint, models with kind, settings and what was chosen of them, version of dgex.
    histories : dict
        Network to its learning curve, one row an epoch (`history_`).
    levels : DataFrame
        Errors by expression, one row a split, model and fifth of the genes: split, model, level (1 is faintest), genes,
        mean_low, mean_high (range of the genes' means, in original units), error, pearson (means over genes).
    per_profile : DataFrame or None
        Where differences within groups were measured, one row a split, model and profile: profile, group, model, split,
        mae, and of its differences over genes within_error, within_r, within_sign.
    groups : DataFrame
        Where the dataset was split by a group such as the study, one row a split, model and group: split, model, group,
        profiles, error (overall error over the group's profiles). Empty otherwise.
    looks : dict
        Split to a closer look at one model: its genes, the profiles it infers badly, points of some genes.
    """

    overall: pd.DataFrame
    per_gene: pd.DataFrame
    settings: dict[str, Any]
    histories: dict[str, pd.DataFrame] = field(default_factory=dict)
    levels: pd.DataFrame = field(default_factory=pd.DataFrame)
    per_profile: pd.DataFrame | None = None
    looks: dict[str, Look] = field(default_factory=dict)
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)

    def comparison(self) -> Comparison:
        """The same as the report room takes it, to add it to a page of one's own."""
        listed = self.settings
        intervals = {name: drawn_words(of) for name, of in listed["intervals"]["of"].items()}
        details = {
            "Data": f"{listed['data']['name']}, fingerprint {listed['data']['fingerprint'][:16]}",
            "Target genes compared": f"{listed['genes']:,}",
            "Split": listed["data"]["split"],
            "Baseline": f"{listed['baseline']} ({listed['baseline_because']})",
            "Intervals": "; ".join(f"{name}: {words}" for name, words in intervals.items()),
            **{name: _described(model) for name, model in listed["models"].items()},
            "Made with": f"dgex {listed['dgex']}",
        }
        trivial = TRIVIAL if (self.overall["model"] == TRIVIAL).any() else ""
        return Comparison(
            self.overall,
            self.per_gene,
            listed["baseline"],
            trivial,
            listed["unit"],
            self.histories,
            details,
            intervals,
            [
                *within_tables(self.overall, listed),
                *group_tables(self.groups, self.overall, listed),
                *level_tables(self.levels, listed),
            ],
            looks=self.looks,
        )

    def table(self) -> str:
        """The overall table as aligned plain text."""
        return self.comparison().text()

    __str__ = __repr__ = table

    def _repr_html_(self) -> str:
        return self.comparison().html()

    def to_dict(self) -> dict[str, Any]:
        """Settings, overall table, errors by group and by expression as plain values for JSON (no value is None)."""
        tables = {"overall": self.overall, "levels": self.levels, "groups": self.groups}
        return {"settings": self.settings} | {name: _plain(table) for name, table in tables.items()}

    def to_json(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write settings, overall table, errors by group and by expression; the genes' values are in `to_csv`."""
        json_dump(self.to_dict(), path, overwrite)

    def to_csv(self, folder: PathLike, *, overwrite: bool = False) -> None:
        """Write `overall.csv`, `genes.csv` and `levels.csv` into a folder, made if it is not there.

        With differences within groups also `profiles.csv`, and `groups.csv` of a dataset split by groups.
        """
        frames = {"overall.csv": self.overall, "genes.csv": self.per_gene, "levels.csv": self.levels}
        if self.per_profile is not None:
            frames["profiles.csv"] = self.per_profile
        if len(self.groups):
            frames["groups.csv"] = self.groups
        paths = [check_output(Path(folder) / name, overwrite) for name in frames]
        for frame, path in zip(frames.values(), paths):
            with atomic_file(path, overwrite) as temporary:
                frame.to_csv(temporary, index=False, float_format="%.6g")

    def to_html(self, path: PathLike, *, title: str = "Evaluation", overwrite: bool = False) -> None:
        """Write one self-contained page with tables, figures and every gene."""
        check_output(path, overwrite)
        self.comparison().page(title).save(path, overwrite=overwrite)

    def figures(self) -> dict[str, Figure]:
        """Every figure of the page by its file name, without suffix: to show, change or save.

        They belong to nobody else: pyplot does not know them, and none needs to be closed. See `save_figures`.

        Examples
        --------
        >>> import dgex
        >>> data = dgex.prepare(dgex.simulate(samples=120, landmarks=5, targets=6, seed=0), seed=0)
        >>> figures = dgex.evaluate({"LR": dgex.train(data, "ols")}, data).figures()
        >>> [name for name in figures if "density" in name]
        ['error-density-test', 'pearson-density-test']
        >>> figures["error-density-test"].savefig("error.pdf")
        """
        return self.comparison().figures()

    def save_figures(self, folder: PathLike, *, overwrite: bool = False) -> list[Path]:
        """Write every figure as PNG and SVG, and what it draws as CSV, into a folder and return the paths."""
        return save_all(self.figures(), folder, overwrite=overwrite)

    def save(self, folder: PathLike, *, overwrite: bool = False) -> None:
        """Write all into one folder that appears when it is complete.

        It holds `report.html`, the tables of `to_csv`, `evaluation.json` and `figures/`.

        Raises
        ------
        OutputExistsError
            The folder exists and `overwrite` is False, or holds something else than an evaluation.
        FileError
            It cannot be written.
        """
        target = Path(folder)
        place(target).refuse_other()
        with atomic_folder(target, overwrite) as temporary:
            comparison = self.comparison()
            drawn = comparison.figures()
            save_all(drawn, temporary / "figures")
            comparison.page(figures=drawn).save(temporary / "report.html")
            self.to_csv(temporary)
            self.to_json(temporary / "evaluation.json")


def place(folder: PathLike) -> Work:
    """A folder of an evaluation as a place that may be written to."""
    return Work(folder, "evaluation.json", "an evaluation")


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): value for name, value in record.items()}
        for record in table.astype(object).where(table.notna(), None).to_dict("records")
    ]


def drawn_words(of: Mapping[str, Any]) -> str:
    """What the bootstrap drew anew on a set: `over 12 groups of study`."""
    if of["over"] == "profiles":
        return f"over {of['units']:,} profiles"
    few = " (too few for 95 %: a rough range)" if of["units"] < FEW else ""
    return f"over {of['units']:,} groups of {of['over']}{few}"


def _described(model: Mapping[str, Any]) -> str:
    if "targets" not in model:
        return "the mean of each gene over the training profiles"
    found = {name: f"{cell(value)} (chosen)" for name, value in model["chosen"].items()}
    settings = ", ".join(f"{name}={value}" for name, value in (model["settings"] | found).items())
    return (
        f"{model['kind']}{f' ({settings})' if settings else ''}; {model['landmarks']:,} -> {model['targets']:,} genes"
    )
