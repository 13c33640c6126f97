"""What a network is made of, and what follows of it: weights, bytes, operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

__all__ = ["Architecture"]


@dataclass(frozen=True)
class Architecture:
    """The weight matrices of a network in the order in which they are used, however its layers are joined.

    Attributes
    ----------
    matrices : tuple of (int, int)
        Inputs and outputs of each; every output has a bias. A residual network lists its own.

    Examples
    --------
    >>> network = Architecture.chain([943, 3000, 9520])
    >>> network.weights, network.parameters, network.units
    (31389000, 31401520, 3000)
    """

    matrices: tuple[tuple[int, int], ...]

    @classmethod
    def chain(cls, sizes: Sequence[int]) -> Self:
        """Layers one after the other: landmark genes, units of each hidden layer, target genes."""
        return cls(tuple((int(inputs), int(outputs)) for inputs, outputs in pairwise(sizes)))

    @property
    def weights(self) -> int:
        """Number of weights without biases: what is multiplied."""
        return sum(inputs * outputs for inputs, outputs in self.matrices)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.weights + sum(outputs for _, outputs in self.matrices)

    @property
    def units(self) -> int:
        """Number of hidden units: outputs of all matrices but the last."""
        return sum(outputs for _, outputs in self.matrices[:-1])

    @property
    def widest(self) -> int:
        """Most values a profile that are held at once beside the weights: inputs and outputs of one matrix."""
        return max(inputs + outputs for inputs, outputs in self.matrices)

    def step_bytes(self, precision: str, device: str) -> int:
        """Bytes of weights that a training step must move.

        The float32 weight and its momentum are each read and written, 16 a weight; with bf16 products on a GPU its
        upper half, 2 bytes, is read forward too and, but for the first matrix, backward.
        """
        moved = 16 * self.weights
        if precision == "bf16" and device == "cuda":
            moved += 4 * self.weights - 2 * self.matrices[0][0] * self.matrices[0][1]
        return moved

    def step_operations(self, profiles: int) -> int:
        """Operations of a training step: forward, gradient and error signal; the first matrix sends nothing back."""
        return 2 * profiles * (3 * self.weights - self.matrices[0][0] * self.matrices[0][1])
