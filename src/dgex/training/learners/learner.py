"""What the training loop trains, and which kind of learner suits a device and a precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor

from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.learners.sharded import ShardedStep
from dgex.training.processes.group import ALONE, Group

__all__ = ["Learner", "make_learner"]


class Learner(Protocol):
    """A network together with its update rule; `MomentumStep` is the paper's, `DescentStep` that of residual networks.

    Of a learner that is spread over a group of processes `step`, `predict` and the calls that give or take a state are
    made by all ranks together.
    """

    @property
    def device(self) -> torch.device: ...

    @property
    def block(self) -> int:
        """Profiles predicted at once when errors are measured."""
        ...

    @property
    def live_weights(self) -> bool:
        """Whether `weights` gives the network's own tensors, which the next step changes."""
        ...

    @property
    def center(self) -> Tensor | float:
        """What a network that has learned nothing predicts: 0, the mean of a standardised gene, or the genes' means."""
        ...

    def begin_epoch(self, epoch: int) -> None: ...

    def step(self, x: Tensor, y: Tensor, rate: float, rows: int | None = None) -> Tensor:
        """Learn from a batch of `rows` profiles (all of x unless told), x and y being this process's share of it.

        Returns the loss summed over the share, before the update: the squared error, or what the learner lowers.
        """
        ...

    def predict(self, x: Tensor) -> Tensor: ...

    def weights(self) -> dict[str, Tensor]:
        """Weights and biases that predict, by name, float32, as the network holds them or copied from it.

        Where the units are divided over processes: whole, on the CPU of rank 0, and nothing on the other ranks.
        """
        ...

    def velocity(self) -> dict[str, Tensor]:
        """What else the next step depends on: the momentum of each weight and bias, by the same names; or more."""
        ...

    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        """Go on from this state, of any device; over several processes, from the state that rank 0 gives."""
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
    group: Group = ALONE,
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
    group : Group
        Processes that train it together; whether they divide the profiles of a batch or the units of each layer is
        the group's.
    """
    own: dict[str, Any] = {
        "momentum": momentum,
        "dropout": dropout,
        "rate_scale": rate_scale,
        "seed": seed,
        "group": group,
    }
    fused = precision == "bf16" and device.type == "cuda" and find_spec("triton") is not None
    if group.divides == "units" and fused:
        from dgex.training.learners.fused_sharded import FusedShardedStep

        return FusedShardedStep(sizes, device, **own)
    if group.divides == "units":
        return ShardedStep(sizes, device=device, precision=precision, **own)
    network = Perceptron(sizes, seed)
    if fused:
        from dgex.training.learners.fused import FusedStep

        return FusedStep(network, device, **own)
    return MomentumStep(network.to(device), precision=precision, **own)
