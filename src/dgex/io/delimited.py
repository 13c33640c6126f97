"""Tables of text: streamed into a temporary file when read, formatted in blocks when written."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, TextIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from dgex.arrays.spool import Spool
from dgex.errors import DataError, DgexError, FileError
from dgex.inputs import Unpacked
from dgex.io.numerals import MISSING, PLAIN, STYLES, Numerals

__all__ = ["Dialect", "Table", "encoding_of", "open_output", "open_text", "parse", "text_lines"]

_BLOCK = 8 << 20  # bytes of text handled at a time, and for wide tables
_ROWS = 1024  # as many for every column, about a hundred rows: Arrow pays for each column of each block


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Attributes
    ----------
    skip : int
        Lines before the first row.
    delimiter : str
    encoding : str
        As Python calls it.
    quotes : bool
        Whether fields may stand in double quotes.
    multiline : bool
        Whether a quoted field goes over several lines.
    numerals : Numerals
    footer : str
        What a line after the last row starts with; none: empty.
    """

    skip: int
    delimiter: str
    encoding: str = "utf-8"
    quotes: bool = True
    multiline: bool = False
    numerals: Numerals = PLAIN
    footer: str = ""


@dataclass
class Table:
    """A table that was read: some columns as text, by place; the others as numbers in a temporary file."""

    texts: dict[int, list[str]]
    values: Spool
    dialect: Dialect


@contextmanager
def open_text(path: Path, encoding: str = "utf-8") -> Iterator[TextIO]:
    """Open text, compressed or not, for reading by lines."""
    raw = io.BufferedReader(Unpacked(path), 1 << 16)
    with io.TextIOWrapper(
        raw, "utf-8-sig" if encoding == "utf-8" else encoding, errors="replace", newline=""
    ) as stream:
        yield stream


def encoding_of(path: Path) -> str:
    """UTF-16 where its mark stands first, UTF-8 where the first MiB is, else Latin-1."""
    with io.BufferedReader(Unpacked(path), 1 << 16) as raw:
        start = raw.read(1 << 20)
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def parse(path: Path, dialect: Dialect, header: Sequence[str], texts: Sequence[int], values: Sequence[int]) -> Table:
    """Read the rows of a table: some columns as text, some as numbers; others are left out.

    Parameters
    ----------
    path : path
    dialect : Dialect
    header : sequence of str
        Names of all columns, for error messages and their number.
    texts, values : sequence of int
        Places of the columns, in increasing order.

    Returns
    -------
    Table
        Its dialect may differ where what came later shows that the first lines did not tell all.

    Raises
    ------
    DataError
        Text where a number belongs, with its row, column and value.
    FileError
        A row with too few or too many fields, or a truncated file.
    """
    for _ in range(3):  # other numerals, quoted line ends, another encoding: each may show late
        try:
            return _parse(path, dialect, len(header), texts, values)
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
                if dialect.encoding == "latin-1":
                    raise
                dialect = replace(dialect, encoding="latin-1")
                continue
            better = _second_look(path, dialect, header, values, texts)
            if isinstance(better, DgexError):
                raise better from error
            if better == dialect:
                if "Empty CSV" in str(error):
                    raise DataError(f"{path} has a header but no rows") from error
                raise FileError(f"cannot read {path}: a row of it cannot be told from the next") from error
            dialect = better
    raise FileError(f"cannot read {path}: its rows are written in several ways")


def _parse(path: Path, dialect: Dialect, width: int, texts: Sequence[int], values: Sequence[int]) -> Table:
    names = [str(column) for column in range(width)]
    plain = not dialect.numerals.group
    number = pa.float32() if plain else pa.string()
    types = {names[at]: number for at in values} | {names[at]: pa.string() for at in texts}
    some = len(texts) + len(values) < width
    spool = Spool(len(values))
    found: dict[int, list[str]] = {at: [] for at in texts}

    def odd(row: Any) -> str:
        blank = row.text is None or not row.text.strip()
        footer = dialect.footer and row.text.strip(' "').startswith(dialect.footer)
        return "skip" if blank or footer else "error"

    try:
        with Unpacked(path) as stream:
            reader = arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(
                    column_names=names,
                    skip_rows=dialect.skip,
                    block_size=max(_BLOCK, _ROWS * width),
                    encoding="utf8" if dialect.encoding == "utf-8" else dialect.encoding,
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=dialect.delimiter,
                    quote_char='"' if dialect.quotes else False,
                    newlines_in_values=dialect.multiline,
                    invalid_row_handler=odd,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=types,
                    null_values=list(MISSING),
                    strings_can_be_null=False,
                    decimal_point=dialect.numerals.decimal,
                    include_columns=[names[at] for at in sorted((*texts, *values))] if some else [],
                ),
            )
            for batch in reader:
                place = {name: at for at, name in enumerate(batch.schema.names)}
                for at in texts:
                    found[at].extend(value.strip() for value in batch.column(place[names[at]]).to_pylist())
                numbers = np.empty((len(values), batch.num_rows), np.float32)
                for to, at in enumerate(values):
                    column = batch.column(place[names[at]])
                    numbers[to] = (column if plain else _ungrouped(column, dialect.numerals)).to_numpy(
                        zero_copy_only=False
                    )
                spool.append(numbers.T)
    except BaseException:
        spool.close()
        raise
    return Table(found, spool, dialect)


def _ungrouped(column: pa.Array, numerals: Numerals) -> pa.Array:
    """Numbers of texts that have marks between thousands."""
    column = pc.utf8_trim_whitespace(column)
    empty = pc.is_in(column, value_set=pa.array(MISSING))
    column = pc.if_else(empty, None, column)
    if not pc.all(pc.match_substring_regex(column, numerals.pattern), min_count=0).as_py():
        raise pa.ArrowInvalid("a number that is written in another way")
    column = pc.replace_substring(column, numerals.group, "")
    if numerals.decimal != ".":
        column = pc.replace_substring(column, numerals.decimal, ".")
    return column.cast(pa.float32())


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


def _second_look(
    path: Path, dialect: Dialect, header: Sequence[str], values: Sequence[int], texts: Sequence[int]
) -> Dialect | DgexError:
    """Go through a table that failed once more, slowly: to find a way to read all of it, or to say where it fails."""
    fitting = [style for style in STYLES if style != PLAIN]
    bad: DgexError | None = None
    small = True  # whether all numbers without a comma stay below a thousand, so that commas stand between thousands
    with open_text(path, dialect.encoding) as stream:
        for _ in range(dialect.skip):
            stream.readline()
        rows = csv.reader(stream, delimiter=dialect.delimiter, quoting=0 if dialect.quotes else 3)
        count = 0  # of rows
        for row in rows:
            count += 1
            if not any(row) or (dialect.footer and row[0].startswith(dialect.footer)):
                continue
            if len(row) != len(header):
                return FileError(
                    f"{path}: line {dialect.skip + rows.line_num:,} has {len(row):,} fields, {len(header):,} were "
                    f"expected (as many as the header names); the file is truncated or damaged"
                )
            for at in values:
                text = row[at].strip()
                if bad is None and not dialect.numerals.is_number(text):
                    bad = DataError(
                        f"{path}: text where a number belongs: {text[:40]!r} in line {dialect.skip + rows.line_num:,}, "
                        f"row {row[min(texts, default=0)]!r}, column {header[at]!r}"
                    )
                fitting = [style for style in fitting if style.is_number(text)]
                small = small and ("," in text or len(text.split(".")[0].lstrip("+-")) <= 3)
            if bad is not None and not fitting:
                return bad
        several = rows.line_num > count
    if bad is None:
        return replace(dialect, multiline=several or dialect.multiline)
    doubtful = STYLES[1] in fitting and STYLES[2] in fitting and not small  # `1,046` beside `2000`
    fitting = [style for style in fitting if style != dialect.numerals]
    return replace(dialect, numerals=fitting[0]) if fitting and not doubtful else bad
