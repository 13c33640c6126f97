"""URLs as text: which are taken, what they are called without their secrets, and what lies beside them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit
from urllib.request import url2pathname

from dgex.errors import FileError

__all__ = ["PROTOCOLS", "child", "is_address", "local_path", "name", "parent", "protocol", "scrubbed", "shown"]

#: What is read, and the package that brings it beside fsspec; https needs none.
PROTOCOLS = {
    "file": "",
    "http": "",
    "https": "",
    "memory": "fsspec",
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "hf": "huggingface_hub",
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ANY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
# Parameters that say which file it is. All others may be signatures, tokens and keys, and are left out of every text.
_HARMLESS = frozenset(
    {"acc", "download", "dl", "file", "filename", "format", "generation", "id", "name", "persistentid", "version"}
    | {"versionid"}
)


def is_address(thing: object) -> bool:
    """Whether it is the text of a URL.

    >>> is_address("s3://bucket/plate.gctx"), is_address("GTEx=s3://bucket/plate.gctx"), is_address("plate.gctx")
    (True, False, False)
    """
    return isinstance(thing, str) and _URL.match(thing) is not None


def protocol(url: str) -> str:
    """The scheme of a URL, one of those that are read.

    Raises
    ------
    FileError
    """
    found = url.partition("://")[0].lower()
    if "::" in url.partition("?")[0] or found not in PROTOCOLS:
        raise FileError(
            f"{shown(url)}: addresses of {found}:// are not read",
            accepted=", ".join(f"{known}://" for known in PROTOCOLS),
        )
    try:
        urlsplit(url)
    except ValueError as error:
        raise FileError(f"{shown(url)} is no address: {str(error)[:80]}") from None
    return found


def shown(url: str) -> str:
    """A URL without user, password, and whatever of its query may be a secret.

    >>> shown("https://me:secret@host/plate.gctx?file=a&X-Amz-Signature=0123")
    'https://host/plate.gctx?file=a'
    """
    try:
        parts = urlsplit(url)
        kept = [(key, value) for key, value in parse_qsl(parts.query) if key.lower() in _HARMLESS]
    except ValueError:  # no address at all: what it may hide is not told apart
        return url.partition("://")[0] + "://…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(kept), ""))


def scrubbed(text: str) -> str:
    """Text of another program with every URL in it as `shown`."""
    return _ANY.sub(lambda found: shown(found[0]), text)


def name(url: str) -> str:
    """The last part of a URL's path: what the file is called.

    >>> name("https://host/a/plate%20one.gctx?download=1")
    'plate one.gctx'
    """
    last = _path(url).rstrip("/").rpartition("/")[2]
    last = unquote(last) if _web(url) else last
    return last.replace("/", "_").replace("\0", "") if last not in ("", ".", "..") else "unnamed"


def child(url: str, inner: str) -> str:
    """The URL of something inside a folder; a query stays, for it may be what lets one in.

    >>> child("https://host/model/?token=1", "model.json"), child("s3://bucket/model", "model.json")
    ('https://host/model/model.json?token=1', 's3://bucket/model/model.json')
    """
    if not _web(url):
        base, mark, query = url.partition("?")
        return f"{base.rstrip('/')}/{inner}{mark}{query}"
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(inner)}", fragment=""))


def parent(url: str) -> str:
    """The URL of the folder that something lies in; that of a whole server or bucket is its own."""
    path = _path(url).rstrip("/")
    above = path.rpartition("/")[0]
    return url if not above else url.replace(path, above, 1)


def local_path(url: str) -> Path:
    """Where a `file://` URL lies.

    Raises
    ------
    FileError
        It names another host.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise FileError(f"{shown(url)} names the host {parts.netloc!r}", accepted="file:///path")
    return Path(url2pathname(parts.path))


def _web(url: str) -> bool:
    return url.partition("://")[0].lower() in ("http", "https")


def _path(url: str) -> str:
    """The path of a URL; of all but those of the web with the name of the bucket."""
    return urlsplit(url).path if _web(url) else url.partition("://")[2].partition("?")[0]
