"""A zarr folder of somebody else, looked through before zarr opens it.

Its metadata name the codecs that unpack its chunks, and one codec (pickle) runs code. Those that a matrix needs are
listed here; whatever else a store asks for is refused, and so is what leads out of its folder.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dgex.errors import FileError, first
from dgex.inputs import regular
from dgex.limits import LIMITS, allowed, refuse
from dgex.records import read_json

__all__ = ["METADATA", "check_zarr"]

_PACKING = ("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd")
_CHANGING = ("adler32", "astype", "bitround", "crc32", "crc32c", "delta", "fixedscaleoffset", "fletcher32", "packbits")
_STRINGS = "vlen-utf8"
#: Codecs and filters that are accepted, in either format; format 3 writes those of numcodecs with its name before.
CODECS = frozenset(
    {*_PACKING, *_CHANGING, "quantize", "shuffle", _STRINGS, "bytes", "endian", "transpose", "sharding_indexed"}
)
METADATA = (".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json")
_TYPES = ("bool", "int", "uint", "float", "complex", "string", "fixed_length_utf32", "numpy.datetime64")
_TYPES_OF_3 = (*_TYPES, "numpy.timedelta64", "null_terminated_bytes", "raw_bytes", "bfloat")
_OBJECT = 64  # bytes that a string takes in Python beside its text
_STRING = 8  # bytes that an entry of variable length takes in an array


def check_zarr(folder: Path, values: tuple[str, ...], remote: bool = False) -> None:
    """Refuse a folder with a codec that is not listed, with arrays beyond its size, or that leads out of itself.

    Parameters
    ----------
    folder : path
    values : tuple of str
        Names of arrays and groups that are read by parts; all else counts as metadata, which is held.
    remote : bool
        The folder holds the metadata of a store that lies elsewhere: how large that is is not known. Arrays that are
        read by parts may then be of any size.

    Raises
    ------
    FileError
    """
    disk, files = _walk(folder)
    arrays: list[tuple[str, dict[str, Any]]] = []  # some twice: with their own words, and repeated by the root
    for file in files:
        said = read_json(file)
        if not isinstance(said, dict):
            raise FileError(f"{file} is damaged: no description of a zarr folder")
        name = file.parent.relative_to(folder).as_posix()
        for inner, description in _described(file.name, "" if name == "." else name, said, file):
            _check_array(description, file)
            own = folder / inner / ("zarr.json" if file.name == "zarr.json" else ".zarray")
            if not own.is_file():  # zarr would give its fill value, without a word
                raise FileError(f"{folder} is damaged: {own}, of an array that {file.name} tells of, is missing")
            arrays.append((inner, description))
    _check_sizes(folder, arrays, None if remote else disk, values)


def _walk(folder: Path) -> tuple[int, list[Path]]:
    """Bytes on disk and the files of metadata; what is neither file nor folder, or lies elsewhere, is refused."""
    disk, found, waiting = 0, [], [(Path(folder), 0)]
    root = Path(folder).resolve()
    while waiting:
        inside, depth = waiting.pop()
        if depth > LIMITS["depth"]:
            raise FileError(f"{folder} has groups nested over {LIMITS['depth']} deep")
        with os.scandir(inside) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_symlink() and not path.resolve().is_relative_to(root):
                    raise FileError(f"{folder} leads out of itself: {path} is a link", accepted="files of its own")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((path, depth + 1))
                elif entry.is_symlink() and entry.is_dir():
                    raise FileError(f"{folder} holds a folder twice: {path} is a link", accepted="files of its own")
                else:
                    regular(path)
                    stat = entry.stat()
                    disk += min(stat.st_size, 512 * stat.st_blocks)
                    if entry.name in METADATA:
                        found.append(path)
        if len(found) > LIMITS["objects"]:
            raise FileError(f"{folder} holds over {LIMITS['objects']:,} objects", accepted="fewer")
    return disk, found


def _described(file: str, name: str, said: dict[str, Any], path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The arrays that a file of metadata describes, those it repeats of others (consolidated) included."""
    if file == ".zarray":
        yield name, said
    elif file == ".zmetadata":
        for key, value in _mapping(said.get("metadata", {}), path).items():
            if key.split("/")[-1] == ".zarray":
                yield key.removesuffix(".zarray").strip("/"), _mapping(value, path)
    elif file == "zarr.json":
        if said.get("node_type") == "array":
            yield name, said
        repeated = said.get("consolidated_metadata")
        if repeated is not None:
            for key, value in _mapping(_mapping(repeated, path).get("metadata", {}), path).items():
                yield from _described(file, f"{name}/{key}".strip("/"), _mapping(value, path), path)


def _mapping(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FileError(f"{path} is damaged: {str(value)[:40]!r} where a description belongs")
    return value


def _check_array(said: dict[str, Any], path: Path) -> None:
    """Refuse types and codecs that are not listed."""
    names = list(_codecs(said, path))
    other = [name for name in names if name.removeprefix("numcodecs.") not in CODECS]
    if other:
        raise FileError(
            f"{path} asks for the codec {first(other, 3)}, which is not run for it", accepted=sorted(CODECS)
        )
    if "data_type" in said:
        kind = said["data_type"]
        kind = kind.get("name") if isinstance(kind, dict) else kind
        if not isinstance(kind, str) or not kind.startswith(_TYPES_OF_3):
            raise FileError(f"{path} holds values of type {str(kind)[:40]!r}", accepted="numbers, booleans, text")
        if said.get("storage_transformers"):
            raise FileError(f"{path} asks for storage transformers, which are not run for it", accepted="none")
    elif "O" in str(said.get("dtype")) and _STRINGS not in names:
        raise FileError(f"{path} holds Python objects", accepted=f"numbers, booleans, text (codec {_STRINGS})")


def _codecs(said: Any, path: Path) -> Iterator[str]:
    """Names of all codecs of an array, of those inside others too."""
    for key in ("compressor", "compressors", "serializer", "filters", "codecs", "index_codecs", "codec"):
        value = said.get(key)
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            name = item.get("id", item.get("name")) if isinstance(item, dict) else item
            if not isinstance(name, str):
                raise FileError(f"{path} is damaged: {str(item)[:40]!r} where a codec belongs")
            yield name
            if isinstance(item, dict):
                yield from _codecs(item, path)
                yield from _codecs(_mapping(item.get("configuration") or {}, path), path)


def _check_sizes(
    folder: Path, arrays: list[tuple[str, dict[str, Any]]], disk: int | None, values: tuple[str, ...]
) -> None:
    """Refuse arrays, chunks and metadata beyond what the size of the store allows."""
    most = math.inf if disk is None else max(allowed("memory"), LIMITS["array ratio"] * disk)
    budget = max(allowed("memory"), LIMITS["metadata ratio"] * (disk or 0))
    held: dict[str, int] = {}
    for name, said in arrays:
        grid = said.get("chunk_grid")
        grid = grid.get("configuration") if isinstance(grid, dict) else None
        chunks = grid.get("chunk_shape") if isinstance(grid, dict) else said.get("chunks")
        count, chunk = (_product(shape, f"{folder}/{name}") for shape in (said.get("shape"), chunks))
        width, text = _width(said)
        if count * width > most:
            raise refuse(folder, f"holds an array at {name}", count * width, int(most))
        if chunk * width > allowed("chunk"):
            raise refuse(folder, f"has chunks at {name}", chunk * width, allowed("chunk"))
        if not f"{name}/".startswith(values):
            held[name] = max(held.get(name, 0), count * (width + (_OBJECT if text else 0)))
        if sum(held.values()) > budget:
            raise refuse(folder, f"holds metadata up to {name}", sum(held.values()), budget)


def _product(shape: Any, where: str) -> int:
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise FileError(f"{where} is damaged: {str(shape)[:40]!r} where a shape belongs")
    return math.prod(shape)


def _width(said: dict[str, Any]) -> tuple[int, bool]:
    """Bytes of an entry, and whether it is text."""
    kind = said.get("dtype", said.get("data_type"))
    if isinstance(kind, dict):
        settings = kind.get("configuration")
        settings = settings if isinstance(settings, dict) else {}
        sizes = [size for key, size in settings.items() if key.startswith("length") and type(size) is int]
        return max(sizes, default=_STRING), True
    if kind == "string" or "O" in str(kind):
        return _STRING, True
    try:
        found = np.dtype([tuple(field) for field in kind] if isinstance(kind, list) else kind)
    except (TypeError, ValueError):
        return _STRING, False
    return found.itemsize, found.kind in "SU"
