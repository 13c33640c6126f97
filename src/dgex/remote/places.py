"""Places that may be remote, as paths: one type for all who open, name and look beside files.

A `Remote` has a name, a suffix, a parent and children, says whether it exists, and opens by parts; a `Fetched` is a
local copy that goes by the name of where it came from. Neither is ever written to: see `dgex.remote.sending`.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgex.errors import FileError
from dgex.remote import addresses
from dgex.remote.answers import RefusedError
from dgex.remote.stores import Facts, Store, patiently, store
from dgex.remote.stream import Stream

__all__ = ["Fetched", "Remote", "is_url", "located", "place_name"]

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())

_NOWHERE = os.devnull  # a file, so that nothing can be made below it by mistake
_ZARR = ("zarr.json", ".zgroup", ".zmetadata")
_FOLDERS = ("model.json",)  # by which a folder on the web, which lists nothing, is known


class _Other(_Path):
    """A path with parts of its own and another text than these."""

    def __new__(cls, parts: tuple[str, ...], text: str) -> _Other:
        made = super().__new__(cls, *parts)
        made._text = text
        return made

    def __init__(self, parts: tuple[str, ...], text: str) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(*parts)
        self._text = text

    def with_segments(self, *segments: Any) -> Path:
        """What is derived in other ways than those below is a plain path."""
        return Path(*segments)

    def __str__(self) -> str:
        return self.__dict__.get("_text") or super().__str__()


class Remote(_Other):
    """A file or a folder at a URL; as text it is the URL without its secrets.

    Raises
    ------
    FileError
        When anything is asked of it: the server refuses, the network fails, a package is missing.
    """

    url: str

    def __new__(cls, url: str) -> Remote:
        addresses.protocol(url)
        parts = _NOWHERE, url.partition("://")[0] + ":", addresses.name(url)
        made = super().__new__(cls, parts, addresses.shown(url))
        assert isinstance(made, Remote)
        return made

    def __init__(self, url: str) -> None:
        parts = _NOWHERE, url.partition("://")[0] + ":", addresses.name(url)
        super().__init__(parts, addresses.shown(url))
        self.url = url
        self._facts: Facts | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return located, (self.url,)

    def __fspath__(self) -> str:
        return self.url

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __truediv__(self, inner: Any) -> Remote:
        return Remote(addresses.child(self.url, os.fspath(inner)))

    @property
    def parent(self) -> Remote:
        return Remote(addresses.parent(self.url))

    @property
    def store(self) -> Store:
        """Where its bytes come from."""
        return store(self.url)

    def facts(self) -> Facts:
        """What the server says of it, asked once."""
        if self._facts is None:
            source = self.store
            self._facts = patiently(self.url, source.facts)
        return self._facts

    def exists(self, **_: Any) -> bool:
        return self.is_file() or self.is_dir() or any((self / name).is_file() for name in _FOLDERS)

    def is_file(self, **_: Any) -> bool:
        try:
            return not self.facts().folder
        except RefusedError as error:
            if error.code in (404, 410) or (error.code == 403 and self.name == "model.json"):
                return False  # a bucket that may not be listed says 403 of what is not there
            raise

    def is_dir(self, **_: Any) -> bool:
        if self.suffix == ".zarr":
            return any((self / name).is_file() for name in _ZARR)
        with suppress(RefusedError):
            return self.facts().folder
        return False

    def is_symlink(self) -> bool:
        return False

    def resolve(self, strict: bool = False) -> Remote:
        return self

    def absolute(self) -> Remote:
        return self

    def glob(self, *_: Any, **__: Any) -> Any:
        return iter(())

    def stat(self, **_: Any) -> os.stat_result:
        """Of which the kind and the size alone are known."""
        facts = self.facts()
        mode = stat.S_IFDIR if facts.folder else stat.S_IFREG
        return os.stat_result((mode, 0, 0, 1, 0, 0, facts.size or 0, 0, 0, 0))

    def mkdir(self, *_: Any, **__: Any) -> None:
        raise FileError(f"{self} cannot be written by this command; give a local name and copy it there")

    def stream(self) -> Stream:
        """Open it by parts."""
        return Stream(self.store, self.facts())

    def open(self, mode: str = "r", *_: Any, **__: Any) -> Any:
        if mode != "rb":
            raise FileError(f"{self} is opened for reading bytes only, not {mode!r}")
        return io.BufferedReader(self.stream())

    def read_bytes(self) -> bytes:
        """All of a small file; see `dgex.remote.fetching` for others."""
        with self.open("rb") as handle:
            return bytes(handle.read())


class Fetched(_Other):
    """A local copy, or a local folder of copies, that goes by the name of where it came from."""

    def __new__(cls, local: str | Path, text: str) -> Fetched:
        made = super().__new__(cls, (os.fspath(local),), text)
        assert isinstance(made, Fetched)
        return made

    def __init__(self, local: str | Path, text: str) -> None:
        super().__init__((os.fspath(local),), text)
        self._local = os.fspath(local)

    def __reduce__(self) -> tuple[Any, ...]:
        return Fetched, (self._local, self._text)

    def __fspath__(self) -> str:
        return self.__dict__.get("_local") or super(_Other, self).__str__()

    def __truediv__(self, inner: Any) -> Fetched:
        return Fetched(os.path.join(self._local, inner), f"{self._text.rstrip('/')}/{inner}")

    def glob(self, *patterns: Any, **options: Any) -> Any:
        return Path(self._local).glob(*patterns, **options)


def is_url(thing: object) -> bool:
    """Whether it is a URL, as text or as a place."""
    return isinstance(thing, Remote) or addresses.is_address(thing)


def located(place: str | os.PathLike[str]) -> Path:
    """The place that a path or a URL means: what every reader takes instead of `Path(place)`.

    Raises
    ------
    FileError
        The protocol is not read.

    Examples
    --------
    >>> located("s3://bucket/plate.gctx").suffix, str(located("plate.gctx"))
    ('.gctx', 'plate.gctx')
    """
    if isinstance(place, Path):
        return place
    text = os.fspath(place)
    if not addresses.is_address(text):
        return Path(text)
    if addresses.protocol(text) == "file":
        return addresses.local_path(text)
    return Remote(text)


def place_name(place: str | os.PathLike[str]) -> str:
    """The last part of a path or URL, nothing asked of it."""
    return located(place).name
