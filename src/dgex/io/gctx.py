"""GCTX 1.0, the HDF5 layout of the Connectivity Map: genes are its rows, yet lie samples x genes on disk.

`/0/DATA/0/matrix` holds the values, `/0/META/ROW` the genes and `/0/META/COL` the profiles, one array a field
(Enache et al., Bioinformatics 2019, doi:10.1093/bioinformatics/bty784).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from dgex import progress
from dgex.arrays.index import Index
from dgex.errors import DataError, FileError
from dgex.io.base import ExpressionFile
from dgex.io.checks import reading, writing
from dgex.io.hdf5_guard import check_hdf5
from dgex.io.matrix_writer import Hdf5Writer
from dgex.io.metadata import decode, encode, frame, from_hdf, to_hdf
from dgex.io.packed import SCALED, Scaled
from dgex.io.slabs import fill
from dgex.remote.places import Remote
from dgex.remote.stream import BLOCK

__all__ = ["GctxFile", "GctxWriter"]

MATRIX = "0/DATA/0/matrix"
GENES = "0/META/ROW"
SAMPLES = "0/META/COL"
CACHE = 32 << 20  # bytes of chunks kept, so that neighbouring blocks do not decompress one twice


class GctxFile(ExpressionFile):
    """An open GCTX file."""

    format = "GCTX"
    native = "genes-in-rows"

    def __init__(self, path: Path) -> None:
        with reading(path, self.format):
            self._handle = open_hdf(path, (MATRIX, f"dgex/{SCALED}/"))
            try:
                version = _version(self._handle, path)
                self._matrix = _dataset(self._handle, MATRIX, path)
                genes, samples = _metadata(self._handle, GENES, path), _metadata(self._handle, SAMPLES, path)
                _check_shape(self._matrix, len(samples), len(genes), path)
                self._values = unscaled(self._matrix, self._handle, "dgex")
                super().__init__(
                    path,
                    samples,
                    genes,
                    notes={"version": version, "layout": layout(self._matrix), "orientation": self.native},
                )
            except BaseException:
                self._handle.close()
                raise

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        fill(self._values, rows, genes, out)

    def close(self) -> None:
        self._handle.close()


class GctxWriter(Hdf5Writer):
    """Writes GCTX 1.0: contiguous (fastest by far), or chunked, also compressed by gzip at some forty times the time.

    Stored as int16, its values are whole numbers to other readers of GCTX: an attribute of the matrix says how to undo
    it by the tables in `/dgex/int16_scaled`.
    """

    tables = "dgex"

    def _start(self, path: Path) -> None:
        handle = self._open(path)
        handle.attrs["version"] = np.bytes_("GCTX1.0")
        handle.attrs["src"] = self.path.name
        for node, table in ((GENES, self.var), (SAMPLES, self.obs)):
            group = _group(handle, node)
            for name, values in _fields(table).items():
                group.create_dataset(name, data=values)
        self._take(handle.create_dataset(MATRIX, self.shape, self._packing.dtype, **self._layout))

    def replace_obs(self, obs: pd.DataFrame) -> None:
        self.obs = obs
        with writing(self.path):
            assert self._handle is not None
            self._room()
            group = self._handle[SAMPLES]
            for name, values in _fields(obs).items():
                if name not in group:
                    group.create_dataset(name, data=values)


def _group(handle: h5py.File, node: str) -> h5py.Group:
    """Make a group whose fields keep their order, and no time with it: the same values are the same bytes."""
    kept = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED
    how, way = h5py.h5p.create(h5py.h5p.GROUP_CREATE), h5py.h5p.create(h5py.h5p.LINK_CREATE)
    how.set_link_creation_order(kept)
    how.set_attr_creation_order(kept)
    how.set_obj_track_times(False)  # the default from HDF5 2.0 on
    way.set_create_intermediate_group(True)
    return h5py.Group(h5py.h5g.create(handle.id, node.encode(), lcpl=way, gcpl=how))


# Where the matrices lie that are read by parts, of every layout of HDF5: they may be as large as they like.
MATRICES = (MATRIX, "X", "raw/", "layers/", "data/expression", "matrix/data", "matrix/indices")
TABLES = (f"dgex/{SCALED}/", f"uns/{SCALED}/")


def open_hdf(path: Path, values: tuple[str, ...] = MATRICES + TABLES) -> h5py.File:
    """Open an HDF5 file for reading, once it is known to hold all it says; `values` are read by parts.

    The sieve buffer, 64 KiB by default, is read around every short run of a contiguous matrix: a thousand neighbouring
    genes would cost sixteen times their bytes. A page is enough.
    """
    try:
        try:
            handle = _opened(path, h5py.h5f.CLOSE_STRONG)
        except OSError as error:
            if "close degree" not in str(error):
                raise
            handle = _opened(path, h5py.h5f.CLOSE_WEAK)  # a backed AnnData has it open, as h5py opens files
    except OSError as error:
        if "unable to lock file" in str(error):
            raise FileError(
                f"{path} is locked: another program has it open for writing; close it there, or, on a file system "
                f"without locks, set HDF5_USE_FILE_LOCKING=FALSE"
            ) from error
        raise
    try:
        check_hdf5(handle.id, path, values)
    except BaseException:
        handle.close()
        raise
    return handle


def _opened(path: Path, degree: int) -> h5py.File:
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(degree)
    access.set_cache(0, 1009, CACHE, 0.75)
    access.set_sieve_buf_size(4096)
    name = os.fsencode(path)
    if isinstance(path, Remote):
        stream = path.stream()
        access.set_sieve_buf_size(BLOCK)  # what lies between short runs comes with them anyway
        access.set_fileobj_driver(h5py.h5fd.fileobj_driver, stream)
        name = repr(stream).encode("ascii", "replace")
    return h5py.File(h5py.h5f.open(name, h5py.h5f.ACC_RDONLY, access))


def unscaled(matrix: Any, root: Any, home: str) -> Any:
    """A matrix as the float32 values that it stands for, where its whole numbers have an offset and a scale."""
    group = f"{home}/{SCALED}"
    there = all(f"{group}/{name}" in root for name in ("offset", "scale"))
    said = SCALED in getattr(matrix, "attrs", {})
    if not (said or there) or matrix.dtype != np.int16:
        return matrix
    if not (said and there):
        lost = "tells no more that" if there else f"lacks /{group}, by which"
        raise DataError(
            f"it {lost} its whole numbers have an offset and a scale: another program wrote it anew",
            accepted="what dgex wrote",
        )
    return Scaled(matrix, root[group])


def layout(matrix: h5py.Dataset) -> str:
    """Say in words how a dataset lies on disk."""
    if matrix.chunks is None:
        return f"contiguous {matrix.dtype}"
    rows, columns = matrix.chunks
    return f"chunks of {rows} x {columns} {matrix.dtype}" + (f", {matrix.compression}" if matrix.compression else "")


def _fields(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Metadata arrays under names that HDF5 allows; `id` comes first."""
    fields = {"id": encode(table.index.tolist())}
    for column in table.columns:
        name = column.replace("/", "_").strip(".") or "_"
        while name in fields:
            name += "_"
        if name != column:
            progress.note(f"metadata column {column!r} is named {name!r} in GCTX")
        fields[name] = to_hdf(table[column])
    foreign = [n for n, v in fields.items() if v.dtype.kind == "S" and v.view(np.uint8).max(initial=0) > 127]
    if foreign:
        progress.warn(f"metadata {', '.join(foreign)} holds letters beyond ASCII: kept as UTF-8, which cmapPy refuses")
    return fields


def _version(handle: h5py.File, path: Path) -> str:
    if "0" not in handle or not isinstance(handle["0"], h5py.Group):
        kind = "AnnData: name it .h5ad" if "obs" in handle and "var" in handle else f"top level: {', '.join(handle)}"
        raise FileError(f"{path} is HDF5 but no GCTX: it has no group /0 ({kind})")
    version = handle.attrs.get("version", "")
    text = decode(np.atleast_1d(np.asarray(version)))[0].strip()
    if text and not text.upper().startswith("GCTX1"):
        raise FileError(f"{path} has version {text!r}; GCTX1.0 is accepted")
    return text or "not given"


def _dataset(handle: h5py.File, node: str, path: Path) -> h5py.Dataset:
    dataset = handle.get(node)
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 2:
        raise FileError(f"{path} is no GCTX: it has no matrix at /{node}")
    if dataset.dtype.kind not in "fiu":
        raise DataError(f"{path} holds {dataset.dtype} where numbers belong, at /{node}")
    return dataset


def _check_shape(matrix: h5py.Dataset, samples: int, genes: int, path: Path) -> None:
    if matrix.shape == (samples, genes):
        return
    turned = ": it is turned the wrong way" if matrix.shape == (genes, samples) else ""
    raise DataError(
        f"{path} holds a matrix of {matrix.shape[0]:,} x {matrix.shape[1]:,} for {samples:,} samples (COL) and "
        f"{genes:,} genes (ROW){turned}; samples x genes is accepted"
    )


def _metadata(handle: h5py.File, node: str, path: Path) -> pd.DataFrame:
    group = handle.get(node)
    if not isinstance(group, h5py.Group) or not isinstance(group.get("id"), h5py.Dataset):
        raise FileError(f"{path} is no GCTX: it has no ids at /{node}/id")
    ids = [name.strip() for name in decode(group["id"][()].ravel())]
    columns: dict[str, pd.Series] = {}
    for name, dataset in group.items():
        if name == "id":
            continue
        column = None
        if isinstance(dataset, h5py.Dataset) and dataset.size == len(ids) and dataset.ndim > 0:
            column = from_hdf(dataset[()].ravel())
        if column is None:
            progress.warn(f"{path}: metadata field /{node}/{name} is no column of {len(ids):,} values: left out")
        else:
            columns[name] = column
    return frame(columns, ids)
