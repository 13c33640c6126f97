"""A small web server that holds files as the public ones do, and misbehaves when told to."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from dgex.datasets.public.fetch import Patience
from dgex.datasets.public.sources import sources

MODIFIED = "Tue, 01 Mar 2016 10:00:00 GMT"


@dataclass
class Step:
    """How one request is answered; the default is what a good server does."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # bytes of the body after which the connection closes
    reset: bool = False  # closes as a crash does
    promise: int = 0  # added to Content-Length
    ranges: bool = True
    etag: str | None = None
    body: bytes | None = None
    chunked: bool = False
    hold: threading.Event | None = None  # waits for it after `cut`
    validators: bool = True
    shift: int = 0  # a 206 that begins elsewhere than asked


@dataclass
class Asked:
    """One request as the server saw it."""

    path: str
    range: str | None
    status: int = 0
    sent: int = 0


class Site:
    """Files by path, what happens to the next requests of each, and what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.plan: dict[str, list[Step]] = defaultdict(list)
        self.always: dict[str, Step] = {}
        self.log: list[Asked] = []
        self.url = ""

    def publish(self, name: str, **bodies: bytes) -> str:
        """Serve small files of a source's names in its own layout; returns the base to give to the command."""
        source = sources()[name]
        folder = urlsplit(source.base).path
        random = np.random.default_rng(0)
        for file in source.files.values():
            text = b"\n".join(random.integers(0, 99, 400).astype("S")) + file.key.encode()
            self.files[folder + file.address] = bodies.get(file.key, gzip.compress(text))
        return self.url + folder

    def asked(self, ending: str) -> list[Asked]:
        return [asked for asked in self.log if asked.path.endswith(ending)]


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            asked = Asked(self.path, self.headers.get("Range"))
            site.log.append(asked)
            waiting = site.plan[self.path]
            step = waiting.pop(0) if waiting else site.always.get(self.path, Step())
            self.close_connection = True
            body = step.body if step.body is not None else site.files.get(self.path)
            if step.status >= 300 or body is None:
                self._head(asked, step.status if step.status >= 300 else 404, {**step.headers, "Content-Length": "0"})
                return
            etag = step.etag or f'"{hashlib.sha256(body).hexdigest()[:8]}"'
            headers = {"ETag": etag, "Last-Modified": MODIFIED} if step.validators else {}
            begin, status = 0, 200
            same = self.headers.get("If-Range") in (None, etag, MODIFIED)
            if asked.range and step.ranges and same:
                begin, status = int(asked.range.removeprefix("bytes=").removesuffix("-")), 206
                if begin >= len(body):
                    self._head(asked, 416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
                    return
                begin += step.shift
                headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
            part = body[begin:]
            length = {"Transfer-Encoding": "chunked"} if step.chunked else {"Content-Length": len(part) + step.promise}
            self._head(asked, status, {**headers, **length, **step.headers})
            sent = part[: step.cut]
            asked.sent = len(sent)  # before they leave: the client may be quicker than this thread
            self.wfile.write(b"%x\r\n%b\r\n" % (len(sent), sent) if step.chunked else sent)
            if step.chunked and step.cut is None:
                self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
            if step.hold:
                step.hold.wait(30)
            if step.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def _head(self, asked: Asked, status: int, headers: dict[str, Any]) -> None:
            asked.status = status
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, str(value))
            self.end_headers()

        def finish(self) -> None:
            with contextlib.suppress(OSError):
                super().finish()

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the client went away
                super().handle()

    return Handler


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
