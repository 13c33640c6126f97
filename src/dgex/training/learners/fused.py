"""The training step on CUDA at the limit of the memory: bfloat16 products, fused updates, one graph a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor

from dgex.seeds import torch_seed
from dgex.training.learners import kernels
from dgex.training.learners.kernels import joined, padded, split
from dgex.training.learners.perceptron import Perceptron
from dgex.training.processes.group import ALONE, Group, Handle

__all__ = ["Buffers", "FusedStep", "Layer", "forward", "padded_layers"]

# Up to so many profiles a batch a gradient costs less than the bytes to write and read it: measured on an H100, where
# a layer of 9,000 x 9,000 takes 0.49 ms fused against 0.58 ms at 200 profiles, 0.68 against 0.74 at 1,024 and 1.61
# against 1.38 at 4,096.
_FUSED_ROWS = 1024
# Networks that are trained side by side in threads capture one after the other: to begin waits for the whole device.
_capturing = Lock()


@dataclass
class Layer:
    """One layer as the kernels hold it, with how many of its rows and columns are weights; see `kernels`."""

    outputs: int
    inputs: int
    high: Tensor
    low: Tensor
    velocity: Tensor
    bias: Tensor
    bias_velocity: Tensor

    @classmethod
    def empty(cls, outputs: int, inputs: int, device: torch.device) -> Layer:
        shape = padded(outputs), padded(inputs)
        high = torch.zeros(shape, dtype=torch.bfloat16, device=device)
        low = torch.zeros(shape, dtype=torch.int16, device=device)
        velocity = torch.zeros(shape, device=device)
        bias, bias_velocity = torch.zeros(2, shape[0], device=device).unbind()
        return cls(outputs, inputs, high, low, velocity, bias, bias_velocity)

    def cut(self, matrix: Tensor) -> Tensor:
        """The part of a padded matrix that holds weights."""
        return matrix[: self.outputs, : self.inputs]


class FusedStep:
    """As `MomentumStep`, the same update with bfloat16 matrix products on a CUDA device.

    Master weights, momentum and sums are float32. A step moves 20 bytes a weight: its bfloat16 half is read
    by the forward and by the backward product, and one kernel makes the gradient and updates weight and
    momentum in the same pass, so that no gradient is ever written. Large batches are bound by arithmetic instead:
    there the library's matrix product makes the gradient (bfloat16) and a second kernel applies it. The step is
    captured once as a CUDA graph and replayed for every batch.

    Parameters
    ----------
    network : Perceptron
        Gives the starting weights, from wherever it is; it is not changed.
    device : torch.device
        The CUDA device to train on.
    momentum, dropout, rate_scale, seed, group
        As `MomentumStep` takes them; processes add their gradients up in bfloat16. Dropout masks come from a stream
        of their own (Philox counters of the epoch's seed, step, layer and unit), not from that of `MomentumStep`.
    """

    block = 8192  # profiles predicted at once
    live_weights = False
    center = 0.0

    def __init__(
        self,
        network: Perceptron,
        device: torch.device,
        *,
        momentum: float = 0.5,
        dropout: float = 0.0,
        rate_scale: float = 3.0,
        seed: int = 0,
        group: Group = ALONE,
    ) -> None:
        weights = network.state_dict()
        shapes = [weights[f"layers.{depth}.weight"].shape for depth in range(len(weights) // 2)]
        layers = [Layer.empty(outputs, inputs, device) for outputs, inputs in shapes]
        self._begin(layers, momentum=momentum, dropout=dropout, rate_scale=rate_scale, seed=seed, group=group)
        self.load(weights, {})

    def _begin(
        self, layers: list[Layer], *, momentum: float, dropout: float, rate_scale: float, seed: int, group: Group
    ) -> None:
        """Everything but the weights' values."""
        self._layers, self.device, self.group = layers, layers[0].high.device, group
        self.momentum, self.dropout, self.rate_scale, self.seed = momentum, dropout, rate_scale, seed
        self._state = torch.zeros(2, dtype=torch.int64, device=self.device)
        self._count = torch.zeros(1, dtype=torch.int32, device=self.device)
        self._factor = torch.zeros(1, device=self.device)
        self._told: tuple[int, int, float] | None = None
        self._buffers: Buffers | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self.begin_epoch(1)

    def weights(self) -> dict[str, Tensor]:
        """Weights and biases by name, float32: copies."""
        return self._named(
            lambda layer: joined(*map(layer.cut, (layer.high, layer.low))), lambda layer: layer.bias.clone()
        )

    def velocity(self) -> dict[str, Tensor]:
        """Momentum of each weight and bias, by the same names: views."""
        return self._named(lambda layer: layer.cut(layer.velocity), lambda layer: layer.bias_velocity)

    def _named(self, weight: Callable[[Layer], Tensor], bias: Callable[[Layer], Tensor]) -> dict[str, Tensor]:
        named = {}
        for depth, layer in enumerate(self._layers):
            named[f"layers.{depth}.weight"] = weight(layer)
            named[f"layers.{depth}.bias"] = bias(layer)[: layer.outputs]
        return named

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        """Go on from this state, of rank 0; an empty `velocity` is one of zero."""
        for depth, layer in enumerate(self._layers):
            name = f"layers.{depth}"
            if weights:
                high, low = split(weights[f"{name}.weight"].to(self.device, torch.float32))
                layer.cut(layer.high).copy_(high)
                layer.cut(layer.low).copy_(low)
                layer.bias[: layer.outputs].copy_(weights[f"{name}.bias"])
            if velocity:
                layer.cut(layer.velocity).copy_(velocity[f"{name}.weight"])
                layer.bias_velocity[: layer.outputs].copy_(velocity[f"{name}.bias"])
            for held in (layer.high, layer.low, layer.velocity, layer.bias, layer.bias_velocity):
                self.group.broadcast_(held.view(torch.uint8))  # NCCL knows no integers of 16 bits

    def begin_epoch(self, epoch: int) -> None:
        """Turn to the dropout masks of `epoch`."""
        self._state.copy_(torch.tensor([torch_seed(self.seed, "dropout", epoch), 0]))

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Tensor:
        """Predict targets [profiles, targets], float32, without dropout."""
        return forward([(layer.high, layer.bias) for layer in self._layers], x)[:, : self._layers[-1].outputs]

    def step(self, x: Tensor, y: Tensor, rate: float, rows: int | None = None) -> Tensor:
        """Update the weights on a batch; as `MomentumStep.step`.

        Batches are best given in the same place: the step is captured for the place of the largest one.
        """
        rows = len(x) if rows is None else rows
        at, launched = self._buffers, not self._captures
        if at is None or not at.fit(x, y):
            at = self._buffers = self._make_buffers(x, y)
            self._graph, launched = None, True  # the first step compiles the kernels; the second is captured
        at.first_row = self.group.share(rows).start
        self._tell(len(x), rows, rate)
        if launched:
            self._run(at)
            return at.loss
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            stream = torch.cuda.Stream(self.device)
            self.group.fate.graphs.add(self._graph)
            with _capturing, torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
                self._run(at)
        self._graph.replay()
        return at.loss

    @property
    def _captures(self) -> bool:
        """Whether a step becomes a graph; processes that add gradients up launch each kernel: their steps are long."""
        return self.group.size == 1

    def _make_buffers(self, x: Tensor, y: Tensor) -> Buffers:
        return Buffers(self._layers, x, y, summed=self.group.size > 1)

    def _tell(self, count: int, rows: int, rate: float) -> None:
        """Put what changes from batch to batch where the graph reads it."""
        if self._told != (count, rows, rate):
            self._count.fill_(count)
            self._factor.fill_(-rate * 2.0 / rows)
            self._told = (count, rows, rate)

    @torch.no_grad()
    def _run(self, at: Buffers) -> None:
        """One step between fixed buffers; rows beyond the count are carried along with an error of zero."""
        kernels.load_inputs(at.x, at.units[0])
        for depth in range(len(self._layers) - 1):
            self._activate(depth, at)
        last = self._layers[-1]
        torch.mm(at.units[-1], last.high.t(), out=at.predicted)
        kernels.residual(at.predicted, last.bias, at.y, at.delta[-1], at.partial, self._state, self._count)
        torch.sum(at.partial, (0, 1), out=at.loss)
        for depth in range(len(self._layers) - 1, -1, -1):
            arrives = self._send_back(depth, at) if depth > 0 else None  # before this layer's weights move
            self._update(depth, at)
            if arrives is not None:
                arrives.wait()
                kernels.back(at.delta[depth - 1], at.slopes[depth - 1])
        for depth, handles in at.sums:
            for handle in handles:
                handle.wait()
            self._apply(depth, at)
        at.sums.clear()

    def _activate(self, depth: int, at: Buffers) -> None:
        """Outputs of a hidden layer, where the next one takes them from, and their derivatives."""
        layer, units = self._layers[depth], at.units[depth + 1]
        torch.mm(at.units[depth], layer.high.t(), out=units)
        kernels.activate(units, at.slopes[depth], layer.bias, self._state, depth, self.dropout, at.first_row)

    def _send_back(self, depth: int, at: Buffers) -> Handle:
        """Begin to bring the error signal of a layer's inputs to where the layer below takes it from."""
        torch.mm(at.delta[depth], self._layers[depth].high, out=at.delta[depth - 1])
        return Handle(self.group, None)

    def _update(self, depth: int, at: Buffers) -> None:
        """Move a layer, or begin to add its gradient up over the processes."""
        layer, delta, inputs = self._layers[depth], at.delta[depth], at.units[depth]
        if not at.gradients:
            weights = layer.high, layer.low, layer.velocity, layer.bias, layer.bias_velocity
            kernels.update(delta, inputs, *weights, self._factor, self.momentum, self._scale(depth))
            return
        gradient, bias_gradient = at.gradients[depth]
        torch.mm(delta.t(), inputs, out=gradient)
        torch.sum(delta, 0, dtype=torch.float32, out=bias_gradient)
        if not at.summed:
            self._apply(depth, at)
        else:
            at.sums.append((depth, [self.group.sum_async(gradient), self.group.sum_async(bias_gradient)]))

    def _apply(self, depth: int, at: Buffers) -> None:
        layer, (gradient, bias_gradient) = self._layers[depth], at.gradients[depth]
        weights = layer.high, layer.low, layer.velocity
        kernels.apply(gradient, *weights, self._factor, self.momentum, self._scale(depth))
        layer.bias_velocity.mul_(self.momentum).addcmul_(bias_gradient, self._factor)
        layer.bias.add_(layer.bias_velocity)

    def _scale(self, depth: int) -> float:
        return 1.0 if depth == 0 else self.rate_scale


class Buffers:
    """Everything between the layers, for batches of one size at one place.

    With `summed`, gradients are added up over processes before they are applied.
    """

    def __init__(self, layers: list[Layer], x: Tensor, y: Tensor, summed: bool = False) -> None:
        self.x, self.y, self.first_row, self.summed = x, y, 0, summed
        widths = [len(layer.high) for layer in layers]

        def empty(width: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
            return torch.zeros(len(x), width, dtype=dtype, device=x.device)

        self.units = [empty(layer.high.shape[1]) for layer in layers]
        self.slopes = [empty(width) for width in widths[:-1]]
        self.delta = [empty(width) for width in widths]
        self.predicted = empty(widths[-1])
        self.partial = empty(-(-widths[-1] // 1024), torch.float32)
        self.loss = torch.zeros((), device=x.device)
        self.gradients: list[tuple[Tensor, Tensor]] = []
        self.sums: list[tuple[int, list[Handle]]] = []
        if summed or len(x) > _FUSED_ROWS or not kernels.can_update(x.device):
            sizes = [layer.high.numel() for layer in layers]
            # What travels between processes needs room for every layer, otherwise one is used after the other.
            room = sum(sizes) if summed else max(sizes)
            memory, at = torch.empty(room, dtype=torch.bfloat16, device=x.device), 0
            for layer, size in zip(layers, sizes):
                weights = memory[at : at + size].view_as(layer.high)
                self.gradients.append((weights, torch.empty_like(layer.bias)))
                at += size if summed else 0

    def fit(self, x: Tensor, y: Tensor) -> bool:
        """Whether a batch lies in the place of these buffers and is no larger."""
        if not len(x):  # a process without a share of a short batch
            return True
        same = x.data_ptr() == self.x.data_ptr() and y.data_ptr() == self.y.data_ptr()
        return same and len(x) <= len(self.x)


def padded_layers(network: Perceptron) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of a trained network as `forward` takes them."""
    layers = []
    for depth in range(len(network.layers)):
        weight, bias = network.weight(depth), network.bias(depth)
        outputs, inputs = weight.shape
        high = torch.zeros(padded(outputs), padded(inputs), dtype=torch.bfloat16, device=weight.device)
        high[:outputs, :inputs].copy_(weight)
        bias_held = torch.zeros(padded(outputs), device=weight.device)
        bias_held[:outputs].copy_(bias)
        layers.append((high, bias_held))
    return layers


def forward(layers: list[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
    """Predict from float32 landmarks with padded bfloat16 weights and float32 biases; the result is padded too."""
    (weight, _), state = layers[0], torch.empty(0, dtype=torch.int64, device=x.device)
    units = torch.empty(len(x), weight.shape[1], dtype=torch.bfloat16, device=x.device)
    kernels.load_inputs(x, units)
    for weight, bias in layers[:-1]:
        units = units @ weight.t()
        kernels.activate(units, None, bias, state, 0, 0.0)
    weight, bias = layers[-1]
    if _WIDENS:
        return torch.mm(units, weight.t(), out_dtype=torch.float32).add_(bias)
    return (units @ weight.t()).float().add_(bias)


# PyTorch 2.8 and later multiply bfloat16 matrices into a float32 one.
_WIDENS = "dtype" in torch.ops.aten.mm.overloads()
