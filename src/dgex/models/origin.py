"""Where a model folder was pulled from: `source.json`, beside what was pulled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from dgex.atomic import json_dump
from dgex.records import read_json

__all__ = ["RECORD", "Origin"]

RECORD, _LARGEST = "source.json", 65_536


@dataclass(frozen=True)
class Origin:
    """A commit of a repository on a hub.

    Attributes
    ----------
    hub : str
        `OWNER/NAME`.
    commit : str
        What the revision was when it was asked for, 40 hexadecimal digits.
    asked : str
        The branch, tag or commit that was asked for.
    """

    hub: str
    commit: str
    asked: str

    def __str__(self) -> str:
        return f"{self.hub} at {self.commit}"

    def write(self, folder: Path) -> None:
        """Put the record into a folder."""
        json_dump(asdict(self), folder / RECORD)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The record of a folder; none where it has none, or none that can be read: nothing depends on it."""
        try:
            said = read_json(folder / RECORD, _LARGEST)
            return cls(*(str(said[name]) for name in ("hub", "commit", "asked")))
        except (OSError, KeyError, TypeError):
            return None
