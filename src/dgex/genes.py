"""Ordered genes: kinds of identifier, roles, and alignment by name."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dgex.gene_ids import ID_COLUMNS, ID_WORDS, canonical, id_type, normalize_ids, strip_version

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ID_COLUMNS",
    "ROLES",
    "Alignment",
    "Match",
    "align",
    "id_columns",
    "id_type",
    "match_genes",
    "normalize_ids",
    "numbers_are_entrez",
    "strip_version",
    "texts",
]

ROLES = ("landmark", "target", "other")

_PAR = re.compile(r"_PAR_Y|^ENSGR\d")
_SEVERAL = re.compile(r"\s*/{2,}\s*|\s*;\s*")  # "DDR1 /// MIR4640": how platforms write a probe of several genes


def texts(values: pd.Series) -> pd.Series:
    """Metadata as Python's own strings, a missing value as empty text (`astype(str)` of pandas 3 keeps it missing)."""
    import pandas as pd

    words = ["" if gap else str(value) for value, gap in zip(values.tolist(), values.isna())]
    return pd.Series(words, index=values.index, name=values.name, dtype=object)


def id_columns(var: pd.DataFrame, asked: Collection[str] | None = ()) -> dict[str, list[str]]:
    """Find every set of identifiers in gene metadata: the index first, then the columns known to hold ids.

    Copies of genes of the pseudoautosomal regions on Y (`ENSG…_PAR_Y`, `ENSGR…`) have no ids: quantifiers count their
    reads on X and write zeros here. Only a copy that is `asked` for by its own id (`ENSGR…`, as in the paper's table)
    has; None asks for all.

    Returns
    -------
    dict
        Label of the source (`"names"` for the index, else the column) to its normalised identifiers.
    """
    known = {name for names in ID_COLUMNS.values() for name in names}
    sources = {"names": var.index} | {str(c): var[c] for c in var.columns if canonical(c) in known}
    copies = [] if asked is None else _par_copies(var, asked)
    ids = {}
    for label, values in sources.items():
        ids[label] = normalize_ids(values)
        for at in copies:
            ids[label][at] = ""
    return ids


def _par_copies(var: pd.DataFrame, asked: Collection[str]) -> list[int]:
    """Rows that are copies on Y of genes of the pseudoautosomal regions, but for those that are asked for as such."""
    known = {name for kind in ("symbol", "ensembl") for name in ID_COLUMNS[kind]}
    columns = [var.index, *(var[c] for c in var.columns if canonical(c) in known)]
    copies = [(at, str(name)) for names in columns for at, name in enumerate(names) if _PAR.search(str(name))]
    kept = {at for at, name in copies if strip_version([name])[0] in asked}
    return sorted({at for at, _ in copies} - kept)


@dataclass(frozen=True)
class Match:
    """Where genes are measured.

    Attributes
    ----------
    columns : list of ndarray of int
        For every wanted gene the places that measure it, ascending; empty where nothing does.
    by : dict of str to int
        Pairs of identifiers, `wanted -> at hand`, and how many genes each brought; the best pair first.
    ambiguous : int
        Places left out because they name several genes.
    copies : int
        Places left out because they are copies on Y (`_PAR_Y`).
    named : str
        The kind of identifiers that the wanted genes are called by, see `id_type`.
    """

    columns: list[np.ndarray]
    by: dict[str, int]
    ambiguous: int = 0
    copies: int = 0
    named: str = "other"

    @property
    def found(self) -> np.ndarray:
        """Mask of the genes that are measured."""
        return np.array([len(columns) > 0 for columns in self.columns], dtype=bool)

    @property
    def several(self) -> np.ndarray:
        """Mask of the genes that several places measure."""
        return np.array([len(columns) > 1 for columns in self.columns], dtype=bool)

    @property
    def matched_by(self) -> str:
        """The identifiers that matched most genes."""
        return next(iter(self.by))

    @property
    def how(self) -> str:
        """By which identifiers how many genes came, in words: `by symbol in column pr_gene_symbol`."""
        pairs = {pair: count for pair, count in self.by.items() if count}
        if len(pairs) < 2:
            return self._words(next(iter(pairs), self.matched_by))
        return ", ".join(f"{count:,} {self._words(pair)}" for pair, count in pairs.items())

    def _words(self, pair: str) -> str:
        ours, _, theirs = pair.partition(" -> ")
        kind = {"names": self.named, "probes": "affymetrix"}.get(ours, ours)
        word = ID_WORDS.get(kind, ours if ours != "names" else "name")
        return f"by {word}" + (f" in column {theirs}" if theirs not in ("", "names") else "")


# A second pair of identifiers is evidence only where it matches a tenth of what the best pair does, and where it agrees
# with it about half of the genes that both know; numbers of unknown kind, only where they match half of either side.
_LEAST_SHARE, _LEAST_AGREEMENT, _LEAST_NUMBERS = 0.1, 0.5, 0.5


def match_genes(wanted: pd.DataFrame, var: pd.DataFrame, *, single: bool = False) -> Match:
    """Find the places that measure each gene, by name, never by position.

    Every kind of identifier on one side is tried against every one on the other (the probes of a table first); the pair
    that matches most genes is taken, and genes it leaves out are looked up by the other pairs among places that are
    still free, as far as those pairs are evidence. Ensembl versions are ignored. Numbers match as Entrez ids only where
    they are known as such, or match half of either side, and numbers of rows never do. A place that names several genes
    (`A /// B`) serves none.

    Parameters
    ----------
    wanted : DataFrame
        Genes: the index holds names; `symbol`, `ensembl`, `entrez` other ids, `probes` probe ids (lists, or text
        separated by commas).
    var : DataFrame
        Genes or probes at hand: index and columns with ids.
    single : bool
        One place a gene: an id that stands for several does not match, of several probes the first at hand counts.

    Returns
    -------
    Match
    """
    ours_by_label = _wanted_ids(wanted)
    asked = {name for ids in ours_by_label.values() for names in ids for name in names if _PAR.search(name)}
    theirs, ambiguous = _places(var, asked)
    hand = {label: _kind_of_numbers(label, var) for label in theirs}
    pairs = []
    for label, ids in ours_by_label.items():
        ours = _kind_of_numbers(label, wanted)
        for other, places in theirs.items():
            columns = [_at(names, places, single) for names in _comparable(ids, {ours, hand[other]}, places)]
            several = sum(len(part) > 1 for part in columns) if label != "probes" else -1
            pairs.append((sum(map(bool, columns)), several, f"{label} -> {other}", columns))
    pairs.sort(key=lambda pair: (-pair[0], pair[1]))  # stable: probes come first, then names, then what is unique
    best, _, matched_by, first_choice = pairs[0]
    chosen = list(first_choice)
    by = {matched_by: best}
    taken = {at for columns in chosen for at in columns}
    for count, _, pair, columns in pairs[1:]:
        if count == 0 or all(chosen):
            break
        if not _agrees(count, columns, best, first_choice):
            continue
        for gene, candidates in enumerate(columns):
            if not chosen[gene] and candidates and taken.isdisjoint(candidates):
                chosen[gene] = candidates
                taken.update(candidates)
                by[pair] = by.get(pair, 0) + 1
    columns_of = [np.array(columns, dtype=np.int64) for columns in chosen]
    return Match(columns_of, by, ambiguous, len(_par_copies(var, asked)), id_type(wanted.index))


def _at(names: list[str], places: dict[str, list[int]], single: bool) -> list[int]:
    found = [places[name] for name in names if name in places]
    if not single:
        return sorted({at for part in found for at in part})
    return next((part for part in found if len(part) == 1), [])


def _agrees(count: int, columns: list[list[int]], best: int, chosen: list[list[int]]) -> bool:
    """Whether a further pair of identifiers is evidence beside the best one."""
    if count < _LEAST_SHARE * best:
        return False
    both = [(set(one), other) for one, other in zip(columns, chosen) if one and other]
    return sum(not one.isdisjoint(other) for one, other in both) >= _LEAST_AGREEMENT * len(both)


def _wanted_ids(wanted: pd.DataFrame) -> dict[str, list[list[str]]]:
    ids: dict[str, list[list[str]]] = {}
    if "probes" in wanted:
        ids["probes"] = [
            [
                name
                for name in normalize_ids(probes.split(",") if isinstance(probes, str) else list(probes))
                if name and name != "0"
            ]
            for probes in wanted["probes"]
        ]
    for label, names in id_columns(wanted, None).items():
        ids[label] = [[name] if name else [] for name in names]
    return ids


def _places(var: pd.DataFrame, asked: Collection[str]) -> tuple[dict[str, dict[str, list[int]]], int]:
    found: dict[str, dict[str, list[int]]] = {}
    ambiguous: set[int] = set()
    for label, names in id_columns(var, asked).items():
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


def _kind_of_numbers(label: str, table: pd.DataFrame) -> str:
    """What numbers under a label are: `entrez`, `probe`, `row` (of rows, so no ids), or `unknown`."""
    name = canonical((table.index.name or "") if label == "names" else label)
    if name in ID_COLUMNS["entrez"]:
        return "entrez"
    if label == "probes" or name in ID_COLUMNS["affymetrix"]:
        return "probe"
    numbers = [int(name) for name in normalize_ids(table.index if label == "names" else table[label]) if _number(name)]
    # Entrez ids reach beyond 100 million; numbers of rows do not, even where some rows have been left out since.
    rows = 2 * len(numbers) > len(table) and max(numbers) <= 3 * len(numbers)
    return "row" if rows and len(set(numbers)) == len(numbers) else "unknown"


def numbers_are_entrez(label: str, table: pd.DataFrame) -> bool:
    """Whether numbers under a label of `id_columns` are known to be Entrez ids."""
    return _kind_of_numbers(label, table) == "entrez"


def _number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _comparable(ids: list[list[str]], kinds: set[str], places: dict[str, list[int]]) -> list[list[str]]:
    """Ids that may be compared with those of `places`: numbers only where they can be of one kind."""
    numbers = {name for names in ids for name in names if _number(name)}
    if not numbers:
        return ids
    refused = "row" in kinds or kinds == {"entrez", "probe"}
    if not refused and "unknown" in kinds:
        theirs = {name for name in places if _number(name)}
        refused = len(numbers & theirs) < _LEAST_NUMBERS * min(len(numbers), len(theirs))
    return [[name for name in names if name not in numbers] for names in ids] if refused else ids


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
        The identifiers that matched most, `wanted -> at hand`, for example `names -> pr_gene_symbol`.
    how : str
        By which identifiers how many genes came, in words.
    """

    index: np.ndarray
    missing: list[str]
    matched_by: str
    how: str = ""

    @property
    def found(self) -> int:
        """How many wanted genes were found."""
        return int((self.index >= 0).sum())


def align(wanted: pd.DataFrame, var: pd.DataFrame) -> Alignment:
    """Match wanted genes with the genes at hand by name, one place a gene; see `match_genes`.

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
    match = match_genes(wanted, var, single=True)
    index = np.array([int(part[0]) if len(part) else -1 for part in match.columns], dtype=np.int64)
    missing = [str(name) for name, at in zip(wanted.index, index) if at < 0]
    return Alignment(index, missing, match.matched_by, match.how)
