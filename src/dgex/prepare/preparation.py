"""The dataset in the making, and what its steps share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dgex.arrays.rowfile import Rows
from dgex.dataset.roles import landmarks
from dgex.dataset.standardize import GeneStatistics, gene_statistics

__all__ = ["TRAIN", "Preparation", "mask_of", "put_in", "sets_of", "statistics_of"]

TRAIN = ("train", "train")  # what statistics of the training samples are kept under


@dataclass
class Preparation:
    """The dataset in the making."""

    X: Rows
    obs: pd.DataFrame
    var: pd.DataFrame
    linear: np.ndarray
    record: dict[str, Any]
    varm: dict[str, pd.DataFrame]
    #: Of the genes over the training samples (`train`) and over whole sets, by name, as the values are now.
    statistics: dict[tuple[str, str], GeneStatistics] = field(default_factory=dict)
    #: Values of the landmark genes where they are ranked among themselves: they take the place of those in X.
    panel: Rows | None = None
    #: Mean and divisor by which some rows are standardised when they leave, see `finished`.
    scales: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    @property
    def train(self) -> np.ndarray:
        return np.flatnonzero((self.obs["split"] == "train").to_numpy())


def mask_of(rows: np.ndarray, count: int) -> np.ndarray:
    """Which of so many rows are among some positions."""
    mask = np.zeros(count, dtype=bool)
    mask[rows] = True
    return mask


def sets_of(work: Preparation) -> dict[tuple[str, str], np.ndarray]:
    """Rows of every set, by name."""
    sets = work.obs["set"].to_numpy(dtype=object)
    return {("set", str(name)): np.flatnonzero(sets == name) for name in dict.fromkeys(sets.tolist())}


def statistics_of(work: Preparation, name: tuple[str, str], rows: np.ndarray) -> GeneStatistics:
    """Statistics of the genes over some rows as the values are now, taken once."""
    if name not in work.statistics:
        work.statistics[name] = gene_statistics(work.X, rows)
        if work.panel is not None:
            put_in(work.statistics[name], gene_statistics(work.panel, rows), landmarks(work.var))
    return work.statistics[name]


def put_in(whole: GeneStatistics, part: GeneStatistics, mask: np.ndarray) -> None:
    """Let statistics of some genes take the place of what `whole` has for them."""
    for name in ("mean", "std", "minimum", "maximum"):
        getattr(whole, name)[mask] = getattr(part, name)
