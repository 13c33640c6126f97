"""The learning curve of a run: one dict an epoch, in memory, as JSON lines on disk and in words."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from dgex.aliases import PathLike
from dgex.atomic import atomic_file
from dgex.errors import FileError, os_error
from dgex.places import check_output

__all__ = ["HistoryLog", "epoch_text", "read_history"]

Row = dict[str, Any]


class HistoryLog:
    """JSON lines that grow by one line an epoch, each on disk before the next epoch starts.

    Parameters
    ----------
    path : path or None
        The file; None keeps nothing on disk.
    rows : sequence of dict
        Epochs that are done already (a resumed run). The file is written anew with exactly these, so that an
        epoch which was logged but not yet in a checkpoint is not there twice.
    overwrite : bool
        Replace a file that exists; a resumed run does.

    Raises
    ------
    OutputExistsError, FileError
        The file exists, or cannot be written.
    """

    def __init__(self, path: PathLike | None, rows: Sequence[Row] = (), overwrite: bool = False) -> None:
        self._path = None if path is None else check_output(path, overwrite)
        self._rows = rows
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            with atomic_file(self._path, overwrite=True) as temporary:
                temporary.write_text("".join(_line(row) for row in self._rows), "utf-8")
            self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, row: Row) -> None:
        """Write one epoch and flush it."""
        if self._file is None:
            return
        try:
            self._file.write(_line(row))
            self._file.flush()
        except OSError as error:
            assert self._path is not None
            raise os_error(self._path, error) from error


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def read_history(path: PathLike) -> list[Row]:
    """Read a learning curve, also of a run that is still going: a last line cut short is left out.

    Raises
    ------
    FileError
        The file is missing, or holds something else.
    """
    try:
        *lines, _ = Path(path).read_text("utf-8").split("\n")  # what follows the last newline is no whole line
    except OSError as error:
        raise FileError(f"cannot read {os.fspath(path)}: {error.strerror}") from error
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise FileError(
            f"{os.fspath(path)} holds no learning curve", found=error, accepted="one JSON object a line"
        ) from error


def epoch_text(rows: Sequence[Row], best: Mapping[str, float], epochs: int) -> str:
    """Say in one line where a run of `epochs` stands after the last row, and how long the rest will take.

    `best` holds the lowest error of every evaluation set. The time left is reckoned from the last five epochs.
    """
    row = rows[-1]
    errors = [f"{name} {row[f'{name}.error']:.4f} (best {error:.4f})" for name, error in best.items()]
    speed = [f"{row['profiles_per_s']:,.0f} profiles/s"]
    if row.get("share_of_ceiling", 2) <= 1:  # more: others used the device while its ceiling was measured
        speed.append(f"{100 * row['share_of_ceiling']:.0f} % of this device's ceiling")
    recent = [previous["seconds"] for previous in rows[-5:]]
    speed.append(f"{_duration((epochs - row['epoch']) * sum(recent) / len(recent))} left")
    return "  ".join([f"epoch {row['epoch']}/{epochs}", f"train {row['train.error']:.4f}", *errors, ", ".join(speed)])


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
