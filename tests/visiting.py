"""A client of a server of the web page, and forms as browsers send them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Client:
    """Asks a server."""

    address: str
    process: int

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer."""
        place = urlsplit(self.address)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, **fields: Any) -> tuple[int, Any]:
        """The same, of an answer in JSON; fields go as JSON too."""
        body = json.dumps(fields) if fields else None
        status, _, answer = self.ask(method, path, body, {"content-type": "application/json"} if fields else None)
        return status, json.loads(answer) if answer else None

    def send(self, path: str, files: dict[str, bytes], **fields: str) -> tuple[int, Any]:
        """Upload files as a form."""
        body, kind = form(files, **fields)
        status, _, answer = self.ask("POST", path, body, {"content-type": kind})
        return status, json.loads(answer)

    def ended(self, path: str, seconds: float = 120.0) -> dict[str, Any]:
        """State of a file or a job once it is done or failed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            status, told = self.json("GET", path)
            assert status == 200, told
            if told["state"] in ("done", "failed"):
                return dict(told)
            time.sleep(0.05)
        raise AssertionError(f"{path} did not end: {told}")


def form(files: dict[str, bytes], **fields: str) -> tuple[bytes, str]:
    """A form as browsers send it, and its type."""
    mark = "----of-the-tests"
    parts = [
        f'--{mark}\r\ncontent-disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()
    ]
    for name, content in files.items():
        head = f'--{mark}\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\n'
        parts.append(head.encode() + b"content-type: application/octet-stream\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"
