"""One file over HTTP: resumed by ranges, tried again after breaks, never mixed of two versions of the file."""

from __future__ import annotations

import errno
import http.client
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from dgex import progress
from dgex._version import __version__
from dgex.atomic import json_dump
from dgex.datasets.public.meter import Meter, size_text
from dgex.errors import FileError
from dgex.records import read_json

__all__ = ["Patience", "RefusedError", "Remote", "discard", "disk_error", "fetch", "sidecar"]

BLOCK = 1 << 18  # bytes read at a time
ENOUGH = 1 << 20  # bytes of progress after which the count of failures begins anew
LONGEST = 600.0  # seconds that a server may ask to wait


class RefusedError(FileError):
    """A server that answered, and will not give the file: 404 and the like."""


class _BrokenError(Exception):
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


@dataclass(frozen=True)
class Remote:
    """What tells one version of a remote file from another."""

    address: str
    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None

    def resumable(self) -> bool:
        """Whether a later answer can be recognised as the same file."""
        return self.etag is not None or self.last_modified is not None

    def differs(self, other: Remote) -> bool:
        """Whether anything that both know says otherwise; weak and strong ETags compare by their text."""
        mine = ((self.etag or "").removeprefix("W/") or None, self.last_modified, self.length)
        theirs = ((other.etag or "").removeprefix("W/") or None, other.last_modified, other.length)
        return any(a is not None and b is not None and a != b for a, b in zip(mine, theirs))


def sidecar(partial: Path) -> Path:
    """The file beside `partial` that says of which remote file it is a part."""
    return partial.with_name(partial.name + ".json")


def discard(partial: Path) -> None:
    """Remove what came of a file; the bytes first, so that they never stand beside another file's description."""
    partial.unlink(missing_ok=True)
    sidecar(partial).unlink(missing_ok=True)


def fetch(address: str, partial: Path, size: int | None = None, patience: Patience | None = None) -> Remote:
    """Bring the bytes at `address` into `partial`, going on from those that are there already.

    Parameters
    ----------
    address : str
        http or https.
    partial : Path
        Grows as bytes come, and stays after a failure; `sidecar(partial)` says what it is a part of.
    size : int, optional
        Published size in bytes; another one is refused before anything is fetched.
    patience : Patience, optional
        How often to try again.

    Returns
    -------
    Remote
        The version that `partial` now holds whole.

    Raises
    ------
    RefusedError
        The server will not give the file.
    FileError
        Another size than published, too many failures, no room or no right to write.
    """
    patience = patience or Patience()
    failures, furthest = 0, 0
    with Meter(partial.name.removesuffix(".partial")) as meter:
        while True:
            try:
                return _attempt(address, partial, size, patience.timeout, meter)
            except _BrokenError as broken:
                have = _length(partial)
                failures = 1 if have >= furthest + ENOUGH else failures + 1
                furthest = max(furthest, have)
                wait = broken.wait if broken.wait is not None else min(60.0, 2.0 ** (failures - 1))
                if failures > patience.retries or wait > LONGEST:
                    asked = f", and asks to wait {wait:,.0f} s" if wait > LONGEST else f", {failures} times"
                    have = _so_far(address, partial)[0]
                    advice = f"; {size_text(have)} are kept, and the same command goes on from there" if have else ""
                    raise FileError(f"cannot fetch {address}: {broken}{asked}{advice}") from broken
                progress.note(f"{partial.name.removesuffix('.partial')}: {broken}; trying again in {wait:.0f} s")
                patience.sleep(wait)


def _attempt(address: str, partial: Path, size: int | None, timeout: float, meter: Meter) -> Remote:
    """One connection. Returns when `partial` is whole."""
    have, before = _so_far(address, partial)
    if before.length is not None and have == before.length:
        return before
    headers = {"User-Agent": f"dgex/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        strong = before.etag if before.etag and not before.etag.startswith("W/") else None
        if strong or before.last_modified:
            headers["If-Range"] = strong or str(before.last_modified)
    with _answer(urllib.request.Request(address, headers=headers), timeout) as response:
        if response.status == 416:
            return _beyond(response, partial, have, before)
        part = response.status == 206
        begin, total = _range(response.headers) if part else (0, _content_length(response.headers))
        now = Remote(address, response.headers.get("ETag"), response.headers.get("Last-Modified"), total)
        total = before.length if part and total is None else total
        if part and (begin != have or before.differs(now)):
            discard(partial)
            raise _BrokenError("the server gave a part of another version of the file")
        if response.headers.get("Content-Encoding", "identity") != "identity" and not address.endswith(".gz"):
            raise RefusedError(f"cannot fetch {address}: the server compressed it, which it was asked not to")
        if size is not None and total is not None and total != size:
            discard(partial)
            raise FileError(f"{address} has {total:,} bytes on the server, published are {size:,}; nothing was kept")
        if not part:
            if have:
                progress.note(f"{partial.name.removesuffix('.partial')}: starting anew, the server gave the whole file")
            have = 0
            with disk_error(partial):
                discard(partial)
                json_dump(asdict(now), sidecar(partial))
        _room(partial, address, None if total is None else total - have)
        meter.start(total, have)
        _copy(address, response, partial, have, total, meter)
    have = _length(partial)
    if total is not None and have < total:
        raise _BrokenError(f"the connection ended after {have:,} of {total:,} bytes")
    whole = Remote(address, now.etag, now.last_modified, have)
    with disk_error(partial):
        json_dump(asdict(whole), sidecar(partial))
    return whole


def _so_far(address: str, partial: Path) -> tuple[int, Remote]:
    """How many bytes can be built on, and of which version they are."""
    nothing = 0, Remote(address)
    have = _length(partial)
    try:
        before = Remote(**read_json(sidecar(partial)))
    except (OSError, ValueError, TypeError):
        return nothing
    whole = before.length is not None and have == before.length
    if before.address != address or not have or not (before.resumable() or whole):
        return nothing
    return have, before


def _length(partial: Path) -> int:
    return partial.stat().st_size if partial.is_file() else 0


def _copy(address: str, response: Any, partial: Path, have: int, total: int | None, meter: Meter) -> None:
    """Append the body to `partial`, as far as the promised length and every byte as soon as it is there."""
    with disk_error(partial), open(partial, "ab" if have else "wb") as output:
        while total is None or have < total:
            with _network(address):
                block = response.read1(BLOCK if total is None else min(BLOCK, total - have))
            if not block:
                break
            output.write(block)
            output.flush()
            have += len(block)
            meter.advance(len(block))


def _beyond(response: Any, partial: Path, have: int, before: Remote) -> Remote:
    """The server has no byte after those that are here: they are all, or they are of another file."""
    total = _range(response.headers)[1]
    if total == have and before.length in (None, have):
        return Remote(before.address, before.etag, before.last_modified, have)
    discard(partial)
    raise _BrokenError(f"the server has no bytes after {have:,}, which it promised")


def _room(partial: Path, address: str, needed: int | None) -> None:
    free = shutil.disk_usage(partial.parent).free
    if needed is not None and needed > free:
        raise FileError(
            f"no room for {address}: {size_text(needed)} to come, {size_text(free)} free in {partial.parent}"
        )


@contextmanager
def disk_error(path: Path) -> Iterator[None]:
    """Turn a refusal to write into one line that says what becomes of the bytes that came."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        reason = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}.get(error.errno or 0)
        reason = reason or (error.strerror or str(error)).lower()
        raise FileError(f"cannot write {path}: {reason}; what came is kept, and the same command goes on") from error


@contextmanager
def _answer(request: urllib.request.Request, timeout: float) -> Iterator[Any]:
    """Open a connection and yield the server's answer: 200, 206 or 416."""
    try:
        with _network(request.full_url):
            response = _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and request.has_header("Range"):
            with error:
                yield _Unsatisfied(error.headers)
            return
        said = " ".join(f"the server answered {error.code} {error.reason}".split())
        error.close()
        if error.code in (408, 425, 429) or error.code >= 500:
            raise _BrokenError(said, _retry_after(error.headers)) from error
        raise RefusedError(f"cannot fetch {request.full_url}: {said}") from error
    with response:
        if response.status not in (200, 206) or (response.status == 206 and not request.has_header("Range")):
            raise RefusedError(f"cannot fetch {request.full_url}: the server answered {response.status}")
        yield response


@dataclass(frozen=True)
class _Unsatisfied:
    headers: Message
    status: int = 416


@contextmanager
def _network(address: str) -> Iterator[None]:
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
            raise FileError(f"cannot fetch {address}: {_said(reason)}") from error
        raise _BrokenError(_said(reason)) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise FileError(f"cannot fetch {address}: {_said(error)}") from error
    except http.client.IncompleteRead as error:
        raise _BrokenError("the connection broke") from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_said(error)) from error


def _said(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "the server was silent for too long"
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return text.splitlines()[0].lower()


def _opener() -> urllib.request.OpenerDirector:
    """Knows http and https only (and the user's proxies): no redirect leads to a local file or to FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _content_length(headers: Message) -> int | None:
    text = headers.get("Content-Length", "").strip()
    return int(text) if re.fullmatch("[0-9]{1,18}", text) and not headers.get("Transfer-Encoding") else None


def _range(headers: Message) -> tuple[int | None, int | None]:
    """First byte and length of the whole file, of "bytes 5-9/10" or "bytes */10"."""
    match = re.fullmatch(r"bytes\s+(?:([0-9]{1,18})-[0-9]{1,18}|\*)/([0-9]{1,18}|\*)", headers.get("Content-Range", ""))
    if not match:
        return None, None
    begin, total = match.groups()
    return (None if begin is None else int(begin)), (None if total == "*" else int(total))


def _retry_after(headers: Message) -> float | None:
    """Seconds of a Retry-After header, which says seconds or a date."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
