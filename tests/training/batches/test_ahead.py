"""Work ahead in a thread: in order, bounded, with errors that surface and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from dgex.errors import FileError
from dgex.training.batches.prefetch import ahead

Take = Callable[[], list[int]]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dgex-ahead"]


def counting(count: int, started: list[int] | None = None) -> Callable[[Take], Iterator[tuple[list[int], int]]]:
    def produce(take: Take) -> Iterator[tuple[list[int], int]]:
        for number in range(count):
            slot = take()
            if started is not None:
                started.append(number)
            slot[0] = number
            yield slot, number

    return produce


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_everything_comes_once_in_order_in_the_slots_given(slots: int) -> None:
    buffers = [[-1] for _ in range(slots)]
    seen = []
    for slot, number in ahead(counting(20), buffers):
        assert any(slot is buffer for buffer in buffers)
        assert slot[0] == number  # nobody writes to a slot that is in use
        seen.append(number)
    assert seen == list(range(20))
    assert not threads()


def test_it_never_runs_further_ahead_than_there_are_slots() -> None:
    started: list[int] = []
    for _, number in ahead(counting(30, started), [[-1], [-1], [-1]]):
        assert len(started) <= number + 3


def test_an_error_surfaces_where_the_work_is_used_after_what_was_done_before_it() -> None:
    def failing(take: Take) -> Iterator[tuple[list[int], int]]:
        yield from counting(2)(take)
        raise FileError("the disk is gone")

    work = ahead(failing, [[-1], [-1]])
    assert [next(work)[1], next(work)[1]] == [0, 1]
    with pytest.raises(FileError, match="the disk is gone"):
        next(work)
    assert not threads()


def test_leaving_early_ends_the_thread_and_what_it_nests() -> None:
    def nested(take: Take) -> Iterator[tuple[list[int], int]]:
        with closing(ahead(counting(1000), [[-1], [-1]])) as inner:
            for _, number in inner:
                slot = take()
                slot[0] = number
                yield slot, number

    with closing(ahead(nested, [[-1], [-1]])) as work:
        assert [next(work)[1] for _ in range(4)] == [0, 1, 2, 3]
        assert threads()
    assert not threads()
