"""Files to take home: a result in the format that is asked for, with what each value is worth."""

from __future__ import annotations

import csv
import io as text_io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex.atomic import atomic_file
from dgex.errors import DataError, SettingsError
from dgex.io import convert
from dgex.io.delimited import text_lines
from dgex.io.formulas import Formulas
from dgex.web.downloads import FORMATS
from dgex.web.result import RESULT, Result
from dgex.web.rules import Rules
from dgex.web.tables import blocks, worth_columns
from dgex.web.workbook import write_workbook

if TYPE_CHECKING:
    from dgex.web.worker import Told

__all__ = ["make"]


def make(order: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """Write a result in another format into the folder of its job."""
    folder, kind = Path(order["folder"]), order["format"]
    if kind not in FORMATS:
        raise SettingsError("format", found=kind, accepted=FORMATS)
    target = folder / f"result{FORMATS[kind].suffix}"
    with told.stage(f"writing {FORMATS[kind].name}", 1.0):
        if kind == "gctx":
            convert(folder / RESULT, target, overwrite=True)
        elif kind == "csv":
            _write_csv(Result(folder), target)
        elif kind == "xlsx":
            result, most = Result(folder), Rules(**order["rules"]).cells
            if 2 * len(result.names) * len(result.profiles) > most:
                raise DataError(
                    f"{len(result.profiles):,} profiles of {len(result.names):,} genes are more than a workbook takes "
                    "here; CSV holds the same table"
                )
            write_workbook(result, target)
    return {}


def _write_csv(result: Result, target: Path) -> None:
    formulas = Formulas(quote=True)
    columns = worth_columns(result)
    texts = [formulas.quoted(["" if value is None else str(value) for value in column]) for column in columns.values()]
    profiles = formulas.quoted(result.profiles)
    with atomic_file(target, True) as temporary, temporary.open("wb") as out:
        out.write(_line([*columns, *profiles]))
        prefixes = [_line(row)[:-1] for row in zip(*texts)]
        for at, values in blocks(result):
            out.write(text_lines([prefix.decode() for prefix in prefixes[at]], np.round(values, 4), ","))


def _line(fields: Any) -> bytes:
    out = text_io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(fields)
    return out.getvalue().encode()
