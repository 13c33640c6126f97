"""Copies of weights in host memory that a GPU need not wait for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["Snapshots"]


class Snapshots:
    """Copies tensors to host memory as they are now, while the device goes on.

    On the CPU a snapshot is a plain copy. From a CUDA device the tensors are copied on the device (in a
    fraction of a millisecond) and from there into pinned host memory on a stream of their own, beside whatever
    is computed next; nobody may read a snapshot before `wait`.

    Parameters
    ----------
    device : torch.device
        Where the tensors lie.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._last: torch.cuda.Event | None = None

    def take(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copy tensors; on a CUDA device their values at this point of the current stream."""
        if self._stream is None:
            return {name: value.clone() for name, value in tensors.items()}
        staged = {name: value.clone() for name, value in tensors.items()}
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        copies = {}
        with torch.cuda.stream(self._stream):
            for name, value in staged.items():
                copies[name] = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
                copies[name].copy_(value, non_blocking=True)
                value.record_stream(self._stream)  # its memory is free again only after the copy
            self._last = torch.cuda.Event()
            self._last.record(self._stream)
        return copies

    def wait(self) -> None:
        """Return when every snapshot so far can be read."""
        if self._last is not None:
            self._last.synchronize()
