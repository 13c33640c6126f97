"""AnnData on disk, `.h5ad` and `.zarr`: read lazily, dense or sparse; `annotated_writer` writes it."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import anndata
import anndata.io
import h5py
import numpy as np
import pandas as pd
import zarr
from anndata import AnnData

from dgex.arrays.index import Index
from dgex.errors import DataError, FileError, first
from dgex.io.annotated_writer import H5adWriter, ZarrWriter
from dgex.io.base import ExpressionFile, Selection
from dgex.io.checks import reading
from dgex.io.gctx import layout, open_hdf, unscaled
from dgex.io.packed import SCALED, Scaled
from dgex.io.records import EXTRAS, decode_uns, extras
from dgex.io.slabs import fill
from dgex.io.sparse import SparseMatrix
from dgex.io.zarr_guard import check_zarr
from dgex.io.zarr_remote import open_remote
from dgex.remote.places import Remote

__all__ = ["H5adFile", "H5adWriter", "ZarrFile", "ZarrWriter"]

_BY_PARTS = ("X", "raw/", *(f"{name}/" for name in EXTRAS), f"uns/{SCALED}/")  # not held when a file is opened


class _AnnDataFile(ExpressionFile):
    """What both kinds of store share: a group with `X`, `obs`, `var` and more."""

    def __init__(self, path: Path, *, layer: str | None = None) -> None:
        with reading(path, self.format):
            self._handle = self._open(path)
            self._raw = layer == "raw"
            try:
                lacks = [name for name in ("obs", "var") if name not in self._handle]
                if lacks:
                    without = " and no ".join(lacks)
                    raise FileError(f"{path} is no AnnData file: it has no {without}{self._looks_like()}")
                layers = self._layers()
                place = self._place(path, layer, layers)
                holder = self._handle["raw"] if self._raw else self._handle
                obs, var = _table(self._handle, "obs", path), _table(holder, "var", path)
                self._matrix, described = self._open_matrix(path, place, len(obs), len(var))
                self._values = unscaled(self._matrix, self._handle, "uns") if place == "X" else self._matrix
                uns = _annotations(self._handle["uns"], self._values) if "uns" in self._handle else {}
                varm = anndata.io.read_elem(holder["varm"]) if "varm" in holder else {}
                wrong = [key for key, value in varm.items() if np.shape(value)[:1] != (len(var),)]
                if wrong:
                    raise DataError(f"{path}: varm {first(wrong)} is of another length than its {len(var):,} genes")
                notes = {"layout": described, "orientation": self.native}
                notes |= {"layer": layer} if layer else {}
                notes |= {"layers": ", ".join(layers)} if layers else {}
                super().__init__(path, obs, var, notes=notes, uns=decode_uns(uns), varm=varm)
            except BaseException:
                self.close()
                raise

    def _layers(self) -> list[str]:
        """What other matrices the store holds, by the names that `layer=` takes."""
        layers = sorted(self._handle["layers"]) if "layers" in self._handle else []
        return [*layers, *(["raw"] if "raw/X" in self._handle else [])]

    def _place(self, path: Path, layer: str | None, layers: list[str]) -> str:
        """Where in the store the values are that were asked for."""
        others = ", ".join(f"layer={name!r}" for name in layers)
        if layer is None:
            null = "X" in self._handle and dict(self._handle["X"].attrs).get("encoding-type") == "null"
            if "X" not in self._handle or null:
                raise DataError(f"{path} has no X" + (f"; accepted: {others}" if others else " and no layers"))
            return "X"
        if layer not in layers:
            raise DataError(f"{path} has no layer {layer!r}; accepted: {others or 'none, it has no layers'}")
        return "raw/X" if layer == "raw" else f"layers/{layer}"

    @abstractmethod
    def _open(self, path: Path) -> Any:
        """Open the store and return its root group."""

    def _looks_like(self) -> str:
        return "; it looks like GCTX: name it .gctx" if "0" in self._handle else ""

    def _open_matrix(self, path: Path, place: str, samples: int, genes: int) -> tuple[Any, str]:
        stored = self._handle[place]
        if hasattr(stored, "keys"):
            matrix = SparseMatrix(stored)
            described = f"sparse {matrix.kind}"
        else:
            matrix = stored
            described = layout(stored) if isinstance(stored, h5py.Dataset) else f"chunks of {stored.chunks}"
            if stored.dtype.kind not in "fiub":
                raise DataError(f"{path} holds {stored.dtype} where numbers belong, in {place}")
        if tuple(matrix.shape) != (samples, genes):
            raise DataError(
                f"{path} holds a matrix of shape {matrix.shape} for {samples:,} samples and {genes:,} genes"
            )
        return matrix, described

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        if isinstance(self._matrix, SparseMatrix):
            self._matrix.fill(rows, genes, out)
        else:
            fill(self._values, rows, genes, out)

    def to_adata(self, genes: Selection = None, samples: Selection = None) -> AnnData:
        """Read the selection; layers, obsm and the like come along."""
        adata = super().to_adata(genes, samples)
        if self._raw:  # what lies beside X has the genes of X
            return adata
        with reading(self.path, self.format):
            for name in EXTRAS:
                if name not in self._handle or not len(self._handle[name]):
                    continue
                whole = AnnData(obs=self.obs[[]], var=self.var[[]])
                for key, value in anndata.io.read_elem(self._handle[name]).items():
                    if hasattr(value, "check_format"):
                        value.check_format(full_check=True)
                    getattr(whole, name)[key] = value
                for key, value in extras(whole[adata.obs_names, adata.var_names], name).items():
                    getattr(adata, name)[key] = value.copy()
        return adata

    def close(self) -> None:
        if isinstance(getattr(self, "_matrix", None), SparseMatrix):
            self._matrix.close()


class H5adFile(_AnnDataFile):
    """An open `.h5ad` file."""

    format = "AnnData h5ad"

    def _open(self, path: Path) -> Any:
        return open_hdf(path, _BY_PARTS)

    def close(self) -> None:
        super().close()
        self._handle.close()


class ZarrFile(_AnnDataFile):
    """An open `.zarr` folder."""

    format = "AnnData zarr"

    def _open(self, path: Path) -> Any:
        if isinstance(path, Remote):
            return open_remote(path, _BY_PARTS)
        check_zarr(path, _BY_PARTS)
        return zarr.open_group(str(path), mode="r")


def _annotations(group: Any, values: Any) -> dict[str, Any]:
    """`uns`, but for the tables by which whole numbers become values: they may be large, and are of this file alone."""
    if not isinstance(values, Scaled):
        whole: dict[str, Any] = anndata.io.read_elem(group)
        return whole
    return {name: anndata.io.read_elem(group[name]) for name in group if name != SCALED}


def _table(handle: Any, name: str, path: Path) -> pd.DataFrame:
    if isinstance(handle[name], h5py.Dataset):
        raise FileError(f"{path} was written by an anndata before 0.7; read and write it with a newer one first")
    columns = [str(column) for column in dict(handle[name].attrs).get("column-order", [])]
    lower = [column.lower() for column in columns]
    alike = [column for column in columns if lower.count(column.lower()) > 1]
    try:
        table = anndata.io.read_elem(handle[name])
    except Exception as error:
        if not alike:
            raise
        raise FileError(
            f"{path}: columns of {name} differ in case only ({first(alike, 4)}), which the file system that wrote it "
            f"cannot keep apart; rename them and write it again"
        ) from error
    if not isinstance(table, pd.DataFrame):
        raise FileError(f"{path} is no AnnData file: its {name} is no table")
    table.index = pd.Index([str(value) for value in table.index], dtype=object)
    return table
