"""Where the matrix of a preparation lies on its way: in memory, or in a file where it would take much of it."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from dgex.aliases import PathLike
from dgex.arrays.host import host_memory
from dgex.arrays.rowfile import RowFile, Rows
from dgex.errors import FileError
from dgex.progress import note

__all__ = ["HELD_SHARE", "Room"]

HELD_SHARE = 0.125  # of the memory that this process can ever have, for the matrix; others have work to do too


class Room:
    """Gives room for matrices: memory, or temporary files without a name.

    Parameters
    ----------
    output : path or None
        What the last matrix is written to. Without one, all is held in memory: that is what was asked for.
    stack : ExitStack
        Closes the files.
    """

    def __init__(self, output: PathLike | None, stack: ExitStack) -> None:
        self._output, self._stack = None if output is None else Path(output), stack

    def matrix(self, rows: int, columns: int, written: bool = True) -> Rows:
        """A float32 matrix to be filled.

        Parameters
        ----------
        rows, columns : int
        written : bool
            Whether it becomes the output, which needs as much once more.

        Raises
        ------
        FileError
            The disk has no room for it; told before anything is read.
        """
        size = 4 * rows * columns
        if self._output is None or size <= HELD_SHARE * host_memory():
            return np.empty((rows, columns), np.float32)
        # TMPDIR where somebody set it: /tmp is memory on many machines, and small on others.
        folder = Path(os.environ.get("TMPDIR") or self._output.parent)
        self._check(folder, RowFile.size_of((rows, columns)), size if written else 0)
        note(
            f"{rows:,} profiles x {columns:,} genes are worked on in a temporary file of {_gib(size)} in {folder}: "
            f"in memory they would take more than {HELD_SHARE:.0%} of it"
        )
        return self._stack.enter_context(RowFile((rows, columns), folder))

    def give_back(self, X: Rows) -> None:
        """Take back a matrix before the end."""
        if isinstance(X, RowFile):
            X.close()

    def _check(self, folder: Path, size: int, output: int) -> None:
        assert self._output is not None
        try:
            free = shutil.disk_usage(folder).free
            same = os.stat(folder).st_dev == os.stat(self._output.parent).st_dev
        except OSError as error:
            raise FileError(f"no temporary folder at {folder}: {error.strerror}; TMPDIR names it") from error
        if same and size + output > free:
            raise FileError(
                f"preparing {self._output} needs {_gib(size + output)} on the disk of {folder} ({_gib(size)} of them "
                f"on the way), {_gib(free)} are free; TMPDIR names another folder for what is on the way"
            )
        if size > free:
            raise FileError(f"preparing {self._output} needs {_gib(size)} in {folder} (TMPDIR), {_gib(free)} are free")


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
