"""Tables of text, TSV and CSV: ids and metadata at the left, one column a profile or a gene."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import pandas as pd

from dgex import progress
from dgex.arrays.index import Index
from dgex.errors import DataError, SettingsError, first
from dgex.gene_ids import ID_COLUMNS, canonical, id_type
from dgex.io.base import ExpressionFile
from dgex.io.checks import reading
from dgex.io.columns import describes
from dgex.io.delimited import Dialect, open_output, parse, text_lines
from dgex.io.formulas import Formulas
from dgex.io.gct import SpooledTextWriter
from dgex.io.head import look
from dgex.io.layouts import portal, sample_name
from dgex.io.metadata import frame, from_text, to_text
from dgex.io.numerals import PLAIN
from dgex.io.orientation import ROWS, WORDS, detect

__all__ = ["CsvWriter", "TextFile", "TextWriter"]

_HEAD_ROWS = 100


class TextFile(ExpressionFile):
    """An open table of text, read once into a temporary file.

    Parameters
    ----------
    path : Path
    orientation : str
    genes : frozenset of str
        Genes looked for, which tell rows from columns.
    """

    format = "text table"

    def __init__(self, path: Path, *, orientation: str = "auto", genes: frozenset[str] = frozenset()) -> None:
        with reading(path, self.format):
            head = look(path)
            if not _ends_with_line(path):
                progress.warn(f"{path}: its last line does not end; was it cut short?")
            columns = head.columns
            ids = 0 if columns.ids is None else columns.ids
            unnamed = [at for at in columns.dropped if not head.header[at]]
            kept = sorted({ids, *columns.described, *unnamed})
            table = parse(path, head.dialect, head.header, kept, columns.values)
            self._values = table.values
            try:
                for at in unnamed:
                    if at and any(table.texts[at]):
                        raise DataError(f"{path}: column {at + 1:,} has values but no name in the header")
                rows = table.texts[ids]
                if broken := next((row for row in rows if "\n" in row or "\r" in row), None):
                    raise DataError(
                        f"{path}: the name of a row goes over several lines, {broken[:40]!r}: a quote is open"
                    )
                described = {head.header[at]: from_text(table.texts[at]) for at in columns.described}
                names = [head.header[at] for at in columns.values]
                one = head.layout is not None and bool(head.layout.value)
                if head.layout is not None and one:
                    names = [sample_name(path, head.layout)]
                    _refuse_transcripts(path, rows, head.layout.name)
                label = head.header[ids]
                found, reason = orientation, "as asked for"
                if orientation == "auto":
                    found, reason = (
                        (ROWS, head.layout.name)
                        if head.layout is not None
                        else detect(
                            rows,
                            names,
                            shape=(len(rows), len(names)),
                            id_name=label,
                            leading=list(described),
                            genes=genes,
                        )
                    )
                    progress.note(f"{path.name}: {WORDS[found]} ({reason})")
                self._turned = found == ROWS
                for said in dict.fromkeys([*head.said, *_late(head.dialect, table.dialect)]):
                    progress.note(f"{path.name}: {said}")
                described_frame, plain = frame(described, rows), frame(_about(head.about, names), names)
                obs, var = (plain, described_frame) if self._turned else (described_frame, plain)
                if canonical(label) in ID_COLUMNS["entrez"]:
                    described_frame.index.name = label  # numbers are Entrez ids
                kind = head.layout.name if head.layout is not None else portal(obs.index.tolist(), label)
                notes = {"kind": "GEO series matrix" if head.about else kind} if kind or head.about else {}
                notes |= {
                    "delimiter": {"\t": "tab", " ": "space"}.get(head.dialect.delimiter, head.dialect.delimiter),
                    "orientation": f"{found} ({reason})",
                }
                if table.dialect.encoding != "utf-8":
                    notes["encoding"] = table.dialect.encoding
                if described:
                    notes["metadata columns"] = ", ".join(described)
                unit = head.layout.unit if head.layout is not None else ""
                super().__init__(path, obs, var, notes=notes, uns={"unit": unit} if unit else {})
            except BaseException:
                self._values.close()
                raise

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        self._values.fill(rows, genes, out, turned=self._turned)

    def close(self) -> None:
        self._values.close()


def _late(first_lines: Dialect, whole: Dialect) -> list[str]:
    """What only the whole of a table told of how it is written."""
    said = []
    if whole.numerals != first_lines.numerals:
        said.append(f"numbers have {whole.numerals}")
    if whole.encoding != first_lines.encoding:
        said.append(f"names are no UTF-8: read as {whole.encoding.upper()} text")
    return said


def _about(about: dict[str, list[str]], samples: Sequence[str]) -> dict[str, pd.Series]:
    """Metadata above the table, where it is of the samples in it."""
    return {name: from_text(values) for name, values in about.items() if len(values) == len(samples)}


def _refuse_transcripts(path: Path, ids: Sequence[str], layout: str) -> None:
    if id_type(name.split("|", 1)[0] for name in ids[:2000]) == "transcript":
        raise DataError(
            f"{path}: {layout} of transcripts ({first(ids, 2)}), where genes are needed; use the quantifier's file of "
            f"genes (quant.genes.sf, genes.results) or sum the transcripts of each gene first, as tximport does"
        )


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
        metadata = [
            name for name, values in columns.items() if describes(name, values[:_HEAD_ROWS], PLAIN)
        ]  # as when read
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


def _ends_with_line(path: Path) -> bool:
    """Whether the last byte ends a line; taken for granted in compressed files, which notice themselves."""
    if path.name.lower().endswith(".gz"):
        return True
    with open(path, "rb") as stream:
        stream.seek(-2, 2)
        return stream.read().strip(b"\0")[-1:] in (b"\n", b"\r")
