"""Settings of a residual network: what is accepted, and what is chosen where nothing was told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex.errors import SettingsError
from dgex.training.learners.descent import AVERAGES, LOSSES, OPTIMISERS
from dgex.training.learners.residual import UNITS
from dgex.training.run.schedule import SCHEDULES

if TYPE_CHECKING:
    from dgex.models.network.residual import Residual

__all__ = ["OPEN", "PRESETS", "check", "choose"]


@dataclass(frozen=True)
class _Choice:
    """What a preset takes where settings are None."""

    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    dropout: float = 0.0
    noise: float = 0.0
    landmark_dropout: float = 0.0
    units: str = "silu"
    norm: bool = True
    skip: bool = False
    residual: bool = True
    loss: str = "absolute"
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    schedule: str = "one-cycle"
    weight_decay: float = 0.05
    averaging: str = "off"


#: Settings that are None unless told.
OPEN = tuple(_Choice.__dataclass_fields__)

# Up to so many training profiles: measured at 100, 300 and 1,114 (real RNA-Seq) and at 88,807 (the simulated
# compendium), see the lab notes; between the last two by reckoning.
_BY_SIZE: tuple[tuple[float, _Choice], ...] = (
    (200, _Choice((512,) * 4, 100, 32, dropout=0.3, noise=0.2, landmark_dropout=0.1, skip=True, weight_decay=0.5)),
    (500, _Choice((512,) * 4, 50, 32, dropout=0.3, noise=0.2, landmark_dropout=0.1, skip=True, weight_decay=0.5)),
    (3_000, _Choice((512,) * 4, 40, 64, dropout=0.3, noise=0.2, landmark_dropout=0.1, skip=True, weight_decay=0.5)),
    (20_000, _Choice((1024,) * 4, 40, 128, dropout=0.2, noise=0.2, landmark_dropout=0.1, skip=True, weight_decay=0.2)),
    (float("inf"), _Choice((4096,) * 3, 40, 512, dropout=0.25, noise=0.1, landmark_dropout=0.1, weight_decay=0.5)),
)
_TAAF = _Choice(
    (3000, 3000, 3000),
    600,
    64,
    dropout=0.25,
    units="adaptive",
    norm=False,
    residual=False,
    optimiser="nadam",
    learning_rate=5e-4,
    schedule="steps",
    weight_decay=0.0,
)
PRESETS = ("residual", "taaf")

_WORDS = {
    "preset": PRESETS,
    "units": UNITS,
    "loss": tuple(LOSSES),
    "optimiser": OPTIMISERS,
    "schedule": tuple(SCHEDULES),
    "averaging": AVERAGES,
}
_SHARES = ("dropout", "landmark_dropout")
_FLAGS = ("norm", "skip", "residual")


def choose(model: Residual, profiles: int) -> dict[str, Any]:
    """All settings of `OPEN`: those that were told, and for so many training profiles those that were not.

    Raises
    ------
    SettingsError
        A setting outside what is accepted.
    """
    if model.preset == "taaf":
        usual = _TAAF
    else:
        usual = next(choice for limit, choice in _BY_SIZE if profiles <= limit)
    told = {name: getattr(model, name) for name in OPEN}
    chosen = {name: getattr(usual, name) if value is None else value for name, value in told.items()}
    chosen["hidden"] = _layers(chosen["hidden"])
    if chosen["residual"] and len(set(chosen["hidden"])) > 1:
        raise SettingsError(
            "hidden", found=chosen["hidden"], accepted="blocks of one width (or residual=False, layers of any)"
        )
    return chosen


def check(model: Residual) -> None:
    """Refuse settings that no data could make right.

    Raises
    ------
    SettingsError
    """
    for name, words in _WORDS.items():
        value = getattr(model, name)
        if not (value is None and name in OPEN) and value not in words:
            raise SettingsError(name, found=value, accepted=", ".join(words))
    for name in _SHARES:
        value = getattr(model, name)
        if value is not None and not (_is_number(value) and 0 <= value < 1):
            raise SettingsError(name, found=value, accepted="0 or more, below 1")
    for name in ("noise", "weight_decay"):
        value = getattr(model, name)
        if value is not None and not (_is_number(value) and 0 <= value < float("inf")):
            raise SettingsError(name, found=value, accepted="a number, 0 or more")
    for name in _FLAGS:
        if not isinstance(getattr(model, name), bool | None):
            raise SettingsError(name, found=getattr(model, name), accepted="True or False")
    count = model.ensemble
    if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
        raise SettingsError("ensemble", found=count, accepted="a whole number, 1 or more")


def _layers(hidden: Any) -> tuple[int, ...]:
    layers = list(hidden) if isinstance(hidden, Iterable) else [hidden]
    if not layers or not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in layers):
        raise SettingsError("hidden", found=hidden, accepted="one or more numbers of units, each 1 or more")
    return tuple(int(n) for n in layers)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
