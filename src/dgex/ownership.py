"""What dgex wrote, and may therefore remove: every folder that it makes holds a list of its own files.

The list is the hidden file `.dgex.json` of the folder: paths within it, patterns of names where a run writes many
(`state-*.safetensors`), and, ending with a slash, folders. A folder in it that has a list of its own counts where its
name is on the list. No name that a file tells is ever joined to a path to be removed: the folder is walked, links are
not followed, and what is found there and is on the list goes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from dgex._version import __version__
from dgex.errors import FileError, OutputExistsError, first
from dgex.records import read_json

__all__ = [
    "LIST",
    "LOCK",
    "PARTIAL",
    "discard",
    "is_listed",
    "listed",
    "others",
    "put_list",
    "refuse_others",
    "remove",
    "safe_name",
]

LIST = ".dgex.json"
PARTIAL = ".dgex-partial-"  # names of what is being written begin so
LOCK = ".dgex-lock-"  # and those that say who is at work
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_LARGEST = 100_000_000  # bytes of a list that is read: far above that of a zarr store of a million chunks


def safe_name(name: object, what: str) -> str:
    """Give back a name that a file told, where it can be a name in a folder and nothing else.

    Raises
    ------
    FileError
        It is no text, is empty or longer than 200, begins with no letter or digit, or has other than `.-_` in it.
    """
    if isinstance(name, str) and _SAFE.fullmatch(name):
        return name
    raise FileError(what, found=repr(name)[:80], accepted="letters, digits and .-_, a letter or digit first")


def put_list(folder: Path, files: Iterable[str] | None = None, patterns: Iterable[str] = ()) -> None:
    """Write the list of a folder: `files`, or all that is in it now, and `patterns` (`*`: any text without a slash)."""
    listed = {"dgex": __version__, "files": sorted(set(_found(folder) if files is None else files))}
    if patterns:
        listed["patterns"] = sorted(set(patterns))
    temporary = folder / f"{PARTIAL}{os.getpid()}{LIST}"
    temporary.write_text(json.dumps(listed, indent=0, ensure_ascii=False), "utf-8", "surrogateescape")
    os.replace(temporary, folder / LIST)


def listed(folder: Path) -> tuple[set[str], set[str]]:
    """The names and the patterns of a folder's list; none where it has no list or a damaged one."""
    try:
        if not is_listed(folder):
            return set(), set()
        said = read_json(folder / LIST, _LARGEST)
        return {*map(str, said["files"])}, {*map(str, said.get("patterns", []))}
    except (OSError, KeyError, TypeError, AttributeError):
        return set(), set()


def is_listed(folder: Path) -> bool:
    """Whether a folder has a list, so that dgex made it."""
    return (folder / LIST).is_file() and not (folder / LIST).is_symlink()


def others(folder: Path) -> list[str]:
    """Paths in a folder that are on no list of what dgex wrote there, sorted."""
    return sorted(name for name, ours in _walk(folder) if not ours)


def refuse_others(folder: Path) -> None:
    """Refuse to replace or to empty a folder in which anything but dgex's own files lies.

    Raises
    ------
    OutputExistsError
        Names the first of them.
    """
    found = others(folder)
    if found:
        unlisted = "" if is_listed(folder) else f", and {folder} has no list of what dgex wrote"
        raise OutputExistsError(
            f"{folder} holds {first(found, 3)}, which dgex did not write there{unlisted}; none of it is removed: move "
            "it elsewhere, or give another name"
        )


def remove(folder: Path, last: str = "") -> None:
    """Remove what is on the lists of a folder, `last` and then the lists at the end, and folders that are left empty.

    Whatever else lies there stays.
    """
    ours = [name for name, own in _walk(folder) if own]
    for name in sorted(ours, key=lambda name: (name.rpartition("/")[2] == LIST, name == last)):
        inner = folder / name
        if inner.name != LIST or os.listdir(inner.parent) == [LIST]:
            inner.unlink(missing_ok=True)
    homes = {folder, *(parent for name in ours for parent in (folder / name).parents if folder in parent.parents)}
    for home in sorted(homes, key=lambda home: -len(home.parts)):
        with suppress(OSError):
            if os.listdir(home) == [LIST]:
                (home / LIST).unlink()
            home.rmdir()


def discard(path: Path) -> None:
    """Remove something half-written of this program's, a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _walk(folder: Path) -> Iterator[tuple[str, bool]]:
    """Every file and link below a folder, and every folder that is somebody's, and whether it is dgex's own."""
    yield from _inside(folder, "", _Entries(folder), "")


class _Entries:
    """The entries of one list."""

    def __init__(self, folder: Path) -> None:
        self._names, patterns = listed(folder)
        self._patterns = [re.compile(re.escape(pattern).replace(r"\*", "[^/]*")) for pattern in patterns]

    def have(self, name: str) -> bool:
        return name in self._names or any(pattern.fullmatch(name) for pattern in self._patterns)


def _inside(folder: Path, prefix: str, entries: _Entries, base: str) -> Iterator[tuple[str, bool]]:
    """`prefix`: where `folder` is below the folder asked about; `base`: below the one whose list is `entries`."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name, shown = f"{base}{entry.name}", f"{prefix}{entry.name}"
        if entry.name.startswith((PARTIAL, LOCK)):
            continue  # comes and goes
        if not entry.is_dir(follow_symlinks=False):
            yield shown, entries.have(name) or (entry.name == LIST and is_listed(folder))
        elif is_listed(Path(entry.path)):
            if entries.have(f"{name}/"):
                yield from _inside(Path(entry.path), f"{shown}/", _Entries(Path(entry.path)), "")
            else:
                yield f"{shown}/", False
        else:
            inner = list(_inside(Path(entry.path), f"{shown}/", entries, f"{name}/"))
            yield from inner
            if not inner and not entries.have(f"{name}/"):
                yield f"{shown}/", False  # an empty folder of somebody's


def _found(folder: Path) -> Iterator[str]:
    """Files and links below a folder, folders that are empty, and those that have a list of their own."""
    for entry in os.scandir(folder):
        if not entry.is_dir(follow_symlinks=False):
            if entry.name != LIST:
                yield entry.name
            continue
        inner = [] if is_listed(Path(entry.path)) else [f"{entry.name}/{name}" for name in _found(Path(entry.path))]
        yield from inner or [f"{entry.name}/"]
