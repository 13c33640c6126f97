"""Results sent to URLs: written here first, whole, then put there at one stroke."""

from __future__ import annotations

import functools
import inspect
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from dgex.aliases import PathLike
from dgex.errors import FileError, OutputExistsError, SettingsError
from dgex.progress import note
from dgex.remote.addresses import protocol, scrubbed, shown
from dgex.remote.answers import BrokenError
from dgex.remote.places import Remote, is_url, located
from dgex.remote.stores import file_system, patiently

__all__ = ["sends", "sent"]

P = ParamSpec("P")
T = TypeVar("T")
_LAST = ("model.json", "zarr.json", ".zgroup", ".zmetadata", ".zattrs")  # without these a folder is none yet
_LEFT = (".dgex.json",)  # tells what may be removed here, and nothing there


def sends(argument: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function that writes its `argument` take a URL for it.

    It writes beside temporary files, under the same name, and the result is sent when it is complete. What only a
    place that stays can do, going on with half of it, is refused.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        parameters = inspect.signature(function)

        @functools.wraps(function)
        def with_urls(*args: P.args, **kwargs: P.kwargs) -> T:
            given = parameters.bind_partial(*args, **kwargs)
            output = given.arguments.get(argument)
            if not is_url(output) or not isinstance(place := located(cast(PathLike, output)), Remote):
                if is_url(output):
                    given.arguments[argument] = place
                return function(*given.args, **given.kwargs)
            if given.arguments.get("resume"):
                raise SettingsError(f"resume needs a local output to go on with, and {place} is none")
            for value in given.arguments.values():
                for one in value if isinstance(value, list | tuple) else [value]:
                    if one is not output and is_url(one) and shown(str(one)) == str(place):
                        raise FileError(f"{place} is to be read; give another name for the output")
            with sent(place, bool(given.arguments.get("overwrite"))) as local:
                given.arguments[argument] = local
                if "overwrite" in parameters.parameters:
                    given.arguments["overwrite"] = False
                return function(*given.args, **given.kwargs)

        return with_urls

    return decorate


@contextmanager
def sent(place: Remote, overwrite: bool = False) -> Iterator[Path]:
    """Yield a local name to write to; what is there when the block ends well is sent to `place`.

    Raises
    ------
    OutputExistsError
        Something is at `place` and `overwrite` is False.
    FileError
        It cannot be written to, or refuses.
    """
    if protocol(place.url) in ("http", "https"):
        raise FileError(f"{place} cannot be written: the web is read only", accepted="a path, s3://, gs://, hf://")
    system, path = file_system(place.url)
    _refuse_existing(place, system, path, overwrite)
    with tempfile.TemporaryDirectory(prefix="dgex-sent-", ignore_cleanup_errors=True) as folder:
        local = Path(folder) / place.name
        yield local
        if not local.exists():
            return
        _refuse_existing(place, system, path, overwrite)  # again: the work may have taken hours
        _send(place, system, path, local)
        note(f"sent to {place}")


def _refuse_existing(place: Remote, system: Any, path: str, overwrite: bool) -> None:
    """Refuse what is there, folders always: nothing is removed that others may have put there."""

    def found() -> str:
        system.invalidate_cache()
        return "" if not system.exists(path) else "folder" if system.isdir(path) else "file"

    kind = patiently(place.url, lambda: _asked(place, found))
    if kind == "folder":
        raise OutputExistsError(f"{place} exists already; folders there are not replaced: give another name")
    if kind and not overwrite:
        raise OutputExistsError(f"{place} exists already; give another name, or overwrite=True to replace it")


def _send(place: Remote, system: Any, path: str, local: Path) -> None:
    """A file by one put; a folder file by file, those last that make it one."""
    if local.is_file():
        _put(place, system, path, local)
        return
    files = [inner for inner in sorted(local.rglob("*")) if inner.is_file() and inner.name not in _LEFT]
    files.sort(key=lambda inner: (inner.name in _LAST, -len(inner.parts)))
    for inner in files:
        _put(place, system, f"{path.rstrip('/')}/{inner.relative_to(local).as_posix()}", inner)


def _put(place: Remote, system: Any, path: str, local: Path) -> None:
    def put() -> None:
        system.put_file(str(local), path)
        system.invalidate_cache()
        came, size = system.info(path).get("size"), local.stat().st_size
        if came != size:
            raise BrokenError(f"{came} of {size:,} bytes arrived")

    patiently(place.url, lambda: _asked(place, put))


def _asked(place: Remote, action: Callable[[], T]) -> T:
    try:
        return action()
    except (FileError, BrokenError):
        raise
    except (ConnectionError, TimeoutError) as error:
        raise BrokenError(scrubbed(str(error) or type(error).__name__)) from None
    except Exception as error:
        said = (scrubbed(str(error)).splitlines() or [type(error).__name__])[0]
        raise FileError(f"cannot write {place}: {said[:200]}") from None
