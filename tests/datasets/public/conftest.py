"""A web server for the tests of downloads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from web import Site, handler

from dgex.datasets.public.fetch import Patience


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on this machine."""
    monkeypatch.setenv("no_proxy", "*")
    held = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(held))
    server.daemon_threads = True
    held.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield held
    server.shutdown()
    server.server_close()


@pytest.fixture
def waits() -> list[float]:
    """Seconds that were waited between attempts, without waiting."""
    return []


@pytest.fixture
def patience(waits: list[float]) -> Patience:
    return Patience(retries=4, timeout=5.0, sleep=waits.append)
