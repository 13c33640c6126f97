"""Cards of genes: inferred against measured values, drawn by the page itself from compact JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dgex.errors import DataError
from dgex.report.look import Points
from dgex.report.page.markup import json_element, rounded

__all__ = ["gene_cards", "packed"]

_STEPS = 999  # a value travels as a whole number from 0 to this between the ends of its gene


def packed(measured: np.ndarray, inferred: np.ndarray) -> tuple[list[float], list[int | None], list[int | None]]:
    """Two columns as whole numbers from 0 to 999 between ends they share, which are given first.

    What is not finite is None; values keep a thousandth of the range, less than a dot of a drawing.

    Examples
    --------
    >>> packed(np.array([0.0, 5.0, np.nan]), np.array([10.0, 2.5, 1.0]))
    ([0.0, 10.0], [0, 500, None], [999, 250, 100])
    """
    both = np.concatenate([measured, inferred]).astype(np.float64)
    known = both[np.isfinite(both)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    width = (high - low) or 1.0

    def whole(values: np.ndarray) -> list[int | None]:
        steps = np.rint((np.asarray(values, np.float64) - low) / width * _STEPS)
        return [int(step) if np.isfinite(step) else None for step in steps]

    return [round(low, 4), round(low + width, 4)], whole(measured), whole(inferred)


def gene_cards(sets: Mapping[str, Points], facts: Mapping[str, pd.Series]) -> str:
    """The whole element.

    Parameters
    ----------
    sets
        Name of a set of profiles to its points; the same genes in all.
    facts
        The same names to what to say of each gene there, in words.

    Raises
    ------
    DataError
        There is no set, or sets of different genes.
    """
    if not sets:
        raise DataError("cards of genes need at least one set of profiles; found none")
    first = next(iter(sets.values()))
    for name, points in sets.items():
        if points.genes != first.genes:
            raise DataError(f"all sets of profiles need cards of the same genes; {name!r} has others")
    data = {
        "genes": first.genes,
        "none": "No card has that in its name; the table below holds every gene.",
        "sets": [_set(name, points, facts[name]) for name, points in sets.items()],
        "drivers": [[[n, round(w, 3)] for n, w in first.drivers.get(gene, [])] for gene in first.genes],
    }
    return (
        f'<div class="cards">{json_element(data)}'
        '<div class="tools"><label>Find a card<input type="search" autocomplete="off" spellcheck="false" '
        'placeholder="name of a gene"></label><button type="button">Better</button>'
        '<button type="button">Worse</button><output aria-live="polite"></output></div>'
        '<div class="card" tabindex="-1" role="region" aria-label="Card of a gene"></div>'
        "<noscript><p>Cards need JavaScript; errors of all genes stand in the CSV file.</p></noscript></div>"
    )


def _set(name: str, points: Points, facts: pd.Series) -> dict[str, Any]:
    columns = [packed(points.measured[:, at], points.inferred[:, at]) for at in range(len(points.genes))]
    of: dict[str, Any] = {
        "name": name,
        "unit": points.unit or "as in the dataset",
        "profiles": points.profiles,
        "ends": [ends for ends, _, _ in columns],
        "measured": [values for _, values, _ in columns],
        "inferred": [values for _, _, values in columns],
        "facts": [str(facts[gene]) for gene in points.genes],
    }
    if any(points.groups):
        of["groups"] = points.groups
    if len(points.by_group):
        errors = points.by_group[points.genes]
        of["by"] = {
            "what": str(points.by_group.index.name or "group"),
            "names": [str(group) for group in errors.index],
            "values": [rounded(errors[gene], 3) for gene in points.genes],
        }
    return of
