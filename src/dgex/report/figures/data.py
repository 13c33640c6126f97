"""What a figure draws, as a table that travels with it: beside the picture as CSV, and behind a link on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

__all__ = ["csv_of", "curves_table", "data_of", "keep_data", "title_of"]


def keep_data(figure: Figure, table: pd.DataFrame) -> None:
    """Let a figure remember the values it draws; columns are named as its axes are."""
    vars(figure)["drawn_data"] = table


def data_of(figure: Figure) -> pd.DataFrame | None:
    """The values that a figure of this package draws; None of any other figure."""
    table = vars(figure).get("drawn_data")
    return table if isinstance(table, pd.DataFrame) else None


def title_of(figure: Figure) -> str:
    """The title of a figure's first axes; "" where there is none."""
    return str(figure.axes[0].get_title("left")).replace("\n", " ") if figure.axes else ""


def csv_of(figure: Figure) -> str:
    """The values that a figure draws as CSV, six digits of each number; "" where it remembers none.

    Examples
    --------
    >>> from dgex.report.figures.panels import gain_by_rank
    >>> print(csv_of(gain_by_rank(np.array([0.25, 0.125]))).splitlines()[1:])
    ['1,25', '2,37.5']
    """
    table = data_of(figure)
    return "" if table is None else table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def curves_table(
    xlabel: str,
    ylabel: str,
    curves: Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]],
    levels: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Curves side by side: a row for each place on the x axis, a column for each curve.

    Parameters
    ----------
    xlabel, ylabel
        Of the axes; a curve's column is named `ylabel: its name`.
    curves
        Name to (x, y); where one has no value its cell is empty, of several at one x the last counts.
    levels
        Name to the value of a horizontal line, the same in every row.
    """
    columns: dict[str, Any] = {}
    for name, (x, y) in curves.items():
        curve = pd.Series(np.asarray(y), index=np.asarray(x))
        columns[f"{ylabel}: {name}"] = curve[~curve.index.duplicated(keep="last")]
    table = pd.concat(columns, axis=1).sort_index() if columns else pd.DataFrame()
    for name, level in (levels or {}).items():
        table[f"{ylabel}: {name}"] = level
    return table.rename_axis(xlabel).reset_index()
