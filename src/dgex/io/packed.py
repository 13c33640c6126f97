"""Values in two bytes: halves as they are, or whole numbers with an offset and a scale of each gene.

Ranges of genes are known only when all values have come, and nobody wants to infer twice or to hold what was inferred.
So every band of 1,024 profiles has an offset and a scale of its own for each gene, taken from the values themselves:
one pass, no value beyond the range, whatever the model says, and half a step of the band as the largest error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dgex.errors import DataError

__all__ = ["BAND", "DTYPES", "SCALED", "TOLD", "Packing", "Scaled"]

DTYPES = ("float32", "float16", "int16")
BAND = 1024  # profiles that share the offset and the scale of a gene
SCALED = "int16_scaled"  # the group with the tables `offset` and `scale`, bands x genes; the attribute that says so
MISSING = -32768  # stands for NaN
TOLD = (
    f"value[i, j] = stored[i, j] * scale[i // {BAND}, j] + offset[i // {BAND}, j] in float32; {MISSING} is NaN; "
    "scale and offset are the tables in "
)
_MOST = 32767
_LEAST = 1e-30  # scales below: one value for all
_ROWS = 64  # rows worked on at a time, so that they stay in the cache


class Packing:
    """Turns blocks of float32 into what is stored, and measures what that costs.

    Parameters
    ----------
    dtype : {"float32", "float16", "int16"}
    where : str
        What errors call the file.

    Attributes
    ----------
    largest : float
        The largest difference so far between a value and what is read back, in the unit of the values.
    """

    def __init__(self, dtype: str, where: str) -> None:
        self.dtype, self.largest = np.dtype(dtype), 0.0
        self._where = where

    def __call__(self, block: np.ndarray, names: tuple[Any, Any]) -> np.ndarray:
        """Values as float32 or float16; `names` are those of the block's profiles and of the genes."""
        if self.dtype == np.float32:
            return block
        stored = np.empty(block.shape, np.float16)
        for start in range(0, len(block), _ROWS):
            part, into = block[start : start + _ROWS], stored[start : start + _ROWS]
            with np.errstate(over="ignore", invalid="ignore"):
                into[:] = part
                self._measure(into.astype(np.float32) - part)
            over = np.isinf(into)
            if over.any() and (over & np.isfinite(part)).any():
                row, gene = np.argwhere(over & np.isfinite(part))[0]
                self._refuse(part[row, gene], names, start + int(row), int(gene), "values up to 65,504")
        return stored

    def band(self, block: np.ndarray, names: tuple[Any, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A band as int16, with the offset and the scale of each gene."""
        low, high = (one.reduce(block, axis=0).astype(np.float64) for one in (np.fmin, np.fmax))
        wrong = np.isinf(low) | np.isinf(high)
        if wrong.any():
            row, gene = np.argwhere(np.isinf(block) & wrong)[0]
            self._refuse(block[row, gene], names, int(row), int(gene), "finite values, and NaN for what is missing")
        gaps = bool(np.isnan(block.sum(dtype=np.float64)))
        low, high = np.nan_to_num(low), np.nan_to_num(high)  # of genes that are missing throughout
        offset, scale = ((low + high) / 2).astype(np.float32), ((high - low) / (2 * _MOST)).astype(np.float32)
        scale[scale < _LEAST] = 0
        inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
        stored = np.empty(block.shape, np.int16)
        for start in range(0, len(block), _ROWS):
            part, into = block[start : start + _ROWS], stored[start : start + _ROWS]
            steps = part - offset
            steps *= inverse
            np.rint(steps, out=steps)
            np.clip(steps, -_MOST, _MOST, out=steps)  # half a step of rounding at the ends, no value
            if gaps:
                into[:] = np.where(np.isnan(steps), np.float32(MISSING), steps)
            else:
                into[:] = steps
            steps *= scale
            steps += offset
            steps -= part
            self._measure(steps)
        return stored, offset, scale

    def _measure(self, off: np.ndarray) -> None:
        """Remember the largest difference; what is missing or infinite differs from nothing."""
        most = max(float(off.max()), -float(off.min()))
        if not np.isfinite(most):
            finite = np.abs(off[np.isfinite(off)])
            most = float(finite.max()) if finite.size else 0.0
        self.largest = max(self.largest, most)

    def _refuse(self, value: float, names: tuple[Any, Any], row: int, gene: int, accepted: str) -> None:
        raise DataError(
            f"{self.dtype} cannot hold a value for {self._where}: gene {names[1][gene]}, sample {names[0][row]}",
            found=float(value),
            accepted=f"{accepted}; dtype='float32' holds all",
        )


class Scaled:
    """A matrix of whole numbers that reads as the float32 values they stand for.

    Parameters
    ----------
    matrix : h5py.Dataset or zarr.Array of int16, shape (profiles, genes)
    tables : mapping
        `offset` and `scale`, bands x genes.
    """

    def __init__(self, matrix: Any, tables: Any) -> None:
        self._matrix, self._offset, self._scale = matrix, tables["offset"], tables["scale"]
        bands = -(-matrix.shape[0] // BAND)
        for table in (self._offset, self._scale):
            if tuple(table.shape) != (bands, matrix.shape[1]) or table.dtype.kind != "f":
                raise DataError(f"tables of {SCALED} hold {table.dtype} {table.shape}, not a float a band and gene")
        self.shape, self.dtype = tuple(matrix.shape), np.dtype(np.float32)
        self.chunks = matrix.chunks

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        rows, columns = key
        stored = np.asarray(self._matrix[rows, columns])
        values = stored.astype(np.float32)
        for band in range(rows.start // BAND, -(-rows.stop // BAND)):
            here = slice(max(0, band * BAND - rows.start), (band + 1) * BAND - rows.start)
            values[here] *= np.asarray(self._scale[band, columns], np.float32)
            values[here] += np.asarray(self._offset[band, columns], np.float32)
        values[stored == MISSING] = np.nan
        return values
