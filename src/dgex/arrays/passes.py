"""Going through rows block by block, several blocks at a time, with results that come in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

__all__ = ["Regrouped", "default_threads", "in_order", "slices"]

Task = TypeVar("Task")
Result = TypeVar("Result")


def default_threads() -> int:
    """Number of CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    work: Callable[[Task], Result], tasks: Iterable[Task], threads: int | None = None, ahead: int = 4
) -> Iterator[Result]:
    """Map over tasks in threads; results come in order, a few ahead of who takes them: they do not pile up in memory.

    Parameters
    ----------
    work : callable
    tasks : iterable
        Gone through by the thread that takes the results, as far ahead as they are.
    threads : int, optional
        All cores by default.
    ahead : int
        Results that a thread may be ahead.

    Examples
    --------
    >>> list(in_order(lambda number: number**2, range(5)))
    [0, 1, 4, 9, 16]
    """
    count = threads or default_threads()
    pool = ThreadPoolExecutor(count)
    waiting: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > ahead * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def slices(rows: int, step: int) -> list[slice]:
    """Rows cut into blocks of `step`, the last perhaps shorter."""
    return [slice(at, min(at + step, rows)) for at in range(0, rows, max(1, step))]


class Regrouped:
    """Rows that come in blocks of any size, given on in groups of one size: sums then depend on no block.

    Parameters
    ----------
    size : int
        Rows of a group; the last may have fewer.
    take : callable
        Is given every group, and does not keep it.

    Examples
    --------
    >>> groups = Regrouped(3, lambda rows: print(rows.ravel().tolist()))
    >>> groups.add(np.arange(4)[:, None]); groups.add(np.arange(4, 8)[:, None]); groups.end()
    [0, 1, 2]
    [3, 4, 5]
    [6, 7]
    """

    def __init__(self, size: int, take: Callable[[np.ndarray], None]) -> None:
        self._size, self._take = size, take
        self._held: np.ndarray | None = None
        self._count = 0

    def add(self, rows: np.ndarray) -> None:
        """Add the rows that follow."""
        while len(rows):
            if not self._count and len(rows) >= self._size:
                self._take(rows[: self._size])
                rows = rows[self._size :]
                continue
            if self._held is None:
                self._held = np.empty((self._size, *rows.shape[1:]), rows.dtype)
            part = rows[: self._size - self._count]
            self._held[self._count : self._count + len(part)] = part
            self._count, rows = self._count + len(part), rows[len(part) :]
            if self._count == self._size:
                self.end()

    def end(self) -> None:
        """Give on what is left."""
        if self._count and self._held is not None:
            count, self._count = self._count, 0
            self._take(self._held[:count])
