"""Room on the disk, kept before it is needed: HDF5 may crash where its last words find a full disk."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["release", "reserve"]

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of Linux: blocks beyond the end of the file
_FULL = (errno.ENOSPC, errno.EDQUOT)


def reserve(path: Path, size: int) -> None:
    """Keep blocks for a file that will grow to `size` bytes, where the file system can.

    Raises
    ------
    OSError
        The disk, or what is left of a quota, does not hold them.
    """
    if sys.platform != "linux":
        return
    keep = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if keep is None:
        return
    file = os.open(path, os.O_RDWR)
    try:
        if keep(file, _KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(size)) == 0:
            return
        number = ctypes.get_errno()
        if number in _FULL:
            raise OSError(number, os.strerror(number))
    finally:
        os.close(file)


def release(path: Path) -> None:
    """Give back what was kept and not needed."""
    with suppress(OSError):
        os.truncate(path, os.path.getsize(path))
