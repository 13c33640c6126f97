"""Tables of text, TSV and CSV: ids and metadata at the left, one column a profile or a gene."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import pandas as pd

from dgex import progress
from dgex.arrays.index import Index
from dgex.errors import DataError, FileError, SettingsError, first
from dgex.io.base import ExpressionFile
from dgex.io.checks import reading
from dgex.io.delimited import is_number, open_output, open_text, parse, text_lines
from dgex.io.formulas import Formulas
from dgex.io.gct import SpooledTextWriter
from dgex.io.metadata import frame, from_text, to_text
from dgex.io.orientation import GENE_COLUMNS, ROWS, detect

__all__ = ["CsvWriter", "TextFile", "TextWriter"]

_DELIMITERS = ("\t", ",", ";", " ")
_HEAD_ROWS, _HEAD_CHARACTERS = 100, 4 << 20


class TextFile(ExpressionFile):
    """An open table of text, read once into a temporary file."""

    format = "text table"

    def __init__(self, path: Path, *, orientation: str = "auto") -> None:
        with reading(path, self.format):
            head = _head(path)
            table = parse(
                path,
                skip=head.skip,
                delimiter=head.delimiter,
                quotes=True,
                leading=head.leading,
                header=head.header,
            )
            self._values = table.values
            try:
                rows, columns = table.leading[0], [name.strip() for name in head.header[head.leading :]]
                names = head.header[1 : head.leading]
                found, reason = orientation, "as asked for"
                if orientation == "auto":
                    found, reason = detect(
                        rows, columns, shape=(len(rows), len(columns)), id_name=head.header[0], leading=names
                    )
                    progress.note(f"{path.name}: {found} ({reason})")
                self._turned = found == ROWS
                described = frame({name: from_text(table.leading[1 + at]) for at, name in enumerate(names)}, rows)
                plain = frame({}, columns)
                notes = {
                    "delimiter": {"\t": "tab", " ": "space"}.get(head.delimiter, head.delimiter),
                    "orientation": f"{found} ({reason})",
                }
                if names:
                    notes["metadata columns"] = ", ".join(names)
                obs, var = (plain, described) if self._turned else (described, plain)
                super().__init__(path, obs, var, notes=notes)
            except BaseException:
                self._values.close()
                raise

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        self._values.fill(rows, genes, out, turned=self._turned)

    def close(self) -> None:
        self._values.close()


class TextWriter(SpooledTextWriter):
    """Writes a table separated by tabs, compressed when the name ends in .gz.

    Parameters
    ----------
    genes_in : {"rows", "columns"}
        Genes in rows come out of a temporary file once all profiles are there; genes in columns are streamed.
        Columns of text that describe what lies in the rows are kept, since a reader can tell them from values.
    spreadsheet : bool
        Names that a spreadsheet would run as formulas (`=…`) get an apostrophe before them. Without it they are
        written as they are, so that they are the same when read, and a note says so.
    """

    options = ("genes_in", "spreadsheet")
    delimiter: ClassVar[str] = "\t"

    def __init__(
        self,
        path: Path,
        obs: pd.DataFrame,
        var: pd.DataFrame,
        *,
        genes_in: str = "rows",
        spreadsheet: bool = False,
        **common: Any,
    ) -> None:
        if genes_in not in ("rows", "columns"):
            raise SettingsError(f"genes_in={genes_in!r} is unknown", accepted="'rows', 'columns'")
        super().__init__(path, obs, var, **common)
        self._rows_are_genes = genes_in == "rows"
        described, other = (self.var, self.obs) if self._rows_are_genes else (self.obs, self.var)
        columns = {str(name): to_text(described[name]) for name in described.columns}
        metadata = [name for name, values in columns.items() if _describes(name, values[:_HEAD_ROWS])]  # as when read
        lost = [
            str(name) for name in (*described.columns, *other.columns) if name not in metadata or name in other.columns
        ]
        if lost:
            progress.note(f"a text table cannot keep the metadata {first(lost, 8)}: left out of {path}")
        corner = "gene" if self._rows_are_genes else "sample"
        header = [corner, *metadata, *to_text(other.index.to_series())]
        self._formulas = Formulas(spreadsheet)
        self._prefixes = self._joined([to_text(described.index.to_series()), *(columns[name] for name in metadata)])
        self._header = self._joined([[field] for field in header])[0]
        self._formulas.tell(path)

    def _start(self, path: Path) -> None:
        if self._rows_are_genes:
            super()._start(path)
        else:
            self._file: IO[bytes] = open_output(path)
        self._file.write((self._header + "\n").encode())

    def _write(self, start: int, block: np.ndarray) -> None:
        if self._rows_are_genes:
            super()._write(start, block)
            return
        step = max(1, (8 << 20) // (4 * block.shape[1]))
        for at in range(0, len(block), step):
            part = block[at : at + step]
            prefixes = self._prefixes[start + at : start + at + len(part)]
            self._file.write(text_lines(prefixes, part, self.delimiter))

    def _finish(self) -> None:
        if self._rows_are_genes:
            self._write_genes(self._prefixes, self.delimiter)

    def _joined(self, columns: Sequence[Sequence[str]]) -> list[str]:
        """Join columns to the left part of every line, with quotes where a field needs them."""
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self.delimiter, lineterminator="\n")
        writer.writerows(zip(*map(self._formulas.quoted, columns)))
        return out.getvalue().split("\n")[:-1]


class CsvWriter(TextWriter):
    """Writes a table separated by commas; else as `TextWriter`."""

    delimiter = ","


@dataclass
class _Head:
    """What the first lines of a table tell."""

    header: list[str]
    leading: int
    delimiter: str
    skip: int


def _head(path: Path) -> _Head:
    """Look at the first lines: comments, header, delimiter, and how many columns stand before the values."""
    skip, size = 0, 0
    lines: list[str] = []
    with open_text(path) as stream:
        for line in stream:
            if not lines and (line.startswith("#") or not line.strip()):
                skip += 1
                continue
            lines.append(line)
            size += len(line)
            if len(lines) > _HEAD_ROWS or (size > _HEAD_CHARACTERS and len(lines) > 1):
                break
    if not lines:
        raise FileError(f"{path} holds no table: no line but comments")
    if not _ends_with_line(path):
        progress.warn(f"{path}: its last line does not end; was it cut short?")
    if len(lines) < 2:
        raise DataError(f"{path} has a header but no rows")
    delimiter = _delimiter(path, lines[0])
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    header, rows = [name.strip() for name in rows[0]], rows[1:]
    if rows and len(rows[0]) == len(header) + 1:  # R writes no name above the row names
        header.insert(0, "")
    if len(header) < 2:
        raise FileError(f"{path} holds no table: its first line has one field; tabs or commas are expected between")
    if len(header) > 2 and all(is_number(name) and "." in name for name in header[1:]):
        raise DataError(f"{path}: the first line must name the columns, but holds numbers ({', '.join(header[1:4])})")
    rows = [row for row in rows if len(row) == len(header)]
    leading = 1
    while leading < len(header) and _describes(header[leading], [row[leading] for row in rows]):
        leading += 1
    if leading == len(header):
        raise DataError(f"{path} holds no expression values: none of its {len(header):,} columns is numeric")
    return _Head(header, leading, delimiter, skip + 1)


def _ends_with_line(path: Path) -> bool:
    """Whether the last byte ends a line; taken for granted in compressed files, which notice themselves."""
    if path.name.lower().endswith(".gz"):
        return True
    with open(path, "rb") as stream:
        stream.seek(-1, 2)
        return stream.read() in (b"\n", b"\r")


def _delimiter(path: Path, line: str) -> str:
    usual = "," if ".csv" in path.name.lower() else "\t"
    if usual in line:
        return usual
    return max(_DELIMITERS, key=line.count) if any(mark in line for mark in _DELIMITERS) else usual


def _describes(name: str, values: Sequence[str]) -> bool:
    """Whether a column at the left is metadata: known by name, or mostly text."""
    if name.lower() in GENE_COLUMNS:
        return True
    return 2 * sum(not is_number(value) for value in values) > len(values)
