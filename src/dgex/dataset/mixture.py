"""Logged profiles among linear ones in one file, told by the spread of each profile, which no factor changes.

The coefficient of variation of a profile's values above zero was at most 0.73 on the log2 scale and at least 0.98 on
the linear one in every profile of 14 real matrices (arrays, RNA-Seq, bacteria; all genes, 900 and 60 of them). A linear
profile of low values keeps its spread, so it is no suspect.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Mixture"]

_LOGGED, _LINEAR = 0.75, 0.95  # coefficients of variation: below the one, above the other
_LEAST = 50  # values above zero that a profile needs
_WHOLE = 0.3  # share of whole multiples above which profiles are of few reads, whose spread tells nothing
_VALUES = 1 << 19  # values looked at together
_ALIKE = 2.0  # times that the mean of logged profiles may differ from that of the others once logged


@dataclass
class Mixture:
    """What each profile of a file tells.

    Attributes
    ----------
    limit : float
        No logged value is above.
    """

    limit: float
    _logged: list[int] = field(default_factory=list)  # places of profiles that look logged, and their means
    _means: list[float] = field(default_factory=list)
    _others: list[float] = field(default_factory=list)  # means of linear profiles once logged
    _between: int = 0

    def add(self, block: np.ndarray, start: int) -> None:
        """Look at profiles x genes, the first of which is the `start`-th of the file."""
        step = max(1, _VALUES // max(1, block.shape[1]))
        for at in range(0, len(block), step):
            self._add(block[at : at + step], start + at)

    def _add(self, block: np.ndarray, start: int) -> None:
        above = np.isfinite(block) & (block > 0)
        values = np.where(above, block, 0).astype(np.float64)
        count = above.sum(axis=1)
        mean = values.sum(axis=1) / np.maximum(count, 1)
        spread = np.sqrt(np.maximum((values**2).sum(axis=1) / np.maximum(count, 1) - mean**2, 0))
        variation = spread / np.where(mean > 0, mean, 1)
        low = values.max(axis=1, initial=0) <= self.limit
        few = np.zeros(len(block), bool)
        doubtful = np.flatnonzero((count >= _LEAST) & low & (variation < _LOGGED))
        few[doubtful] = _of_few_reads(values[doubtful], above[doubtful])
        for row in np.flatnonzero(count >= _LEAST):
            if low[row]:
                if variation[row] < _LOGGED and not few[row]:
                    self._logged.append(start + int(row))
                    self._means.append(float(mean[row]))
            elif variation[row] > _LINEAR:
                self._others.append(float(np.log2(values[row, above[row]] + 1).mean()))
            else:
                self._between += 1

    @property
    def suspects(self) -> list[int]:
        """Places of profiles that look logged although others are linear."""
        return sorted(self._logged) if self._others else []

    @property
    def sure(self) -> bool:
        """Whether the two groups are clear, and alike once the linear ones are logged."""
        if not self.suspects or self._between:
            return False
        ratio = float(np.median(self._means) / np.median(self._others))
        return 1 / _ALIKE <= ratio <= _ALIKE


def _of_few_reads(values: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Whether each profile's values `above` zero are counts, whole or scaled: mostly multiples of the smallest."""
    least = np.where(above, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    more = above & (values > least)
    count = more.sum(axis=1)
    few = count == 0
    for unit in (np.float64(1), least):
        parts = values / unit
        whole = ((np.abs(parts - np.rint(parts)) < 1e-3) & more).sum(axis=1)
        few |= whole / np.maximum(count, 1) > _WHOLE
    return np.asarray(few)
