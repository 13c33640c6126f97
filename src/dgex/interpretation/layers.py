"""The layers of a fitted model in float32, whatever it was trained in: what there is to interpret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from dgex.errors import ModelError
from dgex.models.base import Estimator
from dgex.training.batches.loader import as_tensor

__all__ = ["Layers", "layers_of"]


@dataclass(frozen=True)
class Layers:
    """One network, or a linear model as a network without hidden layers.

    Attributes
    ----------
    weights, biases : list of Tensor
        Of each layer, [outputs, inputs] and [outputs]; tanh follows all but the last.
    targets : ndarray of int
        Positions of its outputs among the model's target genes.
    epoch : int or None
        The epoch that was kept; None for a linear model.
    standard : dict of Tensor, optional
        Means and scales of the genes (`x_mean`, `x_scale`, `y_mean`, `y_scale`) where the weights are of genes in
        standard units; `in_units` are the same network for genes in those of the data.
    """

    weights: list[Tensor]
    biases: list[Tensor]
    targets: np.ndarray
    epoch: int | None = None
    standard: dict[str, Tensor] | None = None

    @property
    def hidden(self) -> list[int]:
        """Units of each hidden layer."""
        return [len(weight) for weight in self.weights[:-1]]

    def in_units(self) -> Layers:
        """The same network between genes in the data's units, with their means and scales in its outer layers."""
        if self.standard is None:
            return self
        of = {name: value.double() for name, value in self.standard.items()}
        weights, biases = list(self.weights), list(self.biases)
        weights[0] = weights[0].double() / of["x_scale"]
        biases[0] = biases[0].double() - weights[0] @ of["x_mean"]
        weights[-1] = weights[-1].double() * of["y_scale"][:, None]
        biases[-1] = biases[-1].double() * of["y_scale"] + of["y_mean"]
        kind = self.biases[-1].dtype
        return Layers([w.to(kind) for w in weights], [b.to(kind) for b in biases], self.targets, self.epoch)

    def units(self, x: Tensor) -> list[Tensor]:
        """Activations of each hidden layer [profiles, units], without dropout."""
        activations = []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1]):
            x = torch.addmm(bias, x, weight.T).tanh_()
            activations.append(x)
        return activations

    def forward(self, x: Tensor) -> Tensor:
        """Targets [profiles, targets]."""
        last = self.units(x)[-1] if len(self.weights) > 1 else x
        return torch.addmm(self.biases[-1], last, self.weights[-1].T)

    def only(self, targets: np.ndarray) -> Self:
        """The same network for those of its outputs that are among `targets` (positions among the model's)."""
        keep = np.flatnonzero(np.isin(self.targets, targets))
        if len(keep) == len(self.targets):
            return self
        rows, standard = torch.from_numpy(keep).to(self.biases[-1].device), self.standard
        if standard is not None:
            standard = {name: value if name[0] == "x" else value[rows] for name, value in standard.items()}
        return type(self)(
            [*self.weights[:-1], self.weights[-1][rows]],
            [*self.biases[:-1], self.biases[-1][rows]],
            self.targets[keep],
            self.epoch,
            standard,
        )


def layers_of(model: Estimator, best: str | None, device: torch.device) -> list[Layers]:
    """Take a model apart: one network for each part of its targets; one where all are inferred jointly.

    Raises
    ------
    ModelError
        The model is not fitted, or of a kind that has no weights to interpret.
    SettingsError
        No best epoch was kept under the name `best`.
    """
    if not hasattr(model, "n_features_in_"):
        raise ModelError(f"this {type(model).__name__} is not fitted; call fit or load a model folder")
    stacks = model.layer_stacks(best)
    if not stacks:
        raise ModelError(
            f"a model of kind {model.kind or type(model).__name__} has no weights to interpret",
            accepted="a network (dgex) or a linear model (ols, ridge, lasso)",
        )
    return [
        Layers(
            _tensors(stack.weights, device),
            _tensors(stack.biases, device),
            stack.targets,
            stack.epoch,
            None if stack.standard is None else {n: as_tensor(value, device) for n, value in stack.standard.items()},
        )
        for stack in stacks
    ]


def _tensors(arrays: Sequence[np.ndarray], device: torch.device) -> list[Tensor]:
    return [as_tensor(np.ascontiguousarray(array), device) for array in arrays]
