"""One zarr store that several processes fill: made empty by the first, each range of profiles in chunks of its own."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import zarr

from dgex.atomic import atomic_folder
from dgex.errors import SettingsError
from dgex.io.annotated_writer import ZarrWriter
from dgex.io.checks import writing
from dgex.io.writer import Writer
from dgex.ownership import put_list

__all__ = [
    "COLUMNS",
    "RangeWriter",
    "chunk_files",
    "chunk_rows",
    "clear_range",
    "consolidate",
    "make_store",
    "stored_rows",
]

COLUMNS = ("distance", "unlike")  # of profiles, that come with the values
_ROWS, _WIDE = 256, 1024  # of a chunk
_TALLEST = 4096  # profiles in a chunk


def chunk_rows(block: int) -> int:
    """Profiles in a chunk, so that no chunk holds those of two blocks.

    Raises
    ------
    SettingsError
        Chunks would become too large.
    """
    if block % _ROWS == 0:
        return _ROWS
    if block > _TALLEST:
        raise SettingsError("block", found=block, accepted=f"up to {_TALLEST}, or a multiple of {_ROWS}, for a .zarr")
    return block


def make_store(
    store: Path,
    output: Path,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    uns: Mapping[str, Any],
    *,
    rows: int,
    size: int,
    layers: Mapping[str, Any],
    columns: Mapping[str, Any],
) -> None:
    """Make the store with all but values.

    Parameters
    ----------
    store, output : path
        Where it is made, and what it becomes.
    obs, var, uns
        As `dgex.io.create` takes them.
    rows, size : int
        Profiles in a chunk, and in a part, of which `size` is a multiple.
    layers, columns : mapping of str to dtype
        Further matrices, and columns of profiles, that come with the values.
    """
    writer = ZarrWriter(output, obs, var, uns=uns, chunks=(rows, _WIDE), overwrite=True)
    with atomic_folder(store) as temporary, writing(output):
        writer._start(temporary)
        for name, dtype in layers.items():
            shape = min(rows, len(obs)), min(_WIDE, len(var))
            made = writer._make(f"layers/{name}", shape, float("nan"), np.dtype(dtype), False)
            made.attrs["encoding-type"], made.attrs["encoding-version"] = "array", "0.2.0"
        table = writer._root["obs"]
        for name, dtype in columns.items():
            if name in table:
                del table[name]
            made = _column(table, name, len(obs), min(size, len(obs)), np.dtype(dtype))
            made.attrs["encoding-type"], made.attrs["encoding-version"] = "array", "0.2.0"
        order = [name for name in table.attrs["column-order"] if name not in columns]
        table.attrs["column-order"] = [*order, *columns]
    put_list(store, patterns=["X/*", "layers/*/*", *(f"obs/{name}/*" for name in columns)])


def _column(group: Any, name: str, length: int, size: int, dtype: np.dtype[Any]) -> Any:
    make = group.create_array if _is_3() else group.create_dataset
    return make(name, shape=(length,), chunks=(size,), dtype=dtype.str, fill_value=dtype.type(0))


class RangeWriter(Writer):
    """Writes a range of profiles into a store that is there; the whole has its name only when it is sealed.

    Parameters
    ----------
    path : path
        What the store becomes, for messages.
    obs, var : DataFrame
        Metadata of the profiles of the range, and of all genes.
    store : path
    first : int
        The first profile of the range.
    rows : int
        Profiles in a chunk.
    columns : iterable of str
        Columns of profiles that come with the values.
    """

    keeps_uns: ClassVar[bool] = True
    keeps_obs: ClassVar[bool] = True

    def __init__(
        self,
        path: Path,
        obs: pd.DataFrame,
        var: pd.DataFrame,
        *,
        store: Path,
        first: int,
        rows: int,
        columns: Iterable[str],
        uns: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__(path, obs, var, uns=uns, overwrite=overwrite)
        self._store, self._first, self._columns = store, first, tuple(columns)
        self._step = rows
        self._root: Any = None

    def __enter__(self) -> Self:
        with writing(self.path):
            self._start(self._store)
        self._output = nullcontext(self._store)
        return self

    def _start(self, path: Path) -> None:
        options: dict[str, Any] = {"use_consolidated": False} if _is_3() else {}
        self._root = zarr.open_group(str(path), mode="r+", **options)

    def _write(self, start: int, block: np.ndarray) -> None:
        self._root["X"][self._first + start : self._first + start + len(block)] = block

    def layer(self, name: str, rows: slice, genes: slice, values: np.ndarray) -> None:
        with writing(self.path):
            self._root["layers"][name][self._first + rows.start : self._first + rows.stop, genes] = values

    def replace_obs(self, obs: pd.DataFrame) -> None:
        """Fill in the columns that came with the values."""
        with writing(self.path):
            for name in self._columns:
                self._root["obs"][name][self._first : self._first + len(obs)] = obs[name].to_numpy()

    def replace_uns(self, uns: Mapping[str, Any]) -> None:
        """The store has that of the whole."""

    def _close(self) -> None:
        """Nothing is held open."""


def _is_3() -> bool:
    return int(zarr.__version__.split(".")[0]) >= 3


def _arrays(store: Path) -> Iterator[tuple[Path, Any]]:
    root: Any = zarr.open_group(str(store), mode="r")
    for name in ("X", *(f"layers/{name}" for name in sorted(root["layers"])), *(f"obs/{name}" for name in COLUMNS)):
        if name in root:
            yield store / name, root[name]


def chunk_files(store: Path, at: slice) -> list[Path]:
    """Files that hold the values of a range of profiles, in order; a chunk of nothing but zeros has none."""
    found: list[Path] = []
    for folder, array in _arrays(store):
        across = range(-(-array.shape[1] // array.chunks[1])) if array.ndim == 2 else None
        for row in range(at.start // array.chunks[0], -(-at.stop // array.chunks[0])):
            names = [str(row)] if across is None else [f"{row}.{column}" for column in across]
            found += [folder / name for name in names if (folder / name).is_file()]
    return found


def clear_range(store: Path, at: slice) -> None:
    """Remove the values of a range of profiles, and what was half-written: a chunk is filled from what it held."""
    for folder, array in _arrays(store):
        rows = range(at.start // array.chunks[0], -(-at.stop // array.chunks[0]))
        for path in folder.iterdir():
            row = path.name.lstrip(".").split(".")[0]
            if row.isdigit() and int(row) in rows:
                path.unlink(missing_ok=True)


def stored_rows(store: Path, at: slice, block: int) -> Iterator[np.ndarray]:
    """Values of a range of profiles, block by block."""
    matrix: Any = zarr.open_group(str(store), mode="r")["X"]
    for start in range(at.start, at.stop, block):
        yield np.asarray(matrix[start : min(start + block, at.stop)], np.float32)


def consolidate(store: Path) -> None:
    """Gather the metadata of a store that is complete, as readers like it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not recognized as a component.*")  # the list and the manifest
        zarr.consolidate_metadata(str(store))
