"""An HDF5 file of somebody else, looked through before a value of it is read.

HDF5 lets a file point out of itself: links, raw data and virtual datasets name other files, which the library reads
with the rights of the user. None of that is needed for a matrix; all of it is refused, without being followed.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5i, h5l, h5o, h5p, h5s, h5t, h5z

from dgex.errors import FileError
from dgex.limits import LIMITS, allowed, on_disk, refuse
from dgex.remote.places import Remote

__all__ = ["check_hdf5"]

_LINKS = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}
_OBJECT = 64  # bytes that a string takes in Python beside its text
_SMALL = 1 << 20  # bytes of a packed chunk below which no packing that we know makes a gigabyte


def check_hdf5(handle: h5f.FileID, path: Path, values: tuple[str, ...]) -> None:
    """Refuse a file that points out of itself, or asks for more memory than its size allows.

    Parameters
    ----------
    handle : h5py.h5f.FileID
    path : path
        What errors call it.
    values : tuple of str
        Names of datasets and groups that are read by parts; all else counts as metadata, which is held.

    Raises
    ------
    FileError
    """
    _Walk(path, values).walk(h5g.open(handle, b"/"))


class _Walk:
    def __init__(self, path: Path, values: tuple[str, ...]) -> None:
        self._path, self._values = path, values
        self._disk = on_disk(path)
        size = path.stat().st_size if isinstance(path, Remote) else self._disk  # arrays are read by parts
        self._most = max(allowed("memory"), LIMITS["array ratio"] * size)
        self._left = self._budget = max(allowed("memory"), LIMITS["metadata ratio"] * self._disk)
        self._groups: set[tuple[int, int]] = set()
        self._objects = 0

    def walk(self, root: h5g.GroupID) -> None:
        """Look at everything below `root`; links first, then what they lead to."""
        waiting = [("", root, 0)]
        self._is_new(root, "/")
        while waiting:
            name, group, depth = waiting.pop()
            self._attributes(group, name)
            if depth > LIMITS["depth"]:
                raise FileError(f"{self._path} has groups nested over {LIMITS['depth']} deep")
            for link in self._links(group, name):
                inner = f"{name}/{link.decode('utf-8', 'replace')}"
                found = h5o.open(group, link)
                if isinstance(found, h5g.GroupID):
                    self._is_new(found, inner)
                    waiting.append((inner, found, depth + 1))
                elif isinstance(found, h5d.DatasetID):
                    self._dataset(found, inner)
                    self._attributes(found, inner)

    def _links(self, group: h5g.GroupID, name: str) -> list[bytes]:
        """Names in a group, none of which leads away."""
        if group.get_num_objs() + self._objects > LIMITS["objects"]:
            raise FileError(f"{self._path} holds over {LIMITS['objects']:,} objects", accepted="fewer")
        names: list[bytes] = []
        group.links.iterate(names.append)
        self._objects += len(names)
        for link in names:
            kind = group.links.get_info(link).type
            if kind != h5l.TYPE_HARD:
                shown = f"{name}/{link.decode('utf-8', 'replace')}"
                raise self._leaves(shown, _LINKS.get(kind, "a link of a kind of its own"))
        return names

    def _is_new(self, group: h5g.GroupID, name: str) -> None:
        """Refuse a group that two links lead to: it may hold itself."""
        info = h5o.get_info(group)
        if (info.fileno, info.addr) in self._groups:
            raise FileError(f"{self._path} is damaged: the group {name} lies in several places of it")
        self._groups.add((info.fileno, info.addr))

    def _leaves(self, name: str, what: str) -> FileError:
        return FileError(
            f"{self._path} may point at other files, which are not read for it: {name} is {what}",
            accepted="a file that holds its values itself (h5repack makes one, where you trust it)",
        )

    def _dataset(self, dataset: h5d.DatasetID, name: str) -> None:
        created = dataset.get_create_plist()
        layout = created.get_layout()  # asked for before the shape, for which a virtual dataset opens its sources
        if layout == h5d.VIRTUAL:
            raise self._leaves(name, "a virtual dataset")
        if created.get_external_count():
            raise self._leaves(name, "kept outside of the file")
        kind, space = dataset.get_type(), dataset.get_space()
        count = space.get_simple_extent_npoints() if space.get_simple_extent_type() != h5s.NULL else 0
        width = kind.get_size()
        if count * width > self._most:
            raise refuse(self._path, f"holds an array at {name}", count * width, self._most)
        if layout == h5d.CHUNKED:
            self._chunks(dataset, created, name, width)
        if name.lstrip("/").startswith(self._values):
            return
        self._take(name, count * (width + _OBJECT * isinstance(kind, h5t.TypeStringID)))
        if _is_variable(kind):
            self._take(name, _Lengths(dataset, created, layout, self._left, self._disk, self._path).total())

    def _take(self, name: str, needed: int) -> None:
        """Count memory that will be held."""
        self._left -= needed
        if self._left < 0:
            raise refuse(self._path, f"holds metadata up to {name}", self._budget - self._left, self._budget)

    def _chunks(self, dataset: h5d.DatasetID, created: h5p.PropDCID, name: str, width: int) -> None:
        """Refuse chunks that are huge, or that unpack to more than a chunk."""
        size = math.prod(created.get_chunk()) * width
        if size > allowed("chunk"):
            raise refuse(self._path, f"has chunks at {name}", size, allowed("chunk"))
        filters = [created.get_filter(at)[0] for at in range(created.get_nfilters())]
        if h5z.FILTER_DEFLATE not in filters or dataset.get_storage_size() <= _SMALL:
            return
        large: list[tuple[int, ...]] = []
        dataset.chunk_iter(lambda info: large.append(info.chunk_offset) if info.size > _SMALL else None)
        for offset in large:
            packed = dataset.read_direct_chunk(offset)[1]
            if _unpacks_beyond(packed, size + 64):
                raise FileError(f"{self._path} is damaged: a chunk at {name} unpacks to over its {size:,} bytes")

    def _attributes(self, thing: h5g.GroupID | h5d.DatasetID, name: str) -> None:
        for at in range(h5a.get_num_attrs(thing)):
            attribute = h5a.open(thing, index=at)
            needed = math.prod(attribute.shape) * attribute.get_type().get_size()
            if needed > min(self._disk, allowed("record")):
                raise refuse(self._path, f"has an attribute at {name or '/'}", needed, allowed("record"))


def _unpacks_beyond(packed: bytes, size: int) -> bool:
    """Whether a stream of zlib gives more than `size` bytes, without ever holding more than a part of them."""
    stream, given = zlib.decompressobj(), 0
    try:
        while packed and given <= size:
            given += len(stream.decompress(packed, 1 << 20))
            packed = stream.unconsumed_tail
    except zlib.error:  # whoever reads it says so
        return False
    return given > size


def _is_variable(kind: h5t.TypeID) -> bool:
    if isinstance(kind, h5t.TypeCompoundID):
        return any(_is_variable(kind.get_member_type(at)) for at in range(kind.get_nmembers()))
    if isinstance(kind, h5t.TypeArrayID):
        return _is_variable(kind.get_super())
    return isinstance(kind, h5t.TypeVlenID) or (isinstance(kind, h5t.TypeStringID) and kind.is_variable_str())


class _Lengths:
    """How long what is of variable length in a dataset is in all, told before it is read.

    Thousands of strings may be one and the same text of megabytes. What lies in the dataset itself, the length and the
    place of each, is read as plain bytes: packed chunks by way of a file in memory whose type is bytes.
    """

    def __init__(
        self, dataset: h5d.DatasetID, created: h5p.PropDCID, layout: int, left: int, disk: int, path: Path
    ) -> None:
        self._dataset, self._created, self._layout = dataset, created, layout
        self._left, self._disk, self._path = left, disk, path
        self._width = 4 + h5i.get_file_id(dataset).get_create_plist().get_sizes()[0] + 4  # length, place in a heap
        kind = dataset.get_type()
        self._unit = kind.get_super().get_size() if isinstance(kind, h5t.TypeVlenID) else 1
        self._plain = not isinstance(kind, h5t.TypeCompoundID | h5t.TypeArrayID)

    def total(self) -> int:
        """Bytes in all; more than is left is not told apart."""
        space = self._dataset.get_space()
        count = space.get_simple_extent_npoints() if space.get_simple_extent_type() != h5s.NULL else 0
        if not count or not self._dataset.get_storage_size() or count * self._disk <= self._left // 16:
            return 0
        if self._plain and self._layout == h5d.CHUNKED:
            return self._chunked()
        if self._plain and self._layout == h5d.CONTIGUOUS:
            return self._contiguous(count)
        return self._one_by_one(count)

    def _sum(self, raw: np.ndarray) -> int:
        lengths = np.ascontiguousarray(raw.reshape(-1, self._width)[:, :4]).view("<u4")
        return self._unit * int(lengths.sum(dtype=np.int64))

    def _contiguous(self, count: int) -> int:
        total = 0
        with self._path.open("rb") as stream:
            stream.seek(self._dataset.get_offset())
            while count > 0:
                raw = np.frombuffer(stream.read(min(count, 1 << 16) * self._width), np.uint8)
                if not len(raw) or len(raw) % self._width:
                    break
                total += self._sum(raw)
                count -= 1 << 16
        return total

    def _chunked(self) -> int:
        chunk = self._created.get_chunk()
        plain = h5t.py_create(np.dtype((np.uint8, (self._width,))))
        offsets: list[tuple[int, ...]] = []
        self._dataset.chunk_iter(lambda info: offsets.append(info.chunk_offset))
        total = 0
        with h5py.File("lengths", "w", driver="core", backing_store=False) as memory:
            raw = np.empty((*chunk, self._width), np.uint8)
            for offset in offsets:
                mask, packed = self._dataset.read_direct_chunk(offset)
                copy = h5d.create(memory.id, None, plain, h5s.create_simple(chunk), self._packing(mask))
                copy.write_direct_chunk((0,) * len(chunk), packed)
                copy.read(h5s.ALL, h5s.ALL, raw, plain)
                total += self._sum(raw)
                if total > self._left:
                    break
        return total

    def _packing(self, mask: int) -> h5p.PropDCID:
        """Chunks as they are here, with the filters that `mask` leaves for one of them."""
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_chunk(self._created.get_chunk())
        for at in range(self._created.get_nfilters()):
            code, flags, settings, _ = self._created.get_filter(at)
            if not mask >> at & 1:
                properties.set_filter(code, flags, settings)
        return properties

    def _one_by_one(self, count: int) -> int:
        """For the few datasets, small ones and tables of uns, whose strings have no simple place."""
        if count > LIMITS["objects"]:
            raise FileError(f"{self._path} holds a table of {count:,} rows with texts inside", accepted="columns")
        dataset, total = h5py.Dataset(self._dataset), 0
        for at in np.ndindex(dataset.shape):
            row: Any = dataset[at]
            values = row.tolist() if isinstance(row, np.void) else (row,)
            total += sum(len(value) for value in values if hasattr(value, "__len__"))
            if total > self._left:
                break
        return total
