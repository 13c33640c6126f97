"""ARCHS4's HDF5 files: counts of all public human or mouse RNA-Seq, genes x samples, read in place.

`data/expression` holds the counts, `meta/genes` and `meta/samples` what is known of genes and samples (version 2);
older files have `meta/genes` and `meta/Sample_geo_accession` as plain arrays (Lachmann et al., Nature Communications
2018, doi:10.1038/s41467-018-03751-6).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from dgex.arrays.index import Index
from dgex.errors import DataError
from dgex.io.base import ExpressionFile
from dgex.io.checks import reading
from dgex.io.gctx import layout, open_hdf
from dgex.io.metadata import decode, frame
from dgex.io.slabs import fill

__all__ = ["Archs4File"]

_GENES = {"ensembl": ("ensembl_gene", "ensembl_gene_id"), "symbol": ("symbol", "gene_symbol", "genes")}
_SAMPLES = ("series_id", "title", "source_name_ch1", "characteristics_ch1", "platform_id", "singlecellprobability")


class Archs4File(ExpressionFile):
    """An open file of ARCHS4."""

    format = "ARCHS4"
    native = "genes-in-rows"

    def __init__(self, path: Path) -> None:
        with reading(path, self.format):
            self._handle = open_hdf(path)
            try:
                self._matrix = self._handle["data/expression"]
                var, obs = _genes(self._handle), _samples(self._handle)
                if self._matrix.shape != (len(var), len(obs)):
                    raise DataError(
                        f"{path} holds a matrix of shape {self._matrix.shape} for {len(var):,} genes and "
                        f"{len(obs):,} samples"
                    )
                notes = {"kind": "ARCHS4 gene counts", "layout": layout(self._matrix), "orientation": self.native}
                super().__init__(path, obs, var, notes=notes, uns={"unit": "counts"})
            except BaseException:
                self._handle.close()
                raise

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        turned = np.empty(out.shape[::-1], np.float32)
        fill(self._matrix, genes, rows, turned)
        out[:] = turned.T

    def close(self) -> None:
        self._handle.close()


def _genes(file: h5py.File) -> pd.DataFrame:
    held: Any = file["meta/genes"]
    if isinstance(held, h5py.Dataset):
        return frame({}, decode(held[:]))
    columns = {kind: decode(held[name][:]) for kind, names in _GENES.items() for name in names if name in held}
    if not columns:
        raise DataError(f"{file.filename}: meta/genes holds no ids of genes")
    ids = next(iter(columns.values()))
    return frame({kind: pd.Series(values, dtype=object) for kind, values in columns.items() if values is not ids}, ids)


def _samples(file: h5py.File) -> pd.DataFrame:
    held = file["meta/samples"] if "meta/samples" in file else file["meta"]
    prefix = "" if "meta/samples" in file else "Sample_"
    ids = decode(held[f"{prefix}geo_accession"][:])
    fields = {name: held[f"{prefix}{name}"][:] for name in _SAMPLES if f"{prefix}{name}" in held}
    return frame(
        {
            name: pd.Series(values if values.dtype.kind in "fiu" else decode(values))
            for name, values in fields.items()
            if len(values) == len(ids)
        },
        ids,
    )
