"""An expression file that is open: its profiles and genes known, its values read on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
import pandas as pd

from dgex.arrays.index import Index, part, size_of
from dgex.errors import DataError, GeneError, first
from dgex.io.checks import NotFinite, check_ids, reading

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["ExpressionFile", "Kept", "Rows", "Selection", "Turned", "positions"]

Selection: TypeAlias = slice | Sequence[int] | Sequence[str] | np.ndarray | pd.Index | None


class ExpressionFile(ABC):
    """A matrix of profiles x genes, on disk or in memory; a context manager.

    Attributes
    ----------
    path : Path
    format : str
        Name of the format, as in `dgex.io.formats()`.
    obs, var : DataFrame
        Metadata of profiles and genes; the index holds their ids as strings.
    uns, varm : dict
        Unstructured and per-gene annotations, where the format has them.
    notes : dict of str
        What was found: version, layout, orientation and the like.
    """

    format: str = ""
    native = "genes-in-columns"  # how the format turns its matrix, in the words of `orientation=`

    def __init__(
        self,
        path: Path,
        obs: pd.DataFrame,
        var: pd.DataFrame,
        *,
        notes: dict[str, str],
        uns: Mapping[str, Any] | None = None,
        varm: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.obs, self.var = obs, var
        self.notes = {"format": self.format, **notes}
        self.uns, self.varm = dict(uns or {}), dict(varm or {})
        self.allow_missing = False
        check_ids(
            self.var.index.tolist(), "gene", path, repeats=True
        )  # `open` refuses them where nobody collapses them
        check_ids(self.obs.index.tolist(), "sample", path)

    @abstractmethod
    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        """Put the values of `rows` and `genes` (slices, or increasing positions) into `out`, float32, C-contiguous."""

    def close(self) -> None:  # noqa: B027 (most formats hold nothing)
        """Give back what the file holds open."""

    @property
    def name(self) -> str:
        """What messages and records call it."""
        return self.path.name

    @property
    def shape(self) -> tuple[int, int]:
        """Number of profiles and of genes."""
        return len(self.obs), len(self.var)

    def iter_blocks(
        self, size: int = 4096, genes: Selection = None, samples: Selection = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Go through the profiles in blocks, holding no more than one.

        Parameters
        ----------
        size : int
            Profiles in a block; the last may be shorter.
        genes, samples : slice, positions, names or None
            What to read and in which order; None means all.

        Yields
        ------
        slice
            Which of the selected profiles the block holds.
        ndarray of float32, shape (profiles in the block, selected genes)
            The values; a fresh array for every block.

        Raises
        ------
        DataError
            The selection holds NaN or infinity (named and counted), unless opened with `allow_missing=True`.
        FileError
            The file is truncated or damaged.
        """
        rows = positions(samples, self.obs.index, "sample", self.path)
        columns = positions(genes, self.var.index, "gene", self.path)
        bad = NotFinite()
        total = size_of(rows)
        for start in range(0, total, max(1, size)):
            where = slice(start, min(start + max(1, size), total))
            block = self._get(part(rows, where), columns)
            if not self.allow_missing:
                bad.add(block, start)
            if bad.count == 0:  # else read on, to count them all
                yield where, block
        if bad.count:
            bad.check(self.path, _names(self.obs.index, rows), _names(self.var.index, columns))

    def read(self, genes: Selection = None, samples: Selection = None) -> np.ndarray:
        """Read the selected profiles and genes into one array.

        Returns
        -------
        ndarray of float32, shape (profiles, genes), C-contiguous

        Raises
        ------
        DataError, FileError
            As `iter_blocks`.
        """
        rows = positions(samples, self.obs.index, "sample", self.path)
        columns = positions(genes, self.var.index, "gene", self.path)
        values = self._get(rows, columns)
        if not self.allow_missing:
            bad = NotFinite()
            bad.add(values)
            bad.check(self.path, _names(self.obs.index, rows), _names(self.var.index, columns))
        return values

    def to_adata(self, genes: Selection = None, samples: Selection = None) -> AnnData:
        """Read the selection, with its metadata, into an AnnData."""
        from anndata import AnnData

        values = self.read(genes, samples)
        obs, var, varm = self.selected(genes, samples)
        return AnnData(X=values, obs=obs, var=var, uns=dict(self.uns), varm=varm)

    def selected(
        self, genes: Selection = None, samples: Selection = None
    ) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
        """Metadata of a selection: `obs`, `var` and `varm`, copied."""
        rows = positions(samples, self.obs.index, "sample", self.path)
        columns = positions(genes, self.var.index, "gene", self.path)
        varm = {
            key: value.iloc[columns] if isinstance(value, pd.DataFrame) else value[columns]
            for key, value in self.varm.items()
        }
        return self.obs.iloc[rows].copy(), self.var.iloc[columns].copy(), varm

    def _get(self, rows: Index, columns: Index) -> np.ndarray:
        """Read any positions, in any order, by asking the format for increasing ones."""
        sorted_rows, row_back = _increasing(rows)
        sorted_columns, column_back = _increasing(columns)
        out = np.empty((size_of(sorted_rows), size_of(sorted_columns)), np.float32)
        if out.size:
            with reading(self.path, self.format):
                self._fill(sorted_rows, sorted_columns, out)
        if row_back is not None:
            out = out[row_back]
        if column_back is not None:
            out = np.ascontiguousarray(out[:, column_back])
        return out

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.format} {self.path}: {self.shape[0]:,} profiles x {self.shape[1]:,} genes>"


class Turned(ExpressionFile):
    """An open file whose profiles are taken for genes and the other way round, because the user said so."""

    def __init__(self, inner: ExpressionFile) -> None:
        self._inner = inner
        self.format = inner.format
        super().__init__(inner.path, inner.var, inner.obs, notes=inner.notes, uns=inner.uns)

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        turned = np.empty(out.shape[::-1], np.float32)
        self._inner._fill(genes, rows, turned)
        out[:] = turned.T

    def close(self) -> None:
        self._inner.close()


class Kept(ExpressionFile):
    """An open file of which some genes only are shown, others being no genes; `var` may be another table of them."""

    def __init__(self, inner: ExpressionFile, keep: np.ndarray, var: pd.DataFrame) -> None:
        self._inner, self._keep = inner, keep
        self.format, self.native = inner.format, inner.native
        varm = {
            key: value.iloc[keep] if isinstance(value, pd.DataFrame) else value[keep]
            for key, value in inner.varm.items()
        }
        super().__init__(inner.path, inner.obs, var, notes=inner.notes, uns=inner.uns, varm=varm)

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        self._inner._fill(rows, self._keep[genes], out)

    def close(self) -> None:
        self._inner.close()


class Rows(ExpressionFile):
    """Some neighbouring profiles of an open file, as a file of their own; closing it leaves the other open."""

    def __init__(self, inner: ExpressionFile, at: slice) -> None:
        self._inner, self._first = inner, at.start
        self.format, self.native = inner.format, inner.native
        super().__init__(inner.path, inner.obs.iloc[at], inner.var, notes=inner.notes, uns=inner.uns, varm=inner.varm)

    @property
    def name(self) -> str:
        return self._inner.name

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        if isinstance(rows, slice):
            self._inner._fill(slice(rows.start + self._first, rows.stop + self._first), genes, out)
        else:
            self._inner._fill(rows + self._first, genes, out)


def positions(selection: Selection, names: pd.Index, what: str, path: Path) -> Index:
    """Turn a selection into a slice of step 1 where possible, else into an array of positions.

    Raises
    ------
    GeneError, DataError
        A gene or sample name that the file does not have, or a position outside it.
    """
    if selection is None:
        return slice(0, len(names))
    if isinstance(selection, slice):
        start, stop, step = selection.indices(len(names))
        if step == 1:
            return slice(start, max(start, stop))
        return np.arange(start, stop, step)
    chosen = np.asarray(selection)
    kind = GeneError if what == "gene" else DataError
    if chosen.size == 0:
        return slice(0, 0)
    if chosen.dtype == bool:
        if chosen.shape != (len(names),):
            raise kind(f"a mask of {chosen.size:,} {what}s does not fit {path} with {len(names):,}")
        chosen = np.flatnonzero(chosen)
    elif chosen.dtype.kind not in "iu":
        wanted = [str(name) for name in chosen]
        chosen = names.get_indexer(pd.Index(wanted))
        if (chosen < 0).any():
            missing = [name for name, at in zip(wanted, chosen) if at < 0]
            raise kind(f"{path} lacks {len(missing):,} of {len(wanted):,} {what}s asked for: {first(missing)}")
    chosen = chosen.astype(np.int64)
    if chosen.size and (chosen.min() < 0 or chosen.max() >= len(names)):
        raise kind(f"{what} position {chosen.max()} asked for, but {path} has {len(names):,} {what}s, counted from 0")
    if chosen.size and (np.diff(chosen) == 1).all():
        return slice(int(chosen[0]), int(chosen[-1]) + 1)
    return chosen


def _increasing(index: Index) -> tuple[Index, np.ndarray | None]:
    """Split positions into increasing ones without repeats, and the way back (None when nothing changes)."""
    if isinstance(index, slice) or (np.diff(index) > 0).all():
        return index, None
    unique, back = np.unique(index, return_inverse=True)
    if (np.diff(unique) == 1).all():
        return slice(int(unique[0]), int(unique[-1]) + 1), back
    return unique, back


def _names(names: pd.Index, index: Index) -> list[str]:
    return names[index].tolist()
