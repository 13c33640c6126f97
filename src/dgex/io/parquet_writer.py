"""Writing Parquet, wide or compact, row group by row group."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dgex.errors import SettingsError
from dgex.io.writer import Writer

__all__ = ["GENES", "LAYOUT", "VALUES", "ParquetWriter", "pack_table", "unpack_table"]

LAYOUT, GENES = b"dgex", b"dgex.var"  # keys of the schema's metadata
VALUES = "values"
_WIDE = 2000  # genes up to which one column a gene is sensible
_GROUP = 32 << 20  # bytes of values in a row group
_COMPRESSIONS = ("zstd", "snappy", "gzip", "none")


class ParquetWriter(Writer):
    """Writes Parquet.

    Parameters
    ----------
    layout : {"wide", "compact"}, optional
        Wide, one column a gene, opens in pandas with profiles as index; compact holds a profile's values as one list.
        By default wide up to 2,000 genes and compact beyond.
    compression : {"zstd", "snappy", "gzip", "none"}
    """

    options = ("layout", "compression")
    compressions = _COMPRESSIONS

    def __init__(
        self,
        path: Path,
        obs: pd.DataFrame,
        var: pd.DataFrame,
        *,
        layout: str | None = None,
        compression: str = "zstd",
        **common: Any,
    ) -> None:
        layout = layout or ("wide" if len(var) <= _WIDE else "compact")
        if layout not in ("wide", "compact"):
            raise SettingsError(f"Parquet layout {layout!r} is unknown", accepted="'wide', 'compact'")
        if compression not in _COMPRESSIONS:
            raise SettingsError(f"Parquet compression {compression!r} is unknown", accepted=_COMPRESSIONS)
        super().__init__(path, obs, var, **common)
        self._compact, self._compression = layout == "compact", compression
        self._step = max(1, min(self.shape[0], _GROUP // (4 * self.shape[1])))
        self._writer: pq.ParquetWriter | None = None

    def _start(self, path: Path) -> None:
        taken = {VALUES} if self._compact else set(self.var.index)
        stored = {name: f"obs:{name}" if name in taken else name for name in self.obs.columns}
        self._obs = pa.Table.from_pandas(storable(self.obs).rename(columns=stored), preserve_index=True)
        if self._compact:
            values = [pa.field(VALUES, pa.list_(pa.float32(), self.shape[1]))]
        else:
            values = [pa.field(name, pa.float32()) for name in self.var.index]
        ours = {
            "layout": "compact" if self._compact else "wide",
            "version": 1,
            "obs": {new: old for old, new in stored.items()},
            "genes": self.var.index.tolist() if self._compact else len(self.var),
        }
        metadata = {
            b"pandas": self._obs.schema.metadata[b"pandas"],
            LAYOUT: json.dumps(ours).encode(),
            GENES: pack_table(storable(self.var)),
        }
        self._schema = pa.schema([*self._obs.schema, *values], metadata=metadata)
        self._writer = pq.ParquetWriter(
            path, self._schema, compression=self._compression, use_dictionary=self._obs.schema.names
        )

    def _write(self, start: int, block: np.ndarray) -> None:
        assert self._writer is not None
        for at in range(0, len(block), self._step):
            part = block[at : at + self._step]
            obs = self._obs.slice(start + at, len(part))
            if self._compact:
                values = [pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), part.shape[1])]
            else:
                values = [pa.array(column) for column in np.ascontiguousarray(part.T)]
            self._writer.write_table(pa.Table.from_arrays([*obs.columns, *values], schema=self._schema))

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def storable(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of objects as strings, which Arrow wants alike; the index without a name."""
    table = table.copy(deep=False)
    for column in table.columns:
        if pd.api.types.is_object_dtype(table[column].dtype):
            gaps = table[column].isna()
            table[column] = pd.Series(
                [None if gap else str(value) for value, gap in zip(table[column].tolist(), gaps)],
                index=table.index,
                dtype=object,
            )
    table.index.name = None
    return table


def pack_table(table: pd.DataFrame) -> bytes:
    """A table as text for a schema's metadata."""
    packed = pa.Table.from_pandas(table, preserve_index=True)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, packed.schema) as stream:
        stream.write_table(packed)
    return base64.b64encode(sink.getvalue().to_pybytes())


def unpack_table(text: bytes) -> pd.DataFrame:
    """Undo `pack_table`."""
    with pa.ipc.open_stream(base64.b64decode(text)) as stream:
        table: pd.DataFrame = stream.read_pandas()
    table.index = pd.Index([str(name) for name in table.index], dtype=object)
    return table
