"""What all measured models say together: who is selected, who is best, who improves on whom and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from dgex.datasets.platforms import Platform
from dgex.metrics import relative_improvement, share_better
from dgex.models.grid_plan import Member
from dgex.paper.data import Described
from dgex.paper.fit import MEASURED, baseline_names, halves_name
from dgex.paper.measured import Measured, read_measured
from dgex.paper.plan import METHODS, Plan

__all__ = ["CMAP", "LR", "Results", "Row"]

LR, CMAP = "LR", "CMap OLS"


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
    """

    label: str
    measured: Measured
    validation: tuple[float, float]
    test: tuple[float, float]
    improvement: float
    better: float
    genes: int


class Results:
    """What was measured so far, of the models that a plan holds."""

    def __init__(self, folder: Path, plan: Plan, data: Described) -> None:
        self.folder, self.plan, self.data = folder, plan, data

    @cached_property
    def networks(self) -> dict[str, tuple[Member, Measured]]:
        """The measured networks of the grid by name, in the order of the axes; diverged ones are left out."""
        found = {}
        for member in self.plan.members():
            measured = read_measured(self.folder / MEASURED, member.name)
            if measured is not None and measured.errors:
                found[member.name] = member, measured
        return found

    @cached_property
    def diverged(self) -> list[str]:
        """Networks that have no errors because their loss did not stay finite."""
        read = ((m.name, read_measured(self.folder / MEASURED, m.name)) for m in self.plan.members())
        return [name for name, measured in read if measured is not None and not measured.errors]

    @cached_property
    def missing(self) -> list[str]:
        """Models of the plan that were not measured."""
        names = [*baseline_names(self.plan, self.data), *(member.name for member in self.plan.members())]
        return [name for name in names if read_measured(self.folder / MEASURED, name) is None]

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
        """The linear and neighbour methods of a platform by their name in the paper, and CMap's weights."""
        names = {
            METHODS[method]: name
            for name, (method, platforms) in baseline_names(self.plan, self.data).items()
            if platform in platforms
        }
        found = {
            label: read_measured(self.folder / MEASURED, names[label]) for label in METHODS.values() if label in names
        }
        found[CMAP] = read_measured(self.folder / MEASURED, "cmap")
        return {label: measured for label, measured in found.items() if measured is not None}

    def halves(self, name: str) -> Measured | None:
        """The network `name` trained as two networks of half the target genes."""
        found = read_measured(self.folder / MEASURED, halves_name(name))
        return found if found is not None and found.errors else None

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
        )

    def rows(self, platform: Platform) -> list[Row]:
        """Every method of a platform: the baselines, the selected network, and the same one in halves."""
        found = [self.row(label, measured, platform) for label, measured in self.methods(platform).items()]
        name = self.selected(platform)
        if name is not None:
            found.append(self.row(f"D-GEX {name}", self.networks[name][1], platform))
            halves = self.halves(name)
            if halves is not None:
                found.append(self.row(f"D-GEX {name}, in halves", halves, platform))
        return found

    def table(self, platform: Platform) -> pd.DataFrame:
        """The rows of a platform as a frame: method, validation and test error, improvement, better, genes."""
        return pd.DataFrame(
            [
                {
                    "platform": platform.name,
                    "method": row.label,
                    "validation": row.validation[0],
                    "error": row.test[0],
                    "sd": row.test[1],
                    "improvement": row.improvement,
                    "better": row.better,
                    "genes": row.genes,
                }
                for row in self.rows(platform)
            ]
        )

    def gene_table(self, platform: Platform, names: pd.Index) -> pd.DataFrame:
        """Errors gene by gene on the test set, target genes x methods."""
        columns = {row.label: row.measured.errors[platform.test] for row in self.rows(platform) if row.genes}
        return pd.DataFrame(columns, index=names)

    def errors_of(self, platform: Platform, labels: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Method to the errors of its genes on the test set."""
        rows = [row for row in self.rows(platform) if row.genes and (labels is None or row.label in labels)]
        return {row.label: row.measured.errors[platform.test] for row in rows}
