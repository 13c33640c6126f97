"""A finished job, looked up by the server without opening anything that a visitor brought."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dgex.records import read_json

__all__ = ["GENES", "HALF", "MAP", "RESULT", "SORTS", "SUMMARY", "VALUES", "Asked", "Result", "listed", "result_of"]

#: Files of a finished job: the result; its values and half-widths with a row a gene; what is known of genes and of all.
RESULT, VALUES, HALF = "result.h5ad", "values.npy", "halfwidths.npy"
GENES, MAP, SUMMARY = "genes.json", "map.json", "summary.json"
_RANK = {"high": 0, "medium": 1, "low": 2, "unknown": 3, "measured": 4}
_IDS = ("role", "origin", "unit", "expected_error", "expected_r", "recall", "trust")  # columns that are no ids
SORTS = ("trust", "gene", "error", "value")


@dataclass(frozen=True)
class Asked:
    """Which genes to show.

    Attributes
    ----------
    query : str
        Part of a name, by any identifier; several names at commas or blanks are looked up whole.
    trust, origin : str
        Of these only; all where empty.
    profile : int
        Whose values are shown.
    sort : {"trust", "gene", "error", "value"}
    start, count : int
        From which on, and how many.
    """

    query: str = ""
    trust: str = ""
    origin: str = ""
    profile: int = 0
    sort: str = "trust"
    start: int = 0
    count: int = 25


@dataclass
class Result:
    """What lies in the folder of a finished job."""

    folder: Path
    genes: dict[str, list[Any]] = field(init=False)
    summary: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.genes = read_json(self.folder / GENES)
        self.summary = read_json(self.folder / SUMMARY)

    @property
    def names(self) -> list[str]:
        """Names of the genes."""
        return self.genes["gene"]

    @property
    def profiles(self) -> list[str]:
        """Names of the profiles."""
        found: list[str] = self.summary["names"]
        return found

    @cached_property
    def map(self) -> dict[str, Any] | None:
        """Where the profiles lie; None where the model does not know."""
        found: dict[str, Any] | None = json.loads((self.folder / MAP).read_text("utf-8"))
        return found

    @cached_property
    def identifiers(self) -> dict[str, list[str]]:
        """Further names of the genes, by the name of the column."""
        return {name: column for name, column in self.genes.items() if name not in (*_IDS, "gene")}

    @cached_property
    def _texts(self) -> list[str]:
        return [" ".join(names).lower() for names in zip(self.names, *self.identifiers.values())]

    @cached_property
    def _order(self) -> dict[str, np.ndarray]:
        trust = np.array([_RANK.get(word, 5) for word in self.genes["trust"]])
        r, error = (self._numbers(name) for name in ("expected_r", "expected_error"))
        return {
            "trust": np.lexsort((-np.nan_to_num(r, nan=-1), trust)),
            "gene": np.array(sorted(range(len(self.names)), key=lambda at: self.names[at].lower()), np.int64),
            "error": np.argsort(np.nan_to_num(error, nan=np.inf), kind="stable"),
        }

    def _numbers(self, name: str) -> np.ndarray:
        return np.array([np.nan if value is None else value for value in self.genes[name]], np.float64)

    def values(self, gene: int) -> tuple[np.ndarray, np.ndarray]:
        """Values of a gene in all profiles, and half-widths of their intervals (NaN where there are none)."""
        return self._row(VALUES, gene), self._row(HALF, gene)

    def _row(self, name: str, gene: int) -> np.ndarray:
        if not (self.folder / name).is_file():
            return np.full(len(self.profiles), np.nan)
        return np.asarray(np.load(self.folder / name, mmap_mode="r")[gene], np.float64)

    def _column(self, name: str, genes: np.ndarray, profile: int) -> np.ndarray:
        if not (self.folder / name).is_file():
            return np.full(len(genes), np.nan)
        return np.asarray(np.load(self.folder / name, mmap_mode="r")[genes, profile], np.float64)

    def find(self, asked: Asked) -> tuple[list[dict[str, Any]], int]:
        """Genes that fit, with their values in one profile, and how many there are in all."""
        keep = self._matching(asked.query)
        for name, word in (("trust", asked.trust), ("origin", asked.origin)):
            if word:
                keep &= np.array([value == word for value in self.genes[name]])
        if asked.sort == "value":
            everywhere = self._column(VALUES, np.arange(len(self.names)), asked.profile)
            order = np.argsort(-everywhere, kind="stable")
        else:
            order = self._order[asked.sort]
        found = order[keep[order]]
        exact = np.array([asked.query.lower() in self._texts[at].split() for at in found], bool)
        found = np.concatenate([found[exact], found[~exact]])  # what is called just so comes first
        shown = found[asked.start : asked.start + asked.count]
        values, half = (self._column(name, shown, asked.profile) for name in (VALUES, HALF))
        return [self.row(int(at), values[i], half[i]) for i, at in enumerate(shown)], len(found)

    def _matching(self, query: str) -> np.ndarray:
        words = query.replace(",", " ").replace(";", " ").lower().split()
        if not words:
            return np.ones(len(self.names), bool)
        if len(words) == 1:
            return np.array([words[0] in text for text in self._texts])
        wanted = set(words)
        return np.array([not wanted.isdisjoint(text.split()) for text in self._texts])

    def row(self, gene: int, value: float, half: float) -> dict[str, Any]:
        """What is told of a gene in a profile."""
        known = {name: self.genes[name][gene] for name in ("gene", "origin", "trust", "expected_error", "expected_r")}
        measured = known["origin"] == "measured"
        low, high = (None, None) if measured or not np.isfinite(half) else (value - half, value + half)
        return {"number": gene, **known, "value": _plain(value), "low": _plain(low), "high": _plain(high)}


def _plain(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)


@lru_cache(maxsize=16)
def _result(folder: Path) -> Result:
    return Result(folder)


def result_of(folder: Path) -> Result:
    """The result in a folder; the last few stay in memory, whose names nobody uses twice."""
    return _result(folder)


def listed(names: Sequence[str], name: str = "", at: str = "") -> int:
    """The place of a profile, told by itself or by its name; 0 where there is none such."""
    if at.isdecimal() and len(at) < 9:
        return min(int(at), len(names) - 1)
    return list(names).index(name) if name in names else 0
