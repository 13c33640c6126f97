"""One matrix in many files: a folder of parts, each a range of its profiles, which a manifest says are complete.

`dgex infer` writes such a folder, from one process or many, and `dgex seal` writes its manifest. File names follow from
the ranges: none is ever taken from the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dgex.arrays.index import Index
from dgex.errors import DataError, FileError
from dgex.io.base import ExpressionFile, Selection
from dgex.places import MARKER, absent
from dgex.records import read_json

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["MANIFEST", "PART_FORMATS", "Layout", "PartsFile", "read_manifest"]

MANIFEST = "manifest.json"
PART_FORMATS = ("h5ad", "gctx")
_LARGEST = 1 << 30  # bytes of a manifest that is read: some 400 for each part


@dataclass(frozen=True)
class Layout:
    """Which profiles lie in which part.

    Attributes
    ----------
    profiles : int
        Of the whole matrix.
    size : int
        Of a part; the last one may be shorter.

    Examples
    --------
    >>> layout = Layout(100, 30)
    >>> len(layout), layout.at(3), layout.name(3)
    (4, slice(90, 100, None), 'profiles-0000090-0000100')
    >>> [list(layout.dealt(number, 3)) for number in (1, 2, 3)]
    [[0], [1], [2, 3]]
    """

    profiles: int
    size: int

    def __len__(self) -> int:
        return -(-self.profiles // self.size)

    def at(self, part: int) -> slice:
        """Profiles of a part."""
        return slice(part * self.size, min((part + 1) * self.size, self.profiles))

    def name(self, part: int) -> str:
        """What the files of a part are called, before their suffix."""
        at = self.at(part)
        return f"profiles-{at.start:07d}-{at.stop:07d}"

    def dealt(self, number: int, of: int) -> range:
        """Parts of one of several processes, counted from 1: neighbours, and of all processes every part once."""
        return range(len(self) * (number - 1) // of, len(self) * number // of)

    def said(self, part: int) -> str:
        """The profiles of a part in words, counted from 1."""
        at = self.at(part)
        return f"{at.start + 1:,} to {at.stop:,}"


def read_manifest(folder: Path) -> tuple[Layout, dict[str, Any]]:
    """What the manifest of a folder, or of a zarr store, says.

    Raises
    ------
    FileError
        There is none, so that nobody checked the parts, or it is damaged.
    """
    path = folder / MANIFEST
    if not folder.exists():
        raise absent(folder)
    if not path.is_file() and not (folder / MARKER).is_file():
        raise FileError(f"{folder} has no {MANIFEST}: it is nothing that `dgex seal` has sealed")
    if not path.is_file():
        whole = str(folder).removesuffix(".parts") if folder.name.endswith(".zarr.parts") else folder
        raise FileError(f"{folder} holds parts that are not sealed: `dgex seal {whole}` checks and joins them")
    said = read_json(path, _LARGEST)
    try:
        layout = Layout(said["profiles"], said["size"])
        fits = type(layout.profiles) is type(layout.size) is int and min(layout.profiles, layout.size) > 0
        if not fits or len(layout) != len(said["parts"]) or said["format"] not in (*PART_FORMATS, "zarr"):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise FileError(f"{path} is damaged: it does not say which profiles lie where; seal the folder again") from None
    return layout, said


class PartsFile(ExpressionFile):
    """A sealed folder of parts, read as one matrix; one part is open at a time."""

    format = "folder of parts"

    def __init__(self, path: Path, *, layer: str | None = None) -> None:
        self._layout, said = read_manifest(path)
        self._folder, self._suffix, self._layer = path, said["format"], layer
        self._file: tuple[int, ExpressionFile] | None = None
        first, frames = self._opened(0), []
        var, varm, told = first.var, first.varm, first.notes
        for number in range(len(self._layout)):
            part, at = self._opened(number), self._layout.at(number)
            if len(part.obs) != at.stop - at.start or not part.var.index.equals(var.index):
                raise DataError(
                    f"{part.path} holds {len(part.obs):,} profiles x {len(part.var):,} genes where the manifest has "
                    f"profiles {self._layout.said(number)} and the genes of the first part; `dgex seal {path}` tells"
                )
            frames.append(part.obs)
        self._layers = told.get("layers", "").split(", ") if told.get("layers") and layer is None else []
        notes = {"layout": f"{len(frames):,} parts of up to {self._layout.size:,} profiles, {said['format']}"}
        notes |= {key: told[key] for key in ("layer", "layers") if key in told} | {"orientation": self.native}
        uns = said.get("uns")
        uns = uns if isinstance(uns, dict) else {}
        super().__init__(path, pd.concat(frames), var, notes=notes, uns=uns, varm=varm)

    def _opened(self, number: int) -> ExpressionFile:
        """A part, which stays open until another one is asked for."""
        if self._file is None or self._file[0] != number:
            self.close()
            from dgex.io.registry import recognise

            path = self._folder / f"{self._layout.name(number)}.{self._suffix}"
            if self._layer is not None and self._suffix == "gctx":
                raise FileError(f"{self._folder} holds GCTX, which has no layers: layer", found=self._layer)
            reader: Any = recognise(path, self._suffix).reader
            self._file = number, reader(path) if self._layer is None else reader(path, layer=self._layer)
        return self._file[1]

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        wanted = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        done = 0
        while done < len(wanted):
            number = int(wanted[done]) // self._layout.size
            at = self._layout.at(number)
            stop = int(np.searchsorted(wanted, at.stop))
            inside: Index = wanted[done:stop] - at.start
            if isinstance(rows, slice):
                inside = slice(int(wanted[done]) - at.start, int(wanted[stop - 1]) + 1 - at.start)
            self._opened(number)._fill(inside, genes, out[done:stop])
            done = stop

    def to_adata(self, genes: Selection = None, samples: Selection = None) -> AnnData:
        """Read the selection, with the layers of the parts."""
        adata = super().to_adata(genes, samples)
        for name in self._layers:
            with PartsFile(self.path, layer=name) as other:
                other.allow_missing = True  # a layer is filled where there is something to say
                adata.layers[name] = other.read(genes, samples)
        return adata

    def close(self) -> None:
        if self._file is not None:
            self._file[1].close()
            self._file = None
