"""An AnnData in memory, read as any expression file is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from dgex.arrays.index import Index
from dgex.errors import DataError
from dgex.io.base import ExpressionFile, Selection
from dgex.io.records import EXTRAS, extras

__all__ = ["MemoryFile"]


class MemoryFile(ExpressionFile):
    """An AnnData, dense, sparse or backed, behind the face of an open file; its values are never changed."""

    format = "AnnData in memory"

    def __init__(self, adata: AnnData) -> None:
        if adata.X is None:
            raise DataError("the AnnData in memory holds no matrix: its X is None")
        self.adata = adata
        obs, var = pd.DataFrame(adata.obs), pd.DataFrame(adata.var)
        notes = {"orientation": self.native}
        super().__init__(Path("in memory"), obs, var, notes=notes, uns=adata.uns, varm=dict(adata.varm))

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        part = self.adata.X[rows]
        out[:] = (part.toarray() if hasattr(part, "toarray") else np.asarray(part))[:, genes]

    def to_adata(self, genes: Selection = None, samples: Selection = None) -> AnnData:
        """Copy the selection; layers, obsm and the like come along."""
        adata = super().to_adata(genes, samples)
        whole = self.adata[adata.obs_names, adata.var_names]
        for name in EXTRAS:
            for key, value in extras(whole, name).items():
                getattr(adata, name)[key] = value.copy()
        return adata
