"""Means and deviations of genes, and a learner behind them that works in standard units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from dgex.training.batches.loader import as_tensor
from dgex.training.learners.learner import Learner

__all__ = ["Standard", "StandardStep"]


class Standard(nn.Module):
    """Means and deviations of the genes, by which a network works in standard units whatever it is given.

    Parameters
    ----------
    statistics : mapping of name to Tensor
        `x_mean`, `x_scale` [landmarks], `y_mean`, `y_scale` [targets]; used in place.
    """

    x_mean: Tensor
    x_scale: Tensor
    y_mean: Tensor
    y_scale: Tensor

    def __init__(self, statistics: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in ("x_mean", "x_scale", "y_mean", "y_scale"):
            self.register_buffer(name, statistics[name], persistent=False)

    @classmethod
    def on(cls, device: torch.device, statistics: Mapping[str, np.ndarray]) -> Self:
        """Lay statistics, as a model holds them, on a device; on the CPU they are used in place."""
        return cls({name: as_tensor(value, device) for name, value in statistics.items()})

    def landmarks(self, x: Tensor) -> Tensor:
        """Landmark genes in standard units."""
        return (x - self.x_mean) / self.x_scale

    def targets(self, y: Tensor) -> Tensor:
        """Target genes in standard units."""
        return (y - self.y_mean) / self.y_scale

    def back(self, z: Tensor) -> Tensor:
        """Target genes in their own units, from standard ones."""
        return z * self.y_scale + self.y_mean


class StandardStep:
    """A learner that is given genes in any units, learns in standard ones, and predicts in those of the target genes.

    Parameters
    ----------
    learner : Learner
        What learns; its state is the state of both.
    standard : Standard
        Statistics of the landmark genes, and of the target genes that this process learns, on the learner's device.
    """

    def __init__(self, learner: Learner, standard: Standard) -> None:
        self._learner, self._standard = learner, standard
        self._room: tuple[Tensor, Tensor] | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self._learner.device

    @property
    def block(self) -> int:
        """Profiles predicted at once when errors are measured."""
        return self._learner.block

    @property
    def live_weights(self) -> bool:
        """As the learner says."""
        return self._learner.live_weights

    @property
    def center(self) -> Tensor:
        """What a network that has learned nothing predicts: the means."""
        return self._standard.y_mean

    def begin_epoch(self, epoch: int) -> None:
        """Turn to the random numbers of `epoch`."""
        self._learner.begin_epoch(epoch)

    def weights(self) -> dict[str, Tensor]:
        """Weights and biases by name, of standard units."""
        return self._learner.weights()

    def velocity(self) -> dict[str, Tensor]:
        """What else the next step depends on."""
        return self._learner.velocity()

    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        """Go on from this state."""
        self._learner.load(weights, velocity)

    @torch.no_grad()
    def step(self, x: Tensor, y: Tensor, rate: float, rows: int | None = None) -> Tensor:
        """Learn from a batch in the data's units; the loss is that of standard units."""
        if self._room is None or len(self._room[0]) < len(x):
            self._room = torch.empty_like(x), torch.empty_like(y)
        own = self._standard  # always into the same memory: a step captured on a CUDA device reads it there
        z = torch.sub(x, own.x_mean, out=self._room[0][: len(x)]).div_(own.x_scale)
        wanted = torch.sub(y, own.y_mean, out=self._room[1][: len(y)]).div_(own.y_scale)
        return self._learner.step(z, wanted, rate, rows)

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Tensor:
        """Predict target genes in their own units."""
        return self._standard.back(self._learner.predict(self._standard.landmarks(x)))
