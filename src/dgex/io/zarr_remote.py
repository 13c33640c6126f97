"""A zarr store at a URL: its metadata fetched and checked first, its chunks fetched when they are read.

The metadata are served from the copy that was checked. Over the web nothing can be listed, so the store must be
consolidated, as anndata writes them.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import zarr

from dgex.errors import DgexError, FileError
from dgex.io.zarr_guard import METADATA, check_zarr
from dgex.limits import LIMITS, allowed, refuse
from dgex.records import parse_json
from dgex.remote.answers import RefusedError
from dgex.remote.places import Remote
from dgex.remote.stores import file_system, patiently, store

__all__ = ["open_remote"]

_AT_ONCE = 8  # metadata fetched side by side
_SLACK = 1 << 16  # bytes that a packed chunk may have beyond those it unpacks to


def open_remote(remote: Remote, values: tuple[str, ...]) -> Any:
    """Open a store at a URL as a group, once its metadata are known to ask for nothing that a local one may not.

    Parameters
    ----------
    remote : Remote
    values : tuple of str
        As for `check_zarr`.

    Raises
    ------
    FileError
    """
    folder = Path(tempfile.mkdtemp(prefix="dgex-fetched-"))
    try:
        copy = folder / remote.name
        copy.mkdir()
        try:
            _bring(remote, copy)
            check_zarr(copy, values, remote=True)
        except DgexError as error:
            raise type(error)(str(error).replace(str(copy), str(remote))) from error
        known = {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return zarr.open_group(_opened(_Objects(remote, known)), mode="r")


def _bring(remote: Remote, folder: Path) -> None:
    """Copy all files of metadata into `folder`, in their places."""
    left = [allowed("memory")]

    def bring(key: str) -> bytes | None:
        content = _object(remote / key, min(allowed("record"), left[0]))
        if content is not None:
            left[0] -= len(content)
            target = folder / key
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return content

    roots = {name: bring(name) for name in ("zarr.json", ".zmetadata", ".zgroup", ".zattrs")}
    if roots["zarr.json"] is None and roots[".zgroup"] is None:
        raise FileError(f"{remote} is no zarr store: it has neither zarr.json nor .zgroup")
    keys = _consolidated(remote, roots)
    if keys is None:
        keys = _listed(remote)
    keys = [key for key in keys if key not in roots]
    if len(keys) > LIMITS["objects"]:
        raise FileError(f"{remote} holds over {LIMITS['objects']:,} objects", accepted="fewer")
    for key in keys:
        _check_key(key, remote)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(bring, keys):
            pass


def _check_key(key: str, remote: Remote) -> None:
    """Refuse a name that would lead out of the folder."""
    parts = key.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise FileError(f"{remote} leads out of itself: it names {key[:80]!r}", accepted="files of its own")
    if len(parts) > LIMITS["depth"]:
        raise FileError(f"{remote} has groups nested over {LIMITS['depth']} deep")


def _consolidated(remote: Remote, roots: dict[str, bytes | None]) -> list[str] | None:
    """Keys of all metadata, where the root tells of them."""
    name = "zarr.json" if roots["zarr.json"] is not None else ".zmetadata"
    content = roots[name]
    if content is None:
        return None
    try:
        said = parse_json(content.decode("utf-8"), remote / name)
    except UnicodeDecodeError:
        raise FileError(f"{remote / name} is damaged: no UTF-8") from None
    inside = said.get("consolidated_metadata") if name == "zarr.json" and isinstance(said, dict) else said
    entries = inside.get("metadata") if isinstance(inside, dict) else None
    if not isinstance(entries, dict):
        return None
    return [f"{key}/zarr.json" for key in entries] if name == "zarr.json" else list(entries)


def _listed(remote: Remote) -> list[str]:
    if remote.url.startswith(("http:", "https:")):
        raise FileError(
            f"{remote} has no consolidated metadata, without which a store on the web cannot be looked through",
            accepted="a store after zarr.consolidate_metadata, or a file",
        )
    system, path = file_system(remote.url)
    base = str(path).rstrip("/") + "/"
    try:
        found = [str(name) for name in system.find(path)]
    except Exception as error:
        raise FileError(f"cannot list {remote}: {type(error).__name__}") from None
    keys = [name.removeprefix(base) for name in found if name.startswith(base)]
    return [key for key in keys if key.rpartition("/")[2] in METADATA]


def _object(place: Remote, most: int) -> bytes | None:
    """What lies at a key; None where nothing does."""
    try:
        return patiently(place.url, lambda: store(place.url).whole(most))
    except RefusedError as error:
        if error.code in (404, 410):
            return None
        raise


class _Objects(MutableMapping[str, bytes]):
    """Keys and what lies there, as zarr 2 takes it: metadata from the copy, chunks from where they are."""

    def __init__(self, remote: Remote, known: dict[str, bytes]) -> None:
        self.remote, self.known = remote, known

    def get_bytes(self, key: str) -> bytes | None:
        """All of what lies at a key; what the metadata do not tell of is no metadata."""
        if key in self.known or key.rpartition("/")[2] in METADATA:
            return self.known.get(key)
        return _object(self.remote / key, 2 * allowed("chunk") + _SLACK)

    def get_part(self, key: str, start: int | None, stop: int | None) -> bytes | None:
        """Bytes of it; a start below zero counts from the end."""
        if key in self.known or key.rpartition("/")[2] in METADATA:
            content = self.known.get(key)
            return None if content is None else content[start:stop]
        place = self.remote / key
        try:
            facts = place.facts()
        except RefusedError as error:
            if error.code in (404, 410):
                return None
            raise
        size = facts.size
        if size is None or not facts.parts:
            content = self.get_bytes(key)
            return None if content is None else content[start:stop]
        first, last, _ = slice(start, stop).indices(size)
        if last - first > 2 * allowed("chunk") + _SLACK:
            raise refuse(place, "has a part", last - first, 2 * allowed("chunk"))
        return patiently(place.url, lambda: place.store.read(first, last, facts)) if first < last else b""

    def __getitem__(self, key: str) -> bytes:
        content = self.get_bytes(key)
        if content is None:
            raise KeyError(key)
        return content

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get_bytes(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)

    def __setitem__(self, key: str, value: bytes) -> None:
        raise FileError(f"{self.remote} is read only")

    def __delitem__(self, key: str) -> None:
        raise FileError(f"{self.remote} is read only")


def _opened(objects: _Objects) -> Any:
    """A store as the zarr that is installed takes it."""
    if int(zarr.__version__.partition(".")[0]) < 3:
        return objects
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest

    class Chunks(Store):
        """The same for zarr 3, whose requests are answered side by side."""

        supports_writes = supports_deletes = supports_partial_writes = False
        supports_listing = True

        def __init__(self) -> None:
            super().__init__(read_only=True)

        def __eq__(self, other: object) -> bool:
            return self is other

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            if byte_range is None:
                content = await asyncio.to_thread(objects.get_bytes, key)
            elif isinstance(byte_range, RangeByteRequest):
                content = await asyncio.to_thread(objects.get_part, key, byte_range.start, byte_range.end)
            elif isinstance(byte_range, OffsetByteRequest):
                content = await asyncio.to_thread(objects.get_part, key, byte_range.offset, None)
            else:
                assert isinstance(byte_range, SuffixByteRequest)
                content = await asyncio.to_thread(objects.get_part, key, -byte_range.suffix, None)
            return None if content is None else prototype.buffer.from_bytes(content)

        async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
            return [await self.get(key, prototype, part) for key, part in key_ranges]

        async def exists(self, key: str) -> bool:
            return await asyncio.to_thread(objects.__contains__, key)

        async def set(self, key: str, value: Any) -> None:
            objects[key] = b""

        async def delete(self, key: str) -> None:
            del objects[key]

        async def set_partial_values(self, *_: Any) -> None:
            objects[""] = b""

        async def list(self) -> AsyncIterator[str]:
            for key in objects:
                yield key

        async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
            for key in objects:
                if key.startswith(prefix):
                    yield key

        async def list_dir(self, prefix: str) -> AsyncIterator[str]:
            base = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
            names = {key.removeprefix(base).partition("/")[0] for key in objects if key.startswith(base)}
            for name in sorted(names):
                yield name

    return Chunks()
