"""Places and people taken out of what goes along with a model: of a path its last part stays, of a name nothing."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dgex.remote import addresses

__all__ = ["scrubbed", "scrubbed_text"]

_NAME = r"[^\s/\\'\"<>|,;:()\[\]]"
_LOCAL = re.compile(
    # jane@cluster:/home/jane/x, /home/jane/x, ~jane/x, ../x, C:\Users\jane\x, \\server\share\x, file:///home/jane/x
    rf"file:/+(?:{_NAME}+[/\\])*({_NAME}+)[/\\]?"
    rf"|(?<![\w.:/])(?:(?:[\w.-]+@)?[\w.-]+:)?(?:/|~[\w.-]*/|\.{{1,2}}/)(?:{_NAME}+/)+({_NAME}+)/?"
    rf"|(?<![\w.:/])(?:~[\w.-]*|\.\.?)/({_NAME}+)/?"
    rf"|(?<![\w.])(?:[A-Za-z]:[\\/]|\\\\)(?:{_NAME}+[\\/])*({_NAME}+)[\\/]?"
)
_URL = re.compile(
    rf"\b[a-z][a-z0-9+.-]*://(?:{_NAME}|[:/])*?([^\s/\\'\"<>|,;:()\[\]?#]+)/?(?:[?#]\S*)?(?=[\s'\"<>|,;()\[\]]|$)",
    re.IGNORECASE,
)
_FILE = re.compile(
    rf"(?<![\w.:/])(?:{_NAME}+/)+({_NAME}+\.(?:h5ad|zarr|gctx?|h5|csv|tsv|txt|parquet|xlsx|json|toml)(?:\.gz)?)"
)
_HOME = re.compile(rf"(?<![\w.:/])/(?:home|Users)/{_NAME}+(?![\w/.-])")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_WHOLE = re.compile(r"(?:/|~|[A-Za-z]:[\\/]|\\\\|file:/).*[/\\].*")  # a text that is one path, perhaps with spaces
_COMMON = {"root", "user", "users", "home", "admin", "data", "localhost", "ubuntu", "runner", "jovyan", "model", "test"}


def scrubbed(description: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """A description (the content of `model.json`) without paths, addresses and who made it, and how many texts changed.

    Genes stay as they are. Settings, state and normalisation lose paths alone, but for what is told there in words: the
    names of choices stand there too.
    """
    changed: list[str] = []

    def places(text: str) -> str:
        return _counted(text, _short(text, urls=True), changed)

    def people(text: str) -> str:
        return _counted(text, scrubbed_text(text, urls=True), changed)

    free = {"metrics", "training", "confidence", "training_index"}
    kept = {"genes", "sha256", "checksum", "fingerprint", "kind", "dgex", "package", "format"}
    result = {
        key: value if key in kept else _through(value, people if key in free else places)
        for key, value in description.items()
    }
    for told, key in ((result.get("normalization"), "set_name"), (result.get("state"), "expected")):
        if told and key in told:
            told[key] = _through(told[key], people)
    return result, len(changed)


def scrubbed_text(text: str, urls: bool = False) -> str:
    """A text without paths of this machine and names of its user and host; with `urls`, addresses are shortened too.

    >>> scrubbed_text("trained on /home/jane/projects/plate.h5ad")
    'trained on plate.h5ad'
    """
    text = _short(addresses.scrubbed(text), urls)
    for name in _owners():
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "someone", text, flags=re.IGNORECASE)
    return _MAIL.sub("someone", text)


def _short(text: str, urls: bool) -> str:
    if _WHOLE.fullmatch(text) and not _HOME.fullmatch(text):
        return re.split(r"[/\\]", text.rstrip("/\\"))[-1]
    text = _HOME.sub("someone", text)
    if urls:
        text = _URL.sub(lambda match: match[1], text)
        text = _FILE.sub(lambda match: match[1], text)
    return _LOCAL.sub(lambda match: next(group for group in match.groups() if group is not None), text)


def _owners() -> list[str]:
    """Names of who runs this and of the machine, but for those that tell nobody."""
    found = {Path.home().name}
    with suppress(OSError, KeyError, ImportError):  # no such user in a container
        found.add(getpass.getuser())
    host = socket.gethostname()
    found |= {host, host.split(".")[0]}
    return sorted((name for name in found if len(name) > 2 and name.lower() not in _COMMON), key=len, reverse=True)


def _counted(before: str, after: str, changed: list[str]) -> str:
    if after != before:
        changed.append(before)
    return after


def _through(value: Any, change: Callable[[str], str]) -> Any:
    """All texts of a value changed, keys too; two keys that become one are numbered."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_through(inner, change) for inner in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, inner in value.items():
        name, number = change(key), 1
        while name in result:
            number += 1
            name = f"{change(key)} ({number})"
        result[name] = _through(inner, change)
    return result
