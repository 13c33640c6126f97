"""One copy on a device of matrices that several networks are trained on side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

__all__ = ["held_copy", "one_copy"]

_Key = tuple[int, tuple[int, ...]]
_named: dict[_Key, np.ndarray] = {}  # alive as long as it is named: no other matrix can have its address
_held: dict[tuple[_Key, str], Tensor] = {}
_moving = threading.Lock()


def _key(array: np.ndarray) -> _Key:
    return array.__array_interface__["data"][0], array.shape


@contextmanager
def one_copy(arrays: Iterable[np.ndarray]) -> Iterator[None]:
    """While the block runs, move each of these matrices to a device once, whichever thread asks and however often."""
    _named.update({_key(array): array for array in arrays})
    try:
        yield
    finally:
        _named.clear()
        _held.clear()


def held_copy(array: np.ndarray, device: torch.device) -> Tensor | None:
    """The shared copy of `array` on `device`, made by whoever asks first; None where it is not to be shared."""
    if device.type == "cpu" or not _named or _key(array) not in _named:
        return None
    where = (_key(array), str(device))
    with _moving:
        if where not in _held:
            _held[where] = torch.from_numpy(array).to(device)
            if device.type == "cuda":  # others use it on streams of their own
                torch.cuda.current_stream(device).synchronize()
        return _held[where]
