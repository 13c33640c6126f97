"""Chunks of target genes side by side: one a thread, each with a single-threaded BLAS.

Products of chunks scale as well as one product with all threads, and everything between them, which NumPy does
in one thread, scales too. Results do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["workers"]


@cache
def _blas() -> Any:
    return ThreadpoolController().select(user_api="blas")  # looks through all loaded libraries: once is enough


@contextmanager
def workers(threads: int | None = None) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]]:
    """Yield a `map` that calls a function on items in threads and returns the results in order.

    Parameters
    ----------
    threads : int, optional
        By default as many as the BLAS is allowed to use (`OMP_NUM_THREADS`, threadpoolctl).
    """
    count = threads or max((library["num_threads"] or 1 for library in _blas().info()), default=1)
    with _blas().limit(limits=1), ThreadPoolExecutor(count) as pool:
        yield lambda function, items: list(pool.map(function, items))
