"""Bytes on their way: a bar with their number and rate."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType

from dgex import progress

__all__ = ["Meter", "size_text"]

EVERY = 0.5  # seconds between two changes of the text


def size_text(size: float) -> str:
    """Bytes in words: 5.1 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


class Meter:
    """A bar that begins when the length is known, and anew when work begins anew."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._stack = ExitStack()
        self._bar: progress.Bar | None = None

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, total: int | None, done: int = 0) -> None:
        """Begin with `done` of `total` bytes."""
        self._stack.close()
        self._bar = self._stack.enter_context(progress.bar(total or 1, self._label))
        self._done, self._total = done, total
        self._began = self._said = time.monotonic()
        self._first = done
        self._bar.advance(done)

    def advance(self, size: int) -> None:
        """Move by `size` bytes."""
        assert self._bar is not None
        self._done += size
        self._bar.advance(size)
        now = time.monotonic()
        if now - self._said < EVERY:
            return
        self._said = now
        rate = (self._done - self._first) / (now - self._began)
        of = f" of {size_text(self._total)}" if self._total else ""
        self._bar.text(f"{size_text(self._done)}{of}, {size_text(rate)}/s")
