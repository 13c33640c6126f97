"""How a process of several ends on SIGTERM: torchrun sends it to the others when one has failed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from dgex.training.processes.group import Group

__all__ = ["Termination"]

GRACE = 10.0  # seconds; torchrun kills after 30


class Termination:
    """While active, SIGTERM raises `group.told_to_stop()` in the main thread.

    A main thread that waits for a lost rank inside a GPU's queue never comes to raise anything. So a second thread
    hears of the signal too and, after `GRACE` seconds, prints the line and ends the process. Outside the main thread
    nothing is changed.
    """

    def __init__(self, group: Group) -> None:
        self._group = group
        self._main = threading.current_thread() is threading.main_thread()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        if self._main:
            self._read, self._write = os.pipe()
            os.set_blocking(self._write, False)
            self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
            self._before: Any = signal.signal(signal.SIGTERM, self._handle)
            threading.Thread(target=self._watch, daemon=True, name="dgex-termination").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._main:
            return
        # After an error the process is about to end by itself, and its last words should not be cut short.
        signal.signal(signal.SIGTERM, self._before if error is None else signal.SIG_IGN)
        signal.set_wakeup_fd(self._wakeup)
        self._over.set()
        os.close(self._write)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._group.fate.ending:
            raise self._group.told_to_stop()

    def _watch(self) -> None:
        with os.fdopen(self._read, "rb", buffering=0) as signals:
            while received := signals.read(1):
                if received[0] == signal.SIGTERM and not self._over.wait(GRACE):
                    print(f"error: {self._group.told_to_stop()}", file=sys.stderr, flush=True)
                    os._exit(1)
