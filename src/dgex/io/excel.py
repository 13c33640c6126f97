"""Workbooks of Excel: the first sheet that holds a table, read as any table of text."""

from __future__ import annotations

import csv
import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dgex import progress
from dgex.errors import DataError, DgexError, FileError
from dgex.io.base import ExpressionFile
from dgex.io.checks import reading
from dgex.io.excel_writer import ExcelWriter
from dgex.io.text import TextFile
from dgex.io.zip_guard import refuse_bomb

__all__ = ["ExcelWriter", "open_excel"]


def open_excel(path: Path, *, orientation: str = "auto", genes: frozenset[str] = frozenset()) -> ExpressionFile:
    """Open a workbook: `.xlsx` or `.xlsm`.

    Raises
    ------
    FileError
        openpyxl is not there, or this is no workbook.
    DataError
        No sheet holds a table.
    """
    try:
        import openpyxl
    except ImportError:
        raise FileError(
            f"{path} is an Excel workbook, which needs the package openpyxl: pip install 'dgex-infer[excel]'; "
            f"or save the sheet as CSV"
        ) from None
    refuse_bomb(path)
    with reading(path, "Excel"), tempfile.TemporaryDirectory(prefix="dgex-") as folder:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            table = Path(folder) / path.name
            sheet = next((name for name in book.sheetnames if _save(book[name], table)), None)
            if sheet is None:
                raise DataError(f"{path} holds no table in any of its sheets")
            if len(book.sheetnames) > 1:
                progress.note(f"{path.name}: sheet {sheet!r} of {len(book.sheetnames)} is read")
        finally:
            book.close()
        try:
            handle = TextFile(table, orientation=orientation, genes=genes)
        except DgexError as error:
            raise type(error)(str(error).replace(str(table), str(path))) from error
    handle.path = path
    handle.format = handle.notes["format"] = "Excel"
    handle.notes["sheet"] = sheet
    del handle.notes["delimiter"]
    return handle


def _save(sheet: Any, table: Path) -> bool:
    """Write a sheet as text separated by tabs; False if it holds no table."""
    if not hasattr(sheet, "iter_rows"):  # a sheet that is a chart
        return False
    rows = list(_rows(sheet))
    width = max((len(row) for row in rows), default=0)
    if width < 2 or len(rows) < 2:
        return False
    with table.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, delimiter="\t", lineterminator="\n").writerows(row + [""] * (width - len(row)) for row in rows)
    return True


def _rows(sheet: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()  # which other programs than Excel write wrongly
    for row in sheet.iter_rows(values_only=True):
        texts = [_text(value) for value in row]
        while texts and not texts[-1]:
            texts.pop()
        if texts:
            yield texts


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime | datetime.date):  # a gene once: MARCH1
        return f"{value.day}-{value:%b}"
    return " ".join(str(value).split())
