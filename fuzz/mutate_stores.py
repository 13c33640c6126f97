"""Damage to HDF5, Parquet, safetensors and model folders that leaves them whole enough to be read further."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mutate_json import change_json
from mutate_text import TOKENS

__all__ = ["hdf", "parquet", "safetensors", "seal"]

# ---- HDF5


def hdf(path: Path, rng: Random) -> str:
    """Change one object, link or attribute."""
    with h5py.File(path, "r+") as handle:
        names: list[str] = []
        handle.visit(names.append)
        name = rng.choice(names) if names and rng.random() < 0.95 else "/"
        change = rng.choice(_HDF)
        try:
            change(handle, name, rng)
        except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
            return f"{change.__name__} of {name} failed ({type(error).__name__})"
    return f"{change.__name__.strip('_')} of {name}"


def _delete(handle: h5py.File, name: str, rng: Random) -> None:
    del handle[name]


def _values(handle: h5py.File, name: str, rng: Random) -> None:
    """Other values of the same type in a dataset."""
    data = handle[name]
    values = np.atleast_1d(data[()]).copy()
    at = rng.randrange(max(1, values.size))
    if values.dtype.kind in "iuf":
        extremes = (0, -1, 7, 2**31, 2**62, np.nan, np.inf, 1e38)
        values.flat[at] = np.array(rng.choice(extremes)).astype(values.dtype)
    elif values.dtype.kind in "SO":
        token = rng.choice(TOKENS).encode()
        values.flat[at] = rng.choice((values.flat[rng.randrange(values.size)], token, b"\xff\xfe"))
    data[...] = values.reshape(data.shape)


def _dtype(handle: h5py.File, name: str, rng: Random) -> None:
    """The same values, as far as they go, in another type."""
    values = handle[name][()]
    kind: Any = rng.choice(_TYPES)
    try:
        values = np.asarray(values).astype(np.dtype(kind) if not isinstance(kind, h5py.Datatype) else kind)
    except (TypeError, ValueError):
        values = np.zeros(np.shape(values), kind)
    _replace(handle, name, data=values)


_TYPES = (
    *("f2", "f8", "<i1", ">i4", "u8", "?", "c8", "S3", "V4", h5py.string_dtype(), h5py.vlen_dtype("i4")),
    *(np.dtype([("a", "f4"), ("b", "i4")]), h5py.enum_dtype({"x": 0, "y": 1}), h5py.ref_dtype, np.dtype(("f4", (2,)))),
)


def _shape(handle: h5py.File, name: str, rng: Random) -> None:
    """Another shape: one more, one less, turned, flat, scalar, none, huge."""
    data = handle[name]
    values, what = np.asarray(data[()]), rng.randrange(8)
    if what == 0:
        _replace(handle, name, shape=(10**12, *data.shape[1:]), dtype=data.dtype, chunks=(1000, *data.shape[1:]))
    elif what == 1:
        _replace(handle, name, shape=None, dtype=data.dtype)
    elif what == 2:
        _replace(handle, name, shape=(0, *data.shape[1:]), dtype=data.dtype)
    else:
        changes = (values[:-1], np.concatenate([values, values[:1]]), values.T, values.ravel(), values.ravel()[0])
        _replace(handle, name, data=changes[what - 3] if what < 8 else values)


def _replace(handle: h5py.File, name: str, **new: Any) -> None:
    attributes = dict(handle[name].attrs)
    del handle[name]
    handle.create_dataset(name, **new).attrs.update(attributes)


def _kind(handle: h5py.File, name: str, rng: Random) -> None:
    """A group for a dataset, a dataset for a group."""
    group = isinstance(handle[name], h5py.Group)
    attributes = dict(handle[name].attrs) if rng.random() < 0.5 else {}
    del handle[name]
    made = handle.create_dataset(name, data=rng.choice((0, "text", [1.0, 2.0]))) if group else handle.create_group(name)
    made.attrs.update(attributes)


def _link(handle: h5py.File, name: str, rng: Random) -> None:
    """A link for an object: to itself, nowhere, elsewhere, to another file, or a dataset made of others."""
    what, shape = rng.randrange(6), getattr(handle[name], "shape", None) or (3,)
    other = rng.choice([*handle.keys(), "0/META/ROW/id", "X", name])
    target = handle[other] if other in handle and rng.random() < 0.3 else None
    del handle[name]
    if what == 0:
        handle[name] = h5py.SoftLink(f"/{name}")
    elif what == 1:
        handle[name] = h5py.SoftLink("/nowhere")
    elif what == 2:
        handle[name] = h5py.ExternalLink("secret.h5", "/X")
    elif what == 3 and target is not None:
        handle[name] = target
    elif what == 4:
        layout = h5py.VirtualLayout(shape, "f4")
        layout[...] = h5py.VirtualSource(".", name, shape)
        handle.create_virtual_dataset(name, layout)
    else:
        handle[name] = h5py.SoftLink(f"/{other}")


def _rename(handle: h5py.File, name: str, rng: Random) -> None:
    new = rng.choice(TOKENS).replace("\0", "") or "other"
    handle.move(name, f"{name.rpartition('/')[0]}/{new}")


def _copy(handle: h5py.File, name: str, rng: Random) -> None:
    new = rng.choice(TOKENS).replace("\0", "") or "other"
    handle.copy(name, f"{name.rpartition('/')[0]}/{new}")


def _attribute(handle: h5py.File, name: str, rng: Random) -> None:
    attributes = handle[name].attrs
    keys = [*attributes.keys(), "encoding-type", "encoding-version", "shape", "_index", "column-order", "version"]
    key = rng.choice(keys)
    if rng.random() < 0.25:
        del attributes[key]
    else:
        attributes[key] = rng.choice(_ATTRIBUTES)


_ATTRIBUTES: tuple[Any, ...] = (
    *("", "x", "\x1b[31m", "dataframe", "array", "csr_matrix", "csc_matrix", "categorical", "dict", "string-array"),
    *("awkward-array", "rec-array", "nullable-integer", "null", "string", "numeric-scalar", "0.2.0", "0.1.0", "99.0"),
    *(
        0,
        -1,
        2**62,
        1.5,
        np.nan,
        b"\xff\xfe",
        np.zeros(3),
        np.zeros((2, 2)),
        np.array([-1, 5]),
        np.array([2**40, 2**20]),
    ),
    *(np.array([], "S1"), h5py.Empty("f4"), ["a", "b"], "0/DATA", "GCTX9.0", True),
)

_HDF: tuple[Callable[[h5py.File, str, Random], None], ...] = (
    *(_delete, _values, _values, _values, _dtype, _dtype, _shape, _shape),
    *(_kind, _link, _rename, _copy, _attribute, _attribute, _attribute),
)


# ---- Parquet


def parquet(path: Path, rng: Random) -> str:
    """Change columns or the schema's metadata, and write the table again."""
    table = pq.read_table(path)
    name = rng.choice(table.column_names)
    change = rng.choice((_cast, _cast, _nulls, _drop, _twice, _named, _described, _described, _described, _rows))
    table = change(table, name, rng)
    pq.write_table(table, path, row_group_size=rng.choice((2, 1000)), compression=rng.choice(("none", "zstd")))
    return f"{change.__name__.strip('_')} of {name}"


def _set(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    changed = table.set_column(table.column_names.index(name), name, column)
    return changed.replace_schema_metadata(table.schema.metadata)


def _cast(table: pa.Table, name: str, rng: Random) -> pa.Table:
    kind = rng.choice(
        (pa.string(), pa.float64(), pa.int8(), pa.float16(), pa.bool_(), pa.binary(), pa.list_(pa.float32()))
    )
    values = [None if value is None else str(value) for value in table[name].to_pylist()]
    try:
        column = pa.array(values).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        column = pa.array(
            [None if pa.types.is_null(kind) else rng.choice(([], None))] * len(values), kind, from_pandas=True
        )
    return _set(table, name, column)


def _nulls(table: pa.Table, name: str, rng: Random) -> pa.Table:
    values = [None if rng.random() < 0.4 else value for value in table[name].to_pylist()]
    return _set(table, name, pa.array(values, table[name].type))


def _drop(table: pa.Table, name: str, rng: Random) -> pa.Table:
    return table.drop_columns([name])


def _twice(table: pa.Table, name: str, rng: Random) -> pa.Table:
    return table.append_column(name, table[name]).replace_schema_metadata(table.schema.metadata)


def _named(table: pa.Table, name: str, rng: Random) -> pa.Table:
    new = rng.choice((*TOKENS, *table.column_names))
    return table.rename_columns([new if column == name else column for column in table.column_names])


def _described(table: pa.Table, name: str, rng: Random) -> pa.Table:
    """Change what the schema says of our layout, of the genes or of pandas' index."""
    metadata = dict(table.schema.metadata or {})
    key = rng.choice(sorted(metadata)) if metadata else b"pandas"
    if rng.random() < 0.1:
        metadata.pop(key, None)
    elif key == b"dgex.var":
        packed = bytearray(base64.b64decode(metadata[key]))
        packed[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
        metadata[key] = base64.b64encode(bytes(packed))
    else:
        metadata[key] = change_json(metadata.get(key, b"{}").decode(), rng).encode()
    return table.replace_schema_metadata(metadata)


def _rows(table: pa.Table, name: str, rng: Random) -> pa.Table:
    return rng.choice((table.slice(0, 0), table.slice(0, 1), pa.concat_tables([table, table])))


# ---- safetensors and model folders


def safetensors(path: Path, rng: Random) -> str:
    """Change the header, its length, or both."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = change_json(content[8 : 8 + size].decode(), rng).encode()
    told = rng.choice((len(header),) * 8 + (0, size, 2**63, len(header) - 1))
    path.write_bytes(told.to_bytes(8, "little") + header + content[8 + size :])
    return "a safetensors header"


def seal(folder: Path) -> None:
    """Make the checksums of a model folder fit what it holds, so that what lies behind them is tried."""
    try:
        description = json.loads((folder / "model.json").read_text("utf-8"))
        if not isinstance(description, dict) or not (folder / "model.safetensors").is_file():
            return
        description["sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        rest = {key: value for key, value in description.items() if key != "checksum"}
        description["checksum"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
        (folder / "model.json").write_text(json.dumps(description), "utf-8")
    except (ValueError, RecursionError, OSError):
        return
