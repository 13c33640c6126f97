"""What a file or matrix must satisfy, and the one-line errors when it does not."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dgex.errors import DataError, DgexError, FileError, first, os_error

__all__ = ["NotFinite", "check_ids", "reading", "writing"]


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a format's library raises on a damaged file into a `FileError`."""
    try:
        yield
    except DgexError:
        raise
    except MemoryError as error:
        raise FileError(
            f"cannot read {path} as {kind}: it asks for more memory than there is ({_one_line(error)}); it is damaged, "
            "or too large to be read whole"
        ) from error
    except Exception as error:  # the libraries below raise nearly everything on a damaged file
        raise FileError(
            f"cannot read {path} as {kind}: {_one_line(error)}; the file is truncated, damaged or of another kind"
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a refusal to write (full disk, no permission) into a `FileError`, also where a library hides its cause."""
    try:
        yield
    except DgexError:
        raise
    except (OSError, RuntimeError) as error:
        hidden = re.search(r"errno[ =]+(\d+)", str(error))  # libraries put the cause into their messages
        number = errno.ENOSPC if "No space left" in str(error) else int(hidden[1]) if hidden else None
        if number is not None:
            raise os_error(path, OSError(number, os.strerror(number))) from error
        if isinstance(error, OSError):
            raise os_error(path, error) from error
        raise


def check_ids(ids: Sequence[str], what: str, path: Path | str, *, repeats: bool = False) -> None:
    """Refuse a file without any `what` ("gene" or "sample"), or whose ids are empty or occur twice but for `repeats`.

    Raises
    ------
    DataError
        Naming the first few of the ids at fault.
    """
    if len(ids) == 0:
        raise DataError(f"{path} has no {what}s; at least one gene and one sample are needed")
    if repeats:
        return
    if len(set(ids)) < len(ids):
        repeated = [name for name, count in Counter(ids).items() if count > 1]
        raise DataError(
            f"{path} has duplicate {what} ids: {first(repeated, 5)}; every {what} id may occur once: "
            f"rename or merge them"
        )
    if "" in ids:
        raise DataError(
            f"{path} has an empty {what} id at position {list(ids).index('') + 1:,}; every {what} needs one"
        )


class NotFinite:
    """Counts values that are NaN or infinite over blocks and remembers the first."""

    def __init__(self) -> None:
        self.count = 0
        self.missing = 0
        self.place: tuple[int, int] | None = None
        self.value = 0.0

    def add(self, block: np.ndarray, start: int = 0) -> None:
        """Look at `block`, whose first row is row `start` of the whole."""
        with np.errstate(all="ignore"):
            if np.isfinite(block.sum()):  # one pass, no temporary; a NaN or infinity anywhere would show
                return
        for row, values in enumerate(block):
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size and self.place is None:
                self.place, self.value = (start + row, int(bad[0])), float(values[bad[0]])
            self.count += int(bad.size)
            self.missing += int(np.isnan(values).sum()) if bad.size else 0

    def check(self, path: Path, samples: Sequence[str], genes: Sequence[str]) -> None:
        """Raise a `DataError` that names gene and sample of the first such value, if there was any."""
        if self.place is None:
            return
        sample, gene = samples[self.place[0]], genes[self.place[1]]
        kind = "missing (NaN)" if np.isnan(self.value) else "infinite"
        raise DataError(
            f"{path} holds {self.count:,} missing or infinite value{'s' if self.count > 1 else ''}; the first is "
            f"{kind}: gene {gene}, sample {sample}; only finite numbers are accepted"
        )


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else ""
    return text[:200] or type(error).__name__
