"""Where remote bytes come from, behind one small face: the web by HTTP, all else through fsspec.

The web is asked without fsspec, because every answer has to be looked at: whether it is the part asked for, of the same
version of the file, and as long as it says.
"""

from __future__ import annotations

import base64
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from dgex._version import __version__
from dgex.errors import FileError
from dgex.limits import refuse
from dgex.progress import note
from dgex.remote.addresses import PROTOCOLS, protocol, scrubbed, shown
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

__all__ = ["Facts", "Store", "file_system", "patience", "patiently", "store"]

T = TypeVar("T")
_PIECE = 1 << 18
_OFTEN = 16  # reads through fsspec between two looks at whether the file is still the same
_VERSIONS = ("ETag", "etag", "VersionId", "generation", "md5Hash", "LastModified", "last_modified", "mtime", "created")
_PASSING = ("Connect", "Timeout", "Throttl", "SlowDown", "ServerDisconnected", "IncompleteRead", "PayloadError")

_patience = [Patience()]


def patience(new: Patience) -> Patience:
    """Set how often and how long remote files are tried; returns what it was."""
    old, _patience[0] = _patience[0], new
    return old


def patiently(url: str, action: Callable[[], T]) -> T:
    """Do something over the network, again after breaks, ever later.

    Raises
    ------
    FileError
        It failed too often, or in a way that will not pass.
    """
    most, failures = _patience[0], 0
    while True:
        try:
            return action()
        except BrokenError as broken:
            failures += 1
            wait = broken.wait if broken.wait is not None else min(60.0, 2.0 ** (failures - 1))
            if failures > most.retries or wait > LONGEST:
                raise FileError(f"cannot fetch {shown(url)}: {scrubbed(str(broken))}, {failures} times") from None
            note(f"{shown(url)}: {scrubbed(str(broken))}; trying again in {wait:.0f} s")
            most.sleep(wait)


@dataclass(frozen=True)
class Facts:
    """What is known of a remote file before it is read.

    Parameters
    ----------
    size : int or None
        Bytes; None where the server does not say.
    version : str
        Tells one content from another, as far as the server helps.
    parts : bool
        Whether any part of it can be had alone.
    folder : bool
        It is no file but a folder.
    """

    size: int | None
    version: str
    parts: bool
    folder: bool = False


class Store(Protocol):
    """One remote file."""

    url: str

    def facts(self) -> Facts:
        """Ask for size and version."""

    def read(self, start: int, stop: int, facts: Facts) -> bytes:
        """Exactly these bytes, of the version that `facts` are of."""

    def pieces(self, facts: Facts) -> Iterator[bytes]:
        """The whole file, piece by piece; a break in the middle is a `BrokenError`."""

    def whole(self, most: int) -> bytes:
        """A small file at one request; one that has more than `most` bytes is refused."""


def store(url: str) -> Store:
    """The file at a URL.

    Raises
    ------
    FileError
        The protocol is not read, or lacks its package.
    """
    return _Web(url) if protocol(url) in ("http", "https") else _Fsspec(url)


def _changed(url: str) -> FileError:
    return FileError(f"{shown(url)} changed while it was read; run the command again")


class _Web:
    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        user, _, host = parts.netloc.rpartition("@")
        self._clean = parts._replace(netloc=host, fragment="").geturl()
        self._secret = base64.b64encode(unquote(user).encode()).decode() if user else ""

    def _request(self, span: str | None) -> urllib.request.Request:
        headers = {"User-Agent": f"dgex/{__version__}", "Accept-Encoding": "identity"}
        if span is not None:
            headers["Range"] = f"bytes={span}"
        try:
            request = urllib.request.Request(self._clean, headers=headers)
        except ValueError as error:
            raise FileError(f"{shown(self.url)} is no address: {error}") from None
        if self._secret:
            request.add_unredirected_header("Authorization", f"Basic {self._secret}")
        return request

    def facts(self) -> Facts:
        # no HEAD: a signed address is signed for GET alone
        with answer(self._request("0-0"), _patience[0].timeout) as response:
            part = response.status != 200
            size = content_range(response.headers)[1] if part else content_length(response.headers)
            return Facts(size, _version(response.headers), part and size is not None)

    def read(self, start: int, stop: int, facts: Facts) -> bytes:
        with answer(self._request(f"{start}-{stop - 1}"), _patience[0].timeout) as response:
            begin, total = content_range(response.headers)
            if _version(response.headers) != facts.version or (total is not None and total != facts.size):
                raise _changed(self.url)
            if response.status != 206 or begin != start:
                raise FileError(f"{shown(self.url)}: the server gave other bytes than asked for")
            parts: list[bytes] = []
            left = stop - start
            while left > 0:
                with network(self.url):
                    part = response.read(min(left, _PIECE))
                if not part:
                    raise BrokenError(f"the connection ended after {stop - start - left:,} of {stop - start:,} bytes")
                parts.append(part)
                left -= len(part)
            return b"".join(parts)

    def pieces(self, facts: Facts) -> Iterator[bytes]:
        if facts.size == 0:  # of which no part was had: its version is not known
            return
        with answer(self._request(None), _patience[0].timeout) as response:
            if _version(response.headers) != facts.version:
                raise _changed(self.url)
            size, came = content_length(response.headers), 0
            while size is None or came < size:
                with network(self.url):
                    part = response.read1(_PIECE)
                if not part:
                    break
                came += len(part)
                yield part
            if size is not None and came < size:
                raise BrokenError(f"the connection ended after {came:,} of {size:,} bytes")

    def whole(self, most: int) -> bytes:
        with answer(self._request(None), _patience[0].timeout) as response:
            size, parts, came = content_length(response.headers), list[bytes](), 0
            while came <= most and (size is None or came < size):
                with network(self.url):
                    part = response.read1(_PIECE)
                if not part:
                    break
                parts.append(part)
                came += len(part)
            if came > most:
                raise refuse(shown(self.url), "has over", None, most)
            if size is not None and came < size:
                raise BrokenError(f"the connection ended after {came:,} of {size:,} bytes")
            return b"".join(parts)


def _version(headers: Any) -> str:
    """The ETag, or else when it was changed; a weak ETag and a strong one of the same text are alike."""
    return str(headers.get("ETag") or headers.get("Last-Modified") or "").removeprefix("W/")


def file_system(url: str) -> tuple[Any, str]:
    """What fsspec knows as the file system of a URL, and the path in it.

    Raises
    ------
    FileError
        fsspec or the package of the protocol is not installed, or refuses the address.
    """
    name = protocol(url)
    try:
        import fsspec
    except ImportError:
        needs = PROTOCOLS[name] if PROTOCOLS[name] not in ("", "fsspec") else ""
        raise FileError(
            f"{shown(url)} needs the package fsspec{f' and {needs}' if needs else ''}: "
            f"pip install 'dgex-infer[remote]'{f' {needs}' if needs else ''}"
        ) from None
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError:
        raise FileError(f"{shown(url)} needs the package {PROTOCOLS[name]}: pip install {PROTOCOLS[name]}") from None
    except Exception as error:
        raise FileError(f"cannot reach {shown(url)}: {_one_line(error)}") from None
    return system, str(path)


class _Fsspec:
    def __init__(self, url: str) -> None:
        self.url = url
        self._system, self._path = file_system(url)
        self._reads = 0

    def _ask(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except (FileError, BrokenError):
            raise
        except FileNotFoundError:
            raise _refused(self.url, "it does not exist", 404) from None
        except PermissionError as error:
            raise _refused(self.url, f"access is denied ({_one_line(error)})", 403) from None
        except Exception as error:
            said = _one_line(error)
            if isinstance(error, ConnectionError | TimeoutError) or any(w in type(error).__name__ for w in _PASSING):
                raise BrokenError(said) from None
            if "credentials" in said.lower():
                raise _refused(self.url, f"access is denied ({said})", 403) from None
            raise FileError(f"cannot fetch {shown(self.url)}: {said}") from None

    def facts(self) -> Facts:
        def ask() -> dict[str, Any]:
            self._system.invalidate_cache(self._path)
            return dict(self._system.info(self._path))

        info = self._ask(ask)
        size = info.get("size")
        version = " ".join(str(info[key]) for key in _VERSIONS if info.get(key) is not None)
        known = isinstance(size, int)
        return Facts(size if known else None, version, known, info.get("type") == "directory")

    def read(self, start: int, stop: int, facts: Facts) -> bytes:
        self._reads += 1
        if self._reads % _OFTEN == 0 and self.facts() != facts:
            raise _changed(self.url)
        part = self._ask(lambda: bytes(self._system.cat_file(self._path, start=start, end=stop)))
        if len(part) != stop - start:
            if self.facts() != facts:
                raise _changed(self.url)
            raise BrokenError(f"{len(part):,} of {stop - start:,} bytes came")
        return part

    def pieces(self, facts: Facts) -> Iterator[bytes]:
        if facts.size is None:
            raise FileError(f"cannot fetch {shown(self.url)}: its size is not known")
        step = 8 << 20
        for start in range(0, facts.size, step):
            yield self.read(start, min(start + step, facts.size), facts)
        if self.facts() != facts:
            raise _changed(self.url)

    def whole(self, most: int) -> bytes:
        part = self._ask(lambda: bytes(self._system.cat_file(self._path, start=0, end=most + 1)))
        if len(part) > most:
            raise refuse(shown(self.url), "has over", None, most)
        return part


def _refused(url: str, why: str, code: int) -> RefusedError:
    error = RefusedError(f"cannot fetch {shown(url)}: {why}")
    error.code = code
    return error


def _one_line(error: Exception) -> str:
    lines = scrubbed(str(error)).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
