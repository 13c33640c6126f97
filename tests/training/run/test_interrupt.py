"""Ctrl-C: heard in the main thread, and by the threads that work for it."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from dgex.training.run.interrupt import StopRequest


def inside() -> bool:
    with StopRequest() as stop:
        return stop.requested


def test_threads_hear_what_the_main_thread_heard() -> None:
    with StopRequest() as stop, ThreadPoolExecutor(1) as pool:
        assert not pool.submit(inside).result()
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        assert pool.submit(inside).result()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(inside).result()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
