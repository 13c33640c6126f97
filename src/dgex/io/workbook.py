"""Making workbooks of Excel: small sheets by openpyxl, the rows of large ones put into the finished file as text.

That takes a twentieth of the time. Texts are stored as texts: no name becomes a formula, a date or a number.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

import numpy as np

from dgex.errors import FileError
from dgex.io.delimited import text_lines

__all__ = ["MOST_COLUMNS", "MOST_ROWS", "add_table", "fill", "new_workbook", "number_rows", "text_cell", "texts"]

MOST_ROWS, MOST_COLUMNS = 1_048_576, 16_384  # of a sheet of Excel
_END = b"</sheetData>"


def new_workbook(path: Path) -> Any:
    """An empty workbook that is written once.

    Raises
    ------
    FileError
        openpyxl is not there.
    """
    try:
        from openpyxl import Workbook
    except ImportError:
        raise FileError(
            f"{path} would be an Excel workbook, which needs the package openpyxl: pip install 'dgex-infer[excel]'; "
            f"or take a name that ends in .csv"
        ) from None
    return Workbook(write_only=True)


def add_table(book: Any, name: str, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Add a small sheet, its header and first column always in sight."""
    sheet = book.create_sheet(name)
    sheet.freeze_panes = "B2"
    sheet.append(texts(sheet, header))
    for row in rows:
        sheet.append(texts(sheet, row))


def texts(sheet: Any, values: Iterable[Any]) -> list[Any]:
    """Cells: numbers as they are, everything else as text that Excel does not read as anything else."""
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


def text_cell(value: Any) -> str:
    """A cell as XML."""
    if value is None:
        return "<c/>"
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(_legal(value))}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def number_rows(before: Sequence[str], values: np.ndarray) -> bytes:
    """Rows as XML: cells that are XML, then numbers, those that are missing as empty cells."""
    lines = text_lines([""] * len(values), values, ",").split(b"\n")
    rows = b"".join(
        b"<row>%s<c><v>%s</v></c></row>" % (cells.encode(), line[1:].replace(b",", b"</v></c><c><v>"))
        for cells, line in zip(before, lines)
    )
    return rows.replace(b"<c><v></v></c>", b"<c/>").replace(b"<c><v>nan</v></c>", b"<c/>")


def fill(source: BinaryIO, target: BinaryIO | Path, rows: Mapping[int, Iterable[bytes]]) -> None:
    """Copy a workbook, with further rows at the end of some sheets, which are counted from 1."""
    parts = {f"xl/worksheets/sheet{at}.xml": more for at, more in rows.items()}
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=2) as new:
        for item in old.infolist():
            content = old.read(item)
            with new.open(item.filename, "w", force_zip64=True) as out:
                if item.filename not in parts:
                    out.write(content)
                    continue
                head, _, tail = content.rpartition(_END)
                out.write(head)
                for part in parts[item.filename]:
                    out.write(part)
                out.write(_END + tail)


def _legal(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    return str(ILLEGAL_CHARACTERS_RE.sub("", text))
