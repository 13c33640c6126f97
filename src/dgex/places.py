"""Where an output may be written: one rule for every command and every kind of place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dgex.aliases import PathLike
from dgex.errors import FileError, OutputExistsError, os_error
from dgex.locks import alone
from dgex.ownership import refuse_others
from dgex.remote.addresses import PROTOCOLS
from dgex.remote.places import Remote, is_url, located

__all__ = ["MARKER", "absent", "check_inputs", "check_output", "claim", "home_of", "paths_of", "split_name"]

MARKER = "shards.json"  # says, in a folder that several processes fill with parts, what they are parts of

# what is left of a URL that was made a path before it came here: writing it would make a folder of that name
_COLLAPSED = {(f"{protocol}:",) for protocol in PROTOCOLS}
_NAMED = re.compile(r"^([A-Za-z0-9][\w.+ -]*)=(.+)$")


def check_output(
    path: PathLike, overwrite: bool = False, inputs: Iterable[Any] = (), folder: bool | None = None
) -> Path:
    """Return `path` when it may be written, before any work is done.

    Parameters
    ----------
    path : path
        The output.
    overwrite : bool
        Replace what is there: a file, or a folder that holds nothing but what dgex wrote there.
    inputs : iterable
        What is about to be read. Paths among it may neither lie in the output nor be it or hold it, links resolved.
    folder : bool, optional
        Whether the output is a folder. None: it is where its name ends with `.zarr`.

    Raises
    ------
    OutputExistsError
        `path` exists and `overwrite` is False, or it holds what dgex did not write.
    FileError
        `path` is a link, a device, a mount point, the folder one stands in, one of `inputs`, or in the way of them, or
        the folder to hold it cannot be made.
    """
    target = located(path)
    if isinstance(target, Remote) or target.parts[:1] in _COLLAPSED:
        raise FileError(f"{target} is no place that this command writes to; give a local name, and copy it there")
    folder = target.suffix == ".zarr" if folder is None else folder
    _check_kind(target, folder)
    check_inputs(target, inputs)
    if target.exists():
        if not overwrite:
            raise OutputExistsError(f"{target} exists already; give another name, or overwrite=True to replace it")
        if target.is_dir():
            refuse_others(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise os_error(target, error) from error
    return target


def home_of(output: PathLike) -> Path:
    """Where parts of `output` lie until they are sealed: in itself, or, of a `.zarr`, in a folder beside it."""
    target = Path(os.fspath(output).rstrip("/"))
    return target.with_name(f"{target.name}.parts") if target.suffix == ".zarr" else target


def absent(path: PathLike) -> FileError:
    """What is to be said of an input that does not exist."""
    if not isinstance(located(path), Remote) and (home_of(path) / MARKER).is_file():
        return FileError(f"{path} is not sealed yet: `dgex seal {path}` checks its parts in {home_of(path)}")
    return FileError(f"{path} does not exist")


def check_inputs(output: PathLike, inputs: Iterable[Any]) -> None:
    """Refuse an output that is, holds, or lies in what is about to be read, links resolved.

    Raises
    ------
    FileError
        Names the input.
    """
    target = located(output)
    real = target.resolve()
    for source in paths_of(inputs):
        if isinstance(source, Remote):
            continue
        found = source.resolve()
        if found == real or (target.exists() and source.exists() and os.path.samefile(target, source)):
            raise FileError(f"{target} is the file to read; give another name")
        if real in found.parents:
            raise FileError(f"{source}, which is to be read, lies in {target}; give another name for the output")
        if found in real.parents and found.is_dir():
            raise FileError(f"{target} lies in {source}, which is to be read; give another name for the output")


def split_name(text: str) -> tuple[str | None, str]:
    """Name and path of an input written `NAME=PATH`; no name where it is a path as it stands."""
    named = _NAMED.match(text)
    return (named[1], named[2]) if named and not is_url(text) and not Path(text).exists() else (None, text)


def paths_of(things: Iterable[Any]) -> list[Path]:
    """The paths among inputs: paths themselves, `NAME=PATH`, files that an AnnData is backed by, and lists of these."""
    paths: list[Path] = []
    for thing in things:
        if isinstance(thing, list | tuple):
            paths += paths_of(thing)
            continue
        backing = getattr(thing, "filename", None) if not isinstance(thing, str | os.PathLike) else thing
        if isinstance(backing, str | os.PathLike):
            paths.append(located(split_name(os.fspath(backing))[1]))
    return paths


@contextmanager
def claim(
    path: PathLike,
    command: str,
    *,
    overwrite: bool = False,
    inputs: Iterable[Any] = (),
    folder: bool | None = None,
) -> Iterator[Path]:
    """Have an output to oneself from before the work until it is written; see `check_output` and `alone`."""
    inputs = list(inputs)
    check_output(path, overwrite, inputs, folder)
    with alone(path, command):
        yield check_output(path, overwrite, inputs, folder)  # again: another process may just have made it


def _check_kind(target: Path, folder: bool) -> None:
    if target.is_symlink():
        raise FileError(f"{target} is a link to {os.readlink(target)}; give the place itself")
    if not target.exists():
        return
    if not (target.is_dir() or target.is_file()):
        raise FileError(f"{target} is a device or a pipe, accepted: the name of a {'folder' if folder else 'file'}")
    if target.is_dir() != folder:
        is_, wanted = ("folder", "file") if target.is_dir() else ("file", "folder")
        raise FileError(f"{target} is a {is_} and the output is a {wanted}; give another name")
    if folder and target.resolve() in (here := Path.cwd().resolve(), *here.parents):
        raise FileError(f"{target} is the folder that this runs in, or above it; give a name in it")
    if folder and os.path.ismount(target):
        raise FileError(f"{target} is a mount point, which cannot be replaced; give a name in it")
