"""Mini-batches of matrices that do not lie on the device: gathered in a thread, from memory or from disk.

What a thread gathers goes through a few staging buffers (page-locked where the device is a GPU), is copied on a
stream of its own while the step before runs, and ends in the two fixed buffers that every kind of `Batches` uses.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgex.arrays.host import host_memory
from dgex.arrays.maps import RowReader, gathered
from dgex.seeds import numpy_stream
from dgex.training.batches.loader import Batch, Batches, Rows
from dgex.training.batches.prefetch import ahead
from dgex.training.processes.group import ALONE, Group

__all__ = ["PLACEMENTS", "FromDisk", "FromMemory", "make_batches", "order_words"]

_AHEAD = 3  # staging buffers: one is being filled, one copied, one waits
_GROUP = 256 << 20  # bytes of a group of profiles read from disk, two of which are in memory
_LITTLE = 4 << 30  # bytes of memory below which groups are an eighth of that, in blocks of a quarter


@dataclass
class _Staging:
    """One batch in host memory: as tensors, as arrays over the same bytes, and when its copy was done."""

    x: Tensor
    y: Tensor
    copied: Any = None

    def rows(self, where: slice) -> tuple[np.ndarray, np.ndarray]:
        """Views to gather into, once nothing is being copied from here."""
        if self.copied is not None:
            self.copied.synchronize()
        return self.x.numpy()[where], self.y.numpy()[where]


class FromMemory(Batches):
    """Batches of matrices in host memory, in the order of those on the device: the results are the same bit for bit.

    Parameters as those of `Batches`.
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
        super().__init__(X, Y, batch_size, seed, device, group)
        self._arrays = X, Y
        pinned = self.device.type == "cuda"
        self._staging = [
            _Staging(
                torch.empty(self._x.shape, pin_memory=pinned),
                torch.empty(self._y.shape, pin_memory=pinned),
                torch.cuda.Event() if pinned else None,
            )
            for _ in range(_AHEAD)
        ]

    def place(self, matrix: np.ndarray) -> Rows:
        """Leave a matrix where it is."""
        return Rows(matrix, self.device)

    def rows(self, rows: Tensor) -> tuple[Tensor | Rows, Tensor | Rows]:
        """Landmark and target genes of the profiles `rows`; slices of them are on the device."""
        if len(rows) == self.profiles:
            return self.X, self.Y
        index = rows.cpu().numpy()
        X, Y = self._arrays
        return Rows(X, self.device, index), Rows(Y, self.device, index)

    def epoch(self, epoch: int) -> Generator[Batch, None, None]:
        """Yield the batches of `epoch`, as `Batches.epoch`."""
        with closing(ahead(lambda take: self._gather(epoch, take), self._staging)) as staged:
            yield from self._moved(staged) if self.device.type == "cuda" else self._copied(staged)

    def _gather(self, epoch: int, take: Callable[[], _Staging]) -> Iterator[tuple[_Staging, int]]:
        """Fill staging buffers with the batches of an epoch (in the thread)."""
        order, (X, Y) = self.order(epoch), self._arrays
        for start in range(0, self.profiles, self.batch_size):
            rows, staging = order[start : start + self.batch_size], take()
            _take((X, Y), rows, staging.rows(slice(len(rows))))
            yield staging, len(rows)

    def _copied(self, staged: Iterator[tuple[_Staging, int]]) -> Iterator[Batch]:
        for staging, whole in staged:
            own = self._group.share(whole)
            count = own.stop - own.start
            yield self._x[:count].copy_(staging.x[own]), self._y[:count].copy_(staging.y[own])

    def _moved(self, staged: Iterator[tuple[_Staging, int]]) -> Iterator[Batch]:
        """Copy each batch to the GPU while the step before it runs; nobody waits for the GPU here.

        Host to one of two buffers on the side stream, from there to the fixed buffers on the stream that computes.
        """
        with torch.cuda.device(self.device):
            side, pairs = torch.cuda.Stream(), [(torch.empty_like(self._x), torch.empty_like(self._y)) for _ in "ab"]
            arrived, used = ([torch.cuda.Event() for _ in "ab"] for _ in "ab")
        side.wait_stream(torch.cuda.current_stream(self.device))  # whatever used this memory before has ended
        waiting: tuple[int, int] | None = None
        for number, (staging, whole) in enumerate(staged):
            which, own = number % 2, self._group.share(whole)
            count = own.stop - own.start
            with torch.cuda.stream(side):
                side.wait_event(used[which])  # never recorded: no wait
                for there, here in zip(pairs[which], (staging.x, staging.y)):
                    there[:count].copy_(here[own], non_blocking=True)
                staging.copied.record(side)
                arrived[which].record(side)
            if waiting is not None:
                yield self._delivered(pairs[waiting[0]], waiting[1], arrived[waiting[0]], used[waiting[0]])
            waiting = which, count
        if waiting is not None:
            yield self._delivered(pairs[waiting[0]], waiting[1], arrived[waiting[0]], used[waiting[0]])

    def _delivered(self, pair: Batch, count: int, arrived: torch.cuda.Event, used: torch.cuda.Event) -> Batch:
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(arrived)
        batch = self._x[:count].copy_(pair[0][:count]), self._y[:count].copy_(pair[1][:count])
        used.record(stream)
        return batch


class FromDisk(FromMemory):
    """Batches of memory-mapped files that are larger than memory, read in long runs.

    An epoch goes through the profiles in groups. A group is many blocks of consecutive profiles, drawn without
    replacement from all over the file; its profiles come in an order of their own, in batches that may reach into
    the next group. Both draws follow from the seed and the epoch alone, and every profile comes once. While a group
    is used the next one is read: two of them are in memory.

    Parameters
    ----------
    X, Y, batch_size, seed, device, group
        As `Batches` takes them; arrays that are no maps are read where they are, in the same order.
    block : int
        Consecutive profiles. 256 of the paper's are 10 MB, which a disk reads as fast as anything longer, and
        neighbours, which often come from one study, are spread better than by longer blocks.
    group_bytes : int
        A group holds as many blocks as fit, but 16 at least. So many bytes of the fixed training samples are kept in
        memory too; more are read each epoch.
    """

    def __init__(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        batch_size: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        group: Group = ALONE,
        *,
        block: int = 256,
        group_bytes: int = _GROUP,
    ) -> None:
        super().__init__(X, Y, batch_size, seed, device, group)
        self.block, self._held = block, group_bytes
        self._starts = np.arange(0, self.profiles, block)
        bytes_a_profile = 4 * (X.shape[1] + Y.shape[1])
        in_a_group = max(16, group_bytes // (block * bytes_a_profile))
        self._groups = -(-len(self._starts) // in_a_group)
        most = min(self.profiles, -(-len(self._starts) // self._groups) * block)
        shapes = [(most, matrix.shape[1]) for matrix in (X, Y)]
        self._buffers = [tuple(np.empty(shape, np.float32) for shape in shapes) for _ in range(min(2, self._groups))]
        self._kept: tuple[np.ndarray, tuple[Rows, Rows]] | None = None

    def order(self, epoch: int) -> np.ndarray:
        """Permutation of the profiles in `epoch`."""
        parts = []
        for starts, mixed in self._plan(epoch):
            rows = [np.arange(start, min(start + self.block, self.profiles)) for start in starts]
            parts.append(np.concatenate(rows)[mixed])
        return np.concatenate(parts)

    def rows(self, rows: Tensor) -> tuple[Tensor | Rows, Tensor | Rows]:
        """Landmark and target genes of the profiles `rows`, read once where they are few."""
        chosen = super().rows(rows)
        if len(rows) == self.profiles or len(rows) * 4 * (self.X.shape[1] + self.Y.shape[1]) > self._held:
            return chosen
        index = rows.cpu().numpy()
        if self._kept is None or not np.array_equal(self._kept[0], index):
            X, Y = (gathered(matrix, index) for matrix in self._arrays)
            self._kept = index, (Rows(X, self.device), Rows(Y, self.device))
        return self._kept[1]

    def _plan(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of each group: where its blocks start, and the order of its profiles in the buffer."""
        stream = numpy_stream(self.seed, "order", epoch)
        for starts in np.array_split(stream.permutation(self._starts), self._groups):
            profiles = int(np.minimum(self.block, self.profiles - starts).sum())
            yield starts, stream.permutation(profiles)

    def _read(
        self, epoch: int, take: Callable[[], tuple[np.ndarray, ...]]
    ) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        """Fill buffers with the groups of an epoch (in a thread of its own)."""
        with RowReader(self._arrays[0]) as X, RowReader(self._arrays[1]) as Y:
            for starts, mixed in self._plan(epoch):
                buffer, at = take(), 0
                for start in starts:
                    count = min(self.block, self.profiles - int(start))
                    for reader, values in zip((X, Y), buffer):
                        reader.read(int(start), values[at : at + count])
                    at += count
                yield buffer, mixed

    def _gather(self, epoch: int, take: Callable[[], _Staging]) -> Iterator[tuple[_Staging, int]]:
        staging, filled = None, 0
        with closing(ahead(lambda free: self._read(epoch, free), self._buffers)) as groups:
            for buffer, mixed in groups:
                at = 0
                while at < len(mixed):
                    staging = staging or take()
                    rows = mixed[at : at + self.batch_size - filled]
                    _take(buffer, rows, staging.rows(slice(filled, filled + len(rows))))
                    at, filled = at + len(rows), filled + len(rows)
                    if filled == self.batch_size:
                        yield staging, filled
                        staging, filled = None, 0
        if staging is not None:
            yield staging, filled


PLACEMENTS: dict[str, type[Batches]] = {"device": Batches, "memory": FromMemory, "disk": FromDisk}


def make_batches(
    X: np.ndarray,
    Y: np.ndarray,
    batch_size: int,
    seed: int,
    device: torch.device,
    placement: str = "device",
    group: Group = ALONE,
) -> Batches:
    """Batches of (X, Y) whose matrices are on the "device", in "memory", or on "disk"; see `choose_placement`."""
    if placement == "disk" and _has_little():
        return FromDisk(X, Y, batch_size, seed, device, group, block=64, group_bytes=_GROUP // 8)
    return PLACEMENTS[placement](X, Y, batch_size, seed, device, group)


def order_words(placement: str) -> str:
    """What decides the order of batches besides the seed, for who goes on with a run."""
    if placement != "disk":
        return "whole"
    return f"{'short ' if _has_little() else ''}blocks (placement disk)"


def _has_little() -> bool:
    return host_memory() < _LITTLE


def _take(matrices: tuple[np.ndarray, ...], rows: np.ndarray, out: tuple[np.ndarray, np.ndarray]) -> None:
    for matrix, into in zip(matrices, out):
        np.take(matrix, rows, axis=0, out=into, mode="clip")  # "raise" would gather into a buffer first
