"""A result as a workbook of Excel: values with their trust, half-widths of intervals, profiles, and how it was made.

openpyxl makes the workbook; the rows of its two large sheets are put into the finished file as text, which takes a
twentieth of the time.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

import numpy as np

from dgex.atomic import atomic_file
from dgex.errors import FileError
from dgex.io.delimited import text_lines
from dgex.progress import bar
from dgex.web.result import HALF, VALUES, Result
from dgex.web.tables import blocks, has_intervals, worth_columns

__all__ = ["write_workbook"]

_MOST_COLUMNS = 16_384  # of a sheet of Excel
_LABELS = {"expected_error": "expected error", "expected_r": "expected r", "recall": "rank recall"}
_END = b"</sheetData>"


def write_workbook(result: Result, target: Path) -> None:
    """Write the workbook, a few hundred genes at a time.

    Texts are stored as texts: no name becomes a formula, a date or a number.

    Raises
    ------
    FileError
        openpyxl is not there, or the profiles are more than a sheet has columns.
    """
    try:
        from openpyxl import Workbook
    except ImportError:
        raise FileError("Excel workbooks need the package openpyxl, which is not installed here") from None
    columns = worth_columns(result)
    if len(columns) + len(result.profiles) > _MOST_COLUMNS:
        raise FileError(f"{len(result.profiles):,} profiles are more than a sheet of Excel has columns; take CSV")
    large = {VALUES: columns}
    if has_intervals(result):
        large[HALF] = {name: columns[name] for name in ("gene", "origin", "trust")}
    book = Workbook(write_only=True)
    for name, before in large.items():
        sheet = book.create_sheet({VALUES: "Values", HALF: "Half-widths"}[name])
        sheet.freeze_panes = "B2"
        sheet.append(_texts(sheet, [*(_LABELS.get(key, key) for key in before), *result.profiles]))
    _table(book.create_sheet("Profiles"), ["profile", "distance", "unlike"], _profiles(result))
    _table(book.create_sheet("About"), ["what", "value"], _about(result))
    with atomic_file(target, True) as temporary, tempfile.TemporaryFile() as headed:
        book.save(headed)
        rows = {f"xl/worksheets/sheet{at}.xml": _rows(result, *item) for at, item in enumerate(large.items(), 1)}
        with bar(len(large) * len(result.names), "writing") as progress:
            _fill(headed, temporary, rows, progress)


def _fill(source: BinaryIO, target: Path, rows: dict[str, Iterator[tuple[int, bytes]]], progress: Any) -> None:
    """Copy a workbook, with further rows at the end of some sheets."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=2) as new:
        for item in old.infolist():
            content = old.read(item)
            with new.open(item.filename, "w", force_zip64=True) as out:
                if item.filename not in rows:
                    out.write(content)
                    continue
                head, _, tail = content.rpartition(_END)
                out.write(head)
                for count, part in rows[item.filename]:
                    out.write(part)
                    progress.advance(count)
                out.write(_END + tail)


def _rows(result: Result, name: str, columns: dict[str, list[Any]]) -> Iterator[tuple[int, bytes]]:
    """Rows of a sheet as XML, a block of genes at a time, and how many."""
    before = ["".join(map(_cell, row)) for row in zip(*columns.values())]
    for at, values in blocks(result, name):
        lines = text_lines([""] * len(values), np.round(values, 4), ",").split(b"\n")
        rows = (
            b"<row>%s<c><v>%s</v></c></row>" % (cells.encode(), line[1:].replace(b",", b"</v></c><c><v>"))
            for cells, line in zip(before[at], lines)
        )
        yield len(values), b"".join(rows).replace(b"<c><v></v></c>", b"<c/>")


def _cell(value: Any) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(_legal(value))}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def _legal(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    return str(ILLEGAL_CHARACTERS_RE.sub("", text))


def _table(sheet: Any, header: list[str], rows: Iterable[Iterable[Any]]) -> None:
    sheet.append(_texts(sheet, header))
    for row in rows:
        sheet.append(_texts(sheet, row))


def _texts(sheet: Any, values: Iterable[Any]) -> list[Any]:
    """Numbers as they are, everything else as text that Excel does not read as anything else."""
    from openpyxl.cell import WriteOnlyCell

    cells = []
    for value in values:
        if isinstance(value, str):
            cell = WriteOnlyCell(sheet, "")
            cell.value, cell.data_type = _legal(value), "s"
            cells.append(cell)
        else:
            cells.append(value)
    return cells


def _profiles(result: Result) -> Iterable[tuple[Any, ...]]:
    told = result.summary
    return zip(result.profiles, told["distance"], ("yes" if flag else "no" for flag in told["unlike"]))


def _about(result: Result) -> Iterable[tuple[str, Any]]:
    told = result.summary
    made = told["made"]
    yield "what to believe", told["sentence"]
    for text in told["warnings"]:
        yield "warning", text
    yield "unit of the values", told["unit"]
    if told["interval"] is not None:
        yield "intervals", f"value minus and plus the half-width holds the truth in {told['interval']:.0%} of cases"
    yield "distance of a profile", "share of held-out profiles that lie nearer to the training profiles"
    for name in ("made_by", "model", "fingerprint", "input", "judged_by", "scale"):
        if made.get(name):
            yield name.replace("_", " "), str(made[name])
