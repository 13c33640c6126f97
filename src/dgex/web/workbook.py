"""A result as a workbook of Excel: values with their trust, half-widths of intervals, profiles, and how it was made."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dgex.atomic import atomic_file
from dgex.errors import FileError
from dgex.io.workbook import MOST_COLUMNS, add_table, fill, new_workbook, number_rows, text_cell, texts
from dgex.progress import bar
from dgex.web.result import HALF, VALUES, Result
from dgex.web.tables import blocks, has_intervals, worth_columns

__all__ = ["write_workbook"]

_LABELS = {"expected_error": "expected error", "expected_r": "expected r", "recall": "rank recall"}


def write_workbook(result: Result, target: Path) -> None:
    """Write the workbook, a few hundred genes at a time.

    Texts are stored as texts: no name becomes a formula, a date or a number.

    Raises
    ------
    FileError
        openpyxl is not there, or the profiles are more than a sheet has columns.
    """
    book = new_workbook(target)
    columns = worth_columns(result)
    if len(columns) + len(result.profiles) > MOST_COLUMNS:
        raise FileError(f"{len(result.profiles):,} profiles are more than a sheet of Excel has columns; take CSV")
    large = {VALUES: columns}
    if has_intervals(result):
        large[HALF] = {name: columns[name] for name in ("gene", "origin", "trust")}
    for name, before in large.items():
        sheet = book.create_sheet({VALUES: "Values", HALF: "Half-widths"}[name])
        sheet.freeze_panes = "B2"
        sheet.append(texts(sheet, [*(_LABELS.get(key, key) for key in before), *result.profiles]))
    add_table(book, "Profiles", ["profile", "distance", "unlike"], _profiles(result))
    add_table(book, "About", ["what", "value"], _about(result))
    with atomic_file(target, True) as temporary, tempfile.TemporaryFile() as headed:
        book.save(headed)
        with bar(len(large) * len(result.names), "writing") as progress:
            fill(headed, temporary, {at: _rows(result, *item, progress) for at, item in enumerate(large.items(), 1)})


def _rows(result: Result, name: str, columns: dict[str, list[Any]], progress: Any) -> Iterator[bytes]:
    """Rows of a sheet as XML, a block of genes at a time."""
    before = ["".join(map(text_cell, row)) for row in zip(*columns.values())]
    for at, values in blocks(result, name):
        yield number_rows(before[at], np.round(values, 4))
        progress.advance(len(values))


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
