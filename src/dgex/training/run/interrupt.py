"""Ctrl-C that lets the step under way end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, ClassVar

__all__ = ["StopRequest"]


class StopRequest:
    """While active, the first Ctrl-C only sets `requested`; a second one raises KeyboardInterrupt at once.

    Where somebody else handles SIGINT already, nothing is changed. Another thread than the main one hears what the
    active request of the main thread has heard: networks side by side end together.

    Parameters
    ----------
    patient : bool
        Let a second Ctrl-C do no more than the first. One process of several must not leave the others waiting, and
        torchrun passes on a Ctrl-C that the terminal has sent to all of them already.
    """

    _active: ClassVar[StopRequest | None] = None  # that of the main thread

    def __init__(self, patient: bool = False) -> None:
        self.requested = False
        self._patient = patient
        self._deferred = False
        self._before: Any = None
        self._outer: StopRequest | None = None

    def __enter__(self) -> StopRequest:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._handle)
        if main:
            self._outer, StopRequest._active = StopRequest._active, self
        return self if main else StopRequest._active or self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if StopRequest._active is self:
            StopRequest._active = self._outer

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold back even a second Ctrl-C while the block runs."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and not self._deferred and not self._patient:
            raise KeyboardInterrupt
        self.requested = True
