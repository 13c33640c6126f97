"""Genes that the user names: to keep, to exclude, to weigh more, and panels to compare with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from dgex.aliases import PathLike
from dgex.errors import DgexError, FileError, GeneError, SettingsError, first
from dgex.gene_table import read_gene_table
from dgex.genes import match_genes
from dgex.inputs import regular
from dgex.prepare.panel import read_names
from dgex.progress import note, warn
from dgex.remote.places import located

__all__ = ["Names", "excluded", "listed", "names_of", "places", "weights_of"]

Names: TypeAlias = "PathLike | Sequence[str]"


def names_of(given: Names) -> list[str]:
    """Names of genes: a list, a file with one a line, or the landmark genes of a gene table.

    Raises
    ------
    FileError, GeneError
        The file is missing or names no gene.
    """
    if isinstance(given, str | os.PathLike):
        try:
            return list(read_gene_table(given).landmarks)
        except DgexError:
            if not located(given).exists():
                raise FileError(f"no list of genes at {located(given)}: the file does not exist") from None
    return read_names(given)


def places(names: Sequence[str], var: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Positions of genes by name or another identifier of `var`, in the order of `names`; and who is missing."""
    match = match_genes(pd.DataFrame(index=pd.Index(list(names), dtype=str)), var, single=True)
    found = [int(part[0]) if len(part) else -1 for part in match.columns]
    at = dict.fromkeys(place for place in found if place >= 0)
    return np.array(list(at), np.int64), [name for name, place in zip(names, found) if place < 0]


def listed(given: Names, var: pd.DataFrame, what: str) -> np.ndarray:
    """Positions of genes that must be there.

    Raises
    ------
    GeneError
        Names those that are missing.
    """
    names = names_of(given)
    found, missing = places(names, var)
    if missing:
        raise GeneError(f"{len(missing):,} of {len(names):,} genes to {what} are not in the data: {first(missing)}")
    return found


def excluded(given: Sequence[str], var: pd.DataFrame) -> np.ndarray:
    """Mask of the genes that are named, by name, by pattern (`MT-*`), or in a file with either, one a line.

    A name or a pattern that no gene has is said: it may be misspelt.
    """
    mask = np.zeros(len(var), bool)
    words: list[str] = []
    idle: list[str] = []
    for item in given:
        words += read_names(item) if located(item).is_file() else [item]
    plain = [word for word in words if not _is_pattern(word)]
    if plain:
        found, idle = places(plain, var)
        mask[found] = True
    columns = [var.index.astype(str), *(var[name].astype(str) for name in var if var[name].dtype.kind in "OTU")]
    for pattern in filter(_is_pattern, words):
        hits = np.logical_or.reduce([[fnmatchcase(name, pattern) for name in column] for column in columns])
        if not hits.any():
            idle.append(pattern)
        mask |= hits
    if idle:
        warn(f"{len(idle):,} names or patterns to exclude fit no gene: {first(idle)}")
    return mask


def _is_pattern(word: str) -> bool:
    return any(mark in word for mark in "*?[")


def weights_of(given: PathLike | Mapping[str, float] | None, var: pd.DataFrame, weight: float) -> np.ndarray:
    """How much every gene counts as one to infer, float64: 1, and `weight` for the genes of a set.

    Parameters
    ----------
    given : path, mapping or None
        A gene set: names one a line, perhaps with a number of their own after a tab; or GMT, a set a line, whose sets
        are taken together.
    weight : float
        Of genes without a number of their own.

    Raises
    ------
    SettingsError
        A weight below 0 or not finite.
    GeneError
        No gene of the set is in the data.
    """
    weights = np.ones(len(var))
    if not (np.isfinite(weight) and weight >= 0):
        raise SettingsError("weight", found=weight, accepted="a number from 0 on")
    if given is None:
        return weights
    own = dict(given) if isinstance(given, Mapping) else _read_set(given, weight)
    bad = [name for name, value in own.items() if not (np.isfinite(value) and value >= 0)]
    if bad:
        raise SettingsError(f"weight of {bad[0]}", found=own[bad[0]], accepted="a number from 0 on")
    names = list(own)
    match = match_genes(pd.DataFrame(index=pd.Index(names, dtype=str)), var, single=True)
    missing = [name for name, part in zip(names, match.columns) if not len(part)]
    if len(missing) == len(names):
        raise GeneError(f"none of {len(names):,} genes to weigh is in the data: {first(names)}")
    if missing:
        warn(f"{len(missing):,} of {len(names):,} genes to weigh are not in the data: {first(missing)}")
    for name, part in zip(names, match.columns):
        weights[part] = own[name]
    least, most = min(own.values()), max(own.values())
    weigh = f"{least:g}" if least == most else f"{least:g} to {most:g}"
    note(f"{len(names) - len(missing):,} genes weigh {weigh}, all others 1")
    return weights


def _read_set(path: PathLike, weight: float) -> dict[str, float]:
    try:
        lines = regular(path).read_text("utf-8-sig").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        raise FileError(f"no gene set at {os.fspath(path)}", accepted="text, one gene a line, or GMT") from None
    rows = [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
    if Path(path).suffix.lower() == ".gmt":
        return {name.strip(): weight for row in rows for name in row[2:] if name.strip()}
    found: dict[str, float] = {}
    for at, row in enumerate(rows):
        try:
            found[row[0].strip()] = float(row[1]) if len(row) > 1 and row[1].strip() else weight
        except ValueError:
            if at:  # else a header
                raise FileError(
                    f"{os.fspath(path)}, line {at + 1}: {row[1]!r} is no weight", accepted="gene, tab, number"
                ) from None
    if not found:
        raise GeneError(f"{os.fspath(path)} names no gene")
    return found
