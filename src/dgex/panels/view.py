"""One split of the profiles with genes standardised by its training profiles, and the choice that is made on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dgex.errors import DataError, SettingsError, first
from dgex.models.linear.parallel import workers
from dgex.models.selection import spread
from dgex.panels.forward import Chooser, Chosen, Forward, choose
from dgex.panels.matrix import HELD, Profiles
from dgex.panels.measurable import GeneFacts, Limits, gene_facts
from dgex.panels.products import GeneSide, ProfileSide, Run, Side, by_profiles, gram_of
from dgex.panels.robust import LeftOut, folds_of
from dgex.progress import bar, note

__all__ = ["PENALTY", "PENALTY_LEFT_OUT", "View"]

#: Ridge penalty of the choice in units of a gene's variance: for gains on the training profiles, and on groups left
#: out.
PENALTY, PENALTY_LEFT_OUT = 0.003, 0.1
_BLOCK_VALUES = 1 << 26  # values of a block of profiles whose products are summed


@dataclass
class View:
    """A split.

    Attributes
    ----------
    profiles : Profiles
    split : ndarray of str, shape (profiles,)
        train, validation or test.
    group : str or None
        The column that the split keeps together.
    facts : GeneFacts
        Over the training profiles.
    """

    profiles: Profiles
    split: np.ndarray
    group: str | None
    facts: GeneFacts

    @classmethod
    def of(
        cls, profiles: Profiles, split: np.ndarray, group: str | None, limits: Limits, batch: str | None = None
    ) -> View:
        """Gather what is known of every gene over the training profiles."""
        for part in ("train", "validation", "test"):
            count = int((split == part).sum())
            if count < 2:
                raise DataError(f"{count} {part} profiles: choosing and comparing panels needs at least 2 in each part")
        rows = np.flatnonzero(split == "train")
        batches = profiles.groups(batch) if batch is not None else None
        measured = profiles.measured(rows) if limits.any else None
        facts = gene_facts(profiles.blocks(rows), measured, profiles.shape[1], limits, batches)
        if facts.constant.all():
            raise DataError(f"no gene of {profiles.name} varies over the {len(rows):,} training profiles")
        return cls(profiles, split, group, facts)

    def rows(self, part: str) -> np.ndarray:
        """Positions of the profiles of a part."""
        return np.flatnonzero(self.split == part)

    def blocks(self, rows: np.ndarray, genes: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Standardised values of some profiles, block by block; constant genes are zero."""
        mean, scale = self.facts.mean.astype(np.float32), self._scale()
        if genes is not None:
            mean, scale = mean[genes], scale[genes]
        for _, block in self.profiles.blocks(rows, genes):
            block -= mean
            block *= scale
            yield block

    def values(self, rows: np.ndarray, genes: np.ndarray | None = None) -> np.ndarray:
        """Standardised values in one array."""
        width = self.profiles.shape[1] if genes is None else len(genes)
        out, at = np.empty((len(rows), width), np.float32), 0
        for block in self.blocks(rows, genes):
            out[at : at + len(block)] = block
            at += len(block)
        return out

    def spread(self) -> np.ndarray:
        """Standard deviation of every gene over the training profiles, in the units that it was measured in."""
        if not self.profiles.prepared:
            return self.facts.std
        rows = self.rows("train")
        return gene_facts(self.profiles.measured(rows), None, self.profiles.shape[1], Limits()).std

    def choose(
        self,
        size: int,
        allowed: np.ndarray,
        keep: Sequence[int] = (),
        weights: np.ndarray | None = None,
        penalty: float | None = None,
        per_group: str | None = None,
    ) -> Chosen:
        """Choose genes on the training profiles.

        Parameters
        ----------
        size : int
        allowed : ndarray of bool, shape (genes,)
        keep : sequence of int
        weights : ndarray, optional
            How much each gene counts as one to infer; constant genes count nothing.
        penalty : float, optional
            In units of a gene's variance.
        per_group : str, optional
            Column of groups: gains are those on groups left out.
        """
        count = int((np.asarray(allowed) & ~self.facts.constant).sum())
        count += int((~np.asarray(allowed)[list(keep)]).sum())
        if size > count:
            raise SettingsError(
                "size", found=size, accepted=f"up to {count:,}: genes that vary and are not excluded, and those to keep"
            )
        constant = self.facts.constant[list(keep)]
        if constant.any():
            names = self.profiles.var.index[np.asarray(keep)[constant]]
            raise DataError(f"{len(names):,} genes to keep are constant over the training profiles: {first(names)}")
        weighed = np.where(self.facts.constant, 0.0, 1.0 if weights is None else weights)
        usual = PENALTY if per_group is None else PENALTY_LEFT_OUT
        with bar(size, "choosing genes") as progress, workers() as run:
            chooser = self._chooser(size, weighed, usual if penalty is None else penalty, per_group, run)
            return choose(chooser, size, np.asarray(allowed) & ~self.facts.constant, keep, progress)

    def _chooser(self, size: int, weights: np.ndarray, penalty: float, per_group: str | None, run: Run) -> Chooser:
        rows, genes = self.rows("train"), self.profiles.shape[1]
        if per_group is not None:
            rows = self._few_enough(rows, genes)
            fold = folds_of(self.profiles.groups(per_group)[rows])
            return LeftOut(self._turned(rows), fold, weights, penalty, size, run)
        side: Side
        if by_profiles(len(rows), genes):
            Z = self._turned(rows)
            Z -= Z.mean(axis=1, dtype=np.float64)[:, None].astype(np.float32)
            side = ProfileSide(Z, size, run)
        else:
            side = GeneSide(gram_of(self._large_blocks(rows), genes, run), size, run)
        return Forward(side, weights, penalty * len(rows))

    def _few_enough(self, rows: np.ndarray, genes: int) -> np.ndarray:
        """As many profiles, evenly spaced, as keep the profiles the smaller side, and copies of them small."""
        most = max(10, min(int(0.6 * genes), HELD // genes))
        if len(rows) <= most:
            return rows
        note(f"gains on groups left out are taken over {most:,} of {len(rows):,} training profiles, evenly spaced")
        return np.asarray(rows[spread(len(rows), most)])

    def _turned(self, rows: np.ndarray) -> np.ndarray:
        """Standardised values, genes x profiles."""
        out, at = np.empty((self.profiles.shape[1], len(rows)), np.float32), 0
        for block in self.blocks(rows):
            out[:, at : at + len(block)] = block.T
            at += len(block)
        return out

    def _large_blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Blocks that are worth a product of all genes with all."""
        most = max(256, min(4096, _BLOCK_VALUES // self.profiles.shape[1]))
        for at in range(0, len(rows), most):
            yield self.values(rows[at : at + most])

    def _scale(self) -> np.ndarray:
        std = self.facts.std
        return np.where(std > 0, 1.0 / np.where(std > 0, std, 1.0), 0.0).astype(np.float32)
