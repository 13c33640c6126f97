"""Many files of one sample each, as quantifiers write them, as one matrix."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dgex import progress
from dgex.arrays.index import Index
from dgex.arrays.spool import Spool
from dgex.errors import DataError, DgexError, SettingsError, first
from dgex.io.base import ExpressionFile
from dgex.io.checks import check_ids
from dgex.io.head import look
from dgex.io.registry import recognise
from dgex.remote.places import is_url

__all__ = ["Joined", "one_sample"]


class Joined(ExpressionFile):
    """Files with the same genes, in any order, one after the other, by way of a temporary file.

    Parameters
    ----------
    paths : sequence of Path
    opened : callable
        Opens one of them.

    Raises
    ------
    DataError
        Files with other genes or another unit than the first, or samples of one name.
    """

    format = "several files"

    def __init__(self, paths: Sequence[Path], opened: Callable[[Path], ExpressionFile]) -> None:
        if not paths:
            raise SettingsError("no files to join", accepted="one path or more")
        self._values: Spool | None = None
        self._opened = opened
        self._frames: list[pd.DataFrame] = []
        try:
            self._start(paths[0])
            with progress.bar(len(paths), f"reading {len(paths):,} files") as whole:
                together = progress.Together(whole)
                for path in paths[1:]:
                    with together.piece(path.name, 1):
                        self._add(path)
            obs = pd.concat(_named(paths, self._frames))
            check_ids(obs.index.tolist(), "sample", f"{paths[0]} and the files after it")
            notes = {"kind": self._first.notes.get("kind", ""), "files": f"{len(paths):,}", "orientation": self.native}
            super().__init__(_folder(paths), obs, self._first.var, notes=notes, uns=self._first.uns)
        except BaseException:
            self.close()
            raise

    def _start(self, path: Path) -> None:
        with self._opened(path) as file:
            self._first, self._names = file, file.var.index.tolist()
            self._values = Spool(len(self._names))
            self._append(file, self._names)

    def _add(self, path: Path) -> None:
        with self._opened(path) as file:
            names = file.var.index.tolist()
            if names != self._names and set(names) != set(self._names):
                odd = sorted(set(names) ^ set(self._names))
                raise DataError(
                    f"{path} has other genes than {self._first.path}: {len(odd):,} are in one of them only "
                    f"({first(odd, 3)}); files that are joined need the same genes"
                )
            if file.uns.get("unit") != self._first.uns.get("unit"):
                raise DataError(f"{path} is of another kind than {self._first.path}: join files of one quantifier")
            self._append(file, None if names == self._names else self._names)

    def _append(self, file: ExpressionFile, genes: Sequence[str] | None) -> None:
        file.allow_missing = True  # refused when they are read, by their names
        if self._values is not None:
            self._values.append(file.read(genes=genes))
        self._frames.append(file.obs)

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        if self._values is not None:
            self._values.fill(rows, genes, out)

    def close(self) -> None:
        if self._values is not None:
            self._values.close()


def _folder(paths: Sequence[Path]) -> Path:
    """The folder that all files are in, which messages call them by."""
    if any(is_url(path) for path in paths):
        return paths[0].parent
    return Path(os.path.commonpath([path.resolve().parent for path in paths]))


def _named(paths: Sequence[Path], frames: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """Samples by their files; by their folders where all files are called alike (`S1/quant.sf`, `S2/quant.sf`)."""
    names = [name for frame in frames for name in frame.index]
    folders = [path.parent.name for path in paths]
    if len(set(names)) < len(names) == len(paths) == len(set(folders)):
        progress.note(f"samples are called by their folders ({first(folders, 3)}): the files have one name")
        return [frame.set_axis(pd.Index([folder], dtype=object)) for frame, folder in zip(frames, folders)]
    return frames


def one_sample(path: Path) -> bool:
    """Whether a file is that of one sample, as quantifiers write it."""
    try:
        chosen = recognise(path)
        if chosen.content != "text" or chosen.reader_name != "TextFile":
            return False
        layout = look(path).layout
    except (DgexError, OSError):
        return False  # told when it is opened
    return layout is not None and bool(layout.value)
