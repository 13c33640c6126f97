"""A network whose units are divided over processes, for one that outgrows a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dgex.progress import hint
from dgex.training.learners.perceptron import MomentumStep, Perceptron, draw_mask, starting_layers
from dgex.training.machine.architecture import Architecture
from dgex.training.processes.group import Group

__all__ = ["ShardedStep", "collected", "deal", "divided"]

_COPIES = 3  # of a network on its device: weights, momentum, the best epoch
_ROOM = 0.8  # of a device's memory that they may take; the rest is for data and activations


class ShardedStep(MomentumStep):
    """`MomentumStep` of a network of which each process holds a part: some output units of every layer.

    With the weights, biases and momentum of its units a process works on whole batches. Going forward, the outputs of
    a hidden layer are joined over the processes; going back, the signals that all parts send to the layer below are
    added up, and each process takes what is for its units. What travels is activations, profiles x units twice a
    hidden layer, and never weights or gradients: at batches of a few hundred profiles far less than data-parallel
    training sends. The output layer is divided by target genes: `step` takes, and `predict` returns, this process's
    alone (`group.targets`).

    Parameters
    ----------
    sizes : sequence of int
        Landmark genes, units of each hidden layer, target genes, of the whole network.
    device : torch.device
        Where this process computes.
    momentum, dropout, rate_scale, seed, precision
        As `MomentumStep` takes them.
    group : Group
        The processes; it divides units.
    dtype : torch.dtype
        Of the weights.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        device: torch.device,
        group: Group,
        momentum: float = 0.5,
        dropout: float = 0.0,
        rate_scale: float = 3.0,
        seed: int = 0,
        precision: str = "float32",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._units = list(sizes[1:])
        layers = []
        for weight, bias in starting_layers(sizes, seed):  # one whole layer at a time, whatever the network
            part = group.part(len(bias))
            layers.append((weight[part].to(device, dtype, copy=True), bias[part].to(device, dtype, copy=True)))
        network = Perceptron.of_layers(layers)
        own: dict[str, Any] = {"momentum": momentum, "dropout": dropout, "rate_scale": rate_scale, "seed": seed}
        super().__init__(network, **own, precision=precision, group=group)

    live_weights = False

    def weights(self) -> dict[str, Tensor]:
        """Whole weights and biases by name, copied to the CPU of rank 0; nothing on other ranks."""
        return collected(self.network.state_dict(), self._units, self.group)

    def velocity(self) -> dict[str, Tensor]:
        """Whole momentum, as `weights`."""
        return collected(self._velocity, self._units, self.group)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        """Go on from the whole state that rank 0 gives; raises KeyError or RuntimeError where it does not fit."""
        for held, given in ((self.network.state_dict(), weights), (self._velocity, velocity)):
            deal(held, given, self._units, self.group)
        self._products.refresh()

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Tensor:
        """Predict the target genes of this process, without dropout; all processes predict the same profiles."""
        with self._products.active():
            for depth in range(len(self._units) - 1):
                x = self._whole(self._products.affine(depth, self._products.factor(x)).tanh_(), depth)
            return self._products.affine(len(self._units) - 1, self._products.factor(x))

    def _mask(self, depth: int, rows: int) -> Tensor:
        units = self._units[depth]
        return draw_mask(rows, units, self.dropout, self._generator, (slice(None), self.group.part(units)))

    def _whole(self, unit: Tensor, depth: int) -> Tensor:
        return self.group.gather_units(unit, self._units[depth])

    def _own(self, signal: Tensor) -> Tensor:
        return self.group.sum_units(signal)


def deal(own: Mapping[str, Tensor], whole: Mapping[str, Tensor], units: Sequence[int], group: Group) -> None:
    """Fill every rank's part of each weight and bias with that of the whole which rank 0 gives.

    Parameters
    ----------
    own : mapping of name to Tensor, shape (units of the part, ...)
        Weight and bias of each layer, in the order of the layers.
    whole : mapping of name to Tensor, shape (units, ...)
        By the same names; looked at on rank 0 alone.
    units : sequence of int
        Of each layer.
    group : Group

    Raises
    ------
    KeyError, RuntimeError
        The whole does not fit, on rank 0.
    """
    for (name, held), count in zip(own.items(), _twice(units)):
        given = whole[name] if group.leads else held
        if group.leads and given.shape != (count, *held.shape[1:]):
            raise RuntimeError(f"{name} has the shape {tuple(given.shape)}, not {(count, *held.shape[1:])}")
        for rank in range(group.size):
            part = group.part(count, rank)
            shape = (part.stop - part.start, *held.shape[1:])
            piece = given[part].to(held).contiguous() if group.leads else held.new_empty(shape)
            group.broadcast_(piece)
            if rank == group.rank:
                held.copy_(piece)


def collected(own: Mapping[str, Tensor], units: Sequence[int], group: Group) -> dict[str, Tensor]:
    """Undo `deal`: the whole on the CPU of rank 0, nothing on other ranks."""
    whole: dict[str, Tensor] = {}
    for (name, held), count in zip(own.items(), _twice(units)):
        if group.leads:
            whole[name] = held.new_empty(count, *held.shape[1:], device="cpu")
        for rank in range(group.size):
            part = group.part(count, rank)
            mine = rank == group.rank
            piece = held if mine else held.new_empty(part.stop - part.start, *held.shape[1:])
            group.broadcast_(piece, rank)
            if group.leads:
                whole[name][part] = piece.to("cpu")
    return whole


def _twice(units: Sequence[int]) -> list[int]:
    """Units of each weight and bias in the order of their names."""
    return [count for count in units for _ in ("weight", "bias")]


def divided(group: Group, sizes: Sequence[int], batch_size: int, shard: bool | None) -> Group:
    """Choose what the processes divide, and tell the user.

    Parameters
    ----------
    group : Group
        All processes, each of which calls this.
    sizes : sequence of int
        Layer sizes of the network.
    batch_size : int
        Profiles a step.
    shard : bool, optional
        True: units; False: profiles; None: units where the network would not fit one of the devices, and on GPUs where
        less travels so.
    """
    if group.size == 1:
        return group
    network = Architecture.chain(sizes)
    size = 4 * network.parameters
    sent = {"profiles": size, "units": 2 * 4 * batch_size * network.units}
    if shard is None:
        lighter = group.backend == "nccl" and sent["units"] < sent["profiles"]
        shard = lighter or group.any(not _fits(size, group.device))
    group = group.dividing("units" if shard else "profiles")
    said = f"{group.size} processes on {group.hosts} host{'s' * (group.hosts > 1)} over {group.backend}"
    if group.backend == "gloo":
        threads = torch.get_num_threads()
        said += f", {threads} thread{'s' * (threads > 1)} each (OMP_NUM_THREADS)"
    how = "holds a part of every layer" if shard else f"takes its share of every batch of {batch_size}"
    said += f": each {how}, {_megabytes(sent[group.divides])} exchanged a step"
    if not shard and sent["units"] < sent["profiles"]:
        said += f" (--shard: {_megabytes(sent['units'])})"
    hint(said)
    return group


def _fits(size: int, device: torch.device | None) -> bool:
    if device is None or device.type != "cuda":
        return True
    return _COPIES * size <= _ROOM * torch.cuda.mem_get_info(device)[1]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
