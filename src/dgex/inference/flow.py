"""Stages side by side: what is read, what is made of it, where it goes; a few pieces at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from queue import SimpleQueue
from typing import Generic, TypeVar

__all__ = ["aside", "flow"]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")

AT_WORK = 2  # pieces between two stages: one that is being made, one that is being used


class _End:
    """The last thing on a belt: why nothing more comes."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Belt(Generic[T]):
    """Takes pieces from one thread to another, in order; a piece counts until the taker asks for the next one."""

    def __init__(self, most: int = AT_WORK) -> None:
        self._room = threading.Semaphore(most)
        self._pieces: SimpleQueue[T | _End] = SimpleQueue()
        self._stopped = False

    def room(self) -> bool:
        """Wait until another piece may be made; false where nobody wants it."""
        self._room.acquire()
        return not self._stopped

    def give(self, piece: T) -> None:
        self._pieces.put(piece)

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes, because of `error` or because all is done."""
        self._pieces.put(_End(error))

    def stop(self) -> None:
        """Nothing more is wanted."""
        self._stopped = True
        self._room.release()

    def __iter__(self) -> Iterator[T]:
        while True:
            piece = self._pieces.get()
            if isinstance(piece, _End):
                if piece.error is not None:
                    raise piece.error
                return
            yield piece
            del piece  # before room is made for another
            self._room.release()


def flow(pieces: Iterator[A], work: Callable[[A], B], put: Callable[[A, B], None]) -> None:
    """Give every piece and what `work` makes of it to `put`, in order, as a plain loop would, but side by side.

    Pieces are drawn in a thread, `work` runs in the thread that calls, `put` in another thread. At most two pieces
    wait for `work` or are being drawn, and at most two results of it are there at a time: memory does not grow with
    the number of pieces.

    Parameters
    ----------
    pieces : iterator
        Drawn by one thread alone; a generator is closed by it.
    work : callable
        Piece -> result; here computation belongs, which may own the device.
    put : callable
        Piece and result; called by one thread alone.

    Raises
    ------
    BaseException
        The first error of any stage, as it was raised, once all stages have ended. Pieces before the one at fault come
        to `put`, unless `put` itself failed. A KeyboardInterrupt lets `put` end what was worked out; a second one
        waits for nothing.

    Examples
    --------
    >>> done = []
    >>> flow(iter(range(3)), lambda n: n * n, lambda n, square: done.append((n, square)))
    >>> done
    [(0, 0), (1, 1), (2, 4)]
    """
    drawn: _Belt[A] = _Belt()
    made: _Belt[tuple[A, B]] = _Belt()
    failed: list[BaseException] = []

    def draw() -> None:
        try:
            while drawn.room():
                try:
                    piece = next(pieces)
                except StopIteration:
                    break
                drawn.give(piece)
                del piece
            if isinstance(pieces, Generator):  # what it holds open ends here, in its own thread
                pieces.close()
            drawn.end()
        except BaseException as error:
            drawn.end(error)

    def pass_on() -> None:
        try:
            for piece, result in made:
                put(piece, result)
                del piece, result
        except BaseException as error:
            failed.append(error)
            made.stop()

    reader, writer = (
        threading.Thread(target=copy_context().run, args=(stage,), name=f"dgex-{stage.__name__}", daemon=True)
        for stage in (draw, pass_on)
    )
    try:
        reader.start()
        writer.start()
        for piece in drawn:
            if not made.room():
                break
            made.give((piece, work(piece)))
            del piece
        made.end()
        writer.join()
    finally:
        drawn.stop()
        made.end()  # where an error came before
        for thread in (writer, reader):
            if thread.ident is not None:
                thread.join()
        if failed:
            raise failed[0]


@contextmanager
def aside(put: Callable[[A, B], None]) -> Iterator[Callable[[A, B], None]]:
    """Let `put` run in a thread of its own, one piece behind: what is given in its place waits for the one before.

    So the memory of a piece may be used again for the next but one. All pieces are put away when the block ends.

    Raises
    ------
    BaseException
        What `put` raised, to who gives the next piece, or at the end.

    Examples
    --------
    >>> done = []
    >>> with aside(lambda n, square: done.append((n, square))) as later:
    ...     for n in range(3):
    ...         later(n, n * n)
    >>> done
    [(0, 0), (1, 1), (2, 4)]
    """
    belt: _Belt[tuple[A, B]] = _Belt(1)
    failed: list[BaseException] = []

    def put_all() -> None:
        try:
            for piece, result in belt:
                put(piece, result)
                del piece, result
        except BaseException as error:
            failed.append(error)
            belt.stop()

    def later(piece: A, result: B) -> None:
        if not belt.room():
            raise failed[0]
        belt.give((piece, result))

    thread = threading.Thread(target=copy_context().run, args=(put_all,), name="dgex-aside", daemon=True)
    thread.start()
    try:
        yield later
    finally:
        belt.end()
        thread.join()
    if failed:
        raise failed[0]
