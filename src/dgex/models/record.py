"""What a model was trained on, kept in its folder: to go on only with the same, and to know its own profiles again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

__all__ = ["TrainingRecord", "fitted_profiles"]

_PREFIX = "training."


def fitted_profiles(metrics: dict[str, Any]) -> int | None:
    """How many profiles a model was fitted on in the end, by its metrics; None where that is not known.

    A model that was fitted once more on training and validation profiles tells both together; those of earlier versions
    tell the training profiles alone.
    """
    data = metrics.get("data") or {}
    number = data.get("fitted_profiles", data.get("training_profiles"))
    return int(number) if isinstance(number, int | float) else None


@dataclass(frozen=True)
class TrainingRecord:
    """What shaped a model.

    Attributes
    ----------
    data : str
        Digest of the names and values of the training and validation profiles.
    validation : list of str
        Sets that were watched while it was fitted, in order.
    signatures : dict of str to ndarray
        By which the training profiles are known again, see `dgex.dataset.signatures`; one row a profile.
    """

    data: str = ""
    validation: list[str] = field(default_factory=list)
    signatures: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays to store with a model, names prefixed `training.`."""
        return {_PREFIX + name: array for name, array in self.signatures.items()}

    def state(self) -> dict[str, Any]:
        """Everything else to store, as JSON knows it."""
        return {"data": self.data, "validation": self.validation}

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> Self:
        """Read back what `arrays` and `state` gave; other arrays are ignored."""
        own = {name.removeprefix(_PREFIX): array for name, array in arrays.items() if name.startswith(_PREFIX)}
        return cls(state["data"], list(state["validation"]), own)
