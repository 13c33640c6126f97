"""One process at a time at each output: a second one is refused, and what a dead one left half-written is removed."""

from __future__ import annotations

import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dgex.aliases import PathLike
from dgex.errors import FileError, os_error
from dgex.inputs import regular
from dgex.ownership import LOCK, PARTIAL, discard
from dgex.progress import note

__all__ = ["alone", "beside", "clear_dead", "held"]

OLD = "old"  # ends the token of what is set aside to be replaced
_held: set[Path] = set()  # outputs that this process works on
_guard = threading.Lock()


@contextmanager
def alone(path: PathLike, command: str, patience: float = 0.0) -> Iterator[None]:
    """Keep a second process from working on `path`; the lock ends with the process, however it ends.

    A hidden file beside the output, `.dgex-lock-NAME`, is locked; it says who holds it, and is removed at the end.
    Half-written files of the same output are of processes that died, and are removed.

    Parameters
    ----------
    path : path
        The output, a file or a folder, there or not.
    command : str
        Who works on it, for the message of the other.
    patience : float
        Seconds to wait for another process.

    Raises
    ------
    FileError
        Another process is at work there, or the place cannot be written.
    """
    target = Path(os.path.abspath(path))
    handle, file = _locked(target, path, command, patience)
    with _guard:
        _held.add(target)
    try:
        _tidy(target)
        yield
    finally:
        with _guard:
            _held.discard(target)
        if file is not None:
            file.unlink(missing_ok=True)
        os.close(handle)


def held(path: PathLike) -> bool:
    """Whether this process has `path` to itself already."""
    with _guard:
        return Path(os.path.abspath(path)) in _held


def beside(target: Path, mark: str = "") -> Path:
    """A name beside `target` for what is to take its place; the suffixes are those of `target`."""
    return target.with_name(f"{PARTIAL}{os.getpid()}.{secrets.token_hex(4)}{mark}-{_short(target.name)}")


def clear_dead(folder: Path) -> None:
    """Remove what killed processes left half-written anywhere in a folder of ours; what somebody is at stays."""
    for left in [*folder.rglob(f"{PARTIAL}*"), *folder.rglob(f"{LOCK}*")]:
        of_lock = left.name.startswith(LOCK)
        name = left.name.removeprefix(LOCK) if of_lock else left.name.removeprefix(PARTIAL).partition("-")[2]
        if not _taken(left.with_name(f"{LOCK}{name}")):
            discard(left)


def _taken(file: Path) -> bool:
    """Whether a process that lives holds a lock."""
    try:
        import fcntl

        handle = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return _lives(handle)
    finally:
        os.close(handle)
    return False


def _short(name: str) -> str:
    return name[-200:]  # with what comes before it no file system's limit of 255 is met


def _tidy(target: Path) -> None:
    """Remove what a process that was killed left beside an output that we have to ourselves."""
    with suppress(OSError):
        for left in target.parent.glob(f"{PARTIAL}*"):
            token, _, name = left.name.removeprefix(PARTIAL).partition("-")
            if name != _short(target.name) or token.startswith(f"{os.getpid()}."):
                continue  # of another output, or of another thread
            if token.endswith(OLD) and not os.path.lexists(target):
                os.replace(left, target)  # it was about to be replaced
            else:
                discard(left)
                note(f"removed {left}: half-written by a run that was killed")


def _locked(target: Path, path: PathLike, command: str, patience: float) -> tuple[int, Path | None]:
    """Take the lock; gives the open file and its name, None where the folder itself is locked."""
    try:
        import fcntl
    except ImportError:  # Windows
        return os.open(os.devnull, os.O_RDONLY), None
    until = time.monotonic() + patience
    while True:
        handle, file = _opened(target, path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = _said(handle)
            os.close(handle)
            if time.monotonic() < until:
                time.sleep(0.05)
                continue
            raise FileError(
                f"another {command} is at work on {os.fspath(path)}{said}; wait for it or give another name"
            ) from None
        except OSError:  # a file system without locks
            if file is not None and _lives(handle):
                said = _said(handle)
                os.close(handle)
                raise FileError(
                    f"another {command} is at work on {os.fspath(path)}{said}; where it is dead, remove {file}"
                ) from None
        if file is None:
            return handle, None
        if _same(handle, file):
            os.ftruncate(handle, 0)
            os.write(handle, f"{command}, process {os.getpid()} on {socket.gethostname()}\n".encode())
            return handle, file
        os.close(handle)  # the other removed it as it ended: this file is nobody's any more


def _opened(target: Path, path: PathLike) -> tuple[int, Path | None]:
    file = target.with_name(f"{LOCK}{_short(target.name)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        regular(file)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), file
    except FileError:
        raise
    except OSError as error:
        if target.is_dir():
            with suppress(OSError):
                return os.open(target, os.O_RDONLY | os.O_CLOEXEC), None
        raise os_error(path, error) from error


def _same(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(file))
    except FileNotFoundError:
        return False


def _lives(handle: int) -> bool:
    """Whether the process that the lock file names may be alive: any on another host may."""
    found = re.search(r"process (\d+) on (\S+)", _said(handle))
    if found is None or (int(found[1]) == os.getpid() and found[2] == socket.gethostname()):
        return False
    if found[2] != socket.gethostname():
        return True
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _said(handle: int) -> str:
    with suppress(OSError):
        text = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
        who = text.partition(", ")[2]
        return f" ({who})" if who.isprintable() and who else ""
    return ""
