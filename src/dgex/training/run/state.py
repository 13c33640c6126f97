"""The state of a training run: what a checkpoint holds besides the learner."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

__all__ = ["BestEpoch", "Run"]


@dataclass(frozen=True)
class BestEpoch:
    """Weights of one epoch and the error they had.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    error, sd : float
        Overall error on the set they are kept for, and its standard deviation over genes.
    weights : dict of name to Tensor
        Shared between sets whose best epoch is the same.
    """

    epoch: int
    error: float
    sd: float
    weights: dict[str, Tensor] = field(repr=False)


@dataclass
class Run:
    """Where a run stands after `epoch` finished epochs.

    Attributes
    ----------
    rate : float
        Learning rate of the next epoch.
    epoch : int
        Finished epochs.
    train_error : float
        Overall error on the fixed training samples after the last epoch.
    history : list of dict
        One row an epoch.
    best : dict of name to BestEpoch
        Best epoch of every evaluation set.
    """

    rate: float
    epoch: int = 0
    train_error: float = math.inf
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, BestEpoch] = field(default_factory=dict)
