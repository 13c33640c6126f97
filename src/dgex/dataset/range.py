"""What the values of a file tell by themselves, gathered block by block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dgex.dataset.mixture import Mixture

if TYPE_CHECKING:
    from dgex.io.base import ExpressionFile

__all__ = ["LOG2_LIMIT", "Range", "look", "looked_at"]

# No expression value on the log2 scale comes near this (2**50 molecules, reads or units of light), while linear
# data that stay below it everywhere hardly exist.
LOG2_LIMIT = 50.0
_SAMPLED = 8 << 20  # values looked at, of whole profiles in runs spread evenly
_RUNS = 16


@dataclass
class Range:
    """What the values of a file tell by themselves."""

    low: float = np.inf
    high: float = -np.inf
    negative: int = 0
    zeros: int = 0
    total: int = 0
    positive: float = 0.0
    whole: bool = True
    million: bool = True
    lowest: int = 0  # how many values are the smallest
    mixture: Mixture = field(default_factory=lambda: Mixture(LOG2_LIMIT))

    def add(self, block: np.ndarray, start: int = 0) -> None:
        """Look at profiles x genes, the first of which is the `start`-th of the file."""
        finite = np.isfinite(block)
        values = block[finite] if not finite.all() else block.ravel()
        if not values.size:
            return
        low = float(values.min())
        if low < self.low:
            self.low, self.lowest = low, 0
        self.lowest += int((values == self.low).sum())
        self.high = max(self.high, float(values.max()))
        self.negative += int((values < 0).sum())
        self.zeros += int((values == 0).sum())
        self.total += values.size
        self.positive += float(values.sum(dtype=np.float64, where=values > 0))
        self.whole = self.whole and bool((values == np.rint(values)).all())
        sums = np.where(finite, block, 0).sum(axis=1, dtype=np.float64)
        self.million = self.million and bool((np.abs(sums / 1e6 - 1) < 0.02).all())
        self.mixture.add(block, start)

    @property
    def counts(self) -> bool:
        """Whether all are whole numbers from zero on."""
        return self.whole and self.low >= 0 and self.high > 1

    @property
    def skew(self) -> float:
        """The largest value in means of those above zero."""
        above = self.total - self.zeros - self.negative
        return self.high * above / self.positive if self.positive > 0 else 0.0


def looked_at(shape: tuple[int, int]) -> list[slice]:
    """Profiles that are looked at: all of them, or runs of them spread evenly."""
    profiles, genes = shape
    count = max(_RUNS, _SAMPLED // max(1, genes))
    if profiles <= count:
        return [slice(0, profiles)]
    run = count // _RUNS
    return [slice(start, start + run) for start in np.linspace(0, profiles - run, _RUNS).astype(int).tolist()]


def look(data: ExpressionFile) -> Range:
    """Look at the values of a file, whole profiles, missing values left out."""
    found = Range()
    before, data.allow_missing = data.allow_missing, True
    try:
        for run in looked_at(data.shape):
            for at, block in data.iter_blocks(max(1, (1 << 20) // max(1, data.shape[1])), samples=run):
                found.add(block, run.start + at.start)
    finally:
        data.allow_missing = before
    return found
