"""What `prepare` was asked for, resolved and checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgex.dataset.depth import DEPTHS
from dgex.dataset.scale import SCALES
from dgex.dataset.split import checked_fractions
from dgex.errors import SettingsError
from dgex.prepare.collapse import RULES
from dgex.prepare.duplicates import METHODS

__all__ = ["Options"]

_ACCEPTED = {
    "dedup_method": METHODS,
    "dedup_over": ("inputs", "compendium"),
    "quantile": ("none", "inductive", "paper"),
    "ties": ("published", "average"),
    "landmark_ranks": ("alone", "together"),
    "standardize": ("inductive", "paper", "none"),
    "log2": ("never", "auto", "always"),
    "scale": SCALES,
    "normalize": DEPTHS,
    "collapse": RULES,
    "same_gene": ("drop", "keep"),
    "constant": ("error", "drop"),
}


@dataclass(frozen=True)
class Options:
    """Resolved settings of `prepare`, as they are recorded."""

    dedup: float
    dedup_method: str
    dedup_over: str
    quantile: str
    ties: str
    standardize: str
    split: tuple[float, ...]
    group: str
    log2: str
    collapse: str
    same_gene: str
    constant: str
    seed: int
    scale: str = "auto"
    normalize: str = "none"
    together: float = 0.0
    landmark_ranks: str = "alone"

    def __post_init__(self) -> None:
        for name, accepted in _ACCEPTED.items():
            if getattr(self, name) not in accepted:
                raise SettingsError(f"unknown {name} {getattr(self, name)!r}", accepted=accepted)
        if not (np.isfinite(self.dedup) and self.dedup >= 0):
            raise SettingsError(f"the distance of near-duplicates must be above 0, found {self.dedup!r}")
        if not (np.isfinite(self.together) and self.together >= 0):
            raise SettingsError(
                "together, the distance of near-duplicates", found=self.together, accepted="a number above 0, or 0: off"
            )
        checked_fractions(self.split)
