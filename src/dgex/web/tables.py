"""A result as a table with a row a gene, for text and for workbooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dgex.web.result import HALF, VALUES, Result

__all__ = ["blocks", "has_intervals", "worth_columns"]

_BLOCK = 500  # genes
_WORTH = ("origin", "trust", "expected_error", "expected_r", "recall")


def worth_columns(result: Result) -> dict[str, list[Any]]:
    """What stands before the values of every gene: its names, where it comes from, what it is worth."""
    unit = {"unit": result.genes["unit"]} if len(set(result.genes["unit"])) > 1 else {}
    return {"gene": result.names, **result.identifiers, **{name: result.genes[name] for name in _WORTH}, **unit}


def blocks(result: Result, name: str = VALUES) -> Iterator[tuple[slice, np.ndarray]]:
    """Values of genes [genes, profiles], a few hundred at a time; nothing where the job has no such file."""
    if not (result.folder / name).is_file():
        return
    stored = np.load(result.folder / name, mmap_mode="r")
    for start in range(0, len(stored), _BLOCK):
        at = slice(start, min(start + _BLOCK, len(stored)))
        yield at, np.asarray(stored[at], np.float32)


def has_intervals(result: Result) -> bool:
    """Whether half-widths are there."""
    return (result.folder / HALF).is_file()
