"""The schedule of a training run."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from dgex.errors import SettingsError
from dgex.training.run.schedule import SCHEDULES, share

__all__ = ["TrainingSettings"]


@dataclass(frozen=True)
class TrainingSettings:
    """Schedule of a run; the meaning of each setting is told by `dgex.DGEX`, which shares their defaults.

    `schedule`, a name in `dgex.training.run.schedule.SCHEDULES`, says which share of the rate each step takes.

    Raises
    ------
    SettingsError
        A setting outside what is accepted.
    """

    learning_rate: float
    epochs: int = 200
    batch_size: int = 200
    rate_decay: float = 0.9
    min_rate: float = 1e-5
    monitor_samples: int = 5000
    patience: int | None = None
    seed: int = 0
    schedule: str = "constant"

    def rates(self, rate: float, epoch: int, steps: int) -> list[float]:
        """The rate of each of the `steps` of an epoch, counted from 1, when the highest one is `rate`."""
        first, total = (epoch - 1) * steps, self.epochs * steps
        return [rate * share(self.schedule, first + step, total) for step in range(steps)]

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "monitor_samples", "seed"):
            value = getattr(self, name)
            _accept(name, value, isinstance(value, int | np.integer) and not isinstance(value, bool), "a whole number")
        for name in ("learning_rate", "rate_decay", "min_rate"):
            value = getattr(self, name)
            _accept(name, value, isinstance(value, int | float | np.number), "a number")
        for name in ("epochs", "batch_size", "monitor_samples"):
            _accept(name, getattr(self, name), getattr(self, name) >= 1, "1 or more")
        rate = self.learning_rate
        _accept("learning_rate", rate, 0 < rate <= sys.float_info.max, "a number above 0")
        _accept("rate_decay", self.rate_decay, 0 < self.rate_decay <= 1, "above 0, at most 1")
        _accept("min_rate", self.min_rate, self.min_rate >= 0, "0 or more")
        wait = self.patience
        _accept(
            "patience", wait, wait is None or (isinstance(wait, int | np.integer) and wait >= 1), "None, or 1 or more"
        )
        _accept("schedule", self.schedule, self.schedule in SCHEDULES, ", ".join(SCHEDULES))
        _accept("seed", self.seed, self.seed >= 0, "0 or more")


def _accept(name: str, value: object, fits: bool, accepted: str) -> None:
    if not fits:
        raise SettingsError(name, found=value, accepted=accepted)
