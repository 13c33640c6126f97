"""Where training and prediction run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from dgex.errors import SettingsError

__all__ = ["on_device", "own_stream", "pick_device"]


def on_device(device: torch.device) -> AbstractContextManager[Any]:
    """Make a CUDA device the current one while the block runs: kernels of Triton are launched on that."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def pick_device(name: str) -> torch.device:
    """Turn "cpu", "cuda", "cuda:N" or "auto" (a CUDA device where there is one) into a device.

    Raises
    ------
    SettingsError
        Another name, or a CUDA device that PyTorch does not see.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device(name)
    if not isinstance(name, str) or not re.fullmatch(r"cuda(:(0|[1-9]\d{0,8}))?", name):
        raise SettingsError("device", found=name, accepted="'auto', 'cpu', 'cuda' or 'cuda:N'")
    if not torch.cuda.is_available():
        raise SettingsError(f"device: found {name!r}, but PyTorch sees no CUDA device here; accepted 'auto' or 'cpu'")
    count = torch.cuda.device_count()
    if name != "cuda" and int(name.removeprefix("cuda:")) >= count:
        there = ", ".join(f"cuda:{n} ({torch.cuda.get_device_name(n)})" for n in range(count))
        raise SettingsError("device", found=name, accepted=f"'auto', 'cpu', {there}")
    return torch.device(name)


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """Give this thread a CUDA stream of its own on `device`, which becomes its current one; the CPU needs none."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream(device)):
        yield
