"""The plain loop: the paper's update in eager PyTorch with autograd, as slow and as clear as it gets.

What the fast learners are compared with. It stays as it is when they change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from dgex.seeds import torch_stream
from dgex.training.learners.perceptron import Perceptron, draw_mask

Masks = Callable[[int, int, int], Tensor]


class PlainLearner:
    """Autograd on float32 (or float64) weights, then v <- m v - rate scale g and w <- w + v, one tensor after another.

    Parameters
    ----------
    network : Perceptron
        Gives the starting weights, the type and the device.
    masks : callable (layer, rows, units) -> Tensor, optional
        Dropout masks of each step; drawn as `MomentumStep` draws them where not given.
    """

    block = 1024
    live_weights = True
    center = 0.0

    def __init__(
        self,
        network: Perceptron,
        *,
        momentum: float = 0.5,
        dropout: float = 0.0,
        rate_scale: float = 3.0,
        seed: int = 0,
        masks: Masks | None = None,
    ) -> None:
        self.momentum, self.dropout, self.rate_scale, self.seed = momentum, dropout, rate_scale, seed
        self._masks = masks or self._draw
        self._weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self._velocity = {name: torch.zeros_like(value) for name, value in self._weights.items()}
        self.depth = len(self._weights) // 2
        self.begin_epoch(1)

    @property
    def device(self) -> torch.device:
        return self._weights["layers.0.weight"].device

    def weights(self) -> dict[str, Tensor]:
        return self._weights

    def velocity(self) -> dict[str, Tensor]:
        return self._velocity

    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        for held, given in ((self._weights, weights), (self._velocity, velocity)):
            for name, value in held.items():
                value.copy_(given[name])

    def begin_epoch(self, epoch: int) -> None:
        self._generator = torch_stream(self.seed, "dropout", epoch, self.device)
        if hasattr(self._masks, "begin_epoch"):
            self._masks.begin_epoch(epoch)

    def _draw(self, layer: int, rows: int, units: int) -> Tensor:
        return draw_mask(rows, units, self.dropout, self._generator)

    def predict(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self._forward(x, self._weights, dropout=False)

    def _forward(self, x: Tensor, weights: Mapping[str, Tensor], dropout: bool) -> Tensor:
        for layer in range(self.depth - 1):
            x = torch.tanh(x @ weights[f"layers.{layer}.weight"].T + weights[f"layers.{layer}.bias"])
            if dropout and self.dropout:
                x = x * self._masks(layer, len(x), x.shape[1])
        return x @ weights[f"layers.{self.depth - 1}.weight"].T + weights[f"layers.{self.depth - 1}.bias"]

    def step(self, x: Tensor, y: Tensor, rate: float, rows: int | None = None) -> Tensor:
        assert rows in (None, len(x)), "the plain loop is one process"
        weights = {name: value.requires_grad_() for name, value in self._weights.items()}
        loss = (self._forward(x, weights, dropout=True) - y).square().sum()
        gradients = torch.autograd.grad(loss / len(x), list(weights.values()))
        with torch.no_grad():
            for (name, weight), gradient in zip(weights.items(), gradients):
                weight.requires_grad_(False)
                later = name.endswith("weight") and not name.startswith("layers.0.")
                velocity = self._velocity[name]
                velocity.mul_(self.momentum).sub_(gradient, alpha=rate * (self.rate_scale if later else 1.0))
                weight.add_(velocity)
        return loss.detach()
