"""Where training and prediction run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dgex.errors import SettingsError

__all__ = ["own_stream", "pick_device"]


def pick_device(name: str) -> torch.device:
    """Turn "cpu", "cuda" or "auto" (a CUDA device where there is one) into a device.

    Raises
    ------
    SettingsError
        Another name, or "cuda" where PyTorch sees no CUDA device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise SettingsError(f"device: found {name!r}, accepted 'auto', 'cpu' or 'cuda'")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device: found 'cuda', but PyTorch sees no CUDA device here; accepted 'auto' or 'cpu'")
    return torch.device(name)


@contextmanager
def own_stream(device: torch.device | None) -> Iterator[None]:
    """Give this thread a CUDA stream of its own on `device`, which becomes its current one; None changes nothing."""
    if device is None or device.type != "cuda":
        yield
        return
    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream(device)):
        yield
