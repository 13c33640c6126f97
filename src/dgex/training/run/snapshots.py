"""Copies of weights in host memory that a GPU need not wait for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["Snapshots"]


class Snapshots:
    """Copies tensors to host memory as they are now, while the device goes on.

    On the CPU a snapshot is a plain copy. From a CUDA device tensors go into pinned host memory on a stream of
    their own, beside whatever is computed next; nobody may read a snapshot before `wait`.

    Parameters
    ----------
    device : torch.device
        Where the tensors lie.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._last: torch.cuda.Event | None = None

    def take(self, tensors: Mapping[str, Tensor], live: bool) -> dict[str, Tensor]:
        """Copy tensors as they are at this point of the current stream.

        Parameters
        ----------
        tensors : mapping of name to Tensor
            Some may be in host memory.
        live : bool
            Whether they will be changed: the device then goes on when they are copied. Otherwise it goes on at
            once, and their memory is free again after the copy.
        """
        if self._stream is None:
            return {name: value.clone() if live else value for name, value in tensors.items()}
        computing = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(computing)
        copies = {}
        with torch.cuda.stream(self._stream):
            for name, value in tensors.items():
                if value.device.type == "cpu":
                    copies[name] = value.clone() if live else value
                    continue
                copies[name] = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
                copies[name].copy_(value, non_blocking=True)
                if not live:
                    value.record_stream(self._stream)
            done = torch.cuda.Event()
            done.record(self._stream)
        self._last = done  # not before it is recorded: another thread may be waiting
        if live:
            computing.wait_event(done)
        return copies

    def wait(self) -> None:
        """Return when every snapshot so far can be read."""
        if self._last is not None:
            self._last.synchronize()
