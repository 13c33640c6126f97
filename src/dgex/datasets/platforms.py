"""Where a study selects its models and where it tests them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Platform"]


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
