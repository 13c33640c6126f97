"""A remote file as a file object: parts are fetched when they are read, and the last ones kept."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict

from dgex.errors import DgexError, FileError
from dgex.remote.addresses import shown
from dgex.remote.stores import Facts, Store, patiently

__all__ = ["BLOCK", "Stream"]

BLOCK = 128 << 10  # bytes fetched at least
_AHEAD = 64  # blocks fetched at most where a file is read forwards
_KEPT = 512  # blocks kept: 64 MiB


class Stream(io.RawIOBase):
    """Reads a remote file by parts, from any thread.

    Whoever reads forwards gets ever longer parts, twice as long as the ones before: one request costs as much as
    megabytes. `error` keeps what went wrong, for libraries of C that tell it in their own words.

    Parameters
    ----------
    store : Store
    facts : Facts
        Of the version that is read; with another the reading ends.
    """

    def __init__(self, store: Store, facts: Facts) -> None:
        super().__init__()
        if facts.size is None or not facts.parts:
            raise FileError(f"{shown(store.url)} cannot be read by parts: the server gives it whole only")
        self._store, self._facts, self._size = store, facts, facts.size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._at, self._next, self._length = 0, -1, 1
        self._lock = threading.RLock()
        self.fetched = 0
        self.error: DgexError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative place {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with self._lock:
            view = memoryview(buffer).cast("B")
            start, stop = self._at, min(self._at + len(view), self._size)
            if start >= stop:
                return 0
            try:
                self._copy(start, stop, view)
            except DgexError as error:
                self.error = error
                raise
            self._at = stop
            return stop - start

    def _copy(self, start: int, stop: int, view: memoryview) -> None:
        """Put the bytes from `start` to `stop` into `view`, what is not here fetched in runs."""
        at = start
        while at < stop:
            number = at // BLOCK
            if number in self._blocks:
                self._blocks.move_to_end(number)
                begin = number * BLOCK
                part = self._blocks[number][at - begin : stop - begin]
                view[at - start : at - start + len(part)] = part
                at += len(part)
            else:
                run = self._fetch(number, (stop - 1) // BLOCK + 1)
                begin = number * BLOCK  # copied from here: a run may be longer than what is kept
                part = run[at - begin : stop - begin]
                view[at - start : at - start + len(part)] = part
                at += len(part)

    def _fetch(self, first: int, wanted: int) -> bytes:
        """Fetch a run of missing blocks from `first` on: to `wanted`, or further where the file is read forwards."""
        self._length = min(2 * self._length, _AHEAD) if first == self._next else 1
        last = min(max(wanted, first + self._length), first + _AHEAD)
        for number in range(first + 1, last):
            if number in self._blocks:
                last = number
                break
        self._next = last
        start, stop = first * BLOCK, min(last * BLOCK, self._size)
        run = patiently(self._store.url, lambda: self._store.read(start, stop, self._facts))
        self.fetched += len(run)
        for number in range(first, last):
            self._blocks[number] = run[(number - first) * BLOCK : (number - first + 1) * BLOCK]
        while len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return run
