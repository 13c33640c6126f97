"""Shuffled mini-batches of matrices that lie in memory (or on the device), never copied as a whole."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch

from dgex.training.copies import held_copy
from dgex.training.seeds import numpy_stream

__all__ = ["Batches", "as_tensor"]


def as_tensor(array: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """View `array` as a tensor; nothing is copied on the CPU, and the tensor must not be written to.

    Inside `dgex.training.copies.one_copy` a matrix named there is moved to a device once and shared.
    """
    held = held_copy(array, torch.device(device))
    if held is not None:
        return held
    with warnings.catch_warnings():  # a read-only array (a memory map, say) is fine: it is only read
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)


class Batches:
    """Mini-batches of (X, Y) in a new order each epoch.

    The order of an epoch is a permutation drawn from the seed and the epoch's number alone. The last batch
    holds what remains and may be shorter, as in the paper's code (88,807 = 444 x 200 + 7).

    Parameters
    ----------
    X, Y : ndarray of float32, shape (profiles, landmarks) and (profiles, targets)
        Training matrices. On the CPU they are used in place, on another device they are moved there once.
    batch_size : int
        Profiles a batch.
    seed : int
        Seed of the orders.
    device : torch.device or str
        Where batches are wanted.
    """

    def __init__(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        batch_size: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.X, self.Y = as_tensor(X, device), as_tensor(Y, device)
        self.batch_size, self.seed = batch_size, seed
        # Gathering into the same two buffers spares the allocator a new pair every step, and a learner may rely on it.
        self._x = self.X.new_empty(min(batch_size, len(X)), self.X.shape[1])
        self._y = self.Y.new_empty(len(self._x), self.Y.shape[1])

    @property
    def profiles(self) -> int:
        """Number of training profiles."""
        return len(self.X)

    def __len__(self) -> int:
        """Number of batches an epoch."""
        return -(-self.profiles // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """Permutation of the profiles in `epoch`."""
        return numpy_stream(self.seed, "order", epoch).permutation(self.profiles)

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the batches of `epoch`; a batch is valid until the next one is asked for."""
        order = torch.from_numpy(self.order(epoch)).to(self.X.device)
        for start in range(0, self.profiles, self.batch_size):
            rows = order[start : start + self.batch_size]
            yield (
                torch.index_select(self.X, 0, rows, out=self._x[: len(rows)]),
                torch.index_select(self.Y, 0, rows, out=self._y[: len(rows)]),
            )

    def rows(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Landmark and target genes of the profiles `rows`, on the device."""
        if len(rows) == self.profiles:
            return self.X, self.Y
        return self.X[rows], self.Y[rows]

    def sample(self, count: int) -> torch.Tensor:
        """Indices of at most `count` profiles fixed for the whole run, in ascending order."""
        if count >= self.profiles:
            return torch.arange(self.profiles, device=self.X.device)
        rows = numpy_stream(self.seed, "monitor").choice(self.profiles, count, replace=False)
        return torch.from_numpy(np.sort(rows)).to(self.X.device)
