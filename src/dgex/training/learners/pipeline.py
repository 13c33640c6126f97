"""Host memory -> CUDA device -> host memory, block by block, with copies beside the computing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

__all__ = ["stream_through"]


class _Slot:
    """Buffers of one block, pinned on the host so that the device copies them by itself."""

    def __init__(self, block: int, landmarks: int, targets: int, device: torch.device) -> None:
        self.x_host = torch.empty(block, landmarks, pin_memory=True)
        self.x = torch.empty(block, landmarks, device=device)
        self.y_host = torch.empty(block if targets else 0, targets, pin_memory=True)
        self.arrived, self.computed, self.left = (torch.cuda.Event() for _ in range(3))
        self.emptied: list[Future[None]] = []

    def ready(self) -> None:
        """Wait until the block before has gone out: no more blocks than slots take memory of the device."""
        self.left.synchronize()
        for part in self.emptied:
            part.result()


def stream_through(
    forward: Callable[[Tensor], Tensor],
    X: np.ndarray,
    out: np.ndarray,
    device: torch.device,
    block: int = 4096,
    slots: int = 3,
    writers: int = 8,
) -> np.ndarray:
    """Predict the rows of X into the rows of `out`.

    Several blocks are under way at a time, each on its own leg: to the device, through `forward`, and back into
    `out`. Where `out` is page-locked the device writes there itself; otherwise into pinned memory, from where threads
    copy it, at the speed of the host's memory.

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
    slots : int
        Blocks under way.
    writers : int
        Threads that copy into `out`, each its part of a block: numpy's copies write past the cache, torch's do not.

    Returns
    -------
    ndarray
        `out`.
    """
    block = max(1, min(block, len(X)))
    target = torch.from_numpy(out)
    direct = target.is_pinned()
    width = 0 if direct else out.shape[1]
    ring = [_Slot(block, X.shape[1], width, device) for _ in range(min(slots, -(-len(X) // block)))]
    incoming, outgoing = torch.cuda.Stream(device), torch.cuda.Stream(device)
    current = torch.cuda.current_stream(device)
    incoming.wait_stream(current)  # whatever used the memory of the buffers before has ended
    with ThreadPoolExecutor(writers) as pool, torch.inference_mode():
        for number, start in enumerate(range(0, len(X), block)):
            slot, rows = ring[number % len(ring)], slice(start, min(start + block, len(X)))
            count = rows.stop - rows.start
            slot.ready()
            np.copyto(slot.x_host.numpy()[:count], X[rows])
            with torch.cuda.stream(incoming):
                incoming.wait_event(slot.computed)  # the device's copy of X is free again
                slot.x[:count].copy_(slot.x_host[:count], non_blocking=True)
                slot.arrived.record(incoming)
            current.wait_event(slot.arrived)
            predicted = forward(slot.x[:count])
            slot.computed.record(current)
            with torch.cuda.stream(outgoing):
                outgoing.wait_event(slot.computed)
                (target[rows] if direct else slot.y_host[:count]).copy_(predicted, non_blocking=True)
                predicted.record_stream(outgoing)
                slot.left.record(outgoing)
            if direct:
                continue
            parts = np.linspace(0, count, min(writers, count) + 1).astype(int)
            slot.emptied = [
                pool.submit(_empty, slot, out[rows], slice(first, last)) for first, last in pairwise(parts.tolist())
            ]
        for slot in ring:
            slot.ready()
    return out


def _empty(slot: _Slot, rows: np.ndarray, part: slice) -> None:
    slot.left.synchronize()
    np.copyto(rows[part], slot.y_host.numpy()[: len(rows)][part])
