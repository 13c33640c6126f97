"""Host memory -> CUDA device -> host memory, block by block, with copies beside the computing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from dgex.training.loader import as_tensor

__all__ = ["stream_through"]

_SLOTS = 3  # blocks under way: one comes in, one is computed, one goes out


class _Slot:
    """Buffers of one block, pinned on the host so that the device copies them by itself."""

    def __init__(self, block: int, landmarks: int, targets: int, device: torch.device) -> None:
        self.x_host = torch.empty(block, landmarks, pin_memory=True)
        self.x = torch.empty(block, landmarks, device=device)
        self.y_host = torch.empty(block, targets, pin_memory=True)
        self.arrived, self.computed, self.left = (torch.cuda.Event() for _ in range(3))
        self.emptied: Future[None] | None = None

    def ready(self) -> None:
        """Wait until the block before has left the buffers."""
        if self.emptied is not None:
            self.emptied.result()


def stream_through(
    forward: Callable[[Tensor], Tensor], X: np.ndarray, out: np.ndarray, device: torch.device, block: int = 4096
) -> np.ndarray:
    """Predict the rows of X into the rows of `out`.

    Three blocks are under way at a time, each on its own leg: to the device, through `forward`, back into
    pinned memory and from there, by a thread of its own, into `out`.

    Parameters
    ----------
    forward : callable
        Takes float32 [rows, landmarks] on the device, gives float32 [rows, targets] there.
    X : ndarray of float32, shape (profiles, landmarks)
    out : ndarray of float32, shape (profiles, targets)
        Written to.
    device : torch.device
        A CUDA device.
    block : int
        Profiles a block.

    Returns
    -------
    ndarray
        `out`.
    """
    block = max(1, min(block, len(X)))
    slots = [_Slot(block, X.shape[1], out.shape[1], device) for _ in range(min(_SLOTS, -(-len(X) // block)))]
    incoming, outgoing = torch.cuda.Stream(device), torch.cuda.Stream(device)
    current = torch.cuda.current_stream(device)
    with ThreadPoolExecutor(1) as writer, torch.inference_mode():
        for number, start in enumerate(range(0, len(X), block)):
            slot, rows = slots[number % len(slots)], slice(start, min(start + block, len(X)))
            count = rows.stop - rows.start
            slot.ready()
            slot.x_host[:count].copy_(as_tensor(X[rows]))
            with torch.cuda.stream(incoming):
                incoming.wait_event(slot.computed)  # the device's copy of X is free again
                slot.x[:count].copy_(slot.x_host[:count], non_blocking=True)
                slot.arrived.record(incoming)
            current.wait_event(slot.arrived)
            predicted = forward(slot.x[:count])
            slot.computed.record(current)
            with torch.cuda.stream(outgoing):
                outgoing.wait_event(slot.computed)
                slot.y_host[:count].copy_(predicted, non_blocking=True)
                predicted.record_stream(outgoing)
                slot.left.record(outgoing)
            slot.emptied = writer.submit(_empty, slot, out[rows])
        for slot in slots:
            slot.ready()
    return out


def _empty(slot: _Slot, rows: np.ndarray) -> None:
    slot.left.synchronize()
    torch.from_numpy(rows).copy_(slot.y_host[: len(rows)])
