"""A residual network: a linear stem, blocks that add to what they were given, a linear output."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Self

import torch
from torch import Tensor, nn

from dgex.seeds import torch_stream
from dgex.training.learners.perceptron import OUTPUT_RANGE, undefined_linear

__all__ = ["UNITS", "Adaptive", "ResidualNetwork", "Shape"]

UNITS = ("silu", "tanh", "adaptive")
_SLOPE = 4.0  # a*sigmoid(x) - a/2 has slope 1 at zero with this a


@dataclass(frozen=True)
class Shape:
    """What a network is made of.

    Attributes
    ----------
    landmarks, targets : int
        Numbers of genes.
    hidden : tuple of int
        Units: with `residual` one width, as often as there are blocks; else of each hidden layer.
    units : str
        "silu", "tanh" or "adaptive" (`Adaptive`, then on the outputs as well).
    norm : bool
        Layer normalisation before the matrix of each block and before the output.
    skip : bool
        Add a linear map of the landmark genes to the output.
    residual : bool
        Add each block to its input; without it layers follow one another.
    """

    landmarks: int
    hidden: tuple[int, ...]
    targets: int
    units: str = "silu"
    norm: bool = True
    skip: bool = False
    residual: bool = True

    @property
    def chain(self) -> list[int]:
        """Sizes of what follows one another: landmark genes, hidden layers (the stem among them), target genes."""
        stem = self.hidden[:1] if self.residual else ()
        return [self.landmarks, *stem, *self.hidden, self.targets]


class Adaptive(nn.Module):
    """Transformative adaptive units a * sigmoid(b * x + c) + d, with four numbers of its own for each unit.

    They start at 4, 1, 0 and -2: zero, with slope 1, where x is zero.

    Method: V. Kunc, J. Kléma. On transformative adaptive activation functions in neural networks for gene expression
    inference. PLoS ONE 16 (2021) e0243915.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        starts = (_SLOPE, 1.0, 0.0, -_SLOPE / 2)
        self.a, self.b, self.c, self.d = (nn.Parameter(torch.full((units,), start)) for start in starts)

    def forward(self, x: Tensor) -> Tensor:
        """The units' values for their sums [profiles, units]."""
        return self.a * torch.sigmoid(self.b * x + self.c) + self.d


class _Block(nn.Module):
    """Normalisation, matrix and units; what happens to the result is the network's."""

    def __init__(self, inputs: int, outputs: int, shape: Shape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inputs) if shape.norm else nn.Identity()
        self.linear = undefined_linear(inputs, outputs)
        self.unit = _unit(shape.units, outputs)

    def forward(self, h: Tensor) -> Tensor:
        values: Tensor = self.unit(self.linear(self.norm(h)))
        return values


def _unit(kind: str, units: int) -> nn.Module:
    return Adaptive(units) if kind == "adaptive" else nn.Tanh() if kind == "tanh" else nn.SiLU()


class ResidualNetwork(nn.Module):
    """Standardised landmark genes in, standardised target genes out.

    With `shape.residual`, h = S x + s, then h <- h + drop(unit(W norm(h) + b)) for every block; otherwise h =
    drop(unit(S x + s)) and h <- drop(unit(W norm(h) + b)). The output is V norm(h) + v, with K x added where there is
    a skip, through adaptive units where units are adaptive.

    Weights start uniform in +-1/sqrt(inputs), those of the output and the skip in +-1e-4, so that the network starts
    by predicting the mean; biases start at zero.

    Parameters
    ----------
    shape : Shape
    seed : int or None
        Seed of the starting weights; None leaves them undefined, to be filled.
    """

    def __init__(self, shape: Shape, seed: int | None = 0) -> None:
        super().__init__()
        self.shape = shape
        self.stem = undefined_linear(shape.landmarks, shape.hidden[0])
        self.stem_unit = nn.Identity() if shape.residual else _unit(shape.units, shape.hidden[0])
        widths = shape.chain[1:-1]
        self.blocks = nn.ModuleList(_Block(a, b, shape) for a, b in pairwise(widths))
        self.norm = nn.LayerNorm(widths[-1]) if shape.norm else nn.Identity()
        self.output = undefined_linear(widths[-1], shape.targets)
        self.skip = undefined_linear(shape.landmarks, shape.targets, bias=False) if shape.skip else None
        self.output_unit = Adaptive(shape.targets) if shape.units == "adaptive" else None
        if seed is not None:
            self._start(seed)

    @classmethod
    def holding(cls, shape: Shape, weights: Mapping[str, Tensor]) -> Self:
        """Build the network around given weights (names as in `state_dict`), which are used in place."""
        with torch.device("meta"):
            network = cls(shape, seed=None)
        network.load_state_dict(dict(weights), assign=True)
        return network.requires_grad_(False)

    @classmethod
    def sizes(cls, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Names and sizes of all weights, without making any."""
        with torch.device("meta"):
            return {name: tuple(value.shape) for name, value in cls(shape, seed=None).state_dict().items()}

    @torch.no_grad()
    def _start(self, seed: int) -> None:
        generator = torch_stream(seed, "start")
        for module in self.modules():
            if isinstance(module, nn.Linear):
                near = module is self.output or module is self.skip
                bound = OUTPUT_RANGE if near else 1 / sqrt(module.in_features)
                module.weight.uniform_(-bound, bound, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()

    @property
    def dropped(self) -> int:
        """Number of units that dropout acts on: of the masks, the columns."""
        return sum(self.shape.hidden)

    def forward(self, z: Tensor, masks: Tensor | None = None, exact: bool = False) -> Tensor:
        """Standardised targets [profiles, targets] of standardised landmarks [profiles, landmarks].

        Parameters
        ----------
        z : Tensor
            Landmark genes.
        masks : Tensor, shape (profiles, `dropped`), optional
            Factors of all hidden units but the stem's, of one block after the other.
        exact : bool
            Compute the output in the network's own type, whatever autocast allows: rounded outputs would swallow what
            tells one profile from another.
        """
        own, at = self.stem.weight.dtype, 0
        h = self.stem_unit(self.stem(z)).to(own)  # what blocks add to is not rounded
        if masks is not None and not self.shape.residual:
            at = h.shape[1]
            h = h * masks[:, :at]
        for block in self.blocks:
            added = block(h)
            if masks is not None:
                added = added * masks[:, at : at + added.shape[1]]
                at += added.shape[1]
            h = h + added if self.shape.residual else added.to(own)
        with torch.autocast(z.device.type, enabled=False) if exact else nullcontext():
            out: Tensor = self.output(self.norm(h)).to(own)
            if self.skip is not None:
                out = out + self.skip(z)
        if self.output_unit is not None:
            out = self.output_unit(out)
        return out
