"""Outputs that appear under their final name only when they are complete, folders with a list of what they hold."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from dgex.aliases import PathLike
from dgex.errors import DgexError, os_error
from dgex.locks import OLD, alone, beside, held
from dgex.ownership import discard, others, put_list, refuse_others
from dgex.places import check_output

__all__ = [
    "atomic_file",
    "atomic_folder",
    "json_dump",
    "plain",
    "put_folder",
    "readable",
    "writing",
]

_PATIENCE = 10.0  # seconds to wait for another process that writes the same small file
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


@contextmanager
def writing(path: PathLike) -> Iterator[None]:
    """Turn what safetensors says of a full disk, while `path` is written, into the usual one line."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        full = "No space left" in str(error) or "File too large" in str(error)
        raise os_error(path, OSError(errno.ENOSPC if full else errno.EIO, str(error))) from error


def readable(path: Path) -> None:
    """Give a file the mode that the user's umask asks for; some writers make theirs private."""
    os.chmod(path, 0o666 & ~_umask())


@contextmanager
def atomic_file(path: PathLike, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it on success and removed on any exception.

    The temporary name keeps the suffixes of `path`, so that writers which look at the suffix work. A `.zarr` is a
    folder, and comes to its place as `atomic_folder` brings one.

    Raises
    ------
    OutputExistsError
        See `check_output`.
    FileError
        The operating system refused to write (full disk, permissions), or another process writes there.
    """
    with _temporary(path, overwrite, None) as (temporary, target):
        yield temporary
        if temporary.is_dir():
            put_folder(temporary, target)
        else:
            readable(temporary)
            os.replace(temporary, target)


@contextmanager
def atomic_folder(path: PathLike, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, renamed to it on success and removed on any exception.

    Raises
    ------
    OutputExistsError, FileError
        As `atomic_file`.
    """
    with _temporary(path, overwrite, True) as (temporary, target):
        temporary.mkdir()
        yield temporary
        put_folder(temporary, target)


@contextmanager
def _temporary(path: PathLike, overwrite: bool, folder: bool | None) -> Iterator[tuple[Path, Path]]:
    """A name to write under and the final one; what is left under the first is removed, however the block ends."""
    target = check_output(path, overwrite, folder=folder)
    temporary = beside(target)
    with nullcontext() if held(target) else alone(target, "process", _PATIENCE):
        try:
            yield temporary, target
        except BaseException as error:
            discard(temporary)
            if isinstance(error, OSError) and not isinstance(error, DgexError):
                raise os_error(target, error) from error
            raise


def json_dump(value: Any, path: PathLike, overwrite: bool = True) -> None:
    """Write `value` as indented JSON under `path`, whole or not at all."""
    with atomic_file(path, overwrite) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, default=plain) + "\n", "utf-8")


def plain(value: Any) -> Any:
    """Numpy scalars and arrays, and paths, as JSON knows them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot write a {type(value).__name__} as JSON")


_reading_umask = threading.Lock()


def _umask() -> int:
    with _reading_umask:  # reading sets it: a second thread in between would take 0 for the user's
        mask = os.umask(0)
        os.umask(mask)
    return mask


def put_folder(temporary: Path, target: Path) -> None:
    """Put a finished folder in place with the list of its files; an old one changes places with it and is removed."""
    put_list(temporary)
    if not target.exists():
        os.replace(temporary, target)
        return
    refuse_others(target)  # again: the work may have taken hours
    _exchange(temporary, target)
    if others(temporary):  # came in just now
        _exchange(temporary, target)
        refuse_others(target)
    discard(temporary)


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places, at one stroke where the system can."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    swap = getattr(libc, "renameat2", None)
    if swap is not None and swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return
    aside = beside(other, OLD)
    os.replace(other, aside)
    os.replace(one, other)
    os.replace(aside, one)
