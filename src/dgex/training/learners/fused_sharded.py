"""The fused step of a network whose units are divided over GPUs: activations travel, weights stay where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dgex.training.learners import kernels
from dgex.training.learners.fused import Buffers, FusedStep, Layer
from dgex.training.learners.kernels import joined, padded, split
from dgex.training.learners.kernels_sharded import activate_part
from dgex.training.learners.perceptron import starting_layers
from dgex.training.learners.sharded import collected, deal
from dgex.training.processes.group import Group, Handle

__all__ = ["FusedShardedStep"]


class FusedShardedStep(FusedStep):
    """`FusedStep` of a network of which each GPU holds a part, as `ShardedStep` divides it; any number of GPUs.

    A step moves 20 bytes for each weight that a GPU holds. What travels is activations in bfloat16: the outputs of a
    hidden layer going forward, and going back the signals that all parts send to the layer below, added up while the
    layer above is updated. The step is captured with its exchanges as one CUDA graph.

    Between the parts of a layer lie the zeros that pad each of them: the inputs of a layer are the parts side by side,
    each as wide as the widest one padded.

    Parameters
    ----------
    sizes : sequence of int
        Landmark genes, units of each hidden layer, target genes, of the whole network.
    device, group, momentum, dropout, rate_scale, seed
        As `ShardedStep` takes them. Masks and, to rounding, weights are those of `FusedStep` on one GPU.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        device: torch.device,
        *,
        group: Group,
        momentum: float = 0.5,
        dropout: float = 0.0,
        rate_scale: float = 3.0,
        seed: int = 0,
    ) -> None:
        self._sizes = list(sizes)
        layers = []
        for depth, (weight, bias) in enumerate(starting_layers(sizes, seed)):  # one whole layer at a time
            part = group.part(len(bias))
            layer = Layer.empty(group.width(len(bias)), self._inputs(depth, group), device)
            layer.outputs = part.stop - part.start
            layers.append(layer)
            self._put(depth, layer, weight[part].to(device), group)
        own = {"momentum": momentum, "dropout": dropout, "rate_scale": rate_scale}
        self._begin(layers, seed=seed, group=group, **own)

    # ---- the state

    def _inputs(self, depth: int, group: Group) -> int:
        """Columns of a layer's matrix: landmark genes, or all parts of the layer below with their padding."""
        return self._sizes[0] if depth == 0 else group.size * padded(group.width(self._sizes[depth]))

    def _place(self, depth: int, matrix: Tensor, group: Group) -> Tensor:
        """Where the weights of a matrix [outputs, columns] lie: [outputs, inputs], or [outputs, ranks, inputs]."""
        if depth == 0:
            return matrix[:, : self._sizes[0]]
        width = group.width(self._sizes[depth])
        return matrix.view(len(matrix), group.size, -1)[:, :, :width]

    def _compact(self, depth: int, matrix: Tensor) -> Tensor:
        """Weights of the part [outputs, inputs], without padding: a copy."""
        place = self._place(depth, matrix, self.group)
        return place.reshape(len(matrix), -1)[: self._layers[depth].outputs, : self._sizes[depth]].contiguous()

    def _spread(self, depth: int, weight: Tensor, group: Group) -> Tensor:
        """Undo `_compact`, with the inputs as `_place` has them."""
        if depth == 0:
            return weight
        width = group.width(self._sizes[depth])
        whole = weight.new_zeros(len(weight), group.size * width)
        whole[:, : weight.shape[1]] = weight
        return whole.view(len(weight), group.size, width)

    def _put(self, depth: int, layer: Layer, weight: Tensor, group: Group) -> None:
        for held, value in zip((layer.high, layer.low), split(weight.float().contiguous())):
            self._place(depth, held[: len(weight)], group).copy_(self._spread(depth, value, group))

    def _own(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights and momentum of the part by name, float32, without padding: copies."""
        weights, velocity = {}, {}
        for depth, layer in enumerate(self._layers):
            name, count = f"layers.{depth}", layer.outputs
            weights[f"{name}.weight"] = joined(*(self._compact(depth, held) for held in (layer.high, layer.low)))
            weights[f"{name}.bias"] = layer.bias[:count].clone()
            velocity[f"{name}.weight"] = self._compact(depth, layer.velocity)
            velocity[f"{name}.bias"] = layer.bias_velocity[:count].clone()
        return weights, velocity

    def weights(self) -> dict[str, Tensor]:
        """Whole weights and biases by name, float32, on the CPU of rank 0; nothing on other ranks."""
        return collected(self._own()[0], self._sizes[1:], self.group)

    def velocity(self) -> dict[str, Tensor]:
        """Whole momentum, as `weights`."""
        return collected(self._own()[1], self._sizes[1:], self.group)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        """Go on from the whole state that rank 0 gives; raises KeyError or RuntimeError where it does not fit."""
        own, own_velocity = self._own()
        for held, given in ((own, weights), (own_velocity, velocity)):
            deal(held, given, self._sizes[1:], self.group)
        for depth, layer in enumerate(self._layers):
            name, count = f"layers.{depth}", layer.outputs
            self._put(depth, layer, own[f"{name}.weight"], self.group)
            moved = self._spread(depth, own_velocity[f"{name}.weight"], self.group)
            self._place(depth, layer.velocity[:count], self.group).copy_(moved)
            layer.bias[:count].copy_(own[f"{name}.bias"])
            layer.bias_velocity[:count].copy_(own_velocity[f"{name}.bias"])

    # ---- at work

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Tensor:
        """Predict the target genes of this rank, float32, without dropout; all ranks predict the same profiles."""
        units = torch.empty(len(x), self._layers[0].high.shape[1], dtype=torch.bfloat16, device=x.device)
        kernels.load_inputs(x, units)
        for layer in self._layers[:-1]:
            own = units @ layer.high.t()
            kernels.activate(own, None, layer.bias, self._state, 0, 0.0)
            parts = self.group.join_into(own.new_empty(self.group.size, *own.shape), own)
            units = parts.transpose(0, 1).reshape(len(x), -1)
        last = self._layers[-1]
        return (units @ last.high.t()).float().add_(last.bias)[:, : last.outputs]

    @property
    def _captures(self) -> bool:
        """Whether a step becomes a graph: where its exchanges are in the queue of the GPU as well."""
        return self.group.size == 1 or self.group.backend == "nccl"

    def _make_buffers(self, x: Tensor, y: Tensor) -> Buffers:
        return _Buffers(self._layers, x, y, self.group.size)

    def _activate(self, depth: int, at: Buffers) -> None:
        assert isinstance(at, _Buffers)
        layer, units, (own, parts) = self._layers[depth], self._sizes[depth + 1], at.travelling[depth]
        first = self.group.part(units).start
        torch.mm(at.units[depth], layer.high.t(), out=own)
        activate_part(own, at.slopes[depth], layer.bias, self._state, depth, self.dropout, first, units)
        self.group.join_into(parts, own)
        at.units[depth + 1].view(len(own), *parts.shape[::2]).copy_(parts.transpose(0, 1))

    def _send_back(self, depth: int, at: Buffers) -> Handle:
        assert isinstance(at, _Buffers)
        _, parts = at.travelling[depth - 1]  # what went forward with it was used
        torch.mm(at.delta[depth], self._layers[depth].high, out=at.back[depth - 1])
        parts.copy_(at.back[depth - 1].view(parts.shape[1], *parts.shape[::2]).transpose(0, 1))
        return self.group.sum_parts_async(at.delta[depth - 1], parts)


class _Buffers(Buffers):
    """And of each hidden layer: its own units; all ranks' [ranks, profiles, units]; what goes back to all of them."""

    def __init__(self, layers: list[Layer], x: Tensor, y: Tensor, ranks: int) -> None:
        super().__init__(layers, x, y)
        self.travelling = [(torch.zeros_like(s), s.new_zeros(ranks, *s.shape)) for s in self.slopes]
        self.back = [torch.zeros_like(units) for units in self.units[1:]]
