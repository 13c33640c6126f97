"""The numbers of the paper that a study is compared with, read from one file with their places."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["Error", "Number", "Table", "number", "table"]

_FILE = Path(__file__).with_name("published.toml")
Error = tuple[float, float]  # overall error, its standard deviation over genes


@dataclass(frozen=True)
class Number:
    """One number of the text: its value and where it stands."""

    value: float
    place: str


@dataclass(frozen=True)
class Table:
    """One of the paper's tables of overall errors.

    Attributes
    ----------
    test : str
        The test set, `GEO-te` or `GTEx-te`.
    place : str
        Where the table stands.
    dropout : float
        Dropout rate of its networks.
    methods : dict of name to (error, standard deviation)
        `LR`, `LR-L1`, `LR-L2`, `KNN-GE`.
    networks : dict of (units, layers) to (error, standard deviation)
    """

    test: str
    place: str
    dropout: float
    methods: dict[str, Error] = field(default_factory=dict)
    networks: dict[tuple[int, int], Error] = field(default_factory=dict)


def number(name: str) -> Number | None:
    """A number of the text by its name in `published.toml`; None where the paper has none of that name."""
    return _numbers().get(name)


def table(test: str) -> Table | None:
    """The table of a test set; None where the paper has none."""
    return _tables().get(test)


@cache
def _numbers() -> dict[str, Number]:
    listed = tomllib.loads(_FILE.read_text("utf-8"))["number"]
    return {entry["name"]: Number(entry["value"], entry["place"]) for entry in listed}


@cache
def _tables() -> dict[str, Table]:
    tables = {}
    for test, entry in tomllib.loads(_FILE.read_text("utf-8"))["table"].items():
        methods = {name: (error, sd) for name, (error, sd) in entry["methods"].items()}
        networks = {
            (int(units), int(layers)): (error, sd)
            for layers, row in entry["networks"].items()
            for units, (error, sd) in row.items()
        }
        tables[test] = Table(test, entry["place"], entry["dropout"], methods, networks)
    return tables
