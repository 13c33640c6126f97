"""What a grid has come to: read from its folder at any moment, written as `grid.json` and `grid.tsv`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgex import notebook
from dgex.aliases import PathLike
from dgex.atomic import atomic_file, json_dump, plain
from dgex.errors import ModelError
from dgex.fitting.grid_plan import Member
from dgex.fitting.output import checkpoint_folder, holds_checkpoint
from dgex.records import read_json

__all__ = ["DONE", "GRID", "TABLE", "Grid", "diverged_file", "open_grid", "status_of"]

FORMAT = 1
GRID, TABLE = "grid.json", "grid.tsv"
DONE = ("finished", "patience", "diverged")  # what is not trained again


@dataclass(frozen=True)
class Grid:
    """A grid of networks and what each has come to.

    Attributes
    ----------
    folder : Path
        Where the model folders are.
    members : DataFrame
        One row a network, in the order of the axes: `name` (its folder), a column for each axis, `status`
        ("finished", "patience", "diverged", "interrupted", "started" or "waiting"), and for every evaluation set
        `SET.error`, `SET.sd` (over genes), `SET.epoch` (its best one for this set; a list with several target parts)
        and `SET.best` (whether it is the best of the grid there); `seconds` of all its epochs.
    best : dict of set to name
        The network to take for every evaluation set, as the paper selects one for each platform.
    """

    folder: Path
    members: pd.DataFrame
    best: dict[str, str]

    @property
    def finished(self) -> bool:
        """Whether no network is left to train."""
        return bool(self.members["status"].isin(DONE).all())

    def table(self) -> str:
        """The networks as aligned plain text, the best of every set marked by a star."""
        return _aligned(self._in_words())

    def _repr_html_(self) -> str:
        shown = self._in_words().astype(str)
        return notebook.table(list(shown.columns), shown.to_numpy().tolist(), f"{self.folder}: * is the best of a set")

    def _in_words(self) -> pd.DataFrame:
        shown = pd.DataFrame({"network": self.members["name"]})
        for name in self.best_sets():
            columns = (self.members[f"{name}.{what}"] for what in ("error", "sd", "epoch", "best"))
            cells = [_cell(*values) for values in zip(*columns)]
            shown[f"{name}: error ± sd (epoch)"] = cells
        shown["seconds"] = ["" if np.isnan(s) else f"{s:,.1f}" for s in self.members["seconds"]]
        if not (self.members["status"] == "finished").all():
            shown["status"] = self.members["status"]
        return shown

    __str__ = __repr__ = table

    def best_sets(self) -> list[str]:
        """Evaluation sets that any network was measured on."""
        return [c.removesuffix(".best") for c in self.members.columns if c.endswith(".best")]

    def write(self, described: Mapping[str, Any]) -> None:
        """Write `grid.json` (with what the grid is of, as `described`) and `grid.tsv`."""
        flat = self.members.assign(
            **{
                column: [_epochs(value) for value in self.members[column]]
                for column in self.members.columns
                if column.endswith(".epoch")
            }
        )
        with atomic_file(self.folder / TABLE, overwrite=True) as temporary:
            flat.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
        rows = self.members.astype(object).where(self.members.notna(), None).to_dict("records")
        whole = {"format": FORMAT, **described, "best": self.best, "members": rows}
        json_dump(json.loads(json.dumps(whole, default=plain)), self.folder / GRID)


def status_of(folder: Path, name: str) -> str:
    """How far the network `name` is."""
    model = folder / name / "model.json"
    if model.exists():
        stopped = str(_read(model)["state"]["stopped"])
        going_on = holds_checkpoint(folder / name)
        return "interrupted" if going_on else stopped
    if diverged_file(folder, name).exists():
        return "diverged"
    return "started" if checkpoint_folder(folder / name).exists() else "waiting"


def diverged_file(folder: Path, name: str) -> Path:
    """Where it is told why there is no model of that name."""
    return folder / f"{name}.diverged.txt"


def open_grid(folder: PathLike, members: Sequence[Member], sets: Sequence[str]) -> Grid:
    """Read what the networks of a grid have come to from their folders."""
    folder = Path(folder)
    rows = []
    for member in members:
        row: dict[str, Any] = {"name": member.name, **member.axes, "status": status_of(folder, member.name)}
        path = folder / member.name / "model.json"
        state = _read(path)["state"] if path.exists() else {"best": {}, "history": []}
        for name in sets:
            best_epoch = state["best"].get(name, {})
            row |= {f"{name}.{what}": best_epoch.get(what, np.nan) for what in ("error", "sd", "epoch")}
        row["seconds"] = sum(epoch["seconds"] for epoch in state["history"]) if state["history"] else np.nan
        rows.append(row)
    frame, best = pd.DataFrame(rows), {}
    for name in sets:
        errors = frame[f"{name}.error"].to_numpy(np.float64)
        marks = np.zeros(len(errors), dtype=bool)
        if not np.isnan(errors).all():
            least = int(np.nanargmin(errors))
            marks[least], best[name] = True, members[least].name
        frame.insert(list(frame.columns).index(f"{name}.epoch") + 1, f"{name}.best", marks)
    return Grid(folder, frame, best)


def _read(path: Path) -> dict[str, Any]:
    try:
        description = read_json(path)
        return {"state": {key: description["state"][key] for key in ("best", "stopped", "history")}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} is damaged ({type(error).__name__}: {error}); remove its folder to train it again"
        ) from None


def _epochs(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(epoch) for epoch in value)
    return "" if np.isnan(value) else str(int(value))


def _cell(error: float, sd: float, epoch: Any, best: bool) -> str:
    if np.isnan(error):
        return ""
    return f"{error:.4f} ± {sd:.4f} ({_epochs(epoch)}){' *' if best else '  '}"


def _aligned(frame: pd.DataFrame) -> str:
    """Text columns, the first flush left, the others flush right."""
    lines = [list(frame.columns), *frame.astype(str).to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*lines)]
    laid = (
        [cell.rjust(w) if at else cell.ljust(w) for at, (cell, w) in enumerate(zip(line, widths))] for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in laid)
