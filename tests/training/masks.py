"""The dropout masks that the CUDA learner draws, for the plain loop: with them the two differ by rounding alone."""

from __future__ import annotations

import torch
from torch import Tensor

from dgex.seeds import torch_seed


class FusedMasks:
    """Masks of `FusedStep` under a seed, step after step; give it to `PlainLearner` as `masks`."""

    def __init__(self, dropout: float, seed: int = 0) -> None:
        self.dropout, self.seed = dropout, seed

    def begin_epoch(self, epoch: int) -> None:
        self.state = torch.tensor([torch_seed(self.seed, "dropout", epoch), -1], device="cuda")

    def __call__(self, layer: int, rows: int, units: int) -> Tensor:
        from dgex.training.learners import kernels

        if layer == 0:
            self.state[1] += 1
        z = torch.zeros(rows, kernels.padded(units), dtype=torch.bfloat16, device="cuda")
        slope = torch.empty_like(z)
        kernels.activate(z, slope, torch.zeros(z.shape[1], device="cuda"), self.state, layer, self.dropout)
        kept = round((1.0 - self.dropout) * 65536) / 65536  # the kernel's draws have 16 bits
        return (slope[:, :units] != 0).float() / kept
