"""How a residual network learns: what it lowers, by which optimiser, under which noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

__all__ = ["AVERAGES", "LOSSES", "OPTIMISERS", "Descent"]

LOSSES: dict[str, Callable[..., Tensor]] = {"absolute": functional.l1_loss, "squared": functional.mse_loss}
OPTIMISERS = ("adamw", "nadam", "sgd")
AVERAGES = ("off", "exponential", "equal")


@dataclass(frozen=True)
class Descent:
    """How a network learns; the meaning of each is told by `dgex.Residual`, which chooses their defaults.

    Attributes
    ----------
    loss, optimiser, averaging : str
        Names in `LOSSES`, `OPTIMISERS` and `AVERAGES`.
    weight_decay, dropout, noise, landmark_dropout : float
    seed : int
        Of dropout and noise.
    steps, total : int
        Steps of an epoch and of the whole run.
    """

    loss: str = "absolute"
    optimiser: str = "adamw"
    averaging: str = "off"
    weight_decay: float = 0.0
    dropout: float = 0.0
    noise: float = 0.0
    landmark_dropout: float = 0.0
    seed: int = 0
    steps: int = 1
    total: int = 1
