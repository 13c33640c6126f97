"""Work done ahead in a background thread: a bounded number of buffers, errors that surface, no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["ahead"]

Slot = TypeVar("Slot")


class _Abandoned(BaseException):
    """Nobody waits for what is being produced."""


def ahead(
    produce: Callable[[Callable[[], Slot]], Iterator[tuple[Slot, Any]]], slots: Sequence[Slot]
) -> Generator[tuple[Slot, Any], None, None]:
    """Yield what `produce` yields, while a thread works on what comes next.

    Parameters
    ----------
    produce : callable
        Given `take`, which waits for a free slot and returns it, yields each slot when it is filled together with
        what there is to say about it. Runs in the thread. An exception in it is raised here.
    slots : sequence
        Buffers, all that there are; one is free again when the caller asks for the next.

    Notes
    -----
    The thread ends with the generator: when it is exhausted, closed or collected, and after an exception.
    """
    free: SimpleQueue[Slot | None] = SimpleQueue()
    ready: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    gone = threading.Event()
    for slot in slots:
        free.put(slot)

    def take() -> Slot:
        slot = free.get()
        if gone.is_set() or slot is None:
            raise _Abandoned
        return slot

    def work() -> None:
        made = produce(take)
        try:
            for item in made:
                ready.put(("item", item))
            ready.put(("end", None))
        except _Abandoned:
            pass
        except BaseException as error:
            ready.put(("error", error))
        finally:
            made.close()  # type: ignore[attr-defined]

    thread = threading.Thread(target=work, name="dgex-ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = ready.get()
            if kind == "error":
                raise item
            if kind == "end":
                return
            yield item
            free.put(item[0])
    finally:
        gone.set()
        free.put(None)
        thread.join()
