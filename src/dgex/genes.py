"""Ordered genes: kinds of identifier, roles, and alignment by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dgex.gene_ids import ID_COLUMNS, canonical, id_type, normalize_ids, strip_version

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ID_COLUMNS",
    "ROLES",
    "Alignment",
    "align",
    "id_type",
    "normalize_ids",
    "strip_version",
    "texts",
]

ROLES = ("landmark", "target", "other")


def texts(values: pd.Series) -> pd.Series:
    """Metadata as Python's own strings, a missing value as empty text (`astype(str)` of pandas 3 keeps it missing)."""
    import pandas as pd

    words = ["" if gap else str(value) for value, gap in zip(values.tolist(), values.isna())]
    return pd.Series(words, index=values.index, name=values.name, dtype=object)


def id_columns(var: pd.DataFrame) -> dict[str, list[str]]:
    """Find every set of identifiers in gene metadata: the index first, then the columns known to hold ids.

    Returns
    -------
    dict
        Label of the source (`"names"` for the index, else the column) to its normalised identifiers.
    """
    ids = {"names": normalize_ids(var.index)}
    known = {name for names in ID_COLUMNS.values() for name in names}
    for column in var.columns:
        if canonical(column) in known:
            ids[str(column)] = normalize_ids(var[column])
    return ids


@dataclass(frozen=True)
class Alignment:
    """Where wanted genes stand in a file or matrix.

    Attributes
    ----------
    index : ndarray of int
        For every wanted gene its position among the genes at hand, -1 where it is missing.
    missing : list of str
        Names of the wanted genes that were not found.
    matched_by : str
        The identifiers that matched, `wanted -> at hand`, for example `names -> pr_gene_symbol`.
    """

    index: np.ndarray
    missing: list[str]
    matched_by: str

    @property
    def found(self) -> int:
        """How many wanted genes were found."""
        return int((self.index >= 0).sum())


def align(wanted: pd.DataFrame, var: pd.DataFrame) -> Alignment:
    """Match wanted genes with the genes at hand by name, never by position.

    Every kind of identifier on one side is tried against every one on the other; the pair that matches
    most genes is taken, and genes it leaves out are looked up by the other pairs. Ensembl versions are ignored.
    An identifier that stands for several genes at hand does not match by itself. Of a gene with several probes
    (`probes`, separated by commas) the first that is at hand counts.

    Parameters
    ----------
    wanted, var : DataFrame
        Genes as rows; the index holds names, columns such as `ensembl` or `pr_gene_symbol` hold other ids.

    Returns
    -------
    Alignment
    """
    theirs = {label: _unique_positions(ids) for label, ids in id_columns(var).items()}
    pairs = []
    ours = id_columns(wanted)
    if "probes" in wanted:
        ours["probes"] = [probes if isinstance(probes, str) else ",".join(probes) for probes in wanted["probes"]]
    for label, ids in ours.items():
        for other, positions in theirs.items():
            index = np.array([_position(name, positions) for name in ids], dtype=np.int64)
            pairs.append((int((index >= 0).sum()), f"{label} -> {other}", index))
    pairs.sort(key=lambda pair: -pair[0])  # stable: the index comes before the columns on ties
    _, matched_by, index = pairs[0]
    index = index.copy()
    taken = set(index[index >= 0].tolist())
    for count, _, other_index in pairs[1:]:
        if count == 0 or (index >= 0).all():
            break
        for position in np.flatnonzero((index < 0) & (other_index >= 0)):
            if int(other_index[position]) not in taken:
                index[position] = other_index[position]
                taken.add(int(other_index[position]))
    missing = [str(name) for name, at in zip(wanted.index, index) if at < 0]
    return Alignment(index, missing, matched_by)


def _position(name: str, positions: dict[str, int]) -> int:
    if "," in name:
        return next((positions[part] for part in name.split(",") if part in positions), -1)
    return positions.get(name, -1) if name else -1


def _unique_positions(ids: Sequence[str]) -> dict[str, int]:
    positions: dict[str, int] = {}
    repeated = set()
    for position, name in enumerate(ids):
        if name in positions:
            repeated.add(name)
        elif name:
            positions[name] = position
    for name in repeated:
        del positions[name]
    return positions
