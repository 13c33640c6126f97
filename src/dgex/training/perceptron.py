"""The paper's network and its training step: tanh hidden layers, linear outputs, momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import sqrt
from typing import Self

import torch
from torch import Tensor, nn

from dgex.training.products import make_products
from dgex.training.seeds import torch_stream

__all__ = ["OUTPUT_RANGE", "MomentumStep", "Perceptron", "draw_mask"]

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
        # skip_init: nn.Linear would draw starting weights of its own from the global generator.
        self.layers = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, inputs, outputs) for inputs, outputs in pairwise(sizes)
        )
        if seed is None:
            return
        generator = torch_stream(seed, "start")
        for depth, (inputs, outputs) in enumerate(pairwise(sizes)):
            output = depth == len(self.layers) - 1
            bound = OUTPUT_RANGE if output else sqrt(6.0 / (inputs + outputs))
            self.weight(depth).data.uniform_(-bound, bound, generator=generator)
            self.bias(depth).data.zero_()

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
        return self.layers[-1](x)

    def weight(self, depth: int) -> Tensor:
        """Weights [outputs, inputs] of the layer `depth`, counted from 0."""
        return self.layers[depth].weight  # type: ignore[return-value]

    def bias(self, depth: int) -> Tensor:
        """Biases [outputs] of the layer `depth`."""
        return self.layers[depth].bias  # type: ignore[return-value]


def draw_mask(rows: int, units: int, dropout: float, generator: torch.Generator) -> Tensor:
    """Inverted dropout: zero with probability `dropout`, else 1 / (1 - dropout), for every unit and profile."""
    keep = 1.0 - dropout
    uniform = torch.rand(rows, units, generator=generator, device=generator.device)
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

    Raises
    ------
    SettingsError
        Another precision.
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
    ) -> None:
        self.network = network.requires_grad_(False)
        self._products = make_products(network, precision)
        self.momentum, self.dropout, self.rate_scale, self.seed = momentum, dropout, rate_scale, seed
        self._velocity = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
        self.begin_epoch(1)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.network.weight(0).device

    def weights(self) -> dict[str, Tensor]:
        """Weights and biases by name, as they are: not copies."""
        return dict(self.network.state_dict())

    def velocity(self) -> dict[str, Tensor]:
        """Momentum of each weight and bias, by the same names: not copies."""
        return self._velocity

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        """Go on from this state; raises KeyError or RuntimeError where names or shapes do not fit."""
        for held, given in ((self.weights(), weights), (self._velocity, velocity)):
            for name, value in held.items():
                value.copy_(given[name])
        self._products.refresh()

    def begin_epoch(self, epoch: int) -> None:
        """Turn to the dropout masks of `epoch`."""
        self._generator = torch_stream(self.seed, "dropout", epoch, self.device)

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Tensor:
        """Predict targets, without dropout."""
        return self._products.predict(x)

    @torch.no_grad()
    def step(self, x: Tensor, y: Tensor, rate: float) -> Tensor:
        """Update the weights on a batch.

        Parameters
        ----------
        x, y : Tensor, shape (profiles, landmarks) and (profiles, targets)
            The batch.
        rate : float
            Learning rate of the first layer's weights and of all biases.

        Returns
        -------
        Tensor
            Squared error summed over the batch and the targets, before the update; nobody waits for it here.
        """
        with self._products.active():
            return self._step(x, y, rate)

    def _step(self, x: Tensor, y: Tensor, rate: float) -> Tensor:
        inputs, units, masks = self._forward(x)
        delta = self._products.affine(len(units), inputs[-1]).sub_(y)
        loss = torch.dot(delta.view(-1), delta.view(-1))
        # d cost / d prediction is delta * 2 / profiles; the factor rides on the rate instead of on the matrix.
        rate = rate * 2.0 / len(x)
        for depth in range(len(units), -1, -1):
            below = None
            if depth > 0:  # before this layer's weights move
                below = self._products.back(depth, delta)
                if self.dropout:
                    below.mul_(masks[depth - 1])
                below = torch.ops.aten.tanh_backward(below, units[depth - 1])
            self._update(depth, inputs[depth], delta, rate)
            if below is not None:
                delta = below
        return loss

    def _forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Factors of every layer, outputs of the hidden layers before dropout, and the masks."""
        inputs, units, masks = [self._products.factor(x)], [], []
        for depth in range(len(self.network.layers) - 1):
            unit = self._products.affine(depth, inputs[-1]).tanh_()
            units.append(unit)
            if self.dropout:
                masks.append(draw_mask(len(unit), unit.shape[1], self.dropout, self._generator))
                unit = unit * masks[-1]
            inputs.append(self._products.factor(unit))
        return inputs, units, masks

    def _update(self, depth: int, inputs: Tensor, delta: Tensor, rate: float) -> None:
        scale = 1.0 if depth == 0 else self.rate_scale
        velocity = self._velocity[f"layers.{depth}.weight"]
        self._products.descend(depth, velocity, delta, inputs, self.momentum, rate * scale)
        velocity = self._velocity[f"layers.{depth}.bias"]
        velocity.mul_(self.momentum).sub_(delta.sum(0), alpha=rate)
        self.network.bias(depth).add_(velocity)
