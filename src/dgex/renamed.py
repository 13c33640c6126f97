"""Genes under older names: a table of aliases to look them up in, and why names may be missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dgex.aliases import PathLike
from dgex.errors import FileError, first
from dgex.gene_ids import ID_COLUMNS, canonical, excel_dates, id_type, normalize_ids
from dgex.gene_table import cells
from dgex.genes import Match, id_columns, numbers_are_entrez
from dgex.limits import allowed
from dgex.progress import note
from dgex.remote.fetching import at_hand

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AliasTable", "Aliases", "causes", "looked_up", "read_aliases"]

AliasTable: TypeAlias = "PathLike | Mapping[str, str] | Aliases"

# Columns of HGNC's complete set and custom downloads, of NCBI's gene_info and of tables alike, in canonical form.
_CURRENT = ("symbol", "approvedsymbol", "currentsymbol", "newsymbol", "current", "new")
_OLDER = frozenset(
    (
        *("prevsymbol", "previoussymbol", "previoussymbols", "aliassymbol", "aliassymbols", "synonyms", "synonym"),
        *("alias", "aliases", "oldsymbol", "previous", "old"),
    )
)
_BY = "aliases"


@dataclass(frozen=True)
class Aliases:
    """Which genes names stand for.

    Attributes
    ----------
    label : str
        What messages call the table.
    genes : dict of str to set of int
        Name or id (Entrez ids with `entrez:` before them) to the numbers of its genes: of several it is ambiguous.
    """

    label: str
    genes: dict[str, set[int]]

    def of(self, table: pd.DataFrame) -> list[set[int]]:
        """The genes that each row can be: by its Ensembl, Entrez and HGNC ids where they tell, else by its names."""
        strong: list[set[int]] = [set() for _ in range(len(table))]
        weak: list[set[int]] = [set() for _ in range(len(table))]
        for label, ids in id_columns(table).items():
            entrez = numbers_are_entrez(label, table)
            for row, name in enumerate(ids):
                number = name.isascii() and name.isdigit()
                if number and not entrez:
                    continue
                found = self.genes.get(f"entrez:{name}" if number else name)
                if found:
                    (strong if number or name.startswith(("ENS", "HGNC:")) else weak)[row].update(found)
        return [one if len(one) == 1 else one | other for one, other in zip(strong, weak)]


def read_aliases(given: AliasTable | None) -> Aliases | None:
    """Read a table of older names of genes.

    Parameters
    ----------
    given : path, mapping, Aliases or None
        HGNC's complete set (columns `symbol`, `prev_symbol`, `alias_symbol`, several separated by `|`; `entrez_id`,
        `ensembl_gene_id` and `hgnc_id` are used where they are there), a table with such columns under the names of
        HGNC's custom downloads or NCBI's `gene_info`, or two columns, old and new name. A mapping: old to new name.

    Returns
    -------
    Aliases or None
        None for None.

    Raises
    ------
    FileError
        The file is missing, or no such table.

    Examples
    --------
    >>> read_aliases({"SEPT2": "SEPTIN2"}).genes
    {'SEPTIN2': {0}, 'SEPT2': {0}}
    """
    if given is None or isinstance(given, Aliases):
        return given
    if isinstance(given, Mapping):
        return _of_pairs(given.items(), "aliases")
    path = at_hand(given, allowed("table"))
    raw = cells(path, "table of aliases")
    columns = [canonical(name) for name in raw.iloc[0]]
    current = next((name for name in _CURRENT if name in columns), None)
    if current is not None and not _OLDER.isdisjoint(columns):
        return _of_records(raw.iloc[1:], columns, current, path.name)
    if raw.shape[1] != 2:
        raise FileError(
            f"{path} is no table of aliases: found columns {first(raw.iloc[0], 4)}",
            accepted="HGNC's complete set (symbol, prev_symbol, alias_symbol), or two columns, old and new name",
        )
    return _of_pairs(raw.itertuples(index=False), path.name)


def _of_pairs(pairs: Iterable[Sequence[str]], label: str) -> Aliases:
    genes: dict[str, set[int]] = {}
    numbers: dict[str, int] = {}
    for pair in pairs:
        old, new = normalize_ids(pair)
        if old and new:
            number = numbers.setdefault(new, len(numbers))
            genes.setdefault(new, set()).add(number)
            genes.setdefault(old, set()).add(number)
    return Aliases(label, genes)


def _of_records(rows: pd.DataFrame, columns: list[str], current: str, label: str) -> Aliases:
    genes: dict[str, set[int]] = {}
    entrez = {*ID_COLUMNS["entrez"]}
    symbols: dict[str, int] = {}
    number = [symbols.setdefault(symbol, len(symbols)) for symbol in rows.iloc[:, columns.index(current)]]
    for at, name in enumerate(columns):
        wanted = name == current or name in _OLDER or name == "hgncid"
        numbers = name in entrez and id_type(rows.iloc[:, at]) == "entrez"
        if not (wanted or numbers or name in ID_COLUMNS["ensembl"]):
            continue
        for gene, text in zip(number, rows.iloc[:, at]):
            parts = re.split(r"[|,;]", text) if name in _OLDER else [text]
            for part in normalize_ids(parts):
                if part and part != "-" and not part.endswith("~withdrawn"):
                    genes.setdefault(f"entrez:{part}" if numbers else part, set()).add(gene)
    return Aliases(label, genes)


def looked_up(
    wanted: Sequence[pd.DataFrame], matches: Sequence[Match], var: pd.DataFrame, aliases: Aliases | None, label: str
) -> list[Match]:
    """Look up by aliases the genes that did not match otherwise, among the rows that no gene has yet; say it.

    Left out is a name of several genes (an alias of two, or an old symbol that is a current one), and a gene that is
    wanted under two names.

    Parameters
    ----------
    wanted : sequence of DataFrame
        Tables of genes, matched one by one.
    matches : sequence of Match
        Where their genes are, by `match_genes`.
    var : DataFrame
        Genes at hand.
    aliases : Aliases or None
        With None nothing changes.
    label : str
        What notes call the input.

    Returns
    -------
    list of Match
        With the rows that were found so, and how many (`aliases`) in `by`.
    """
    if aliases is None or all(match.found.all() for match in matches):
        return list(matches)
    taken = np.zeros(len(var), dtype=bool)
    for match in matches:
        taken[np.concatenate([np.empty(0, dtype=np.int64), *match.columns])] = True
    free = np.flatnonzero(~taken)
    places: dict[int, list[int]] = {}
    unclear: list[set[int]] = []
    for at, genes in zip(free, aliases.of(var.iloc[free])):
        if len(genes) == 1:
            places.setdefault(next(iter(genes)), []).append(int(at))
        elif genes:
            unclear.append(genes)
    asked = [aliases.of(frame) for frame in wanted]
    open_to = [(part, int(row)) for part, match in enumerate(matches) for row in np.flatnonzero(~match.found)]
    count: dict[int, int] = {}
    for part, row in open_to:
        for gene in asked[part][row]:
            count[gene] = count.get(gene, 0) + 1
    columns = [list(match.columns) for match in matches]
    found: list[list[str]] = [[] for _ in matches]
    doubtful = sum(not genes.isdisjoint(count) for genes in unclear)
    for part, row in open_to:
        genes = asked[part][row]
        if len(genes) > 1 or any(count[gene] > 1 for gene in genes):
            doubtful += not genes.isdisjoint(places)
        elif genes and (there := places.get(next(iter(genes)))):
            columns[part][row] = np.array(there, dtype=np.int64)
            found[part].append(f"{var.index[there[0]]!s} -> {wanted[part].index[row]}")
    everything = [name for names in found for name in names]
    left = f"; {doubtful:,} names that stand for several genes are left out" if doubtful else ""
    note(f"{label}: {len(everything):,} genes are found under older names by {aliases.label}{_shown(everything)}{left}")
    return [
        replace(match, columns=new, by={**match.by, _BY: len(names)}) if names else match
        for match, new, names in zip(matches, columns, found)
    ]


def _shown(names: list[str]) -> str:
    return f" ({first(names, 3)})" if names else ""


_TITLE = re.compile(r"^[A-Z][a-z0-9-]*[a-z][a-z0-9-]*$")


def causes(lacking: pd.DataFrame, var: pd.DataFrame, aliases: Aliases | None = None) -> str:
    """Why genes may be missing although they were measured: the case of letters, dates, renamed symbols.

    Parameters
    ----------
    lacking : DataFrame
        Genes that did not match.
    var : DataFrame
        Genes at hand.
    aliases : Aliases, optional
        The table that was looked in already.

    Returns
    -------
    str
        To be put at the end of a message, with a semicolon before it; empty where nothing is known.
    """
    ours, theirs = _symbols(lacking), _symbols(var)
    if not ours or not theirs:
        return ""
    reasons = list(_written_otherwise(ours, theirs))
    if dates := excel_dates(theirs):
        reasons.append(
            f"{len(dates):,} names are dates such as {dates[0]}, which a spreadsheet makes of MARCHF1 or SEPTIN2"
        )
    if aliases is None:
        reasons.append("aliases=TABLE looks up renamed symbols (HGNC's complete set, or old and new names)")
    return "".join(f"; {reason}" for reason in reasons)


def _symbols(table: pd.DataFrame) -> list[str]:
    held = [[name for name in names if name] for names in id_columns(table, None).values()]
    return list(dict.fromkeys(name for names in held if id_type(names) == "symbol" for name in names))


def _written_otherwise(ours: list[str], theirs: list[str]) -> Iterator[str]:
    there = {name.upper(): name for name in theirs}
    pairs = [(name, there[name.upper()]) for name in ours if there.get(name.upper(), name) != name]
    if not pairs:
        return
    other, mine = (sum(bool(_TITLE.match(pair[side])) for pair in pairs) for side in (1, 0))
    example = f"{pairs[0][1]} for {pairs[0][0]}"
    if 2 * max(other, mine) > len(pairs) and other != mine:
        where = "the input's symbols" if other > mine else "the genes looked for"
        yield (
            f"{where} are written as those of mouse or rat ({len(pairs):,} differ in case only: {example}), and a gene "
            "of another species matches only by a table of orthologs, two columns, given as aliases"
        )
    else:
        yield f"{len(pairs):,} are there in other case ({example})"
