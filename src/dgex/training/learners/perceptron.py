"""The paper's network and its training step: tanh hidden layers, linear outputs, momentum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import sqrt
from typing import Self

import torch
from torch import Tensor, nn

from dgex.seeds import torch_stream
from dgex.training.learners.products import make_products
from dgex.training.processes.group import ALONE, Group, Handle

__all__ = ["OUTPUT_RANGE", "MomentumStep", "Perceptron", "draw_mask", "starting_layers", "undefined_linear"]

OUTPUT_RANGE = 1e-4


class Perceptron(nn.Module):
    """Fully connected network: tanh hidden layers and a linear output layer.

    Hidden weights start uniform in +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010, as in
    the paper), output weights uniform in +-1e-4 so that the network starts by predicting zero, the mean
    of a standardised gene, and biases at zero.

    Parameters
    ----------
    sizes : sequence of int
        Landmark genes, units of each hidden layer, target genes.
    seed : int or None
        Seed of the starting weights; None leaves them undefined, to be filled.
    """

    def __init__(self, sizes: Sequence[int], seed: int | None = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(undefined_linear(inputs, outputs) for inputs, outputs in pairwise(sizes))
        if seed is None:
            return
        for depth, (weight, bias) in enumerate(starting_layers(sizes, seed)):
            self.weight(depth).data, self.bias(depth).data = weight, bias

    @classmethod
    def of_layers(cls, layers: Iterable[tuple[Tensor, Tensor]]) -> Self:
        """Build around the weights and biases of each layer, which need not hold all units of it."""
        network = cls((), seed=None)
        for weight, bias in layers:
            layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
            layer.weight, layer.bias = (nn.Parameter(value, requires_grad=False) for value in (weight, bias))
            network.layers.append(layer)
        return network

    @classmethod
    def holding(cls, weights: Mapping[str, Tensor]) -> Self:
        """Build the network around given weights (names as in `state_dict`), which are used in place."""
        depths = range(len(weights) // 2)
        sizes = [weights["layers.0.weight"].shape[1], *(len(weights[f"layers.{d}.bias"]) for d in depths)]
        network = cls(sizes, seed=None)
        network.load_state_dict(dict(weights), assign=True)
        return network.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Predict targets [profiles, targets] from landmarks [profiles, landmarks]; no dropout."""
        for layer in self.layers[:-1]:
            x = layer(x).tanh_()
        outputs: Tensor = self.layers[-1](x)
        return outputs

    def weight(self, depth: int) -> Tensor:
        """Weights [outputs, inputs] of the layer `depth`, counted from 0."""
        return self.layers[depth].weight  # type: ignore[return-value]

    def bias(self, depth: int) -> Tensor:
        """Biases [outputs] of the layer `depth`."""
        return self.layers[depth].bias  # type: ignore[return-value]


def undefined_linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A layer whose weights are undefined: its own starting ones would come from the global generator.

    `torch.nn.utils.skip_init` does the same, and loads torch's symbolic shapes and sympy for it: half a second.
    """
    layer = nn.Linear(inputs, outputs, bias=bias, device="meta")
    layer.weight = nn.Parameter(torch.empty(outputs, inputs))
    if bias:
        layer.bias = nn.Parameter(torch.empty(outputs))
    return layer


def starting_layers(sizes: Sequence[int], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw the starting weights and biases of one layer after the other, on the CPU; see `Perceptron`."""
    generator = torch_stream(seed, "start")
    for depth, (inputs, outputs) in enumerate(pairwise(sizes)):
        bound = OUTPUT_RANGE if depth == len(sizes) - 2 else sqrt(6.0 / (inputs + outputs))
        yield torch.empty(outputs, inputs).uniform_(-bound, bound, generator=generator), torch.zeros(outputs)


def draw_mask(
    rows: int, units: int, dropout: float, generator: torch.Generator, part: tuple[slice, slice] = (slice(None),) * 2
) -> Tensor:
    """Inverted dropout: zero with probability `dropout`, else 1 / (1 - dropout), for every profile and unit.

    All of it is drawn; where `part` (profiles, units) is all that a process needs, it is what the others see there.
    """
    keep = 1.0 - dropout
    uniform = torch.rand(rows, units, generator=generator, device=generator.device)[part]
    return uniform.lt_(keep).mul_(1.0 / keep)


class MomentumStep:
    """One update of a `Perceptron` on a batch, with as few passes over the weights as it takes.

    The cost of a batch is the squared error summed over targets and averaged over profiles. Each weight and
    bias w with gradient g of that cost moves by

        v <- momentum * v - rate * scale * g,    w <- w + v

    where `scale` is 1 for the first layer's weights and for all biases, and `rate_scale` for the weights of
    all later layers. The rate is inside the velocity: when it falls, what has been gathered keeps its size
    (torch.optim.SGD scales the whole buffer by the new rate).

    Gradients are written out by hand, so that the matrix product which makes a gradient adds it to the
    velocity on the way (one `addmm_`) and no gradient is ever stored; in bf16 that of one layer is.

    Parameters
    ----------
    network : Perceptron
        Trained in place; its device is where steps run.
    momentum, dropout, rate_scale : float
        See above; dropout acts on the outputs of hidden layers.
    seed : int
        Seed of the dropout masks.
    precision : str
        Arithmetic of the matrix products: "float32" (the network's own type), "tf32" (float32 whose factors a CUDA
        device rounds to 10 bits; the same as float32 on the CPU) or "bf16" (factors and results rounded to 8 bits).
        Weights and momentum stay float32.
    group : Group
        Processes that share each batch: every one of them steps on its own profiles and ends with the same weights
        as one process on the whole batch, to rounding.

    Raises
    ------
    SettingsError
        Another precision.

    Notes
    -----
    The velocity is linear in the gradient. With momentum / size on each of `size` processes, and the rate divided by
    the profiles of the whole batch, the sum of their velocities is the velocity of the whole batch: gradients need no
    buffer of their own to be added up in. The sums travel while the layers below are worked on.
    """

    def __init__(
        self,
        network: Perceptron,
        *,
        momentum: float = 0.5,
        dropout: float = 0.0,
        rate_scale: float = 3.0,
        seed: int = 0,
        precision: str = "float32",
        group: Group = ALONE,
    ) -> None:
        self.network = network.requires_grad_(False)
        self._products = make_products(network, precision)
        self.momentum, self.dropout, self.rate_scale, self.seed = momentum, dropout, rate_scale, seed
        self.group = group
        self._summing: list[tuple[int, list[Handle]]] = []
        self._velocity = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
        self.begin_epoch(1)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.network.weight(0).device

    live_weights = True
    center = 0.0

    @property
    def block(self) -> int:
        """Profiles predicted at once: what fits a CPU's caches, or fills a GPU."""
        return 1024 if self.device.type == "cpu" else 8192

    def weights(self) -> dict[str, Tensor]:
        """Weights and biases by name, as they are: not copies."""
        return dict(self.network.state_dict())

    def velocity(self) -> dict[str, Tensor]:
        """Momentum of each weight and bias, by the same names: not copies."""
        return self._velocity

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        """Go on from this state, of rank 0; raises KeyError or RuntimeError where names or shapes do not fit."""
        for held, given in ((self.weights(), weights), (self._velocity, velocity)):
            for name, value in held.items():
                if self.group.leads:
                    value.copy_(given[name])
                self.group.broadcast_(value)
        self._products.refresh()

    def begin_epoch(self, epoch: int) -> None:
        """Turn to the dropout masks of `epoch`."""
        self._generator = torch_stream(self.seed, "dropout", epoch, self.device)

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Tensor:
        """Predict targets, without dropout."""
        return self._products.predict(x)

    @torch.no_grad()
    def step(self, x: Tensor, y: Tensor, rate: float, rows: int | None = None) -> Tensor:
        """Update the weights on a batch.

        Parameters
        ----------
        x, y : Tensor, shape (profiles, landmarks) and (profiles, targets)
            The batch, or this process's share of it (`group.share`), which may be empty.
        rate : float
            Learning rate of the first layer's weights and of all biases.
        rows : int, optional
            Profiles of the whole batch; None where x and y are all of it.

        Returns
        -------
        Tensor
            Squared error summed over x and y, before the update; nobody waits for it here.
        """
        with self._products.active():
            return self._step(x, y, rate, len(x) if rows is None else rows)

    def _step(self, x: Tensor, y: Tensor, rate: float, rows: int) -> Tensor:
        inputs, units, masks = self._forward(x, rows)
        delta = self._products.affine(len(units), inputs[-1]).sub_(y)
        loss = torch.dot(delta.view(-1), delta.view(-1))
        # d cost / d prediction is delta * 2 / profiles; the factor rides on the rate instead of on the matrix.
        rate = rate * 2.0 / rows
        for depth in range(len(units), -1, -1):
            below = None
            if depth > 0:  # before this layer's weights move
                below = self._own(self._products.back(depth, delta))
                if self.dropout:
                    below.mul_(masks[depth - 1])
                below = torch.ops.aten.tanh_backward(below, units[depth - 1])
            self._update(depth, inputs[depth], delta, rate)
            if below is not None:
                delta = below
        for depth, handles in self._summing:
            for handle in handles:
                handle.wait()
            self._products.move(depth, self._velocity[f"layers.{depth}.weight"])
            self.network.bias(depth).add_(self._velocity[f"layers.{depth}.bias"])
        self._summing.clear()
        return loss

    def _forward(self, x: Tensor, rows: int) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Factors of every layer, outputs of the hidden layers before dropout, and the masks."""
        inputs, units, masks = [self._products.factor(x)], [], []
        for depth in range(len(self.network.layers) - 1):
            unit = self._products.affine(depth, inputs[-1]).tanh_()
            units.append(unit)
            if self.dropout:
                masks.append(self._mask(depth, rows))
                unit = unit * masks[-1]
            inputs.append(self._products.factor(self._whole(unit, depth)))
        return inputs, units, masks

    # What a learner that holds only a part of the units does otherwise.

    def _mask(self, depth: int, rows: int) -> Tensor:
        """The dropout mask of this process's profiles and units."""
        part = (self.group.share(rows), slice(None))
        return draw_mask(rows, len(self.network.bias(depth)), self.dropout, self._generator, part)

    def _whole(self, unit: Tensor, depth: int) -> Tensor:
        """All units of a hidden layer, from those of this process."""
        return unit

    def _own(self, signal: Tensor) -> Tensor:
        """The error signal of this process's units, from what its units above send back to all."""
        return signal

    def _update(self, depth: int, inputs: Tensor, delta: Tensor, rate: float) -> None:
        scale = 1.0 if depth == 0 else self.rate_scale
        velocity = self._velocity[f"layers.{depth}.weight"]
        summed = self.group.size > 1 and self.group.divides == "profiles"
        beta = self.momentum / self.group.size if summed else self.momentum
        self._products.descend(depth, velocity, delta, inputs, beta, rate * scale, move=not summed)
        bias_velocity = self._velocity[f"layers.{depth}.bias"].mul_(beta).sub_(delta.sum(0), alpha=rate)
        if summed:
            handles = [self.group.sum_async(velocity), self.group.sum_async(bias_velocity)]
            self._summing.append((depth, handles))
        else:
            self.network.bias(depth).add_(bias_velocity)
