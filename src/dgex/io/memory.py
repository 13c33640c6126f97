"""An AnnData in memory, read as any expression file is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from dgex.arrays.index import Index, part, size_of
from dgex.errors import DataError
from dgex.io.base import ExpressionFile, Selection, positions
from dgex.io.records import EXTRAS, extras
from dgex.io.slabs import fill
from dgex.io.sparse import SparseMatrix

__all__ = ["MemoryFile"]

_VALUES = 8 << 20  # values copied at a time, beside the block asked for


class MemoryFile(ExpressionFile):
    """An AnnData, dense, sparse or backed, behind the face of an open file.

    Its values are neither changed nor copied as a whole. Backed ones are read as from their file; a view stays one.
    """

    format = "AnnData in memory"

    def __init__(self, adata: AnnData, *, layer: str | None = None) -> None:
        self.adata, self._layer = adata, layer
        self._matrix: Any = None
        if layer is not None:
            self._matrix, held = _layer(adata, layer)
            notes = {"orientation": self.native, "layer": layer}
            super().__init__(Path("in memory"), pd.DataFrame(adata.obs), held, notes=notes, uns=adata.uns)
            return
        # asked for but once: a view would copy all of its values, a backed AnnData read its row pointers again
        matrix: Any = None if adata.is_view else adata.X
        if matrix is None and (not adata.is_view or adata._adata_ref.X is None):
            raise DataError("the AnnData in memory holds no matrix: its X is None", accepted=_choices(adata))
        self._matrix = SparseMatrix(matrix.group) if hasattr(matrix, "group") else matrix
        obs, var = pd.DataFrame(adata.obs), pd.DataFrame(adata.var)
        notes = {"orientation": self.native}
        super().__init__(Path("in memory"), obs, var, notes=notes, uns=adata.uns, varm=dict(adata.varm))

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        if isinstance(self._matrix, SparseMatrix):
            self._matrix.fill(rows, genes, out)
        elif self._layer is None and self.adata.isbacked and not self.adata.is_view:
            fill(self._matrix, rows, genes, out)
        else:
            step = max(1, _VALUES // self.shape[1])
            for start in range(0, len(out), step):
                out[start : start + step] = self._part(part(rows, slice(start, start + step)), genes)

    def _part(self, rows: Index, genes: Index) -> np.ndarray:
        if self._layer is not None:
            values = self._matrix[rows][:, genes]
        elif self.adata.is_view and not self.adata.isbacked:
            values = self.adata[rows, genes].X
        else:
            values = (self.adata.X if self.adata.is_view else self._matrix)[rows]
            values = values[:, genes] if size_of(genes) < self.shape[1] else values
        return values.toarray() if hasattr(values, "toarray") else np.asarray(values)

    def close(self) -> None:
        if isinstance(self._matrix, SparseMatrix):
            self._matrix.close()

    def to_adata(self, genes: Selection = None, samples: Selection = None) -> AnnData:
        """Copy the selection; layers, obsm and the like come along."""
        adata = super().to_adata(genes, samples)
        if self._layer == "raw":
            return adata
        rows = positions(samples, self.obs.index, "sample", self.path)
        whole = self.adata[rows, positions(genes, self.var.index, "gene", self.path)]
        for name in EXTRAS:
            for key, value in extras(whole, name).items():
                getattr(adata, name)[key] = value.copy()
        return adata


def _choices(adata: AnnData) -> str:
    """What `layer=` may be."""
    names = [*extras(adata, "layers"), *(["raw"] if adata.raw is not None else [])]
    return ", ".join(f"layer={name!r}" for name in names) or "an AnnData with X or layers"


def _layer(adata: AnnData, layer: str) -> tuple[Any, pd.DataFrame]:
    """The values and the genes of a layer, or of `raw`."""
    if layer == "raw" and adata.raw is not None:
        return adata.raw.X, pd.DataFrame(adata.raw.var)
    if layer not in extras(adata, "layers"):
        raise DataError(f"the AnnData in memory has no layer {layer!r}", accepted=_choices(adata))
    return adata.layers[layer], pd.DataFrame(adata.var)
