"""A study's folder: its plan, its dataset, its results, and where the parts of it lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgex.dataset.platforms import Platform
from dgex.errors import FileError
from dgex.paper.data import Described, open_described
from dgex.paper.folder import INTERPRETATION
from dgex.paper.plan import Plan
from dgex.paper.results import Results
from dgex.records import read_json

__all__ = ["Study", "interpretation_folder", "read_record"]


@dataclass(frozen=True)
class Study:
    """A study's folder and plan.

    Attributes
    ----------
    folder : Path
    plan : Plan
    """

    folder: Path
    plan: Plan

    @property
    def data(self) -> Described:
        """The dataset; made by the first stage."""
        described = open_described(self.folder, self.plan)
        if described is None:
            raise FileError(f"{self.folder} has no dataset yet; the stage data makes it")
        return described

    @property
    def results(self) -> Results:
        """What was measured so far."""
        return Results(self.folder, self.plan, self.data)

    def selected(self) -> list[str]:
        """The networks selected for the platforms, each once."""
        results = self.results
        names = [results.selected(platform) for platform in results.data.platforms]
        return list(dict.fromkeys(name for name in names if name is not None))


def interpretation_folder(study: Study, platform: Platform, name: str) -> Path:
    """Where the interpretation of a network lies, at its epoch for a platform: another network, another folder."""
    return study.folder / INTERPRETATION / f"{platform.name}-{name}"


def read_record(path: Path) -> dict[str, Any]:
    """What a JSON file of ours holds; nothing where there is none, or where it is damaged and made again."""
    try:
        stored = read_json(path)
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
