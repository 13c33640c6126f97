"""Work in a folder: whose the folder is, what the work is of, who is at it, and what may be removed.

Everything that goes on (a run, a grid, an inference, a study) does so by this module: a marker, a JSON file of the
folder, says what the work is of, and all that shapes the result is compared with it first.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dgex.aliases import PathLike
from dgex.atomic import json_dump, os_error, plain
from dgex.errors import FileError, ModelError, OutputExistsError

__all__ = ["Work", "alone", "as_json", "differences"]


class Work:
    """A folder of work that can be gone on with.

    Parameters
    ----------
    folder : path
        Where the work is done.
    marker : str
        Name of the file in it that says what the work is of.
    what : str
        What the folder holds, for messages: "a grid".
    """

    def __init__(self, folder: PathLike, marker: str, what: str) -> None:
        self.folder, self.what = Path(folder), what
        self.marker = self.folder / marker

    @property
    def begun(self) -> bool:
        """Whether the folder says what it is of."""
        return self.marker.exists()

    def refuse_other(self) -> None:
        """Refuse a file, or a folder that has something in it but not the marker.

        Raises
        ------
        OutputExistsError
        """
        if not os.path.lexists(self.folder) or self.begun:
            return
        if not self.folder.is_dir() or any(self.folder.iterdir()):
            raise OutputExistsError(f"{self.folder} exists and is not {self.what}; give another name")

    def read(self) -> dict[str, Any]:
        """What the marker says.

        Raises
        ------
        ModelError
            It is missing or damaged.
        """
        try:
            said = json.loads(self.marker.read_text("utf-8"))
            if not isinstance(said, dict):
                raise ValueError("no JSON object")
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{self.marker} is damaged ({type(error).__name__}: {error}); remove {self.folder} to begin anew"
            ) from None
        return said

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Say what the work is of."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise os_error(self.folder, error) from error
        json_dump(dict(identity), self.marker)

    def compare(self, before: Mapping[str, Any], now: Mapping[str, Any], advice: str = "") -> None:
        """Refuse to go on with work of something else.

        Raises
        ------
        ModelError
            Names everything that differs, what it was and what it is now.
        """
        differ = differences(before, now)
        if differ:
            raise ModelError(
                f"{self.folder} is {self.what} of something else ({'; '.join(differ)}); "
                f"{advice or 'give another name, or the same again'}"
            )

    def clear(self, names: Iterable[str]) -> None:
        """Remove what this program wrote under `names`, the marker last; the folder too where nothing else is in it."""
        for name in names:
            path = self.folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        self.marker.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()


def as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as JSON gives it back: tuples are lists, numbers are Python's own."""
    return dict(json.loads(json.dumps(dict(value), default=plain)))


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], same: Callable[[str, Any, Any], bool] | None = None
) -> list[str]:
    """What differs between two descriptions of a work, in words; digests by their beginning.

    Parameters
    ----------
    before, now : mapping
        Compared as JSON knows them.
    same : function of name, before and now, optional
        Whether two values count as the same; equality without it.

    Examples
    --------
    >>> differences({"method": "ols", "seed": 0}, {"method": "ridge", "seed": 0})
    ['method: there ols, now ridge']
    """
    there, here = as_json(before), as_json(now)
    alike = same or (lambda name, one, other: one == other)
    return [
        f"{name}: there {_short(there.get(name))}, now {_short(here.get(name))}"
        for name in {**there, **here}
        if not alike(name, there.get(name), here.get(name))
    ]


def _short(value: Any) -> str:
    text = str(value)
    digest = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return text[:12] if digest else text if len(text) <= 80 else f"{text[:77]}..."


@contextmanager
def alone(path: PathLike, command: str) -> Iterator[None]:
    """Keep a second process from working on `path`; the lock ends with the process, however it ends.

    A folder that exists is locked itself; for any other output a hidden file beside it is, which is removed.

    Raises
    ------
    FileError
        Another process is at work there (`command` says what it is), or the place cannot be read.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    target = Path(path)
    beside = None if target.is_dir() else target.with_name(f".{target.name}.lock")
    handle = _opened(beside or target, beside is not None)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileError(f"another {command} is at work on {target}; wait for it or give another name") from error
        except OSError:
            pass  # file systems without locks
        try:
            yield
        finally:
            if beside is not None:
                beside.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _opened(path: Path, make: bool) -> int:
    try:
        if make:
            path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT if make else os.O_RDONLY, 0o666)
    except OSError as error:
        raise FileError(f"cannot work in {path.parent if make else path}: {error.strerror}") from error
