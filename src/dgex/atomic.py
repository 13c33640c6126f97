"""Outputs that appear under their final name only when they are complete."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dgex.aliases import PathLike
from dgex.errors import DgexError, FileError, OutputExistsError

__all__ = [
    "PARTIAL",
    "atomic_file",
    "atomic_folder",
    "check_output",
    "clear_partial",
    "json_dump",
    "os_error",
    "plain",
    "readable",
    "writing",
]


PARTIAL = ".partial-"


def os_error(path: PathLike, error: OSError) -> FileError:
    """Turn an operating system's refusal to write `path` into a one-line error."""
    reason = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "permission denied",
        errno.EROFS: "the file system is read-only",
    }.get(error.errno or 0, error.strerror or str(error).splitlines()[0])
    return FileError(f"cannot write {os.fspath(path)}: {reason}; nothing was left behind")


def check_output(path: PathLike, overwrite: bool = False, inputs: Iterable[PathLike] = ()) -> Path:
    """Return `path` when it may be written, before any work is done.

    `inputs` are files that are about to be read, which are never overwritten.

    Raises
    ------
    OutputExistsError
        `path` exists and `overwrite` is False.
    FileError
        `path` is one of `inputs`, or the folder to hold it does not exist and cannot be made, or is a file.
    """
    target = Path(path)
    if any(target.resolve() == Path(source).resolve() for source in inputs):
        raise FileError(f"{target} is the file to read; give another name")
    if target.exists() and not overwrite:
        raise OutputExistsError(f"{target} exists already; give another name, or overwrite=True to replace it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise os_error(target, error) from error
    return target


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

    The temporary name keeps the suffixes of `path`, so that writers which look at the suffix work.

    Raises
    ------
    OutputExistsError
        See `check_output`.
    FileError
        The operating system refused to write (full disk, permissions).
    """
    target = check_output(path, overwrite)
    suffix = "".join(target.suffixes[-2:])
    try:
        handle, name = tempfile.mkstemp(prefix=PARTIAL, suffix=suffix, dir=target.parent)
        os.close(handle)
        os.unlink(name)  # some writers refuse a file that exists; the name stays ours in practice
    except OSError as error:
        raise os_error(target, error) from error
    temporary = Path(name)
    try:
        yield temporary
        if temporary.is_dir():  # .zarr is a folder
            _replace_folder(temporary, target)
        else:
            readable(temporary)
            os.replace(temporary, target)
    except BaseException as error:
        _remove(temporary)
        if isinstance(error, OSError) and not isinstance(error, DgexError):
            raise os_error(target, error) from error
        raise


@contextmanager
def atomic_folder(path: PathLike, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, renamed to it on success and removed on any exception.

    Raises
    ------
    OutputExistsError, FileError
        As `atomic_file`.
    """
    target = check_output(path, overwrite)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=target.parent))
    except OSError as error:
        raise os_error(target, error) from error
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        _replace_folder(temporary, target)
    except BaseException as error:
        _remove(temporary)
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


def clear_partial(folder: Path) -> None:
    """Remove what killed processes left half-written, or set aside to be replaced, anywhere in a folder of ours."""
    for path in [*folder.rglob(f"{PARTIAL}*"), *folder.rglob(".replaced-*")]:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _replace_folder(temporary: Path, target: Path) -> None:
    """Put a finished folder in place; the old one is set aside first, since a folder cannot be replaced."""
    if not target.exists():
        os.replace(temporary, target)
        return
    aside = Path(tempfile.mkdtemp(prefix=".replaced-", dir=target.parent))
    os.replace(target, aside / "old")
    os.replace(temporary, target)
    _remove(aside)
