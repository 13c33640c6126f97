"""A small web server on this machine that can be told to misbehave, and what was asked of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

Fault = Callable[["Request", int], bool]


@dataclass
class Web:
    """A folder on the web. `fault` is called with every request and its number, and returns whether it answered."""

    folder: Path
    url: str = ""
    ranges: bool = True
    fault: Fault | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0


class Request(BaseHTTPRequestHandler):
    """GET of a file, or of a part of it."""

    web: Web

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.web.asked.append((self.path, self.headers.get("Range")))
        self.web.headers.append(dict(self.headers))
        if self.web.fault is None or not self.web.fault(self, len(self.web.asked)):
            self.file()

    def file(self, cut: int = 0, etag: str | None = None, ranges: bool | None = None) -> None:
        """Give the file, or the part that is asked for, without its last `cut` bytes."""
        path = self.web.folder / unquote(self.path.split("?")[0]).lstrip("/")
        if not path.is_file():
            self.answer(404)
            return
        content = path.read_bytes()
        headers = {"ETag": etag or f'"{hash(content)}"'}
        span = self.headers.get("Range")
        if span is None or not (self.web.ranges if ranges is None else ranges):
            self.answer(200, content, headers, cut)
            return
        first, last = span.removeprefix("bytes=").split("-")
        start, stop = int(first), min(int(last or len(content)) + 1, len(content))
        if start >= len(content):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self.answer(206, content[start:stop], headers, cut)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, cut: int = 0) -> None:
        """Any answer; its length is told unless `headers` tell another."""
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        part = body[: len(body) - cut] if cut else body
        self.web.sent += len(part)
        self.wfile.write(part)


@contextmanager
def served(folder: Path) -> Iterator[Web]:
    """Serve a folder while the block runs."""
    web = Web(folder)
    handler = type("Handler", (Request,), {"web": web})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        web.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()
