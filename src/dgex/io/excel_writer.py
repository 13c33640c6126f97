"""Writing workbooks of Excel: a sheet of values, one of what is known of genes, one of what is known of profiles."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgex.arrays.spool import Spool
from dgex.errors import DataError, FileError, SettingsError
from dgex.io.workbook import MOST_COLUMNS, MOST_ROWS, add_table, fill, new_workbook, number_rows, text_cell, texts
from dgex.io.writer import Writer

__all__ = ["ExcelWriter"]

_BUFFER = 8 << 20  # bytes of values that become text at a time


class ExcelWriter(Writer):
    """Writes a workbook by way of a temporary file: the sheets `values`, `genes` and `profiles`.

    Parameters
    ----------
    genes_in : {"rows", "columns"}, optional
        Where the sheet of values has its genes: in rows, unless only columns have room for them.

    Raises
    ------
    DataError
        A sheet has too few rows or columns for the values, or a value is infinite, which no cell can be.
    FileError
        openpyxl is not there, or the name asks for a workbook with macros.
    """

    options = ("genes_in",)
    keeps_obs = True

    def __init__(
        self, path: Path, obs: pd.DataFrame, var: pd.DataFrame, *, genes_in: str | None = None, **common: Any
    ) -> None:
        if genes_in not in (None, "rows", "columns"):
            raise SettingsError(f"genes_in={genes_in!r} is unknown", accepted="'rows', 'columns'")
        if path.name.lower().endswith(".xlsm"):
            raise FileError(f"{path} would be a workbook with macros", accepted=".xlsx")
        super().__init__(path, obs, var, **common)
        fits = _fits(len(self.var), len(self.obs)), _fits(len(self.obs), len(self.var))
        self._rows_are_genes = genes_in == "rows" or (genes_in is None and (fits[0] or not fits[1]))
        if not fits[0 if self._rows_are_genes else 1]:
            raise DataError(
                f"{path}: {len(self.obs):,} profiles x {len(self.var):,} genes, genes in "
                f"{'rows' if self._rows_are_genes else 'columns'}, are more than a sheet of Excel holds",
                accepted=f"{MOST_ROWS - 1:,} rows and {MOST_COLUMNS - 1:,} columns; .h5ad, .parquet or .csv hold any",
            )
        self._book = new_workbook(path)

    def replace_obs(self, obs: pd.DataFrame) -> None:
        """Replace the metadata of the profiles by what is known in the end; their names stay."""
        self.obs = obs.set_axis(self.obs.index)

    def _start(self, path: Path) -> None:
        self._place, self._values = path, Spool(self.shape[1])

    def _write(self, start: int, block: np.ndarray) -> None:
        if np.isinf(block).any():
            row, gene = np.argwhere(np.isinf(block))[0]
            where = f"profile {self.obs.index[start + row]!r}, gene {self.var.index[gene]!r}"
            raise DataError(f"{self.path}: an infinite value in {where}", accepted="finite or missing values in Excel")
        self._values.append(block)

    def _finish(self) -> None:
        described, other = (self.var, self.obs) if self._rows_are_genes else (self.obs, self.var)
        sheet = self._book.create_sheet("values")
        sheet.freeze_panes = "B2"
        sheet.append(texts(sheet, ["gene" if self._rows_are_genes else "sample", *other.index]))
        for name, corner, frame in (("genes", "gene", self.var), ("profiles", "sample", self.obs)):
            if len(frame.columns) and _fits(len(frame), len(frame.columns)):
                add_table(self._book, name, [corner, *frame.columns], _cells(frame))
        with tempfile.TemporaryFile(prefix="dgex-") as headed:
            self._book.save(headed)
            fill(headed, self._place, {1: self._lines([text_cell(name) for name in described.index])})

    def _lines(self, names: list[str]) -> Iterator[bytes]:
        """Rows of the sheet of values, as many at a time as the buffer holds."""
        samples, genes = self.shape
        turned = self._rows_are_genes
        width, length = (samples, genes) if turned else (genes, samples)
        step = max(1, _BUFFER // (4 * width))
        for start in range(0, length, step):
            part = slice(start, min(start + step, length))
            values = np.empty((part.stop - start, width), np.float32)
            if turned:
                self._values.fill(part, slice(0, samples), values, turned=True)
            else:
                self._values.fill(part, slice(0, genes), values)
            yield number_rows(names[part], values)

    def _close(self) -> None:
        if hasattr(self, "_values"):
            self._values.close()


def _fits(rows: int, columns: int) -> bool:
    return rows < MOST_ROWS and columns < MOST_COLUMNS  # a header, and a column of names


def _cells(frame: pd.DataFrame) -> Iterator[list[Any]]:
    """Rows of metadata: numbers as numbers, gaps as empty cells, flags and all else as text."""
    columns = [[_cell(value) for value in frame[name].tolist()] for name in frame.columns]
    yield from ([name, *row] for name, *row in zip(frame.index, *columns))


def _cell(value: Any) -> Any:
    if value is None or value is pd.NA or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.integer | np.floating) and np.isfinite(value):
        return value.item() if isinstance(value, np.generic) else value
    return str(value)
