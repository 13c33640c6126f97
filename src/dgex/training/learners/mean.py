"""Prediction of trained residual networks, in blocks: of one, or the mean of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from dgex.training.batches.loader import as_tensor
from dgex.training.learners.pipeline import stream_through
from dgex.training.learners.products import tf32_allowed
from dgex.training.learners.residual import ResidualNetwork, Shape
from dgex.training.learners.standard import Standard
from dgex.training.learners.tuning import bf16_instructions
from dgex.training.machine.device import on_device

__all__ = ["MeanPredictor"]

_BLOCK = 512  # profiles at once on the CPU
Arrays = Mapping[str, np.ndarray]


class MeanPredictor:
    """The mean of networks of one shape, ready to predict on a device.

    Parameters
    ----------
    shape : Shape
    members : sequence of mapping of name to ndarray of float32
        Weights of each network, as `ResidualNetwork.state_dict` names them; on the CPU they are used in place.
    statistics : mapping of name to ndarray of float32
        As `Standard` takes them.
    device : torch.device
        Where to predict.
    precision : str
        "float32", "tf32", "bf16" or "auto", which is float32. With "bf16" the factors of hidden layers are rounded,
        where the device multiplies them; those of the output never are, so that profiles that differ a little
        get targets that differ a little.
    """

    def __init__(
        self, shape: Shape, members: Sequence[Arrays], statistics: Arrays, device: torch.device, precision: str = "auto"
    ) -> None:
        self.device, self.targets = device, shape.targets
        self._networks = [
            ResidualNetwork.holding(shape, {name: as_tensor(value, device) for name, value in weights.items()})
            for weights in members
        ]
        self._standard = Standard.on(device, statistics)
        self._rounded = precision == "bf16" and (device.type != "cpu" or bf16_instructions())
        self._tf32 = precision == "tf32" and device.type == "cuda"

    @torch.inference_mode()
    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Predict targets [profiles, targets] from landmarks [profiles, landmarks], both float32."""
        predicted = np.empty((len(X), self.targets), np.float32)
        if self.device.type != "cpu":
            with on_device(self.device):
                return stream_through(self._forward, X, predicted, self.device)
        for start in range(0, len(X), _BLOCK):
            rows = slice(start, start + _BLOCK)
            as_tensor(predicted[rows]).copy_(self._forward(as_tensor(X[rows])))
        return predicted

    def gradients(self, X: np.ndarray, target: int) -> np.ndarray:
        """Gradients of one target with respect to the landmarks, of the shape of X."""
        found = np.empty_like(X)
        for start in range(0, len(X), _BLOCK):
            rows = slice(start, start + _BLOCK)
            x = torch.tensor(X[rows], device=self.device, requires_grad=True)
            (gradient,) = torch.autograd.grad(self._forward(x)[:, target].sum(), x)
            found[rows] = gradient.cpu().numpy()
        return found

    def _forward(self, x: Tensor) -> Tensor:
        z = self._standard.landmarks(x)
        if self._tf32:
            with tf32_allowed():
                return self._standard.back(self._mean(z))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._rounded):
            return self._standard.back(self._mean(z))

    def _mean(self, z: Tensor) -> Tensor:
        total: Tensor = self._networks[0](z, exact=True)
        for network in self._networks[1:]:
            total = total + network(z, exact=True)
        return total if len(self._networks) == 1 else total / len(self._networks)
