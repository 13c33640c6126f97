"""One file over HTTP: resumed by ranges, tried again after breaks, never mixed of two versions of the file."""

from __future__ import annotations

import errno
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dgex import progress
from dgex._version import __version__
from dgex.atomic import json_dump
from dgex.datasets.public.meter import Meter, size_text
from dgex.errors import FileError
from dgex.records import read_json
from dgex.remote.answers import (
    LONGEST,
    BrokenError,
    Patience,
    RefusedError,
    answer,
    content_length,
    content_range,
    network,
)

__all__ = ["Patience", "RefusedError", "Remote", "discard", "disk_error", "fetch", "sidecar"]

BLOCK = 1 << 18  # bytes read at a time
ENOUGH = 1 << 20  # bytes of progress after which the count of failures begins anew


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
            except BrokenError as broken:
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
    with answer(urllib.request.Request(address, headers=headers), timeout) as response:
        if response.status == 416:
            return _beyond(response, partial, have, before)
        part = response.status == 206
        begin, total = content_range(response.headers) if part else (0, content_length(response.headers))
        now = Remote(address, response.headers.get("ETag"), response.headers.get("Last-Modified"), total)
        total = before.length if part and total is None else total
        if part and (begin != have or before.differs(now)):
            discard(partial)
            raise BrokenError("the server gave a part of another version of the file")
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
        raise BrokenError(f"the connection ended after {have:,} of {total:,} bytes")
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
            with network(address):
                block = response.read1(BLOCK if total is None else min(BLOCK, total - have))
            if not block:
                break
            output.write(block)
            output.flush()
            have += len(block)
            meter.advance(len(block))


def _beyond(response: Any, partial: Path, have: int, before: Remote) -> Remote:
    """The server has no byte after those that are here: they are all, or they are of another file."""
    total = content_range(response.headers)[1]
    if total == have and before.length in (None, have):
        return Remote(before.address, before.etag, before.last_modified, have)
    discard(partial)
    raise BrokenError(f"the server has no bytes after {have:,}, which it promised")


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
