"""Remote files fetched whole: into a temporary file of bounded size, checked against what the server says of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from dgex.aliases import PathLike
from dgex.errors import FileError, os_error
from dgex.limits import allowed, refuse
from dgex.progress import bar, note
from dgex.remote.places import Fetched, Remote, located
from dgex.remote.stores import Facts, Store, patiently

__all__ = ["at_hand", "fetched", "fetched_folder"]

_SMALL = 8 << 20  # bytes below which nothing is said of the way


def fetched(remote: Remote, most: int | None = None) -> Fetched:
    """A copy of a remote file, in a folder of its own for temporary files, gone when nobody holds it any more.

    Parameters
    ----------
    remote : Remote
    most : int, optional
        Bytes that it may have; the limit `fetched` of `dgex.limits` unless told.

    Raises
    ------
    FileError
        It is missing, too large, changed on the way, cut short, or there is no room for it.
    """
    folder = _temporary()
    copy = Fetched(folder / remote.name, str(remote))
    weakref.finalize(copy, shutil.rmtree, folder, ignore_errors=True)
    _copy(remote, folder / remote.name, most)
    return copy


def at_hand(place: PathLike, most: int | None = None) -> Path:
    """A path or URL as a file that lies here: a remote one is fetched whole; see `fetched`."""
    found = located(place)
    return fetched(found, most) if isinstance(found, Remote) else found


def fetched_folder(remote: Remote, names: dict[str, int], optional: dict[str, int] | None = None) -> Fetched:
    """A copy of the named files of a remote folder, each with the bytes it may have; nothing else is asked for.

    Raises
    ------
    FileError
        As `fetched`; of `names` all must be there.
    """
    folder = _temporary()
    inside = folder / remote.name
    copy = Fetched(inside, str(remote))
    weakref.finalize(copy, shutil.rmtree, folder, ignore_errors=True)
    inside.mkdir()
    for name, most in (names | (optional or {})).items():
        if name in names or (remote / name).is_file():
            _copy(remote / name, inside / name, most)
    return copy


def _temporary() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="dgex-fetched-"))
    except OSError as error:
        raise os_error(tempfile.gettempdir(), error) from error


def _copy(remote: Remote, target: Path, most: int | None) -> None:
    limit = allowed("fetched") if most is None else most
    facts = remote.facts()
    if facts.folder:
        raise FileError(f"{remote} is a folder", accepted="a file")
    if facts.size is not None and facts.size > limit:
        raise refuse(remote, "would be fetched whole: it is", facts.size, limit)
    free = shutil.disk_usage(target.parent).free
    if facts.size is not None and facts.size > free:
        raise FileError(f"no room for {remote}: {facts.size:,} bytes to come, {free:,} free in {target.parent}")
    if facts.size is None or facts.size > _SMALL:
        note(f"fetching {remote}" + ("" if facts.size is None else f": {facts.size / 1e6:,.0f} MB"))
    source = remote.store
    patiently(remote.url, lambda: _once(remote, source, facts, target, limit))


def _once(remote: Remote, source: Store, facts: Facts, target: Path, limit: int) -> None:
    """One connection, from the beginning: what is fetched whole is small enough for that."""
    came = 0
    with bar(float(facts.size or 0), f"fetching {remote.name}") as progress, target.open("wb") as out:
        for part in source.pieces(facts):
            came += len(part)
            if came > limit:
                raise refuse(remote, "is sent on and on, to over", came, limit)
            try:
                out.write(part)
            except OSError as error:
                raise os_error(target, error) from error
            progress.advance(len(part))
    if facts.size is not None and came != facts.size:
        raise FileError(f"{remote} has {facts.size:,} bytes, and {came:,} came: it changed, or was cut short")
    os.chmod(target, 0o600)
