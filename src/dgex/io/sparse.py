"""Sparse matrices in AnnData stores, read by parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from dgex.arrays.index import Index, size_of
from dgex.arrays.spool import Spool

__all__ = ["SparseMatrix"]

_VALUES = 2 << 20  # stored values handled at a time


class SparseMatrix:
    """A CSR or CSC matrix in an HDF5 or zarr group; only its row or column pointers are held.

    Profiles of a CSC matrix lie all over the file. The first block asked for turns the selected genes
    into a dense temporary file, from which this and the next blocks come.
    """

    def __init__(self, group: Any, kind: str = "", shape: tuple[int, int] | None = None) -> None:
        kind = kind or group.attrs.get("encoding-type", group.attrs.get("h5sparse_format", ""))
        if kind not in ("csr_matrix", "csc_matrix", "csr", "csc"):
            raise ValueError(f"X is of kind {kind!r}; dense, CSR and CSC matrices are known")
        self.kind = kind[:3].upper()
        if shape is None:
            shape = group.attrs["shape"] if "shape" in group.attrs else group.attrs["h5sparse_shape"]
        self.shape = (int(shape[0]), int(shape[1]))
        self._pointers = np.asarray(group["indptr"][:], dtype=np.int64)
        self._indices, self._data = group["indices"], group["data"]
        if len(self._pointers) != self.shape[0 if self.kind == "CSR" else 1] + 1:
            raise ValueError("the pointers of the sparse matrix do not fit its shape")
        stored = min(self._indices.shape[0], self._data.shape[0])
        if self._pointers[0] != 0 or self._pointers[-1] > stored or (np.diff(self._pointers) < 0).any():
            raise ValueError(f"the pointers of the sparse matrix do not lead through its {stored:,} values")
        self._spool: Spool | None = None
        self._spooled: np.ndarray | None = None

    def fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        """Put the values of `rows` and `genes` into `out`."""
        if self.kind == "CSR":
            self._fill_lines(_array(rows), genes, self.shape[1], out)
            return
        wanted = _array(genes)
        if self._spool is None or self._spooled is None or not np.array_equal(wanted, self._spooled):
            self.close()
            self._spool, self._spooled = Spool(self.shape[0]), wanted
            step = max(1, _VALUES // self.shape[0])
            for start in range(0, len(wanted), step):
                part = wanted[start : start + step]
                block = np.empty((len(part), self.shape[0]), np.float32)
                self._fill_lines(part, slice(0, self.shape[0]), self.shape[0], block)
                self._spool.append(block)
        self._spool.fill(rows, slice(0, len(wanted)), out, turned=True)

    def _fill_lines(self, lines: np.ndarray, across: Index, width: int, out: np.ndarray) -> None:
        """Fill dense lines (rows of CSR, columns of CSC), neighbours together."""
        breaks = np.flatnonzero(np.diff(lines) > 1) + 1
        at = 0
        for run in np.split(lines, breaks):
            low, end = int(run[0]), int(run[-1]) + 1
            while low < end:
                high = int(np.searchsorted(self._pointers, self._pointers[low] + _VALUES, side="right")) - 1
                high = min(max(high, low + 1), end)
                first, last = int(self._pointers[low]), int(self._pointers[high])
                part = csr_matrix(
                    (
                        np.asarray(self._data[first:last], np.float32),
                        np.asarray(self._indices[first:last]),
                        self._pointers[low : high + 1] - first,
                    ),
                    shape=(high - low, width),
                )
                part.check_format(full_check=True)  # an index beyond the width would be written beyond the array
                part = part[:, across] if size_of(across) < width else part
                out[at : at + high - low] = part.toarray()
                at += high - low
                low = high

    def close(self) -> None:
        """Remove the temporary file, if there is one."""
        if self._spool is not None:
            self._spool.close()
            self._spool = self._spooled = None


def _array(index: Index) -> np.ndarray:
    return np.arange(index.start, index.stop) if isinstance(index, slice) else index
