"""Feature-barcode matrices of 10x (Cell Ranger, Xenium): one HDF5 file, or a folder with three files; genes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from dgex import progress
from dgex.arrays.index import Index, size_of
from dgex.errors import DataError, FileError
from dgex.io.base import ExpressionFile, Kept
from dgex.io.checks import reading
from dgex.io.delimited import open_text
from dgex.io.gctx import open_hdf
from dgex.io.metadata import decode, frame
from dgex.io.sparse import SparseMatrix

__all__ = ["open_mtx", "open_tenx"]

_GENES = "Gene Expression"


def open_tenx(path: Path) -> ExpressionFile:
    """Open a feature-barcode matrix in HDF5, of any version; features that are no genes are left out."""
    return _genes_only(_TenxFile(path))


def open_mtx(path: Path) -> ExpressionFile:
    """Open a matrix in Matrix Market format with its barcodes and features beside it; `path` is it or its folder."""
    return _genes_only(_MtxFile(path))


class _TenxFile(ExpressionFile):
    format = "10x HDF5"

    def __init__(self, path: Path) -> None:
        with reading(path, self.format):
            self._handle = open_hdf(path)
            try:
                groups = [name for name in self._handle if f"{name}/barcodes" in self._handle]
                if len(groups) != 1:
                    raise DataError(f"{path} holds matrices of {len(groups)} genomes; one is accepted")
                group = self._handle[groups[0]]
                shape = tuple(int(size) for size in group["shape"][:])
                self._matrix = SparseMatrix(group, "csr", (shape[1], shape[0]))  # a line a barcode
                obs, var = frame({}, decode(group["barcodes"][:])), _features(group)
                notes = {"kind": "10x cells", "layout": "sparse", "orientation": self.native}
                super().__init__(path, obs, var, notes=notes, uns={"unit": "counts"})
            except BaseException:
                self._handle.close()
                raise

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        self._matrix.fill(rows, genes, out)

    def close(self) -> None:
        self._handle.close()


class _MtxFile(ExpressionFile):
    format = "10x matrix"

    def __init__(self, path: Path) -> None:
        from scipy.io import mmread

        matrix = path if path.is_file() else next(iter(sorted(path.glob("*matrix.mtx*"))))
        with reading(path, self.format):
            cells = [row[0] for row in _beside(matrix, "barcodes")]
            genes = _beside(matrix, "features", "genes")
            values = csr_matrix(mmread(str(matrix)))
            if values.shape == (len(genes), len(cells)):
                values = csr_matrix(values.T)
            elif values.shape != (len(cells), len(genes)):
                raise DataError(
                    f"{path} holds a matrix of shape {values.shape} for {len(genes):,} features and {len(cells):,} "
                    f"barcodes"
                )
            self._values = values.astype(np.float32)
            var = frame(_described([list(column) for column in zip(*genes)][1:3]), [row[0] for row in genes])
            notes = {"kind": "10x cells", "layout": "sparse", "orientation": self.native}
            whole = bool((self._values.data == np.rint(self._values.data)).all())
            super().__init__(path, frame({}, cells), var, notes=notes, uns={"unit": "counts"} if whole else {})

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        values = self._values[rows]
        out[:] = (values[:, genes] if size_of(genes) < self.shape[1] else values).toarray()


def _features(group: h5py.Group) -> pd.DataFrame:
    if "features" not in group:  # Cell Ranger 2
        return frame({"symbol": decode(group["gene_names"][:])}, decode(group["genes"][:]))
    features = group["features"]
    columns = [decode(features[name][:]) for name in ("name", "feature_type") if name in features]
    return frame(_described(columns), decode(features["id"][:]))


def _described(columns: list[list[str]]) -> dict[str, Any]:
    return {name: pd.Series(values, dtype=object) for name, values in zip(("symbol", "feature_type"), columns)}


def _genes_only(handle: ExpressionFile) -> ExpressionFile:
    kinds = handle.var.get("feature_type")
    if kinds is None or (kinds == _GENES).all():
        return handle
    keep = np.flatnonzero((kinds == _GENES).to_numpy())
    others = ", ".join(sorted(set(kinds.astype(str)) - {_GENES}))
    if not keep.size:
        handle.close()
        raise DataError(f"{handle.path} has no feature of type {_GENES!r}; found: {others}")
    progress.note(f"{handle.path.name}: {len(kinds) - keep.size:,} features are no genes ({others}): left out")
    return Kept(handle, keep, handle.var.iloc[keep])


def _beside(matrix: Path, *names: str) -> list[list[str]]:
    """Rows of a table beside a matrix, which has the same prefix: `GSM1_matrix.mtx.gz`, `GSM1_barcodes.tsv.gz`."""
    prefix = matrix.name.split("matrix.mtx")[0] if "matrix.mtx" in matrix.name else matrix.name.split(".mtx")[0] + "."
    for name in names:
        for suffix in (".tsv", ".tsv.gz", ".txt", ".txt.gz"):
            table = matrix.parent / f"{prefix}{name}{suffix}"
            if table.is_file():
                with open_text(table) as stream:
                    return [line.rstrip("\r\n").split("\t") for line in stream if line.strip()]
    raise FileError(f"{matrix} has no {names[0]} beside it: {prefix}{names[0]}.tsv or .tsv.gz is needed")
