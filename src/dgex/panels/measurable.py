"""What is known of every gene before one is chosen: mean, spread, and whether a laboratory could measure it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dgex.errors import SettingsError

__all__ = ["GeneFacts", "Limits", "gene_facts"]

# A gene whose standard deviation is below this fraction of its mean varies by float32 rounding only.
CONSTANT = 1e-6


@dataclass(frozen=True)
class Limits:
    """Which genes cannot be measured well, whatever they would tell.

    Attributes
    ----------
    level : float, optional
        Genes whose mean lies below are too low (log2, as measured).
    unexpressed : float, optional
        Genes whose values are at or below `floor` in more than this share of the profiles.
    floor : float
    batch : float, optional
        Genes of whose variance more than this share lies between batches.
    """

    level: float | None = None
    unexpressed: float | None = None
    floor: float = 0.0
    batch: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("max_unexpressed", self.unexpressed), ("max_batch", self.batch)):
            if value is not None and not 0 <= value <= 1:
                raise SettingsError(name, found=value, accepted="a share from 0 to 1")

    @property
    def any(self) -> bool:
        """Whether there is anything to look at."""
        return any(value is not None for value in (self.level, self.unexpressed, self.batch))


@dataclass(frozen=True)
class GeneFacts:
    """Statistics of every gene over the training profiles, float64, shape (genes,).

    Attributes
    ----------
    mean, std : ndarray
        As the matrix holds it; the standard deviation is 0 where a gene is constant.
    level : ndarray
        Mean in the units that it was measured in.
    unexpressed : ndarray
        Share of the profiles with a value at or below the floor.
    batch : ndarray
        Share of the variance that lies between batches; 0 where none are told apart.
    """

    mean: np.ndarray
    std: np.ndarray
    level: np.ndarray
    unexpressed: np.ndarray
    batch: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """Genes without variance."""
        return np.asarray(self.std == 0)

    def unmeasurable(self, limits: Limits) -> dict[str, np.ndarray]:
        """Reason to the mask of the genes that it excludes."""
        reasons = {}
        if limits.level is not None:
            reasons[f"mean below {limits.level:g}"] = self.level < limits.level
        if limits.unexpressed is not None:
            words = f"at or below {limits.floor:g} in more than {limits.unexpressed:.0%} of the profiles"
            reasons[words] = self.unexpressed > limits.unexpressed
        if limits.batch is not None:
            reasons[f"more than {limits.batch:.0%} of the variance between batches"] = self.batch > limits.batch
        return reasons


def gene_facts(
    blocks: Iterator[tuple[np.ndarray, np.ndarray]],
    measured: Iterator[tuple[np.ndarray, np.ndarray]] | None,
    genes: int,
    limits: Limits,
    batches: np.ndarray | None = None,
) -> GeneFacts:
    """Gather statistics block by block.

    Parameters
    ----------
    blocks : iterator of (positions, values)
        The training profiles.
    measured : iterator of (positions, values), optional
        The same in the units of measurement, where `limits` ask for these.
    genes : int
    limits : Limits
    batches : ndarray, optional
        The batch of every profile of the matrix.
    """
    totals = _Sums(genes)
    codes = None if batches is None else np.unique(batches, return_inverse=True)[1]
    groups = np.zeros((0 if codes is None else int(codes.max()) + 1, genes))
    sizes = np.zeros(len(groups))
    for places, block in blocks:
        totals.add(block)
        if codes is not None:
            for code in np.unique(codes[places]):
                own = block[codes[places] == code]
                groups[code] += (own - totals.shift).sum(axis=0, dtype=np.float64)
                sizes[code] += len(own)
    level, low, count = np.zeros(genes), np.zeros(genes), 0
    for _, block in measured or ():
        level += block.sum(axis=0, dtype=np.float64)
        low += (block <= limits.floor).sum(axis=0)
        count += len(block)
    seen = sizes > 0
    means = groups[seen] / sizes[seen][:, None]
    between = (sizes[seen][:, None] * (means - (totals.mean - totals.shift)) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num(between / totals.squares)
    return GeneFacts(totals.mean, totals.std, level / max(1, count), low / max(1, count), share)


class _Sums:
    """Means and squares, shifted by the first profile so that no digits are lost."""

    def __init__(self, genes: int) -> None:
        self.count, self.shift = 0, np.zeros(genes, np.float32)
        self._sum, self._square = np.zeros(genes), np.zeros(genes)

    def add(self, block: np.ndarray) -> None:
        if not self.count and len(block):
            self.shift = block[0].copy()
        moved = block.astype(np.float64) - self.shift
        self._sum += moved.sum(axis=0)
        self._square += np.einsum("ij,ij->j", moved, moved)
        self.count += len(block)

    @property
    def mean(self) -> np.ndarray:
        return np.asarray(self.shift + self._sum / self.count)

    @property
    def squares(self) -> np.ndarray:
        """Sums of squares about the mean."""
        return np.asarray(np.maximum(self._square - self._sum**2 / self.count, 0.0))

    @property
    def std(self) -> np.ndarray:
        std = np.sqrt(self.squares / self.count)
        return np.where(std > CONSTANT * np.abs(self.mean), std, 0.0)
