"""Parquet: wide tables (one column a gene), turned ones (one column a profile), and a compact layout for big matrices.

Compact: one row a profile; its metadata; and its values as one fixed-size list of float32. Ids and metadata of the
genes stand in the schema's metadata (`dgex`: JSON; `dgex.var`: an Arrow IPC stream in base64). Thousands of columns
make Parquet slow and its footer large, which this layout avoids; its price is that picking genes reads whole profiles.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dgex import progress
from dgex.arrays.index import Index, size_of
from dgex.errors import DataError, first
from dgex.io.base import ExpressionFile, Turned
from dgex.io.checks import reading
from dgex.io.columns import describes, known, names_genes, names_samples
from dgex.io.metadata import frame
from dgex.io.numerals import PLAIN
from dgex.io.orientation import COLUMNS, ROWS, WORDS, detect
from dgex.io.parquet_writer import GENES, LAYOUT, VALUES, ParquetWriter, unpack_table
from dgex.remote.places import Remote

__all__ = ["ParquetWriter", "open_parquet"]

_BUFFER = 16 << 20  # bytes of values decoded at a time


def open_parquet(path: Path, *, orientation: str = "auto", genes: frozenset[str] = frozenset()) -> ExpressionFile:
    """Open a Parquet file of any layout."""
    with reading(path, "Parquet"):
        stored = pq.ParquetFile(path.open("rb") if isinstance(path, Remote) else path)
        metadata = stored.schema_arrow.metadata or {}
        if LAYOUT not in metadata:
            return _open_foreign(path, stored, orientation, genes)
        ours = json.loads(metadata[LAYOUT])
        obs = _obs(stored, ours["obs"])
        var = unpack_table(metadata[GENES])
        notes = {"layout": ours["layout"], "orientation": COLUMNS, "row groups": f"{stored.num_row_groups:,}"}
        handle: ExpressionFile
        if ours["layout"] == "compact":
            handle = _Lines(path, stored, [VALUES], obs, var, notes)
        else:
            handle = _Lines(path, stored, var.index.tolist(), obs, var, notes)
        return Turned(handle) if orientation == ROWS else handle


class _Stored(ExpressionFile):
    """What all layouts share."""

    format = "Parquet"

    def __init__(
        self,
        path: Path,
        stored: pq.ParquetFile,
        columns: list[str],
        obs: pd.DataFrame,
        var: pd.DataFrame,
        notes: dict[str, str],
    ) -> None:
        self._stored, self._columns = stored, columns
        try:
            super().__init__(path, obs, var, notes=notes)
        except BaseException:
            stored.close()
            raise

    def close(self) -> None:
        self._stored.close()


class _Lines(_Stored):
    """One row a profile, wide or compact; decoded forwards in batches, of which the last one is kept."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        groups = [self._stored.metadata.row_group(i).num_rows for i in range(self._stored.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(groups, dtype=np.int64)])
        self._key: list[str] | None = None
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._window, self._low, self._high = np.empty((0, 0), np.float32), 0, 0

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        compact = self._columns == [VALUES]
        key = self._columns if compact else _pick(self._columns, genes)
        at, total = 0, size_of(rows)
        while at < total:
            row = rows.start + at if isinstance(rows, slice) else int(rows[at])
            self._move_to(row, key)
            if isinstance(rows, slice):
                count = min(total - at, self._high - row)
                part: Index = slice(row - self._low, row - self._low + count)
            else:
                count = int(np.searchsorted(rows, self._high)) - at
                part = rows[at : at + count] - self._low
            values = self._window[part]
            out[at : at + count] = values[:, genes] if compact else values
            at += count

    def _move_to(self, row: int, key: list[str]) -> None:
        """Make the window hold `row`: read on, or start again at its row group."""
        if key == self._key and self._low <= row < self._high:
            return
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        if key != self._key or row < self._high or self._starts[group] > self._high:
            width = len(self.var) if key == [VALUES] else len(key)
            self._key = key
            self._batches = self._stored.iter_batches(
                batch_size=max(1, _BUFFER // (4 * max(1, width))),
                row_groups=list(range(group, self._stored.num_row_groups)),
                columns=key,
            )
            self._low = self._high = int(self._starts[group])
        while self._high <= row:
            batch = next(self._batches)
            self._window = _values(batch, len(self.var))
            self._low, self._high = self._high, self._high + batch.num_rows


class _TurnedLines(_Stored):
    """One row a gene, one column a profile: a block of profiles is a handful of columns."""

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        names = _pick(self._columns, rows)
        start = 0
        for batch in self._stored.iter_batches(max(1, _BUFFER // (4 * len(names))), columns=names):
            stop = start + batch.num_rows
            if isinstance(genes, slice):
                first, last = max(start, genes.start), min(stop, genes.stop)
                if first < last:
                    part = slice(first - genes.start, last - genes.start)
                    out[:, part] = _columns(batch, slice(first - start, last - start))
            else:
                low, high = np.searchsorted(genes, (start, stop))
                if low < high:
                    out[:, low:high] = _columns(batch, genes[low:high] - start)
            start = stop


def _open_foreign(path: Path, stored: pq.ParquetFile, orientation: str, genes: frozenset[str]) -> ExpressionFile:
    """Find ids, metadata and values among the columns of a table that somebody else wrote."""
    schema = stored.schema_arrow
    index = [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
    odd = [f"{field.name} ({field.type})" for field in schema if not (_is_value(field.type) or _is_plain(field.type))]
    if odd:
        raise DataError(f"{path} has columns that are neither numbers nor text: {first(odd, 4)}")
    values = [field.name for field in schema if _is_value(field.type) and field.name not in index]
    columns = [name for name in values if not known(name)]
    if not columns:
        raise DataError(f"{path} holds no expression values: none of its {len(schema):,} columns is numeric")
    numbered = [name for name in values if name in ("", "Unnamed: 0", "index") and name == schema.names[0]]
    columns = [name for name in columns if name not in numbered]
    others = [name for name in schema.names if name not in (*columns, *index, *numbered)]
    texts = [name for name in others if _is_text(schema.field(name).type)]
    named = [name for name in (*texts, *others) if names_genes(name) or names_samples(name)]
    ids = index[0] if index else next(iter([*texts, *named]), None)
    described = [name for name in (*index, *others) if name != ids]
    table = stored.read(columns=[*([ids] if ids else []), *described]).to_pandas(ignore_metadata=True)
    names = [str(i) for i in range(stored.metadata.num_rows)] if ids is None else table[ids].astype(str).tolist()
    metadata = frame({name: table[name].tolist() for name in described}, names)
    aside = [name for name in described if name in values]
    if aside:
        progress.note(f"{path.name}: columns taken for annotation, not values: {first(aside, 8)}")
    found, reason = orientation, "as asked for"
    if orientation == "auto":
        label = "" if ids is None or ids.startswith("__index_level") else ids
        found, reason = detect(
            names, columns, shape=(len(names), len(columns)), id_name=label, leading=described, genes=genes
        )
        progress.note(f"{path.name}: {WORDS[found]} ({reason})")
    doubtful = [n for n in texts if n != ids and not describes(n, [str(v) for v in table[n].dropna()[:100]], PLAIN)]
    if found == ROWS and doubtful:
        raise DataError(
            f"{path}: columns of text hold numbers, or marks of missing ones: {first(doubtful, 4)}; store numbers"
        )
    notes = {"layout": "wide", "orientation": f"{found} ({reason})", "row groups": f"{stored.num_row_groups:,}"}
    if ids is None:
        notes["ids"] = "no column of ids: rows are numbered from 0"
    if described:
        notes["metadata columns"] = ", ".join(described)
    plain = frame({}, columns)
    if found == ROWS:
        return _TurnedLines(path, stored, columns, plain, metadata, notes)
    return _Lines(path, stored, columns, metadata, plain, notes)


def _obs(stored: pq.ParquetFile, names: dict[str, str]) -> pd.DataFrame:
    """Metadata of the profiles of a file of ours; `names` tells stored from original column names."""
    schema = stored.schema_arrow
    index = schema.pandas_metadata["index_columns"][0]
    table = stored.read(columns=[index, *names])
    table = table.replace_schema_metadata({b"pandas": schema.metadata[b"pandas"]})
    obs: pd.DataFrame = table.to_pandas().rename(columns=names)
    obs.index = pd.Index([str(name) for name in obs.index], dtype=object)
    return obs


def _values(batch: pa.RecordBatch, genes: int) -> np.ndarray:
    """Rows of values of a batch, float32."""
    if batch.schema.names == [VALUES]:
        return np.asarray(batch.column(0).flatten().to_numpy(zero_copy_only=False).reshape(-1, genes))
    return np.ascontiguousarray(_columns(batch, slice(0, batch.num_rows)).T)


def _columns(batch: pa.RecordBatch, rows: Index) -> np.ndarray:
    """Columns of a batch as rows of an array, float32."""
    out = np.empty((batch.num_columns, size_of(rows)), np.float32)
    for at, column in enumerate(batch.columns):
        plain = column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column
        out[at] = plain.to_numpy(zero_copy_only=False)[rows]
    return out


def _pick(names: list[str], index: Index) -> list[str]:
    return names[index] if isinstance(index, slice) else [names[at] for at in index]


def _is_value(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_plain(kind: pa.DataType) -> bool:
    """Whether a column can be metadata: text, truth, dates, categories; no lists and structures."""
    return not pa.types.is_nested(kind) and not pa.types.is_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
