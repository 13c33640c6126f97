"""AnnData on disk, `.h5ad` and `.zarr`, streamed out in its own encoding."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import anndata.io
import h5py
import numcodecs
import numpy as np
import pandas as pd
import zarr
from anndata import AnnData

from dgex import progress
from dgex.errors import DataError
from dgex.io.checks import writing
from dgex.io.checksums import arrays, put
from dgex.io.matrix_writer import Hdf5Writer, MatrixWriter, storage
from dgex.io.metadata import is_text
from dgex.io.packed import SCALED
from dgex.io.records import EXTRAS, encode_uns, extras

__all__ = ["H5adWriter", "ZarrWriter"]


class _AnnDataWriter(MatrixWriter):
    """What both kinds of store share: everything but `X` is anndata's own work."""

    keeps_uns: ClassVar[bool] = True
    keeps_obs: ClassVar[bool] = True
    tables = "uns"

    def __init__(self, path: Path, obs: pd.DataFrame, var: pd.DataFrame, **common: Any) -> None:
        super().__init__(path, obs, var, **common)
        self._extras: dict[str, dict[str, Any]] = {}
        self._root: Any = None
        self.uns.pop(SCALED, None)  # that of a file which was read

    def extras(self, adata: AnnData) -> None:
        self._extras = {name: extras(adata, name) for name in EXTRAS}
        if adata.raw is not None:
            progress.note(f"the AnnData's raw is left out of {self.path}")

    def _write_all_but_x(self) -> None:
        root = self._root
        root.attrs["encoding-type"], root.attrs["encoding-version"] = "anndata", "0.1.0"
        varm = {key: _storable(v) if isinstance(v, pd.DataFrame) else v for key, v in self.varm.items()}
        for name, value in (
            ("obs", _storable(self.obs)),
            ("var", _storable(self.var)),
            ("uns", encode_uns(self.uns)),
            ("varm", varm),
            *((name, self._extras.get(name, {})) for name in EXTRAS),
        ):
            try:
                anndata.io.write_elem(root, name, value)
            except (OSError, RuntimeError):
                raise
            except Exception as error:
                said = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise DataError(f"cannot write {name} to {self.path}: {said}") from error

    def _finish(self) -> None:
        for name, matrix in arrays(self._root):
            if name.startswith("layers/"):
                put(matrix)
        super()._finish()

    def replace_uns(self, uns: Mapping[str, Any]) -> None:
        self.uns = dict(uns)
        with writing(self.path):
            self._room()
            group = self._root["uns"]
            for name in sorted(set(group) - {SCALED}):
                del group[name]
            for name, value in encode_uns(self.uns).items():
                anndata.io.write_elem(group, name, value)

    def replace_obs(self, obs: pd.DataFrame) -> None:
        self.obs = obs
        with writing(self.path):
            self._room()
            del self._root["obs"]
            anndata.io.write_elem(self._root, "obs", _storable(self.obs))

    def layer(self, name: str, rows: slice, genes: slice, values: np.ndarray) -> None:
        with writing(self.path):
            if name not in self._root["layers"]:
                whole = (genes.start, genes.stop) == (0, self.shape[1])  # of parts, what is not written is not stored
                chunks = tuple(min(size, most) for size, most in zip(self.shape, (256, 1024)))
                self._make(f"layers/{name}", chunks, float("nan"), values.dtype, whole)
            self._root["layers"][name][rows, genes] = values

    def _room(self, more: int = 0) -> None:
        """Keep room for what comes late, where a library needs it."""

    @abstractmethod
    def _make(self, name: str, chunks: tuple[int, ...], empty: float, dtype: Any, whole: bool) -> Any:
        """Make a matrix of the file's shape; of one that is filled as a `whole`, chunks may be left out."""


class H5adWriter(Hdf5Writer, _AnnDataWriter):
    """Writes `.h5ad`: X dense, contiguous unless `compression="gzip"` or `chunks=(samples, genes)`."""

    def _start(self, path: Path) -> None:
        self._root = self._open(path)
        self._write_all_but_x()
        self._take(_marked(self._root.create_dataset("X", self.shape, self._packing.dtype, **self._layout)))

    def _make(self, name: str, chunks: tuple[int, ...], empty: float, dtype: Any, whole: bool) -> Any:
        layout = {} if whole and not self._layout else {**self._layout, "chunks": chunks, "fillvalue": empty}
        made = _marked(self._root.create_dataset(name, self.shape, dtype, **layout))
        self._room(0 if layout else np.dtype(dtype).itemsize * self.shape[0] * self.shape[1])
        return made

    def _table(self, name: str, shape: tuple[int, int]) -> h5py.Dataset:
        return _marked(super()._table(name, shape))


class ZarrWriter(_AnnDataWriter):
    """Writes a `.zarr` folder in zarr's format 2, which both of its major versions read; chunks of about 1 MiB.

    By zstd unless told: unlike blosc it notices a chunk that was cut short.
    """

    compressions = ("zstd", "gzip", "blosc", None, "none")

    def _stored_as(self, compression: str | None, chunks: tuple[int, int] | None) -> dict[str, Any]:
        return {"compression": compression, **storage(self.shape, None, chunks or (256, 1024))}

    def _start(self, path: Path) -> None:
        self._folder = path
        new = int(zarr.__version__.split(".")[0]) >= 3
        options: dict[str, Any] = {"zarr_format": 2} if new else {}
        self._root = zarr.open_group(str(path), mode="w", **options)
        self._write_all_but_x()
        self._take(self._make("X", self._layout["chunks"], 0.0, self._packing.dtype, True))

    def _make(self, name: str, chunks: tuple[int, ...], empty: float, dtype: Any, whole: bool) -> Any:
        return self._array(name, self.shape, chunks, np.dtype(dtype), empty)

    def _table(self, name: str, shape: tuple[int, int]) -> Any:
        return self._array(name, shape, (1, shape[1]), np.dtype(np.float32), 0.0)

    def _array(self, name: str, shape: tuple[int, int], chunks: tuple[int, ...], dtype: np.dtype, empty: float) -> Any:
        new = int(zarr.__version__.split(".")[0]) >= 3
        packing = _codec(self._layout["compression"], dtype)
        options: dict[str, Any] = {"compressors": packing} if new else {"compressor": packing}
        make = self._root.create_array if new else self._root.create_dataset
        if dtype.kind == "i":
            empty = int(empty)
        return _marked(make(name, shape=shape, chunks=chunks, dtype=dtype.str, fill_value=empty, **options))

    def _finish(self) -> None:
        super()._finish()
        zarr.consolidate_metadata(str(self._folder))

    def _close(self) -> None:
        if self._root is not None and not self._folder.is_dir():
            shutil.rmtree(self._folder, ignore_errors=True)


def _marked(array: Any) -> Any:
    """An array with what anndata knows it by."""
    array.attrs["encoding-type"], array.attrs["encoding-version"] = "array", "0.2.0"
    return array


def _codec(name: str | None, dtype: np.dtype) -> Any:
    """A codec that every reader of zarr has; "zstd" where nothing is told."""
    if name == "gzip":
        return numcodecs.Zlib(level=1)  # that of gzip without its header, which holds the time
    if name == "blosc":
        return numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
    return None if name == "none" else numcodecs.Zstd(level=1)


def _storable(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of strings as anndata itself stores them: as categories where they repeat or have gaps, else plain.

    Strings are kept as Python objects throughout: anndata cannot write the string type of pandas 3.
    """
    table = table.copy(deep=False)
    for column in table.columns:
        values = table[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = _categories(values, values.cat.categories, bool(values.cat.ordered)) if is_text(values) else values
        elif is_text(values) or pd.api.types.is_datetime64_any_dtype(values.dtype):
            texts = [None if gap else str(value) for value, gap in zip(values.astype(str), values.isna())]
            different = sorted({text for text in texts if text is not None})
            plain = pd.Series(texts, index=table.index, dtype=object)
            values = plain if len(different) == len(texts) else _categories(plain, pd.Index(different, dtype=object))
        else:
            continue
        table[column] = values
    safe = [str(column).replace("/", "_") for column in table.columns]
    if safe != list(table.columns):
        progress.note("a slash in names of metadata columns became an underscore")
        table.columns = pd.Index(safe, dtype=object)
    table.index = pd.Index([str(value) for value in table.index], dtype=object, name="_index")
    return table


def _categories(values: pd.Series, categories: pd.Index, ordered: bool = False) -> pd.Series:
    """Text as categories that are plain objects."""
    names = pd.Index([str(name) for name in categories], dtype=object)
    positions = (
        values.cat.codes if isinstance(values.dtype, pd.CategoricalDtype) else names.get_indexer(pd.Index(values))
    )
    return pd.Series(pd.Categorical.from_codes(positions, categories=names, ordered=ordered), index=values.index)
