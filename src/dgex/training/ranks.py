"""Work dealt out to the processes that torchrun started, each part done by one of them alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from dgex.errors import DgexError

__all__ = ["alone", "from_first", "share", "world"]

_Value = TypeVar("_Value")
_WAIT = timedelta(days=30)  # for the slowest: a process that is lost is noticed by its closed connection
_alone = False
_channel: tuple[Any, Any] | None = None  # of which run, and its process group


def world() -> tuple[int, int]:
    """Rank of this process and number of processes, as torchrun tells them; (0, 1) inside `alone`."""
    if _alone:
        return 0, 1
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def alone() -> Iterator[None]:
    """Train as a single process while the block runs (in all threads): the others have work of their own."""
    global _alone
    before, _alone = _alone, True
    try:
        yield
    finally:
        _alone = before


def share(value: _Value, what: str) -> list[_Value]:
    """Return the values of all ranks, in their order, once every rank has come here.

    Parameters
    ----------
    value : object
        Small: it is pickled between processes of one run.
    what : str
        What is lost with a rank and what to do then, for the error.

    Raises
    ------
    DgexError
        A rank is gone.
    """
    _, size = world()
    if size == 1:
        return [value]
    import torch.distributed as dist

    values: list[_Value | None] = [None] * size
    try:
        dist.all_gather_object(values, value, group=_connected())
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise DgexError(f"another of the {size} processes is gone ({reason}); {what}") from error
    return values  # type: ignore[return-value]


def _connected() -> Any:
    """The channel of `share`, opened once: its connections tell at once when a process ends."""
    import torch.distributed as dist

    global _channel
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    if _channel is None or _channel[0] is not dist.group.WORLD:
        _channel = (dist.group.WORLD, dist.new_group(backend="gloo", timeout=_WAIT))
    return _channel[1]


def from_first(make: Callable[[], _Value], what: str) -> _Value:
    """Let rank 0 alone call `make`; every rank returns its result, or raises its DgexError (see `share`)."""
    rank, size = world()
    if size == 1:
        return make()
    value: _Value | None = None
    failed: DgexError | None = None
    if rank == 0:
        try:
            value = make()
        except DgexError as error:
            failed = error
    value, failed = share((value, failed), what)[0]
    if failed is not None:
        raise failed
    return value  # type: ignore[return-value]
