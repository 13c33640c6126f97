"""What a server answers over HTTP, sorted: what may pass, what will not, and what the headers say."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

from dgex.errors import FileError
from dgex.remote.addresses import scrubbed, shown

__all__ = ["LONGEST", "BrokenError", "Patience", "RefusedError", "answer", "content_length", "content_range", "network"]

LONGEST = 600.0  # seconds that a server may ask to wait


class RefusedError(FileError):
    """A server that answered, and will not give the file: 404 and the like; `code` says which."""

    code: int | None = None


class BrokenError(Exception):
    """An attempt that failed in a way that may pass."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Patience:
    """How often and how long to try.

    Parameters
    ----------
    retries : int
        Attempts after a failure before giving up; counted anew whenever another MiB has come.
    timeout : float
        Seconds without a byte after which a connection counts as broken.
    sleep : callable
        What waits between attempts: 1, 2, 4 … 60 seconds, or what the server asks for.
    """

    retries: int = 5
    timeout: float = 60.0
    sleep: Callable[[float], None] = time.sleep


@contextmanager
def answer(request: urllib.request.Request, timeout: float) -> Iterator[Any]:
    """Open a connection and yield the server's answer: 200, 206 or 416."""
    try:
        with network(request.full_url):
            response = opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and request.has_header("Range"):
            with error:
                yield _Unsatisfied(error.headers)
            return
        said = scrubbed(" ".join(f"the server answered {error.code} {error.reason}".split()))
        error.close()
        if error.code in (408, 425, 429) or error.code >= 500:
            raise BrokenError(said, retry_after(error.headers)) from error
        refused = RefusedError(f"cannot fetch {shown(request.full_url)}: {said}")
        refused.code = error.code
        raise refused from None  # what it comes from holds the whole address
    with response:
        if response.status not in (200, 206) or (response.status == 206 and not request.has_header("Range")):
            raise RefusedError(f"cannot fetch {shown(request.full_url)}: the server answered {response.status}")
        yield response


@dataclass(frozen=True)
class _Unsatisfied:
    headers: Message
    status: int = 416


@contextmanager
def network(address: str) -> Iterator[None]:
    """Sort what the network throws: what may pass, and what will not."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        reason = error.reason
        hopeless = isinstance(reason, (str, ssl.SSLCertVerificationError)) or (
            isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME
        )
        if hopeless:
            raise FileError(f"cannot fetch {shown(address)}: {scrubbed(_said(reason))}") from None
        raise BrokenError(_said(reason)) from error
    except FileError:
        raise
    except (http.client.InvalidURL, ValueError) as error:
        raise FileError(f"cannot fetch {shown(address)}: {scrubbed(_said(error))}") from None
    except http.client.IncompleteRead as error:
        raise BrokenError("the connection broke") from error
    except (OSError, http.client.HTTPException) as error:
        raise BrokenError(_said(error)) from error


def _said(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "the server was silent for too long"
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return text.splitlines()[0].lower()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows the same scheme, and from http to https; credentials of the address stay with its server."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        before, after = req.type, urllib.parse.urlsplit(newurl).scheme.lower()
        if after != before and (before, after) != ("http", "https"):
            raise FileError(
                f"cannot fetch {shown(req.full_url)}: the server sends on from {before} to {after}, {shown(newurl)}",
                accepted="the same scheme, or https",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener() -> urllib.request.OpenerDirector:
    """Knows http and https only (and the user's proxies): no redirect leads to a local file or to FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        _Redirects,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def content_length(headers: Message) -> int | None:
    """Bytes that the body is said to have, where it is said plainly."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if re.fullmatch("[0-9]{1,18}", text) and not headers.get("Transfer-Encoding") else None


def content_range(headers: Message) -> tuple[int | None, int | None]:
    """First byte and length of the whole file, of "bytes 5-9/10" or "bytes */10"."""
    match = re.fullmatch(r"bytes\s+(?:([0-9]{1,18})-[0-9]{1,18}|\*)/([0-9]{1,18}|\*)", headers.get("Content-Range", ""))
    if not match:
        return None, None
    begin, total = match.groups()
    return (None if begin is None else int(begin)), (None if total == "*" else int(total))


def retry_after(headers: Message) -> float | None:
    """Seconds of a Retry-After header, which says seconds or a date."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
