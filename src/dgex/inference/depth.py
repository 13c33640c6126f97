"""Sequencing depth of profiles to infer from, taken out as it was of the training profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dgex.dataset.depth import factors_of, per_million
from dgex.dataset.normalization import Normalization
from dgex.dataset.scale import Scale
from dgex.errors import SettingsError
from dgex.progress import note

__all__ = ["Depth"]


@dataclass(frozen=True)
class Depth:
    """How depth is taken out.

    Attributes
    ----------
    rule : {"none", "cpm", "size-factors"}
    share : float
        Of `"cpm"`: what share of a whole profile's counts the landmark genes of a panel have; 0 where the input's own
        totals are taken.
    reference : ndarray or None
        Of `"size-factors"`: geometric means of the landmark genes.
    """

    rule: str = "none"
    share: float = 0.0
    reference: np.ndarray | None = None

    @property
    def applies(self) -> bool:
        """Whether anything is done."""
        return self.rule != "none"

    @property
    def needs_all(self) -> bool:
        """Whether all genes of the input must be read, for their sum."""
        return self.rule == "cpm" and not self.share

    @classmethod
    def of(cls, ours: Normalization | None, scale: Scale | None, asked: str, whole: bool, present: np.ndarray) -> Self:
        """Decide by the model, or as `asked` for; of logarithms depth is not taken out."""
        rule = asked if asked != "model" else "none" if ours is None else ours.normalize
        if rule == "none":
            return cls()
        if ours is None or scale is None:
            raise SettingsError("the model was fitted on bare values and knows no depth; only normalize='none' works")
        if not scale.linear:
            if asked != "model":
                raise SettingsError(
                    f"normalize={asked!r} takes counts or other linear values, and the input is {scale}"
                )
            note(f"depth is not normalised: the input is {scale}, and is taken to be normalised before the logarithm")
            return cls()
        known = ours.landmark_mean is not None and ours.scale == "log2" and ours.quantile == "none"
        usual = np.exp2(ours.landmark_mean) - 1 if known and ours.landmark_mean is not None else None
        if rule == "size-factors":
            reference = ours.size_reference if ours.size_reference is not None else usual
            if reference is None:
                raise SettingsError("the model knows no expression of its landmark genes to take size factors by")
            note("sequencing depth is taken out by size factors over the landmark genes")
            return cls(rule, 0.0, np.asarray(reference, np.float64)[present])
        share = 0.0 if whole or ours.landmark_share is None else float(ours.landmark_share[0])
        if share and usual is not None and not present.all():
            share *= float(usual[present].sum() / usual.sum())
        taken = f": the landmark genes of a panel are taken to have {share:.1%} of all counts"
        note("sequencing depth is taken out by counts per million" + (taken if share else " of all genes of the input"))
        return cls(rule, share)

    def factors(self, landmarks: np.ndarray, totals: np.ndarray | None, names: list[str]) -> np.ndarray:
        """What to multiply each profile with, of shape (profiles, 1); `landmarks` are those present."""
        if self.rule == "size-factors":
            assert self.reference is not None
            return factors_of(landmarks, self.reference, names).astype(np.float32)[:, None]
        sums = np.asarray(np.nansum(landmarks, axis=1, dtype=np.float64)) / self.share if totals is None else totals
        return per_million(sums, names).astype(np.float32)[:, None]
