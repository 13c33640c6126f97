"""Matrices that are memory-mapped files: which file it is, rows read from it by plain reads, pages let go of.

A page fault on a file that was cut short, or on a disk that fails, kills the process; a plain read is an error that
can be told. And pages that a map has touched count as memory of this process until they are let go of.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from dgex.errors import FileError

__all__ = ["RowReader", "gathered", "joined", "map_of", "release"]

_BLOCK = 1024  # rows that are copied at once


def map_of(array: np.ndarray) -> np.memmap | None:
    """The memory map whose values `array` shows, if it shows one."""
    base: object = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and getattr(base, "_mmap", None) is not None:
            return base
        base = base.base
    return None


def release(array: np.ndarray) -> None:
    """Let go of the pages read through a map; nothing is lost, and other arrays are left alone."""
    mapped = map_of(array)
    if mapped is not None and mapped.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        mapped._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


class RowReader:
    """Reads consecutive rows: from the file where a whole-row view of one is given, else from the array.

    Parameters
    ----------
    array : ndarray, shape (rows, columns)
        C-contiguous; not touched where it is a map of a file that has a name.
    """

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self._path, self._start = _place(array)
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._file = self._path.open("rb", buffering=0)
            except OSError as error:
                raise FileError(f"cannot read {self._path}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def read(self, start: int, out: np.ndarray) -> None:
        """Put the rows from `start` on into `out`, C-contiguous and of the same type.

        Raises
        ------
        FileError
            The file ends before these rows do, or cannot be read.
        """
        if self._file is None:
            out[:] = self._array[start : start + len(out)]
            return
        left = memoryview(out).cast("B")  # type: ignore[arg-type]
        try:
            self._file.seek(self._start + start * self._array.shape[1] * self._array.itemsize)
            while left:
                count = self._file.readinto(left)  # type: ignore[attr-defined]
                if not count:
                    raise FileError(f"{self._path} ends before row {start + len(out):,}: it was cut short while in use")
                left = left[count:]
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"cannot read {self._path}: {error.strerror}") from error


def joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The rows of both, float32: in memory, or where the first is a map in one of a temporary file without a name.

    Raises
    ------
    FileError
        The temporary folder has no room.
    """
    if map_of(one) is None:
        return np.concatenate([one, other])
    shape = len(one) + len(other), one.shape[1]
    try:
        with tempfile.TemporaryFile(prefix="dgex-") as file:
            if hasattr(os, "posix_fallocate"):  # the room is taken now: a map that outgrows the disk kills the process
                os.posix_fallocate(file.fileno(), 0, 4 * shape[0] * shape[1])
            file.truncate(4 * shape[0] * shape[1])
            whole = np.memmap(file, np.float32, "r+", shape=shape)
    except OSError as error:
        raise FileError(
            f"no room for {4 * shape[0] * shape[1] / 2**30:.1f} GiB of profiles in {tempfile.gettempdir()} "
            f"({error.strerror}); TMPDIR names another folder"
        ) from error
    for at, part in ((0, one), (len(one), other)):
        for start in range(0, len(part), _BLOCK):
            block = part[start : start + _BLOCK]
            whole[at + start : at + start + len(block)] = block
            release(part)
            release(whole)
    whole.flags.writeable = False
    return whole


def gathered(array: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Copy some rows, one by one: through a map they would bring in most of its pages."""
    out = np.empty((len(index), *array.shape[1:]), array.dtype)
    with RowReader(array) as reader:
        for at, row in enumerate(index):
            reader.read(int(row), out[at : at + 1])
    return out


def _place(array: np.ndarray) -> tuple[Path | None, int]:
    """File and byte where a C-contiguous view of a map begins; numpy keeps the parent's offset for a view."""
    mapped = map_of(array)
    if (
        mapped is None
        or mapped.mode == "c"
        or not array.flags.c_contiguous
        or not isinstance(mapped.filename, str | Path)
    ):
        return None, 0
    begin = np.frombuffer(mapped._mmap, np.uint8).ctypes.data  # type: ignore[attr-defined]
    mapped_from = mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY
    return Path(mapped.filename), mapped_from + array.ctypes.data - begin
