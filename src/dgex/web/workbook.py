"""A result as a workbook of Excel: values with their trust, half-widths of intervals, profiles, and how it was made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dgex.atomic import atomic_file
from dgex.errors import FileError
from dgex.web.result import HALF, VALUES, Result
from dgex.web.tables import blocks, has_intervals, worth_columns

__all__ = ["write_workbook"]

_MOST_COLUMNS = 16_384  # of a sheet of Excel
_LABELS = {"expected_error": "expected error", "expected_r": "expected r", "recall": "rank recall"}


def write_workbook(result: Result, target: Path) -> None:
    """Write the workbook, a row at a time.

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
    book = Workbook(write_only=True)
    _matrix(book.create_sheet("Values"), result, columns, VALUES)
    if has_intervals(result):
        few = {name: columns[name] for name in ("gene", "origin", "trust")}
        _matrix(book.create_sheet("Half-widths"), result, few, HALF)
    _table(book.create_sheet("Profiles"), ["profile", "distance", "unlike"], _profiles(result))
    _table(book.create_sheet("About"), ["what", "value"], _about(result))
    with atomic_file(target, True) as temporary:
        book.save(temporary)


def _matrix(sheet: Any, result: Result, columns: dict[str, list[Any]], name: str) -> None:
    sheet.freeze_panes = sheet.cell(row=2, column=2) if hasattr(sheet, "cell") else "B2"
    sheet.append(_texts(sheet, [*(_LABELS.get(key, key) for key in columns), *result.profiles]))
    rows = list(zip(*columns.values()))
    for at, values in blocks(result, name):
        for before, numbers in zip(rows[at], values.round(4).tolist()):
            sheet.append([*_texts(sheet, before), *(round(number, 4) for number in numbers)])


def _table(sheet: Any, header: list[str], rows: Iterable[Iterable[Any]]) -> None:
    sheet.append(_texts(sheet, header))
    for row in rows:
        sheet.append(_texts(sheet, row))


def _texts(sheet: Any, values: Iterable[Any]) -> list[Any]:
    """Numbers as they are, everything else as text that Excel does not read as anything else."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    cells = []
    for value in values:
        if not isinstance(value, str):
            cells.append(value)
        elif value.startswith("="):
            cell = WriteOnlyCell(sheet, "")
            cell.value, cell.data_type = ILLEGAL_CHARACTERS_RE.sub("", value), "s"
            cells.append(cell)
        else:
            cells.append(ILLEGAL_CHARACTERS_RE.sub("", value))
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
