"""Row-major float32 files of matrices that memory does not hold, given on as memory maps.

Beside a run that can be resumed the files stay until it ends, and `rows.json`, written last, tells of what they are
copies: a resumed run takes them as they are. Otherwise they lie in a temporary folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from dgex.atomic import json_dump
from dgex.errors import FileError, os_error
from dgex.records import read_json

__all__ = ["SpooledRows", "identity_of"]

DESCRIPTION = "rows.json"
_FORMAT = 1


class SpooledRows:
    """A folder of matrices, to be filled once; a context manager.

    Parameters
    ----------
    folder : path or None
        Kept once the matrices are complete. None makes a temporary folder (where `TMPDIR` says) that is removed when
        the block is left.
    identity : dict
        What the matrices are copies of, see `identity_of`; files of another identity are replaced.
    size : int
        Bytes of all matrices together.

    Attributes
    ----------
    complete : bool
        The matrices hold their values already.

    Raises
    ------
    FileError
        The folder cannot be written, or has no room for as much.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, Any], size: int) -> None:
        self._given, self._size = folder, size
        self._identity = {"format": _FORMAT, **identity}
        self._maps: list[np.memmap] = []
        self.complete = False

    def __enter__(self) -> Self:
        try:
            if self._given is None:
                self.folder = Path(tempfile.mkdtemp(prefix="dgex-rows-"))
            else:
                self.folder = self._given
                self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise os_error(self._given or tempfile.gettempdir(), error) from error
        try:
            self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _begin(self) -> None:
        try:
            self.complete = read_json(self.folder / DESCRIPTION) == self._identity
        except (OSError, ValueError):
            self.complete = False
        if self.complete:
            return
        for path in [self.folder / DESCRIPTION, *self.folder.glob("*.f32")]:
            path.unlink(missing_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < self._size:
            raise FileError(
                f"the profiles do not fit in memory, and {self.folder} has no room for them either: "
                f"{self._size / 2**30:.1f} GiB are needed, {free / 2**30:.1f} GiB are free there"
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._maps = []
        if self._given is None or not self.complete:
            shutil.rmtree(self.folder, ignore_errors=True)

    def matrix(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Map the matrix `name`: with its values where they are `complete`, else to be filled.

        Raises
        ------
        FileError
            The disk is full, or a file is not as long as it was.
        """
        path, size = self.folder / f"{name}.f32", 4 * shape[0] * shape[1]
        if not size:
            return np.empty(shape, np.float32)
        try:
            if not self.complete:
                with path.open("wb") as file:  # the room is taken now: a map that outgrows the disk kills the process
                    if hasattr(os, "posix_fallocate"):
                        os.posix_fallocate(file.fileno(), 0, size)
                    file.truncate(size)
            if path.stat().st_size != size:
                raise FileError(f"{path} is damaged; remove {self.folder} and start again")
            matrix = np.memmap(path, np.float32, "r" if self.complete else "r+", shape=shape)
        except OSError as error:
            raise error if isinstance(error, FileError) else os_error(path, error) from error
        self._maps.append(matrix)
        return matrix

    def finish(self) -> None:
        """Say that all matrices hold their values; they cannot be written to from now on."""
        if self.complete:
            return
        for found in self._maps:
            found.flush()
            found.flags.writeable = False
        json_dump(self._identity, self.folder / DESCRIPTION)
        self.complete = True


def identity_of(
    source: Path | None, obs: pd.DataFrame, var: pd.DataFrame, parts: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Tell a file and what is read of it from any other: name, size and time of the file, names and positions.

    Values in memory (None) are never the same: whoever goes on compares the rows themselves.
    """
    if source is None:
        return {"source": None, "changed": time.time_ns()}
    files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else [source]
    stats = [path.stat() for path in files]
    selection = hashlib.sha256("\0".join([*obs.index, "", *var.index]).encode())
    for name, index in parts.items():
        selection.update(repr((name, len(index))).encode() + np.asarray(index, np.int64).tobytes())
    return {
        "source": str(source.resolve()),
        "bytes": sum(stat.st_size for stat in stats),
        "changed": max(stat.st_mtime_ns for stat in stats),
        "selection": selection.hexdigest(),
    }
