"""What profiles were measured by, and where a study selects its models and tests them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dgex.dataset.scale import Scale
from dgex.errors import SettingsError, first
from dgex.genes import id_type, texts

__all__ = ["Platform", "check_platforms", "measured_by"]

_TAKEN = "halves", "ols", "residual", "mean", "cmap"  # folders and records of that name hold something else
_RNASEQ_PORTALS = "DepMap expression", "GTEx expression", "SRA runs (recount3, ARCHS4)"
_RNASEQ_UNITS = re.compile(r"fpkm|rpkm|tpm|cpm|count|rsem", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+ -]*")  # it becomes the name of folders


def measured_by(obs: pd.DataFrame, var: pd.DataFrame, scale: Scale, kind: str = "") -> np.ndarray:
    """Platform of each profile of a file, `"array"` or `"rnaseq"` unless the file has other words for it.

    From `obs["platform"]` where it is given, else guessed from ids, scale, units and zeros, and the kind of table that
    a portal wrote.
    """
    if "platform" in obs:
        given = texts(obs["platform"]).to_numpy()
        if not np.isin(given, ["", "nan", "None"]).any():
            return np.asarray(given)
    units = "units" in obs and bool(texts(obs["units"]).str.contains(_RNASEQ_UNITS).mean() > 0.5)
    if id_type(var.index) == "affymetrix":
        guess = "array"
    elif scale.linear or units or kind in _RNASEQ_PORTALS:
        guess = "rnaseq"
    else:
        guess = "rnaseq" if scale.zeros > 0.01 and scale.minimum >= 0 else "array"
    return np.full(len(obs), guess, dtype=object)


@dataclass(frozen=True)
class Platform:
    """One kind of measurement in a dataset: a set to select models on, another to judge them by.

    Attributes
    ----------
    name : str
        What tables and figures call it, such as `GEO` or `GTEx`.
    validation, test : str
        Values of `obs["split"]`. Models are trained on `train` for all platforms, as in the paper.
    published : str
        The paper's name of the test set whose numbers stand beside the measured ones (`GEO-te`, `GTEx-te`); empty
        where the paper has none.
    """

    name: str
    validation: str
    test: str
    published: str = ""

    @property
    def va(self) -> str:
        """What tables call the validation set: `GEO-va`, unless it has a name of its own."""
        return f"{self.name}-va" if self.validation == "validation" else self.validation

    @property
    def te(self) -> str:
        """What tables call the test set: `GEO-te`, unless it has a name of its own."""
        return f"{self.name}-te" if self.test == "test" else self.test


def check_platforms(platforms: Sequence[Platform]) -> None:
    """Refuse platforms that would lead a study astray.

    Raises
    ------
    SettingsError
        Names that repeat or cannot be folders; a set that trains, that tests twice, or that both selects and tests.
    """
    names = [platform.name for platform in platforms]
    for name in names:
        if not _NAME.fullmatch(name) or name.lower() in _TAKEN:
            raise SettingsError(
                f"platform {name!r}: accepted are letters, digits, spaces and . + - _, and none of {', '.join(_TAKEN)}"
            )
        if [other.lower() for other in names].count(name.lower()) > 1:
            raise SettingsError(f"platform {name!r} is there twice", accepted="different names")
    selecting, testing = ({getattr(p, what) for p in platforms} for what in ("validation", "test"))
    if "train" in selecting | testing:
        raise SettingsError("the training profiles can neither select nor test", accepted="sets held out")
    tests = [platform.test for platform in platforms]
    if len(testing) < len(tests):
        raise SettingsError(
            f"{first(t for t in testing if tests.count(t) > 1)} tests two platforms", accepted="one each"
        )
    if both := selecting & testing:
        raise SettingsError(f"{first(sorted(both))} both selects and tests", accepted="different sets")
