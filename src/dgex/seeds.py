"""One seed, many independent random streams: each purpose and epoch has its own.

A stream depends on nothing but the seed, its purpose and its epoch. So a run that is resumed at an epoch draws
what the uninterrupted run would have drawn without any generator state being kept, the choice of dropout does
not shift the order of batches, and every process of a larger run can compute the same order by itself. The
global generators of numpy and torch are neither read nor advanced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["numpy_stream", "torch_seed", "torch_stream"]

_PURPOSES = {"start": 0, "order": 1, "dropout": 2, "monitor": 3, "partition": 4}


def _sequence(seed: int, purpose: str, epoch: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, _PURPOSES[purpose], epoch])


def numpy_stream(seed: int, purpose: str, epoch: int = 0) -> np.random.Generator:
    """Generator of `purpose` ("start", "order", "dropout", "monitor" or "partition") in `epoch` under `seed` (>= 0)."""
    return np.random.default_rng(_sequence(seed, purpose, epoch))


def torch_stream(seed: int, purpose: str, epoch: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """As `numpy_stream`, for torch on `device`; draws differ between kinds of device."""
    import torch

    return torch.Generator(device=device).manual_seed(torch_seed(seed, purpose, epoch))


def torch_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """The seed of a stream, in the 63 bits that torch takes."""
    return int(_sequence(seed, purpose, epoch).generate_state(1, np.uint64)[0]) >> 1
