"""Writing an expression file block by block; it gets its final name only when every profile has come."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from dgex.atomic import atomic_file
from dgex.errors import DataError, FileError, SettingsError
from dgex.io.checks import check_ids, writing
from dgex.places import check_output

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Writer"]


class Writer(ABC):
    """Streams profiles x genes to a file; a context manager.

    On a clean exit all profiles must have been appended. On any exception nothing remains of the file, and one that
    was to be replaced stays as it was.
    """

    options: ClassVar[tuple[str, ...]] = ()  # keyword options of the format
    compressions: ClassVar[tuple[str | None, ...]] = ()  # what the option `compression` takes, where there is one
    keeps_uns: ClassVar[bool] = False
    keeps_obs: ClassVar[bool] = False  # metadata of profiles may come last

    def __init__(
        self,
        path: Path,
        obs: pd.DataFrame,
        var: pd.DataFrame,
        *,
        uns: Mapping[str, Any] | None = None,
        varm: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = path
        self.obs, self.var = _checked(obs, "sample", path), _checked(var, "gene", path)
        self.uns, self.varm = dict(uns or {}), dict(varm or {})
        self._overwrite = overwrite
        self._output: AbstractContextManager[Path] | None = None
        self._temporary: Path | None = None
        self._rows = 0
        self._step = 1  # rows that the format likes to get at a time
        self._held: list[np.ndarray] = []
        check_output(path, overwrite)

    @property
    def rounding(self) -> float | None:
        """The largest difference between a value that came and what is read back; None where nothing is rounded."""
        return None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of profiles and of genes that the file will have."""
        return len(self.obs), len(self.var)

    def extras(self, adata: AnnData) -> None:  # noqa: B027 (only AnnData's own formats hold more)
        """Take what else an AnnData has (layers, obsm and the like), where the format holds it."""

    def replace_uns(self, uns: Mapping[str, Any]) -> None:  # noqa: B027 (only AnnData's own formats hold it)
        """Replace `uns` by what is known in the end."""

    def replace_obs(self, obs: pd.DataFrame) -> None:  # noqa: B027 (as above)
        """Replace the metadata of the profiles by what is known in the end; their names stay."""

    def layer(self, name: str, rows: slice, genes: slice, values: np.ndarray) -> None:  # noqa: B027 (as above)
        """Fill part of a further matrix, NaN where nothing is filled in."""

    @abstractmethod
    def _start(self, path: Path) -> None:
        """Make the file under its temporary name."""

    @abstractmethod
    def _write(self, start: int, block: np.ndarray) -> None:
        """Write float32 rows from row `start` on."""

    def _finish(self) -> None:  # noqa: B027 (not every format needs it)
        """Write what comes after the last row."""

    @abstractmethod
    def _close(self) -> None:
        """Close the file; called once after `_start`, on success and on failure."""

    def append(self, block: Any) -> None:
        """Add the next profiles.

        Parameters
        ----------
        block : array, shape (profiles, genes)

        Raises
        ------
        DataError
            The block has another number of genes, or more profiles come than were announced.
        FileError
            The disk is full or refuses to write.
        """
        if self._output is None:
            raise SettingsError("a writer takes blocks only inside its `with` statement")
        values = np.ascontiguousarray(block, dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != len(self.var):
            raise DataError(f"a block of shape {values.shape} came for {self.path} with {len(self.var):,} genes")
        if self._rows + len(values) > len(self.obs):
            raise DataError(f"more than the {len(self.obs):,} announced profiles came for {self.path}")
        self._rows += len(values)
        if self._step == 1:
            self._put(self._rows - len(values), values)
            return
        self._gather(values)
        if self._rows == len(self.obs):
            self._flush(self._rows)

    def _gather(self, values: np.ndarray) -> None:
        """Pass on whole steps; hold back what is left, copied: the caller may reuse its array."""
        at = 0
        while at < len(values):
            waiting = sum(map(len, self._held))
            take = min(self._step - waiting, len(values) - at)
            whole = waiting == 0 and take == self._step
            if whole:
                take = (len(values) - at) // self._step * self._step
                self._put(self._rows - len(values) + at, values[at : at + take])
            else:
                self._held.append(values[at : at + take].copy())
                if waiting + take == self._step:
                    self._flush(self._rows - len(values) + at + take)
            at += take

    def _flush(self, stop: int) -> None:
        if self._held:
            rows = np.concatenate(self._held)
            self._held.clear()
            self._put(stop - len(rows), rows)

    def _put(self, start: int, rows: np.ndarray) -> None:
        if len(rows):
            with writing(self.path):
                self._write(start, rows)

    def _need(self, size: int) -> None:
        """Say at the start that the disk cannot hold `size` bytes, rather than after an hour."""
        free = shutil.disk_usage(self.path.parent).free
        if size > free:
            raise FileError(
                f"cannot write {self.path}: it needs {size / 1e6:,.1f} MB, the disk has {free / 1e6:,.1f} MB free"
            )

    def __enter__(self) -> Self:
        output = atomic_file(self.path, self._overwrite)
        self._temporary = temporary = output.__enter__()
        try:
            with writing(self.path):
                self._start(temporary)
        except BaseException as error:
            self._abandon(output, error)
            raise
        self._output = output
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        output, self._output = self._output, None
        assert output is not None
        if error is not None:
            self._abandon(output, error)
            return
        try:
            if self._rows != len(self.obs):
                raise DataError(f"{self._rows:,} of {len(self.obs):,} announced profiles came for {self.path}")
            self._flush(self._rows)
            with writing(self.path):
                self._finish()
                self._close()
        except BaseException as failure:
            self._abandon(output, failure)
            raise
        output.__exit__(None, None, None)

    def _abandon(self, output: AbstractContextManager[Path], error: BaseException) -> None:
        """Close what can be closed and remove the temporary file; the caller raises."""
        self._held.clear()
        if self._temporary is not None and self._temporary.is_file():
            with suppress(OSError):  # room on a full disk for what closing writes; HDF5 crashes at exit without
                os.truncate(self._temporary, 0)
        with suppress(Exception):  # what closing says comes second: the first error is the one to tell
            self._close()
        try:
            output.__exit__(type(error), error, error.__traceback__)
        except BaseException as again:
            if again is not error:
                raise


def _checked(frame: pd.DataFrame, what: str, path: Path) -> pd.DataFrame:
    """Copy metadata with string ids and string column names."""
    frame = frame.copy(deep=False)
    frame.index = pd.Index([str(name) for name in frame.index], dtype=object)
    frame.columns = pd.Index([str(name) for name in frame.columns], dtype=object)
    check_ids(frame.index.tolist(), what, path)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].tolist()
        raise DataError(f"the {what} metadata for {path} has duplicate columns: {', '.join(twice[:5])}")
    return frame
