"""GCT 1.2 and 1.3, the text tables of the Connectivity Map and GenePattern: genes in rows, metadata around."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from dgex import progress
from dgex.arrays.index import Index
from dgex.arrays.spool import Spool
from dgex.errors import DataError, FileError, SettingsError
from dgex.io.base import ExpressionFile
from dgex.io.checks import reading
from dgex.io.columns import known
from dgex.io.delimited import Dialect, encoding_of, open_output, open_text, parse, text_lines
from dgex.io.layouts import portal
from dgex.io.metadata import CMAP_MISSING, frame, from_text, is_text, to_text
from dgex.io.writer import Writer

__all__ = ["GctFile", "GctWriter", "SpooledTextWriter"]

_BUFFER = 8 << 20  # bytes of values formatted at a time


class GctFile(ExpressionFile):
    """An open GCT file, read once into a temporary file."""

    format = "GCT"
    native = "genes-in-rows"

    def __init__(self, path: Path) -> None:
        with reading(path, self.format):
            version, dims, header, extra, quotes, behind = _head(path)
            genes, _, gene_fields, _ = dims
            dialect = Dialect(3 + len(extra), "\t", encoding_of(path), quotes)
            leading, width = 1 + gene_fields, len(header)
            empty = range(width, width + behind)  # a spreadsheet's empty fields at the end of each row
            texts = [*range(leading), *empty]
            table = parse(path, dialect, header + [""] * behind, texts, range(leading, width))
            self._values = table.values
            try:
                if any(any(table.texts[at]) for at in empty):
                    raise DataError(f"{path} has values beyond the last of its {width:,} columns")
                if table.values.rows != genes:
                    raise FileError(
                        f"{path} is truncated or damaged: its second line says {genes:,} rows, "
                        f"{table.values.rows:,} came"
                    )
                ids = [name.strip() for name in header[leading:]]
                counted = version == "1.2" and gene_fields > 1 and all(map(str.isdigit, table.texts[0]))
                first = 1 if counted else 0  # GTEx's tables of tissues number their rows
                var = frame(
                    {name: from_text(table.texts[at]) for at, name in enumerate(header[:leading]) if at > first},
                    table.texts[first],
                )
                obs = frame({row[0]: from_text(row[1 + gene_fields :]) for row in extra}, ids)
                kind = portal(ids)
                notes = ({"kind": kind} if kind else {}) | {"version": version, "orientation": self.native}
                super().__init__(path, obs, var, notes=notes)
            except BaseException:
                self._values.close()
                raise

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        self._values.fill(rows, genes, out, turned=True)

    def close(self) -> None:
        self._values.close()


class SpooledTextWriter(Writer):
    """Turns profiles into rows of genes by way of a temporary file; the base of text formats with genes in rows."""

    def _start(self, path: Path) -> None:
        self._file: IO[bytes] = open_output(path)
        self._values = Spool(self.shape[1])

    def _write(self, start: int, block: np.ndarray) -> None:
        self._values.append(block)

    def _write_genes(self, prefixes: list[str], delimiter: str) -> None:
        samples, genes = self.shape
        step = max(1, _BUFFER // (4 * samples))
        for start in range(0, genes, step):
            part = slice(start, min(start + step, genes))
            values = np.empty((part.stop - start, samples), np.float32)
            self._values.fill(part, slice(0, samples), values, turned=True)
            self._file.write(text_lines(prefixes[part], values, delimiter))

    def _close(self) -> None:
        for name in ("_values", "_file"):
            if hasattr(self, name):
                getattr(self, name).close()


class GctWriter(SpooledTextWriter):
    """Writes GCT, compressed when the name ends in .gz.

    Parameters
    ----------
    version : {"1.3", "1.2"}
        1.2 has no metadata of profiles, and one description of genes.
    """

    options = ("version",)

    def __init__(
        self, path: Path, obs: pd.DataFrame, var: pd.DataFrame, *, version: str = "1.3", **common: Any
    ) -> None:
        if version not in ("1.2", "1.3"):
            raise SettingsError(f"GCT version {version!r} is unknown", accepted="'1.2', '1.3'")
        super().__init__(path, obs, var, **common)
        self._version = version

    def _finish(self) -> None:
        samples, genes = self.shape
        ids = to_text(self.var.index.to_series())
        if self._version == "1.2":
            if len(self.obs.columns):
                progress.note("GCT 1.2 holds no metadata of profiles: left out")
            fields = {"Description": _description(self.var)}
            lines = ["#1.2", f"{genes}\t{samples}", "\t".join(["Name", "Description", *self._sample_ids()])]
        else:
            fields = {str(name): to_text(self.var[name], str(CMAP_MISSING)) for name in self.var.columns}
            lines = [
                "#1.3",
                f"{genes}\t{samples}\t{len(fields)}\t{len(self.obs.columns)}",
                "\t".join(["id", *map(_clean, fields), *self._sample_ids()]),
            ]
            for name in self.obs.columns:
                values = to_text(self.obs[name], str(CMAP_MISSING))
                lines.append("\t".join([_clean(name), *["na"] * len(fields), *values]))
        self._file.write(("\n".join(lines) + "\n").encode())
        self._write_genes(["\t".join(row) for row in zip(ids, *fields.values())], "\t")

    def _sample_ids(self) -> list[str]:
        return to_text(self.obs.index.to_series())


def _clean(name: str) -> str:
    return " ".join(str(name).split("\t"))


def _description(var: pd.DataFrame) -> list[str]:
    for name in ("Description", "description", *var.columns):
        if name in var.columns and is_text(var[name]):
            return to_text(var[name])
    return ["na"] * len(var)


def _head(path: Path) -> tuple[str, tuple[int, int, int, int], list[str], list[list[str]], bool, int]:
    """Read what stands above the values.

    Version, sizes, header, rows of sample metadata, whether it has quotes, and how many empty fields end a row.
    """
    with open_text(path, encoding_of(path)) as stream:
        version = stream.readline().strip().strip('"').lstrip("#")
        if version not in ("1.2", "1.3"):
            raise FileError(f"{path} is no GCT file: its first line is {version[:40]!r}; '#1.2' or '#1.3' is accepted")
        sizes = stream.readline().replace('"', "").split()
        wanted = 2 if version == "1.2" else 4
        if len(sizes) != wanted or not all(size.isdigit() for size in sizes):
            raise FileError(f"{path}: the second line of a GCT {version} file holds {wanted} sizes, not {sizes[:6]}")
        numbers = [int(size) for size in sizes] + ([1, 0] if version == "1.2" else [])
        genes, samples, gene_fields, sample_fields = numbers
        width = 1 + gene_fields + samples
        line = stream.readline()
        quotes = line.lstrip().startswith('"')
        header = _fields(line, width, quotes)
        if version == "1.2" and len(header) > width and all(map(known, header[: len(header) - samples])):
            gene_fields += len(header) - width  # more columns about genes than the two of the format
            width = len(header)
        if len(header) != width:
            raise FileError(
                f"{path} is truncated or damaged: its second line tells of {width:,} columns, "
                f"its header has {len(header):,}"
            )
        extra = []
        for _ in range(sample_fields):
            row = _fields(stream.readline(), width, quotes)
            if len(row) != width:
                raise FileError(f"{path} is truncated or damaged within the metadata of its samples")
            extra.append([value.strip() for value in row])
        row = stream.readline().rstrip("\r\n").split("\t")
        behind = len(row) - width if not any(row[width:]) else 0
    return version, (genes, samples, gene_fields, sample_fields), header, extra, quotes, max(0, behind)


def _fields(line: str, width: int, quotes: bool) -> list[str]:
    line = line.rstrip("\r\n")
    fields = next(csv.reader([line], delimiter="\t"), []) if quotes else line.split("\t")
    while len(fields) > width and not fields[-1].strip():  # spreadsheets leave empty fields behind
        fields.pop()
    return fields
