"""The layers of a fitted model in float32, whatever it was trained in: what there is to interpret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from dgex.errors import ModelError, SettingsError
from dgex.models.base import Estimator
from dgex.models.linear.regression import Linear
from dgex.models.network.dgex import DGEX
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
    """

    weights: list[Tensor]
    biases: list[Tensor]
    targets: np.ndarray
    epoch: int | None = None

    @property
    def hidden(self) -> list[int]:
        """Units of each hidden layer."""
        return [len(weight) for weight in self.weights[:-1]]

    def units(self, x: Tensor) -> list[Tensor]:
        """Activations of each hidden layer [profiles, units], without dropout."""
        found = []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1]):
            x = torch.addmm(bias, x, weight.T).tanh_()
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Targets [profiles, targets]."""
        last = self.units(x)[-1] if len(self.weights) > 1 else x
        return torch.addmm(self.biases[-1], last, self.weights[-1].T)

    def only(self, targets: np.ndarray) -> Self:
        """The same network for those of its outputs that are among `targets` (positions among the model's)."""
        keep = np.flatnonzero(np.isin(self.targets, targets))
        if len(keep) == len(self.targets):
            return self
        rows = torch.from_numpy(keep).to(self.biases[-1].device)
        return type(self)(
            [*self.weights[:-1], self.weights[-1][rows]],
            [*self.biases[:-1], self.biases[-1][rows]],
            self.targets[keep],
            self.epoch,
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
    if isinstance(model, Linear):
        if best is not None:
            raise SettingsError(f"best: found {best!r} for {model.kind}, accepted for networks only")
        tensors = _tensors([model.coef_, model.intercept_], device)
        return [Layers([tensors[0]], [tensors[1]], np.arange(model.n_targets_))]
    if not isinstance(model, DGEX):
        found = model.kind or type(model).__name__
        raise ModelError(
            f"a model of kind {found} has no weights to interpret; accepted: a network (dgex) or a linear model "
            "(ols, ridge, lasso)"
        )
    name = next(iter(model.best_)) if best is None else best
    if name not in model.best_:
        raise SettingsError(f"best: found {name!r}, accepted {', '.join(model.best_)}")
    networks = []
    for part in model.parts_:
        epoch = part.best[name]["epoch"]
        arrays = part.weights[epoch]
        if not arrays:
            raise ModelError("this process took part in training, but rank 0 holds the model: interpret it there")
        depths = range(len(arrays) // 2)
        weights, biases = ([arrays[f"layers.{d}.{kind}"] for d in depths] for kind in ("weight", "bias"))
        networks.append(Layers(_tensors(weights, device), _tensors(biases, device), part.targets, epoch))
    return networks


def _tensors(arrays: Sequence[np.ndarray], device: torch.device) -> list[Tensor]:
    return [as_tensor(np.ascontiguousarray(array), device) for array in arrays]
