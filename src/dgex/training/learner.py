"""What the training loop trains, and which kind of learner suits a device and a precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from dgex.training.perceptron import MomentumStep, Perceptron

__all__ = ["Learner", "make_learner"]


class Learner(Protocol):
    """A network together with its update rule; `MomentumStep` is the paper's."""

    @property
    def device(self) -> torch.device: ...

    def begin_epoch(self, epoch: int) -> None: ...

    def step(self, x: Tensor, y: Tensor, rate: float) -> Tensor: ...

    def predict(self, x: Tensor) -> Tensor: ...

    def weights(self) -> dict[str, Tensor]:
        """Weights and biases by name, float32, as the network holds them or copied from it."""
        ...

    def velocity(self) -> dict[str, Tensor]:
        """Momentum of each weight and bias, by the same names."""
        ...

    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        """Go on from this state, of any device."""
        ...


def make_learner(
    sizes: Sequence[int],
    *,
    device: torch.device,
    precision: str = "float32",
    momentum: float = 0.5,
    dropout: float = 0.0,
    rate_scale: float = 3.0,
    seed: int = 0,
) -> Learner:
    """Build a new network of these layer sizes and the learner that trains it fastest on `device`.

    Parameters
    ----------
    sizes : sequence of int
        Landmark genes, units of each hidden layer, target genes.
    device : torch.device
        Where it is trained.
    precision : str
        Arithmetic of the matrix products, as `MomentumStep` takes it.
    momentum, dropout, rate_scale, seed
        As `MomentumStep` takes them.
    """
    network = Perceptron(sizes, seed).to(device)
    own = {"momentum": momentum, "dropout": dropout, "rate_scale": rate_scale}
    return MomentumStep(network, **own, seed=seed, precision=precision)
