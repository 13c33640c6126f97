"""Tables of text: streamed into a temporary file when read, formatted in blocks when written."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO, cast

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from dgex.arrays.spool import Spool
from dgex.errors import DataError, DgexError, FileError
from dgex.inputs import Unpacked

__all__ = ["Table", "is_number", "open_output", "open_text", "parse", "text_lines"]

_MISSING = ["", "NA", "na", "N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "#N/A"]
_BLOCK = 8 << 20  # bytes of text handled at a time, and for wide tables
_ROWS = 1024  # as many for every column, about a hundred rows: Arrow pays for each column of each block


@dataclass
class Table:
    """A table that was read: its leading columns as text, its numbers in a temporary file."""

    leading: list[list[str]]
    values: Spool


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open text, compressed or not, for reading by lines."""
    raw = io.BufferedReader(Unpacked(path), 1 << 16)
    with io.TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="") as stream:
        yield stream


def parse(path: Path, *, skip: int, delimiter: str, quotes: bool, leading: int, header: Sequence[str]) -> Table:
    """Read the rows of a table: `leading` columns of text, then numbers.

    Parameters
    ----------
    path : path
    skip : int
        Lines before the first row.
    delimiter : str
    quotes : bool
        Whether fields may stand in double quotes.
    leading : int
        Columns of text at the left.
    header : sequence of str
        Names of all columns, for error messages and their number.

    Raises
    ------
    DataError
        Text where a number belongs, with its row, column and value.
    FileError
        A row with too few or too many fields, or a truncated file.
    """
    width = len(header)
    names = [str(column) for column in range(width)]
    types = {name: pa.string() if at < leading else pa.float32() for at, name in enumerate(names)}
    spool = Spool(width - leading)
    texts: list[list[str]] = [[] for _ in range(leading)]
    try:
        with Unpacked(path) as stream:
            reader = arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(
                    column_names=names, skip_rows=skip, block_size=max(_BLOCK, _ROWS * width)
                ),
                parse_options=arrow_csv.ParseOptions(delimiter=delimiter, quote_char='"' if quotes else False),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=types, null_values=_MISSING, strings_can_be_null=False
                ),
            )
            for batch in reader:
                for at in range(leading):
                    texts[at].extend(value.strip() for value in batch.column(at).to_pylist())
                numbers = np.empty((width - leading, batch.num_rows), np.float32)
                for at in range(leading, width):
                    numbers[at - leading] = batch.column(at).to_numpy(zero_copy_only=False)
                spool.append(numbers.T)
    except pa.ArrowInvalid as error:
        spool.close()
        said = _first_bad_cell(path, skip, delimiter, quotes, leading, header)
        if said is None and "Empty CSV" in str(error):
            said = DataError(f"{path} has a header but no rows")
        raise said or FileError(f"cannot read {path}: {str(error).splitlines()[0][:200]}") from error
    except BaseException:
        spool.close()
        raise
    return Table(texts, spool)


def text_lines(prefixes: Sequence[str], values: np.ndarray, delimiter: str) -> bytes:
    """Format rows: each prefix, then its numbers as the shortest text that gives the same float32 back."""
    batch = pa.RecordBatch.from_arrays(
        [pa.array(column) for column in np.ascontiguousarray(values.T)], names=[str(i) for i in range(values.shape[1])]
    )
    out = io.BytesIO()
    arrow_csv.write_csv(
        batch, out, arrow_csv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="none")
    )
    lines = out.getvalue().split(b"\n")
    mark = delimiter.encode()
    return b"".join(prefix.encode() + mark + line + b"\n" for prefix, line in zip(prefixes, lines))


def open_output(path: Path) -> IO[bytes]:
    """Open a file for writing, compressed when its name ends in .gz; the same content gives the same bytes."""
    raw = open(path, "wb")  # noqa: SIM115 (the caller closes it)
    return cast(IO[bytes], _Gzip(raw)) if path.name.lower().endswith(".gz") else raw


class _Gzip(gzip.GzipFile):
    """Compressed output without name and time in its header, that closes the file below."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__(filename="", mode="wb", compresslevel=4, fileobj=raw, mtime=0)
        self._below = raw

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._below.close()


def is_number(text: str) -> bool:
    """Whether a field is a number, or the mark of a missing one."""
    if text.strip() in _MISSING:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first_bad_cell(
    path: Path, skip: int, delimiter: str, quotes: bool, leading: int, header: Sequence[str]
) -> DgexError | None:
    """Go through a table that failed once more, slowly, to say where it fails."""
    with open_text(path) as stream:
        for _ in range(skip):
            stream.readline()
        rows = csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE)
        for number, row in enumerate(rows, start=skip + 1):
            if not row:
                continue
            if len(row) != len(header):
                return FileError(
                    f"{path}: line {number:,} has {len(row):,} fields, {len(header):,} were expected; "
                    f"the file is truncated or damaged"
                )
            for at in range(leading, len(row)):
                if not is_number(row[at]):
                    return DataError(
                        f"{path}: text where a number belongs: {row[at][:40]!r} in line {number:,}, "
                        f"row {row[0]!r}, column {header[at]!r}"
                    )
    return None
