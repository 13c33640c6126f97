"""Shuffled mini-batches of matrices that lie on the device; `dgex.training.batches.streams` has those that do not."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from dgex.arrays.maps import gathered, map_of, release
from dgex.seeds import numpy_stream
from dgex.training.batches.shared import held_copy
from dgex.training.processes.group import ALONE, Group

__all__ = ["Batch", "Batches", "Rows", "as_tensor"]

Batch: TypeAlias = tuple[Tensor, Tensor]


def as_tensor(array: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """View `array` as a tensor; nothing is copied on the CPU, and the tensor must not be written to.

    Inside `dgex.training.batches.shared.one_copy` a matrix named there is moved to a device once and shared.
    """
    copy = held_copy(array, torch.device(device))
    if copy is not None:
        return copy
    with warnings.catch_warnings():  # a read-only array (a memory map, say) is fine: it is only read
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)


class Rows:
    """Rows of a matrix that stays where it is; a slice of them is moved to the device when it is asked for.

    Parameters
    ----------
    array : ndarray
        The matrix.
    device : torch.device or str
        Where slices are wanted.
    index : ndarray of int, optional
        Which rows, and in which order; None is all of them.
    """

    def __init__(self, array: np.ndarray, device: torch.device | str, index: np.ndarray | None = None) -> None:
        self._array, self._device, self._index = array, device, index
        self.shape = (len(array) if index is None else len(index), array.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, where: slice) -> Tensor:
        if self._index is None:
            release(self._array)  # what an earlier slice of a memory map brought in
            return as_tensor(self._array[where], self._device)
        rows = self._index[where]
        return as_tensor(
            self._array[rows] if map_of(self._array) is None else gathered(self._array, rows), self._device
        )


class Batches:
    """Mini-batches of (X, Y) in a new order each epoch; this kind holds the matrices on the device.

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
    group : Group
        Processes that share each batch: `epoch` yields this one's profiles of it.

    Attributes
    ----------
    X, Y : Tensor or Rows
        The matrices as `place` puts them.
    """

    def __init__(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        batch_size: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        group: Group = ALONE,
    ) -> None:
        self.device, self._group = torch.device(device), group
        self.profiles, self.batch_size, self.seed = len(X), batch_size, seed
        self.X, self.Y = self.place(X), self.place(Y)
        # Gathering into the same two buffers spares the allocator a new pair every step, and a learner may rely on it.
        rows = min(batch_size, len(X))
        self._x, self._y = (as_tensor(m[:0]).new_empty(rows, m.shape[1], device=self.device) for m in (X, Y))

    def __len__(self) -> int:
        """Number of batches an epoch."""
        return -(-self.profiles // self.batch_size)

    def size(self, batch: int) -> int:
        """Number of profiles, over all processes, in the batch of this number."""
        return min(self.batch_size, self.profiles - batch * self.batch_size)

    def place(self, matrix: np.ndarray) -> Tensor | Rows:
        """Put a matrix where this kind keeps them: slices of the result are on the device."""
        return as_tensor(matrix, self.device)

    def order(self, epoch: int) -> np.ndarray:
        """Permutation of the profiles in `epoch`."""
        return numpy_stream(self.seed, "order", epoch).permutation(self.profiles)

    def epoch(self, epoch: int) -> Generator[Batch, None, None]:
        """Yield the batches of `epoch`, in two buffers whose address never changes.

        A batch is valid until the next one is asked for. Close the generator where it is left early.
        """
        assert isinstance(self.X, Tensor)
        assert isinstance(self.Y, Tensor)
        order = torch.from_numpy(self.order(epoch)).to(self.device)
        for start in range(0, self.profiles, self.batch_size):
            rows = order[start : start + self.batch_size]
            rows = rows[self._group.share(len(rows))]
            yield (
                torch.index_select(self.X, 0, rows, out=self._x[: len(rows)]),
                torch.index_select(self.Y, 0, rows, out=self._y[: len(rows)]),
            )

    def rows(self, rows: Tensor) -> tuple[Tensor | Rows, Tensor | Rows]:
        """Landmark and target genes of the profiles `rows`; slices of them are on the device."""
        if len(rows) == self.profiles:
            return self.X, self.Y
        assert isinstance(self.X, Tensor)
        assert isinstance(self.Y, Tensor)
        return self.X[rows], self.Y[rows]

    def sample(self, count: int) -> Tensor:
        """Indices of at most `count` profiles fixed for the whole run, in ascending order."""
        if count >= self.profiles:
            return torch.arange(self.profiles, device=self.device)
        rows = numpy_stream(self.seed, "monitor").choice(self.profiles, count, replace=False)
        return torch.from_numpy(np.sort(rows)).to(self.device)
