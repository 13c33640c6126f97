"""What GCTX, h5ad and zarr share on writing: one matrix, its kind of number, its packing, and its checksums."""

from __future__ import annotations

from abc import abstractmethod
from math import lcm
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pandas as pd

from dgex.errors import SettingsError
from dgex.io.checksums import Checksums, put
from dgex.io.packed import BAND, DTYPES, SCALED, TOLD, Packing
from dgex.io.room import release, reserve
from dgex.io.writer import Writer

__all__ = ["HDF5_COMPRESSIONS", "Hdf5Writer", "MatrixWriter", "storage"]

HDF5_COMPRESSIONS = (None, "none", "gzip")  # what every reader of HDF5 has; zstd and blosc are plug-ins

_SPARE = 1 << 18  # bytes for metadata, besides


class MatrixWriter(Writer):
    """Writes one matrix of profiles x genes, and beside it what its numbers mean and whether they are still the same.

    Parameters
    ----------
    compression : str, optional
        One of `compressions`; the format's own choice unless told.
    chunks : (samples, genes), optional
        Shape of a chunk.
    dtype : {"float32", "float16", "int16"}
        How values are stored; see `dgex.io.packed`. What was rounded off at most is told by `rounding`.
    """

    options = ("compression", "chunks", "dtype")
    compressions: ClassVar[tuple[str | None, ...]] = HDF5_COMPRESSIONS
    tables: ClassVar[str] = ""  # the group where offsets and scales go

    def __init__(
        self,
        path: Path,
        obs: pd.DataFrame,
        var: pd.DataFrame,
        *,
        compression: str | None = None,
        chunks: tuple[int, int] | None = None,
        dtype: str = "float32",
        **common: Any,
    ) -> None:
        if compression not in self.compressions:
            known = [name for name in self.compressions if name not in (None, "none")]
            raise SettingsError(f"compression of {path}", found=compression, accepted=["none", *known])
        if dtype not in DTYPES:
            raise SettingsError("dtype", found=dtype, accepted=DTYPES)
        super().__init__(path, obs, var, **common)
        self._layout = self._stored_as(compression, chunks)
        self._step = self._layout.get("chunks", (1,))[0]
        self._packing, self._sums = Packing(dtype, str(path)), Checksums(self.shape[0])
        self._matrix: Any = None
        self._scales: dict[str, Any] = {}
        if dtype == "int16":
            self._step = lcm(self._step, BAND)

    @property
    def rounding(self) -> float | None:
        """The largest difference between a value that came and what is read back; None where nothing is rounded."""
        return None if self._packing.dtype == np.float32 else self._packing.largest

    def _stored_as(self, compression: str | None, chunks: tuple[int, int] | None) -> dict[str, Any]:
        return storage(self.shape, compression, chunks)

    def _size(self) -> int:
        """Bytes of the matrix before packing."""
        return self._packing.dtype.itemsize * self.shape[0] * self.shape[1]

    @abstractmethod
    def _table(self, name: str, shape: tuple[int, int]) -> Any:
        """Make a further table of float32, filled row by row."""

    def _take(self, matrix: Any) -> None:
        """Write to `matrix` from now on."""
        self._matrix = matrix
        if self._packing.dtype == np.int16:
            shape = -(-self.shape[0] // BAND), self.shape[1]
            self._scales = {name: self._table(f"{self.tables}/{SCALED}/{name}", shape) for name in ("offset", "scale")}
            matrix.attrs[SCALED] = f"{TOLD}/{self.tables}/{SCALED}"

    def _write(self, start: int, block: np.ndarray) -> None:
        if self._packing.dtype != np.int16:
            self._store(start, self._packing(block, (self.obs.index[start:], self.var.index)))
            return
        for at in range(0, len(block), BAND):
            first = start + at
            stored, offset, scale = self._packing.band(block[at : at + BAND], (self.obs.index[first:], self.var.index))
            self._store(first, stored)
            self._scales["offset"][first // BAND], self._scales["scale"][first // BAND] = offset, scale

    def _store(self, start: int, stored: np.ndarray) -> None:
        self._sums.add(stored)
        self._matrix[start : start + len(stored)] = stored

    def _finish(self) -> None:
        self._sums.put(self._matrix)
        for table in self._scales.values():
            put(table, 1)
        if self.rounding is not None:
            self._matrix.attrs["largest_rounding_error"] = self.rounding


class Hdf5Writer(MatrixWriter):
    """What both formats on HDF5 share: an open file, and room on the disk for what it will hold."""

    _handle: h5py.File | None = None
    _least = 0  # bytes kept for what comes after the values

    def _open(self, path: Path) -> h5py.File:
        """Make the file."""
        self._place = path
        if self._layout.get("compression") in (None, "none"):
            self._need(self._size())
        self._handle = h5py.File(path, "w", rdcc_nbytes=0)  # chunks come whole; a dirty cache crashes on a full disk
        return self._handle

    def _room(self, more: int = 0) -> None:
        """Keep room for `more` bytes, and for metadata as large again as is there before the values came.

        What HDF5 writes as it pleases, late, then finds its place: a refusal there would end the process.
        """
        assert self._handle is not None
        self._handle.flush()
        size = self._handle.id.get_filesize()
        self._least = self._least or 2 * size + _SPARE
        reserve(self._place, size + more + self._least)

    def _take(self, matrix: Any) -> None:
        super()._take(matrix)
        self._room(0 if self._matrix.chunks else self._size())

    def _table(self, name: str, shape: tuple[int, int]) -> h5py.Dataset:
        assert self._handle is not None
        return self._handle.create_dataset(name, shape, np.float32)

    def _finish(self) -> None:
        self._room()
        super()._finish()
        assert self._handle is not None
        self._handle.flush()  # what is refused here is told; on closing it would end the process

    def _close(self) -> None:
        if self._handle is not None:
            self._handle.close()
            release(self._place)


def storage(shape: tuple[int, int], compression: str | None, chunks: tuple[int, int] | None) -> dict[str, Any]:
    """Choose HDF5 storage: contiguous unless compressed or chunked on request; chunks of about 1 MiB."""
    compression = None if compression == "none" else compression
    if compression is None and chunks is None:
        return {}
    wanted = chunks or (256, 1024)
    layout: dict[str, Any] = {"chunks": (min(wanted[0], shape[0]), min(wanted[1], shape[1]))}
    if compression is not None:
        layout |= {"compression": compression, "compression_opts": 1, "shuffle": True}
    return layout
