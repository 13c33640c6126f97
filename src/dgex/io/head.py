"""What the first lines of a table tell: how it is written, what its columns are called, and which layout it is."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path

from dgex.errors import DataError, FileError, first
from dgex.gene_ids import canonical, id_type
from dgex.io.columns import Columns, choose, known
from dgex.io.delimited import Dialect, encoding_of, open_text
from dgex.io.layouts import BARE, HTSEQ, STAR, SUMMARY_ROWS, Layout, recognise
from dgex.io.numerals import PLAIN, Ambiguous, detect

__all__ = ["Head", "look", "refuse_page"]

_DELIMITERS = ("\t", ",", ";", " ")
_ROWS, _CHARACTERS = 100, 4 << 20
_FIELDS = 30_000  # of the first rows that are looked at
_BEGIN, _END = "!series_matrix_table_begin", "!series_matrix_table_end"


@dataclass
class Head:
    """What the first lines tell.

    Attributes
    ----------
    header : list of str
        Names of all columns.
    columns : Columns
        Which are ids, annotation and values.
    dialect : Dialect
    layout : Layout or None
        A layout that is known by its columns.
    about : dict
        Metadata of the samples that stand above the table, one list a field.
    said : list of str
        What was found out, for the user.
    """

    header: list[str]
    columns: Columns
    dialect: Dialect
    layout: Layout | None = None
    about: dict[str, list[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def look(path: Path) -> Head:
    """Look at the first lines of a table.

    Raises
    ------
    FileError, DataError
        No table, a header that does not fit, a column that is neither numbers nor names.
    """
    encoding = encoding_of(path)
    skip, comment, lines, about, footer = _start(path, encoding)
    if not lines:
        raise FileError(f"{path} holds no table: no line but comments")
    refuse_page(path, lines[0])
    delimiter = _delimiter(path, lines)
    reader = csv.reader(lines, delimiter=delimiter)
    rows, ends = [], []
    for row in reader:
        rows.append([name.strip() for name in row])
        ends.append(reader.line_num)
    said: list[str] = []
    titles = _titles(rows)
    if titles:
        said.append(f"a title above the table is left out: {lines[0].strip()[:60]!r}")
        rows, skip = rows[titles:], skip + ends[titles - 1]
        ends = [end - ends[titles - 1] for end in ends[titles:]]
    multiline = any(high - low > 1 for low, high in pairwise(ends))
    header, body, layout = _header(path, comment, rows, delimiter)
    if body and body[0] is not rows[0]:
        skip += ends[0]
        if _is_second_header(body):
            said.append(f"a second header line is left out: {first(dict.fromkeys(body[0]), 3)}")
            skip, body = skip + ends[1] - ends[0], body[1:]
    if not body:
        raise DataError(f"{path} has a header but no rows")
    if len(header) < 2:
        raise FileError(f"{path} holds no table: its first line has one field; tabs or commas are expected between")
    dialect = Dialect(skip, delimiter, encoding, True, multiline, PLAIN, footer)
    body = [row for row in body if len(row) == len(header) and any(row)] or [[""] * len(header)]
    head = Head(header, Columns(0, [], []), dialect, layout or recognise(header), about, said)
    _sort(path, head, [row for row in body if not SUMMARY_ROWS.match(row[0])] or body)
    if encoding != "utf-8":
        said.append(f"it is no UTF-8 text: read as {encoding.upper()}")
    return head


def _sort(path: Path, head: Head, rows: list[list[str]]) -> None:
    """Sort the columns, by the layout where it is known, and find out how numbers are written."""
    rows = rows[: max(10, _FIELDS // len(head.header))]
    unknown = [at for at, name in enumerate(head.header) if at and not known(name)]
    fields = (row[at] for row in rows for at in unknown)
    try:
        head.dialect = replace(head.dialect, numerals=detect(fields))
    except Ambiguous as error:
        raise DataError(
            f"{path}: numbers such as {str(error)!r} could be thousands or decimals; write them with decimal points"
        ) from None
    if head.layout is not None and head.layout.value:
        names = [canonical(name) for name in head.header]
        value = names.index(canonical(head.layout.value))
        ids = next((names.index(name) for name in head.layout.ids if name in names), 0)
        described = [at for at in range(len(names)) if at != ids and known(head.header[at]) and at != value]
        others = [head.header[at] for at in range(len(names)) if at not in (ids, value, *described)]
        head.columns = Columns(ids, described, [value])
        head.said.append(
            f"{head.layout.name}, one sample: column {head.header[value]!r}"
            + (f"; left out: {first(others, 8)}" if others else "")
        )
    else:
        try:
            head.columns = choose(head.header, rows, head.dialect.numerals)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        head.said += head.columns.said
    if head.dialect.numerals != PLAIN:
        head.said.append(f"numbers have {head.dialect.numerals}")


def refuse_page(path: str | Path, head: str) -> None:
    """A page of a portal that was saved in place of the file, which happens where one must log in first."""
    if head.lstrip("\ufeff \t\r\n").lower().startswith(("<!doctype html", "<html")):
        raise DataError(f"{Path(path).name} is a web page (HTML), not a table; was it saved in place of the file?")


def _start(path: Path, encoding: str) -> tuple[int, str, list[str], dict[str, list[str]], str]:
    """Read the first lines: how many to skip, the last comment, the lines after, and what a series matrix says."""
    skip, size, comment = 0, 0, ""
    lines: list[str] = []
    about: dict[str, list[str]] = {}
    footer = ""
    with open_text(path, encoding) as stream:
        for line in stream:
            if not lines and line.lstrip('"').startswith("!"):
                skip += 1 + _series(path, line, stream, about)
                comment, footer = "", _END
                continue
            if not lines and (line.startswith("#") or not line.strip()):
                comment = line if line.startswith("#") else comment
                skip += 1
                continue
            if footer and line.strip().strip('"').startswith(footer):
                break
            lines.append(line)
            size += len(line)
            if len(lines) > _ROWS or (size > _CHARACTERS and len(lines) > 1):
                break
    if footer and len(lines) < 2:
        raise DataError(
            f"{path} is a series matrix without values: GEO keeps those of RNA-Seq series in their supplementary files"
        )
    return skip, comment, lines, about, footer


def _series(path: Path, line: str, stream: Iterator[str], about: dict[str, list[str]]) -> int:
    """Read GEO's lines up to the table; keep those about samples; return how many further lines there were."""
    count = 0
    for whole in chain([line], stream):
        count += 1
        if whole.strip().strip('"').lower() == _BEGIN:
            return count - 1
        if not whole.startswith("!Sample_"):
            continue
        while whole.count('"') % 2:
            more = next(stream, "")
            if not more:
                break
            count, whole = count + 1, whole.rstrip("\r\n") + " " + more
        name, *values = next(csv.reader([whole], delimiter="\t"))
        name = name.removeprefix("!Sample_")
        number, plain = 2, name
        while name in about:
            name, number = f"{plain}.{number}", number + 1
        about[name] = values
    raise FileError(f"{path} is no whole series matrix: a line {_BEGIN} is missing")


def _delimiter(path: Path, lines: Sequence[str]) -> str:
    """The mark that divides all lines alike; of several, the one that the suffix promises."""
    usual = "," if ".csv" in path.name.lower() else "\t"
    best, score = usual, (0.0, False)
    for mark in sorted(_DELIMITERS, key=lambda mark: mark != usual):
        if mark == " " and score[0] > 0.5:
            continue
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=mark) if row)
        width, _ = max(widths.items(), key=lambda item: (item[1], item[0]))
        if width < 2:
            continue
        even = sum(count for size, count in widths.items() if size in (width, width - 1)) / sum(widths.values())
        if (round(even, 2), mark == usual) > score:
            best, score = mark, (round(even, 2), mark == usual)
    return best


def _titles(rows: list[list[str]]) -> int:
    """How many lines above the header hold but one field: the title that a spreadsheet has."""
    width = max((len(row) for row in rows), default=0)
    count = 0
    while count + 2 < len(rows) and width > 2 and sum(map(bool, rows[count])) <= 1:
        count += 1
    return count if count and count + 1 < len(rows) else 0


def _header(
    path: Path, comment: str, rows: list[list[str]], delimiter: str
) -> tuple[list[str], list[list[str]], Layout | None]:
    """Find the header: the first row, a comment before it, or none where a quantifier writes none."""
    top, body = rows[0], rows[1:]
    width = Counter(len(row) for row in (body or rows) if row).most_common(1)[0][0]
    over = [name.strip() for name in next(csv.reader([comment.lstrip("#")], delimiter=delimiter), [])]
    if len(over) == width > 1 and _is_data(top, over) and not _is_data(over, over):
        return over, rows, None
    while len(top) > width and not top[-1]:
        top = top[:-1]
    blank = all(not row[-1] for row in body if len(row) == width)
    if len(top) == width - 1 and body:
        if blank:  # a delimiter at the end of every row but the first
            return [*top, ""], body, None
        if top and known(top[0]):
            raise FileError(
                f"{path}: the header has {len(top):,} fields, its rows have {width:,}: the name of a column is missing "
                f"(without a name for the first column, {top[0]!r}, it would be as R writes tables)"
            )
        return ["", *top], body, None  # R writes no name above the row names
    if len(top) != width and body and sum(len(row) == width for row in body) > 1:
        raise FileError(f"{path}: the header has {len(top):,} fields, its rows have {width:,}")
    if _is_data(top, [""]):
        return _headerless(path, rows, width)
    return top, body, None


def _is_second_header(body: list[list[str]]) -> bool:
    """Whether the first row says one word of all samples, as Firehose's tables do (`normalized_count`)."""
    words = set(body[0][1:])
    if len(body) < 2 or len(body[0]) < 3 or len(words) != 1 or not known(body[0][0]):
        return False
    return not any(map(PLAIN.is_number, words)) and any(map(PLAIN.is_number, body[1][1:]))


def _is_data(row: list[str], header: list[str]) -> bool:
    """Whether a row holds numbers where a header has names."""
    fields = row[1:]
    numbers = [text for text in fields if PLAIN.is_number(text) and not PLAIN.is_missing(text)]
    return bool(numbers) and all(map(PLAIN.is_number, fields)) and bool(row[0]) and not known(row[0])


def _headerless(path: Path, rows: list[list[str]], width: int) -> tuple[list[str], list[list[str]], Layout | None]:
    """Counts of STAR and HTSeq have no header; of other tables the names of samples are needed."""
    ids = [row[0] for row in rows]
    kind = id_type([name for name in ids[1:] if not SUMMARY_ROWS.match(name)])
    if width == 4 and SUMMARY_ROWS.match(ids[0]):
        return ["gene_id", "unstranded", "first strand", "second strand"], rows, STAR
    alike = id_type(ids[:1]) == kind != "other" and (ids[0].isupper() or not ids[1].isupper())
    if width == 2 and (alike or SUMMARY_ROWS.match(ids[0])):
        whole = all(row[1].isdigit() for row in rows if len(row) == width)
        return (["gene_id", "count"], rows, HTSEQ) if whole else (["gene_id", "value"], rows, BARE)
    whole = all(text.isdigit() for text in rows[0][1:])
    if not whole or (kind in ("ensembl", "affymetrix", "entrez") and id_type(ids[:1]) == kind):
        raise DataError(
            f"{path}: the first line must name the columns, but holds numbers ({first(rows[0][1:], 3)}); "
            f"add a header: 'gene', then the names of the samples"
        )
    if not canonical(ids[0]):
        return rows[0], rows[1:], None
    raise DataError(
        f"{path}: it cannot be told whether the first line ({first(rows[0], 4)}) is a header or a row of numbers; "
        f"call its first column 'gene' if it is a header, else add one"
    )
