"""A float32 matrix in a temporary file without a name: gone when closed, whatever happens."""

from __future__ import annotations

import mmap
import os
import tempfile

import numpy as np

from dgex.arrays.index import Index, part, size_of
from dgex.errors import FileError

__all__ = ["Spool"]

_BUFFER = 8 << 20  # bytes copied at a time


class Spool:
    """Takes rows in, gives any part of them out, in memory only what is asked for.

    Parameters
    ----------
    columns : int
        Width of the matrix; its height is what was appended.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows = 0
        self._file = tempfile.TemporaryFile(prefix="dgex-")  # noqa: SIM115 (closed by close)
        self._view: np.memmap | None = None

    def append(self, block: np.ndarray) -> None:
        """Add float32 rows.

        Raises
        ------
        FileError
            The temporary folder is full.
        """
        try:
            self._file.write(np.ascontiguousarray(block, np.float32).data)
        except OSError as error:
            raise FileError(
                f"cannot hold the matrix in the temporary folder {tempfile.gettempdir()}: {error.strerror}; "
                f"set TMPDIR to a larger one"
            ) from error
        self.rows += len(block)
        self._view = None

    def fill(self, rows: Index, columns: Index, out: np.ndarray, turned: bool = False) -> None:
        """Put part of the matrix into `out`; `turned` gives its columns as rows.

        With `turned`, `rows` and `columns` mean those of `out`: positions in the matrix's columns and rows.
        """
        if not out.size:
            return
        view = self._map()
        lines, across = (columns, rows) if turned else (rows, columns)
        step = max(1, _BUFFER // (4 * max(1, size_of(across))))
        for start in range(0, size_of(lines), step):
            values = view[part(lines, slice(start, start + step))][:, across]
            if turned:
                out[:, start : start + len(values)] = values.T
            else:
                out[start : start + len(values)] = values
        if hasattr(mmap, "MADV_DONTNEED"):  # let go of the pages read, which would count as ours
            view._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

    def _map(self) -> np.memmap:
        if self._view is None:
            try:
                self._file.flush()
            except OSError as error:
                raise FileError(f"cannot write to {tempfile.gettempdir()}: {os.strerror(error.errno or 0)}") from error
            self._view = np.memmap(self._file, np.float32, "r", shape=(self.rows, self.columns))
        return self._view

    def close(self) -> None:
        """Remove the file."""
        self._view = None
        self._file.close()
