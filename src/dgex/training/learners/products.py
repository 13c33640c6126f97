"""The matrix products of a network and its update, in the arithmetic that was asked for.

A network has three products a layer: forward, error back to the layer below, and gradient of the weights. Everything
else (biases, tanh, dropout, the error signal, weights and velocity) is float32 whatever the precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dgex.errors import SettingsError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dgex.training.learners.perceptron import Perceptron

__all__ = ["PRECISIONS", "Bf16Products", "Products", "make_products", "tf32_allowed"]

PRECISIONS = ("float32", "tf32", "bf16")
_PIECE = 1 << 21  # weights updated at once on the CPU: few enough to stay in the cache from one operation to the next


def make_products(network: Perceptron, precision: str) -> Products:
    """Build the products of `network` in a precision.

    Raises
    ------
    SettingsError
        `precision` is none of "float32", "tf32" and "bf16".
    """
    if precision not in PRECISIONS:
        raise SettingsError("precision", found=precision, accepted=", ".join(map(repr, PRECISIONS)))
    if precision == "bf16":
        return Bf16Products(network)
    return Products(network, tf32=precision == "tf32")


class Products:
    """Products in the network's own type; `tf32` allows a CUDA device to round their factors to 10 bits."""

    def __init__(self, network: Perceptron, tf32: bool = False) -> None:
        self.network, self._tf32 = network, tf32 and network.weight(0).device.type == "cuda"

    def refresh(self) -> None:
        """Take notice of weights that were changed from outside."""

    def active(self) -> AbstractContextManager[None]:
        """What must surround the products."""
        return tf32_allowed() if self._tf32 else nullcontext()

    def factor(self, x: Tensor) -> Tensor:
        """Make `x` what products take; layers share it."""
        return x

    def affine(self, depth: int, inputs: Tensor, out: Tensor | None = None) -> Tensor:
        """Weighted sums of the layer `depth` for `inputs` that went through `factor`, into `out` where it is given."""
        return torch.addmm(self.network.bias(depth), inputs, self.network.weight(depth).t(), out=out)

    def back(self, depth: int, delta: Tensor) -> Tensor:
        """Error signal below the layer `depth` for the error signal above it."""
        return delta @ self.network.weight(depth)

    def descend(
        self, depth: int, velocity: Tensor, delta: Tensor, inputs: Tensor, momentum: float, rate: float, move: bool
    ) -> None:
        """Do velocity <- momentum * velocity - rate * delta' inputs and, where told to `move`, also `move`."""
        velocity.addmm_(delta.t(), inputs, beta=momentum, alpha=-rate)  # no gradient is ever stored
        if move:
            self.move(depth, velocity)

    def move(self, depth: int, velocity: Tensor) -> None:
        """Do weights <- weights + velocity."""
        self.network.weight(depth).add_(velocity)

    def predict(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Targets [profiles, targets] from landmarks [profiles, landmarks], without dropout; into `out` if given."""
        last = len(self.network.layers) - 1
        with self.active():
            for depth in range(last):
                x = self.affine(depth, self.factor(x)).tanh_()
            return self.affine(last, self.factor(x), out)


class Bf16Products(Products):
    """Products of bfloat16 factors, summed in float32 and rounded once; the weights have bfloat16 copies."""

    def __init__(self, network: Perceptron) -> None:
        super().__init__(network)
        self._copies = [network.weight(d).detach().to(torch.bfloat16) for d in range(len(network.layers))]
        self._gradient: Tensor | None = None

    def refresh(self) -> None:
        for depth, copy in enumerate(self._copies):
            copy.copy_(self.network.weight(depth))

    def factor(self, x: Tensor) -> Tensor:
        return x.to(torch.bfloat16)

    def affine(self, depth: int, inputs: Tensor, out: Tensor | None = None) -> Tensor:
        sums = torch.mm(inputs, self._copies[depth].t())
        return (sums.to(torch.float32) if out is None else out.copy_(sums)).add_(self.network.bias(depth))

    def predict(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Targets from landmarks; the first and the last layer in float32.

        Rounded to 8 bits, a profile's outputs and small changes of its landmark genes would be lost: errors do not show
        it, differences between profiles do.
        """
        last = len(self.network.layers) - 1
        for depth in range(last):
            sums = self.affine(depth, self.factor(x)) if depth else super().affine(depth, x)
            x = sums.tanh_()
        return super().affine(last, x, out)

    def back(self, depth: int, delta: Tensor) -> Tensor:
        return torch.mm(self.factor(delta), self._copies[depth]).to(torch.float32)

    def descend(
        self, depth: int, velocity: Tensor, delta: Tensor, inputs: Tensor, momentum: float, rate: float, move: bool
    ) -> None:
        # With the rate in delta, the gradient is added in the pass that updates velocity, weights and their copy.
        weight, copy = self.network.weight(depth), self._copies[depth]
        gradient = torch.mm(self.factor(delta * -rate).t(), inputs, out=self._room(copy))
        for rows in _pieces(weight):
            part = velocity[rows]
            torch.add(gradient[rows], part, alpha=momentum, out=part)
            if move:
                copy[rows].copy_(weight[rows].add_(part))

    def move(self, depth: int, velocity: Tensor) -> None:
        super().move(depth, velocity)
        self._copies[depth].copy_(self.network.weight(depth))

    def _room(self, copy: Tensor) -> Tensor:
        """Memory for a gradient, the same for all layers: fresh pages would cost as much as the product."""
        if self._gradient is None:
            self._gradient = copy.new_empty(max(c.numel() for c in self._copies))
        return self._gradient[: copy.numel()].view(copy.shape)


def _pieces(matrix: Tensor) -> Iterator[slice]:
    """Slices over the rows of `matrix`; all rows at once but on the CPU."""
    count = -(-matrix.numel() // _PIECE) if matrix.device.type == "cpu" else 1
    rows = -(-len(matrix) // count)
    for start in range(0, len(matrix), rows):
        yield slice(start, start + rows)


@contextmanager
def tf32_allowed() -> Iterator[None]:
    """Let a CUDA device round the factors of float32 products to 10 bits while the block runs."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
