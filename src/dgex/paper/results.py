"""What all measured models say together: who is selected, who is best, who improves on whom and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgex.dataset.platforms import Platform
from dgex.evaluation.bootstrap import Interval, Resampled
from dgex.fitting.grid_plan import Member
from dgex.metrics import relative_improvement, share_better
from dgex.models.catalogue import method
from dgex.paper.data import Described
from dgex.paper.fit import MEAN, baseline_names, halves_name
from dgex.paper.folder import MEASURED
from dgex.paper.intervals import resampled, stored
from dgex.paper.measured import Measured, read_measured
from dgex.paper.plan import NEWER, Plan, labels

__all__ = ["CMAP", "KNN_GE", "LR", "TRIVIAL", "Results", "Row", "dropout_words"]

TRIVIAL, LR, KNN_GE, CMAP = "training mean", method("ols").label, method("knn-ge").label, "CMap OLS"
GAINS = ["improvement", "improvement_low", "improvement_high", "tie"]
COLUMNS = ["method", "validation", "error", "sd", *GAINS, "better", "genes", "chosen", "seconds"]


@dataclass(frozen=True)
class Row:
    """One method on one platform.

    Attributes
    ----------
    label : str
        What tables call it.
    measured : Measured
    validation, test : (float, float)
        Overall error and its standard deviation over genes.
    improvement, better : float
        Against LR on the same genes of the test set: relative improvement, and share of genes with a smaller error.
    genes : int
        Target genes it infers.
    interval : Interval or None
        Of the improvement; None where errors by profile are not known.
    """

    label: str
    measured: Measured
    validation: tuple[float, float]
    test: tuple[float, float]
    improvement: float
    better: float
    genes: int
    interval: Interval | None = None


def dropout_words(rate: float) -> str:
    """A dropout rate in percent."""
    return f"{100 * rate:g}%"


class Results:
    """What was measured so far, of the models that a plan holds; each record is read once."""

    def __init__(self, folder: Path, plan: Plan, data: Described) -> None:
        self.folder, self.plan, self.data = folder, plan, data
        self._held: dict[str, Measured | None] = {}
        self._drawn: dict[str, Resampled | None] = {}
        self._labels = labels()  # looks for those of other packages, which takes milliseconds

    def _read(self, name: str) -> Measured | None:
        if name not in self._held:
            self._held[name] = read_measured(self.folder / MEASURED, name, len(self.data.genes))
        return self._held[name]

    @cached_property
    def networks(self) -> dict[str, tuple[Member, Measured]]:
        """The measured networks of the grid by name, in the order of the axes; diverged ones are left out."""
        networks = {}
        for member in self.plan.members():
            measured = self._read(member.name)
            if measured is not None and measured.errors:
                networks[member.name] = member, measured
        return networks

    @cached_property
    def diverged(self) -> list[str]:
        """Networks that have no errors because their loss did not stay finite."""
        names = [*(member.name for member in self.plan.members()), *baseline_names(self.plan, self.data)]
        read = ((name, self._read(name)) for name in names)
        return [name for name, measured in read if measured is not None and not measured.errors]

    @cached_property
    def missing(self) -> list[str]:
        """Models of the plan that were not measured."""
        names = [*baseline_names(self.plan, self.data), *(member.name for member in self.plan.members())]
        absent = [name for name in names if self._read(name) is None]
        chosen = dict.fromkeys(self.selected(platform) for platform in self.data.platforms) if self.plan.halves else {}
        halves = [halves_name(name) for name in chosen if name is not None]
        return absent + [name for name in halves if self._read(name) is None]

    def selected(self, platform: Platform) -> str | None:
        """The network with the least error on the platform's validation set, as the paper selects it."""
        return self._least(platform.validation)

    def best(self, platform: Platform) -> str | None:
        """The network with the least error on the platform's test set."""
        return self._least(platform.test)

    def _least(self, name: str) -> str | None:
        errors = {network: measured.overall(name)[0] for network, (_, measured) in self.networks.items()}
        errors = {network: error for network, error in errors.items() if np.isfinite(error)}
        return min(errors, key=errors.__getitem__) if errors else None

    def methods(self, platform: Platform) -> dict[str, Measured]:
        """The trivial, linear and neighbour methods of a platform by their name in the paper, and CMap's weights."""
        known = self._labels
        names = {
            known[kind]: name
            for name, (kind, platforms) in baseline_names(self.plan, self.data).items()
            if platform in platforms
        }
        named = {TRIVIAL: MEAN, **{label: names[label] for label in known.values() if label in names}, CMAP: "cmap"}
        methods = {label: self._read(name) for label, name in named.items()}
        return {label: measured for label, measured in methods.items() if measured is not None and measured.errors}

    def newer(self, platform: Platform) -> list[str]:
        """Labels of the methods of a platform that came after the paper."""
        known = {label: kind for kind, label in self._labels.items()}
        return [label for label in self.methods(platform) if known.get(label) in NEWER]

    def interval(self, mine: Measured, theirs: Measured, platform: Platform) -> Interval | None:
        """How far the gain of one model over another on a test set may be chance; None where that is not known."""
        drawn = self._resampled(platform)
        if mine.name == theirs.name:
            return None
        if drawn is not None and {mine.name, theirs.name} <= set(drawn.names):
            return drawn.against(mine.name, theirs.name)
        return stored(mine, theirs.name, platform.test)

    def _resampled(self, platform: Platform) -> Resampled | None:
        """All that was measured on a platform, drawn once."""
        if platform.test not in self._drawn:
            halves = [halves for name in self.networks if (halves := self.halves(name)) is not None]
            measured = [*self.methods(platform).values(), *(network for _, network in self.networks.values()), *halves]
            self._drawn[platform.test] = resampled(measured, platform, self.data)
        return self._drawn[platform.test]

    def halves(self, name: str) -> Measured | None:
        """The network `name` trained as two networks of half the target genes."""
        halves = self._read(halves_name(name))
        return halves if halves is not None and halves.errors else None

    def label(self, name: str) -> str:
        """What the paper would call a network of the grid: D-GEX-10%-9000×3."""
        axes = self.networks[name][0].axes
        return f"D-GEX-{dropout_words(axes['dropout'])}-{axes['hidden']}×{axes['layers']}"

    def lowest(self, platform: Platform) -> Row | None:
        """The method with the least test error; None before anything was measured."""
        rows = [row for row in self.rows(platform) if np.isfinite(row.test[0])]
        return min(rows, key=lambda row: row.test[0], default=None)

    def row(self, label: str, measured: Measured, platform: Platform) -> Row:
        """One method on one platform, compared with LR on the genes that both infer."""
        base = self.methods(platform).get(LR)
        improvement = better = float("nan")
        mine = measured.errors.get(platform.test)
        if mine is not None and base is not None and platform.test in base.errors:
            both = np.isfinite(mine) & np.isfinite(base.errors[platform.test])
            theirs, ours = base.errors[platform.test][both], mine[both]
            if label != LR and both.any():
                improvement = float(relative_improvement(ours.mean(dtype=float), theirs.mean(dtype=float)))
                better = share_better(ours, theirs)
        genes = 0 if mine is None else int(np.isfinite(mine).sum())
        return Row(
            label,
            measured,
            measured.overall(platform.validation),
            measured.overall(platform.test),
            improvement,
            better,
            genes,
            None if base is None else self.interval(measured, base, platform),
        )

    def rows(self, platform: Platform) -> list[Row]:
        """Every method of a platform: the baselines, the selected network, and the same one in halves."""
        rows = [self.row(label, measured, platform) for label, measured in self.methods(platform).items()]
        name = self.selected(platform)
        if name is not None:
            rows.append(self.row(self.label(name), self.networks[name][1], platform))
            halves = self.halves(name)
            if halves is not None:
                rows.append(self.row(f"{self.label(name)}, in halves", halves, platform))
        return rows

    def table(self, platform: Platform) -> pd.DataFrame:
        """The rows of a platform as a frame.

        Columns: method, validation, error and sd (overall error on the validation and on the test set, standard
        deviation over genes), improvement and better (over LR), improvement_low, improvement_high and tie (the 95 %
        interval of the improvement, NaN where it is not known, and whether it holds 0), genes, chosen (what validation
        chose), seconds (of training).
        """
        records = [
            (
                row.label,
                row.validation[0],
                *row.test,
                row.improvement,
                np.nan if row.interval is None else row.interval.improvement_low,
                np.nan if row.interval is None else row.interval.improvement_high,
                row.interval is not None and row.interval.tie,
                row.better,
                row.genes,
                _chosen(row.measured.facts, platform),
                row.measured.facts.get("seconds", np.nan),
            )
            for row in self.rows(platform)
        ]
        return pd.DataFrame(records, columns=COLUMNS)

    def gene_table(self, platform: Platform, names: pd.Index) -> pd.DataFrame:
        """Errors gene by gene on the test set, target genes x methods."""
        columns = {row.label: row.measured.errors[platform.test] for row in self.rows(platform) if row.genes}
        return pd.DataFrame(columns, index=names)


def _chosen(facts: dict[str, Any], platform: Platform) -> str:
    """What the validation set chose, in words."""
    if "members" in facts:
        return ", ".join(f"{kind} {weight:.2f}" for kind, weight in facts["members"].items())
    settings = facts.get("settings", {})
    if isinstance(settings.get("alpha"), int | float):
        return f"alpha {settings['alpha']:.3g}"
    if isinstance(settings.get("n_neighbors"), int):
        return f"{settings['n_neighbors']} neighbours"
    if platform.validation in facts.get("best", {}):
        epoch = facts["best"][platform.validation]["epoch"]
        return f"epoch {'/'.join(map(str, epoch)) if isinstance(epoch, list) else epoch}"
    return ""
