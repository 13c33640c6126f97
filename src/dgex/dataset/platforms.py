"""Where a study selects its models and where it tests them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dgex.errors import SettingsError, first

__all__ = ["Platform", "check_platforms"]

_TAKEN = "halves", "ols", "residual", "mean", "cmap"  # folders and records of that name hold something else
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+ -]*")  # it becomes the name of folders


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
