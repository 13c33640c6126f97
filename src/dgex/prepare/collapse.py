"""From the rows of a platform (probes, transcripts, ids of any kind) to the genes of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dgex.errors import SettingsError
from dgex.genes import id_columns, normalize_ids

__all__ = ["RULES", "Collapse", "GeneColumns", "match_genes"]

RULES = ("mean", "median", "max-mean")

_SEVERAL = re.compile(r"\s*/{2,}\s*|\s*;\s*")  # "DDR1 /// MIR4640": how platforms write a probe of several genes


@dataclass(frozen=True)
class GeneColumns:
    """Where genes are measured in a matrix.

    Attributes
    ----------
    columns : list of ndarray of int
        For every gene the columns that measure it, ascending; empty where nothing does.
    matched_by : str
        The identifiers that matched most genes, `wanted -> at hand`.
    ambiguous : int
        Columns left out because they name several genes.
    """

    columns: list[np.ndarray]
    matched_by: str
    ambiguous: int

    @property
    def found(self) -> np.ndarray:
        """Mask of the genes that are measured."""
        return np.array([len(columns) > 0 for columns in self.columns], dtype=bool)


def match_genes(wanted: pd.DataFrame, var: pd.DataFrame) -> GeneColumns:
    """Find the columns that measure each gene, by name.

    Every kind of identifier on one side is tried against every one on the other (the table's probes first); the pair
    that matches most genes is taken, and genes it leaves out are looked up by the other pairs among columns that are
    still free. A gene may have several columns; a column that names several genes (`A /// B`) serves none.

    Parameters
    ----------
    wanted : DataFrame
        Genes of a table: the index holds names; `symbol`, `ensembl`, `entrez` other ids, `probes` lists of probe ids.
    var : DataFrame
        Rows of the platform: index and columns with ids.

    Returns
    -------
    GeneColumns
    """
    theirs, ambiguous = _columns_of_ids(var)
    pairs = []
    for label, ids in _wanted_ids(wanted).items():
        for other, places in theirs.items():
            columns = [sorted({at for name in names for at in places.get(name, ())}) for names in ids]
            pairs.append((sum(map(bool, columns)), f"{label} -> {other}", columns))
    pairs.sort(key=lambda pair: -pair[0])  # stable: probes come first, then names
    _, matched_by, chosen = pairs[0]
    chosen = list(chosen)
    taken = {at for columns in chosen for at in columns}
    for count, _, columns in pairs[1:]:
        if count == 0 or all(chosen):
            break
        for gene, candidates in enumerate(columns):
            if not chosen[gene] and candidates and taken.isdisjoint(candidates):
                chosen[gene] = candidates
                taken.update(candidates)
    return GeneColumns([np.array(columns, dtype=np.int64) for columns in chosen], matched_by, ambiguous)


def _wanted_ids(wanted: pd.DataFrame) -> dict[str, list[list[str]]]:
    ids: dict[str, list[list[str]]] = {}
    if "probes" in wanted:
        ids["probes"] = [
            normalize_ids(probes.split(",") if isinstance(probes, str) else list(probes)) for probes in wanted["probes"]
        ]
    for label, names in id_columns(wanted).items():
        ids[label] = [[name] if name else [] for name in names]
    return ids


def _columns_of_ids(var: pd.DataFrame) -> tuple[dict[str, dict[str, list[int]]], int]:
    found: dict[str, dict[str, list[int]]] = {}
    ambiguous: set[int] = set()
    for label, names in id_columns(var).items():
        places: dict[str, list[int]] = {}
        for column, name in enumerate(names):
            if ";" in name or "//" in name:
                parts = {part for part in _SEVERAL.split(name) if part}
                if len(parts) > 1:
                    ambiguous.add(column)
                    continue
                name = parts.pop() if parts else ""
            if name and name != "0":  # tables write 0 for "has no Entrez id"
                places.setdefault(name, []).append(column)
        found[label] = places
    return found, len(ambiguous)


class Collapse:
    """Makes one value of the columns of each gene.

    Parameters
    ----------
    columns : sequence of ndarray of int
        For every gene its columns in the matrix, at least one each.
    rule : {"mean", "median", "max-mean"}
        Mean or median of the columns in each sample (the paper takes the mean of a gene's probes), or, everywhere, the
        column with the largest mean over samples, which `choose` needs to be told.
    """

    def __init__(self, columns: Sequence[np.ndarray], rule: str = "mean") -> None:
        if rule not in RULES:
            raise SettingsError(f"unknown rule {rule!r} to collapse probes", accepted=RULES)
        self.rule = rule
        self._columns = list(columns)
        self.genes = len(self._columns)
        #: Columns that are needed, ascending: what the blocks given to this object hold.
        self.needed = np.unique(np.concatenate([*self._columns, np.empty(0, dtype=np.int64)])).astype(np.int64)
        sizes = np.array([len(part) for part in self._columns])
        self._groups = []
        for size in np.unique(sizes):
            genes = np.flatnonzero(sizes == size)
            places = np.searchsorted(self.needed, np.stack([self._columns[gene] for gene in genes]))
            self._groups.append((genes, places))

    @property
    def collapses(self) -> bool:
        """Whether any gene has several columns."""
        return any(places.shape[1] > 1 for _, places in self._groups)

    def choose(self, means: np.ndarray) -> Collapse:
        """For `"max-mean"`: keep of every gene the column with the largest mean.

        Parameters
        ----------
        means : ndarray, shape (all columns of the matrix,)
            Mean of each column over samples; the first wins a tie.
        """
        best = [part[[int(np.argmax(means[part]))]] for part in self._columns]
        return Collapse(best, self.rule)

    def __call__(self, block: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Collapse a block of samples.

        Parameters
        ----------
        block : ndarray of float32, shape (samples, len(self.needed))
        out : ndarray of float32, shape (samples, genes), optional

        Returns
        -------
        ndarray of float32, shape (samples, genes)
        """
        if out is None:
            out = np.empty((len(block), self.genes), dtype=np.float32)
        for genes, places in self._groups:
            size = places.shape[1]
            if size == 1:
                out[:, genes] = block[:, places[:, 0]]
            elif self.rule == "median":
                out[:, genes] = np.median(block[:, places], axis=2)
            elif self.rule == "mean":
                total = block[:, places[:, 0]].astype(np.float64)
                for probe in range(1, size):
                    total += block[:, places[:, probe]]
                out[:, genes] = total / size
            else:
                raise SettingsError("max-mean needs choose(means) before values can be collapsed")
        return out
