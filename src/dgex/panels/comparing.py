"""Panels side by side: error against size on several splits, with intervals, gene by gene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from dgex.evaluation.bootstrap import LEVEL, Resampled
from dgex.panels.forward import Chosen
from dgex.panels.measuring import Measured, Targets
from dgex.panels.rivals import Rival
from dgex.panels.view import View
from dgex.progress import note

__all__ = ["OURS", "Comparing", "sizes_up_to"]

OURS = "chosen"
_FEW_TARGETS = 20  # below so many genes of no panel a comparison tells little


def sizes_up_to(size: int) -> list[int]:
    """Sizes of a curve: 1, 2 and 5 times powers of ten from 10 on, halves of the size, and the size.

    Examples
    --------
    >>> sizes_up_to(400)
    [25, 50, 100, 200, 400]
    """
    found = [size]
    while found[-1] >= 50 and len(found) < 5:
        found.append(found[-1] // 2)
    return sorted(found)


@dataclass
class Comparing:
    """Gathers what panels reach, split by split.

    Parameters
    ----------
    rivals : sequence of Rival
    sizes : sequence of int
        Sizes that all panels are measured at.
    names : Index
        Of the genes.
    group : str
        Column whose groups intervals are drawn over; profiles where it is empty.
    """

    rivals: Sequence[Rival]
    sizes: Sequence[int]
    names: pd.Index
    group: str = ""
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _profiles: dict[tuple[int, str], list[np.ndarray]] = field(default_factory=dict)
    _units: list[np.ndarray] = field(default_factory=list)
    _genes: dict[str, np.ndarray] = field(default_factory=dict)
    _seen: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, view: View, chosen: Chosen, allowed: np.ndarray, seed: int) -> None:
        """Measure all panels on one split, on the genes that are in none of them."""
        most = max(self.sizes)
        orders = {OURS: [chosen.genes]}
        for rival in self.rivals:
            orders |= rival.orders(view, allowed, most, seed)
        panels = {name: [order[:most] for order in found] for name, found in orders.items()}
        target = ~view.facts.constant
        alone = target.copy()
        alone[chosen.genes[:most]] = False  # beyond them come candidates that were not chosen
        for found in panels.values():
            for order in found:
                target[order] = False
        if self.rivals and int(target.sum()) < _FEW_TARGETS:
            note(
                f"only {int(target.sum())} genes are in none of the panels: compared over the genes "
                f"outside the panel chosen"
            )
            target = alone
        split = len(self._units)
        unit = self.group or None
        rows = view.rows("test")
        self._units.append(
            view.profiles.groups(unit)[rows] if unit else view.profiles.obs.index[rows].to_numpy(dtype=str)
        )
        if target.any():
            self._common(Targets(view, np.flatnonzero(target)), panels, split)
        if alone.any():
            self._gene_by_gene(Targets(view, np.flatnonzero(alone)), panels, most)

    def _common(self, targets: Targets, panels: dict[str, list[np.ndarray]], split: int) -> None:
        error, of_profiles, _ = targets.trivial()
        self._record(split, 0, "training mean", error, len(targets.genes), [of_profiles])
        for size in self.sizes:
            for name, orders in panels.items():
                found = [targets.measure(order[:size]) for order in orders if len(order) >= size]
                if found:
                    mean = float(np.mean([one.error for one in found]))
                    self._record(split, size, name, mean, len(targets.genes), [one.profiles for one in found])

    def _record(self, split: int, size: int, name: str, error: float, genes: int, profiles: list[np.ndarray]) -> None:
        self._rows.append({"split": split, "size": size, "panel": name, "error": error, "genes": genes})
        self._profiles.setdefault((size, name), []).append(np.mean(profiles, axis=0))

    def _gene_by_gene(self, targets: Targets, panels: dict[str, list[np.ndarray]], most: int) -> None:
        """Errors of all genes outside the panel; of a rival's panel, of those outside it, too."""
        self._tell("training mean error", targets.genes, targets.trivial()[2])
        for name, orders in panels.items():
            order = orders[0]
            if len(order) < most and name != OURS:
                continue
            found: Measured = targets.measure(order)
            inside = np.isin(targets.genes, order)
            self._tell(f"{name} error", targets.genes, np.where(inside, np.nan, found.genes))
            if name == OURS:
                self._tell("pearson", targets.genes, found.pearson)

    def _tell(self, name: str, genes: np.ndarray, values: np.ndarray) -> None:
        total = self._genes.setdefault(name, np.zeros(len(self.names)))
        seen = self._seen.setdefault(name, np.zeros(len(self.names)))
        fits = np.isfinite(values)
        total[genes[fits]] += values[fits]
        seen[genes[fits]] += 1

    @property
    def units(self) -> int:
        """Groups or profiles that intervals are over."""
        return len(np.unique(np.concatenate(self._units)))

    @property
    def splits(self) -> int:
        """Splits measured."""
        return len(self._units)

    def by_split(self) -> pd.DataFrame:
        """One row a split, size and panel: split, size, panel, error, genes."""
        return pd.DataFrame(self._rows)

    def curve(self) -> pd.DataFrame:
        """Error against size, one row a size and panel.

        Columns: size, panel, error (mean over splits), low, high (its 95 % interval over splits, Student's t; NaN of
        one), improvement (of the panel chosen over this one), improvement_low, improvement_high (95 %, by bootstrap
        over groups or profiles), tie, splits.
        """
        table, units = self.by_split(), np.concatenate(self._units)
        found = []
        for _, rows in table.groupby(["size", "panel"], sort=False):
            size, panel = int(rows["size"].iloc[0]), str(rows["panel"].iloc[0])
            errors = rows["error"].to_numpy()
            half = np.nan
            if len(errors) > 1:
                half = stats.t.ppf(0.5 + LEVEL / 2, len(errors) - 1) * errors.std(ddof=1) / np.sqrt(len(errors))
            row = {"size": size, "panel": panel, "error": errors.mean(), "low": errors.mean() - half}
            row |= {"high": errors.mean() + half, **self._against(size, panel, units), "splits": len(errors)}
            found.append(row)
        return pd.DataFrame(found).sort_values("size", kind="stable").reset_index(drop=True)

    def _against(self, size: int, panel: str, units: np.ndarray) -> dict[str, Any]:
        nothing = {"improvement": np.nan, "improvement_low": np.nan, "improvement_high": np.nan, "tie": False}
        mine, theirs = (self._profiles.get((size, name), []) for name in (OURS, panel))
        if panel == OURS or not mine or len(mine) != len(theirs):
            return nothing
        errors = {OURS: np.concatenate(mine), panel: np.concatenate(theirs)}
        interval = Resampled(errors, units).against(OURS, panel)
        return {
            "improvement": 1 - errors[OURS].mean() / errors[panel].mean(),
            "improvement_low": interval.improvement_low,
            "improvement_high": interval.improvement_high,
            "tie": interval.tie,
        }

    def genes(self) -> pd.DataFrame:
        """One row a gene: gene, pearson, and the error by every panel at its full size; NaN within a panel."""
        columns = {"gene": self.names.to_numpy(dtype=object)}
        for name, total in self._genes.items():
            seen = self._seen[name]
            columns[name] = np.where(seen > 0, total / np.maximum(seen, 1), np.nan)
        return pd.DataFrame(columns)
