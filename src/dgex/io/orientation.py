"""Which way a matrix is turned: whether genes lie in its rows or in its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from dgex.errors import DataError, first
from dgex.gene_ids import id_type, normalize_ids, row_numbers, split_composites
from dgex.genes import id_columns
from dgex.io.columns import names_genes, names_samples

if TYPE_CHECKING:
    import pandas as pd

    from dgex.io.base import ExpressionFile

__all__ = ["ORIENTATIONS", "check_not_turned", "detect", "other", "wanted_names"]

ROWS, COLUMNS = "genes-in-rows", "genes-in-columns"
WORDS = {ROWS: "rows are genes, columns profiles", COLUMNS: "rows are profiles, columns genes"}
ORIENTATIONS = ("auto", ROWS, COLUMNS)


_SAMPLE_IDS = re.compile(
    r"^(GSM\d+|ACH-\d{6}|TCGA-|GTEX-|TARGET-|[SED]R[RSX]\d+|SAM[NED]|PR-\w{6}|[ACGT]{14,}(-\d+)?$|.+:[A-P]\d\d$)",
    re.IGNORECASE,
)
# Genes that nearly every human, mouse or rat table has: one among the ids settles the question.
_KNOWN_GENES = frozenset(
    re.findall(
        r"\w+",
        """ACTB GAPDH TP53 MYC EGFR B2M HPRT1 TBP PGK1 RPL13A RPLP0 RPS18 TUBB VIM CDK1 CDK4 CCND1 CCNB1 MAPK1 AKT1
        STAT1 STAT3 KRAS PTEN BRCA1 CD44 HSPA8 EEF1A1 ENO1 LDHA PKM SOD1 SDHA UBC YWHAZ XIST RBKS UBE2C PSME1""",
    )
)
_SYMBOL = re.compile(r"^[A-Z][A-Z0-9]*(orf\d+)?([.-][A-Z0-9]+)*$")


def wanted_names(genes: pd.DataFrame | Iterable[object] | None) -> frozenset[str]:
    """All identifiers of the genes that are looked for, normalised."""
    if genes is None:
        return frozenset()
    if hasattr(genes, "columns"):
        return frozenset(name for names in id_columns(cast("pd.DataFrame", genes)).values() for name in names if name)
    return frozenset(name for name in normalize_ids(genes) if name)


def detect(
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    shape: tuple[int, int],
    id_name: str = "",
    leading: Sequence[str] = (),
    genes: frozenset[str] = frozenset(),
) -> tuple[str, str]:
    """Decide which way a table is turned.

    Parameters
    ----------
    rows, columns : sequence of str
        Ids of the rows and names of the value columns, or the first of them.
    shape : (int, int)
        Number of all rows and of all value columns.
    id_name : str
        What the column of row ids is called.
    leading : sequence of str
        Further columns that are no values.
    genes : frozenset of str
        Normalised ids of genes that are looked for, those of a model or a gene table.

    Returns
    -------
    orientation : {"genes-in-rows", "genes-in-columns"}
    reason : str
        What it was decided by, strongest evidence first: genes looked for, kinds of ids, names of columns, size.
    """
    orientation = _by_genes(rows, columns, genes) or _by_ids(rows, columns)
    if orientation is not None:
        return orientation
    for name in (id_name, *leading):
        if names_genes(name):
            return ROWS, f"column {name!r} names genes"
        if names_samples(name):
            return COLUMNS, f"column {name!r} names samples"
    orientation = _by_weak_ids(rows, columns)
    if orientation is not None:
        return orientation
    if shape[0] == shape[1]:
        return ROWS, "nothing tells rows from columns: genes are taken to be the rows"
    if shape[0] > shape[1]:
        return ROWS, f"there are more rows ({shape[0]:,}) than value columns ({shape[1]:,})"
    return COLUMNS, f"there are more value columns ({shape[1]:,}) than rows ({shape[0]:,})"


def check_not_turned(handle: ExpressionFile, genes: frozenset[str] = frozenset()) -> None:
    """Refuse a file whose profiles bear ids of genes, and whose genes bear none, by clear evidence only.

    Raises
    ------
    DataError
        Naming a few ids of either side.
    """
    samples, names = handle.obs.index.tolist(), handle.var.index.tolist()
    guess = _by_genes(samples, names, genes) or _by_ids(samples, names, clear=True)
    if guess is not None and guess[0] == ROWS:
        if genes and not _found(names, genes):
            columns = (name for held in id_columns(handle.var).values() for name in held)
            if not genes.isdisjoint(columns):
                return
        wish = other(handle.native)
        raise DataError(
            f"{handle.path} is turned the wrong way: its samples look like genes ({first(samples, 3)}), its genes "
            f"like samples ({first(names, 3)}); orientation={wish!r} turns it, {handle.native!r} insists"
        )


def other(orientation: str) -> str:
    """The opposite orientation."""
    return COLUMNS if orientation == ROWS else ROWS


def _found(names: Sequence[str], genes: frozenset[str]) -> int:
    """How many names are genes looked for; numbers that count rows are none."""
    if row_numbers(names):
        return 0
    parts = [*(split_composites(names) or {}).values(), names]
    return max(sum(name in genes for name in set(normalize_ids(part))) for part in parts)


def _by_genes(rows: Sequence[str], columns: Sequence[str], genes: frozenset[str]) -> tuple[str, str] | None:
    if not genes:
        return None
    found = [_found(names, genes) for names in (rows, columns)]
    if max(found) < 2 * min(found) or found[0] == found[1]:
        return None
    side = 0 if found[0] > found[1] else 1
    return (ROWS, COLUMNS)[side], f"{found[side]:,} of its {('rows', 'columns')[side]} are genes looked for"


def _by_ids(rows: Sequence[str], columns: Sequence[str], clear: bool = False) -> tuple[str, str] | None:
    """Decide by the ids alone, where they differ in kind; `clear` leaves out what names of cell lines look like too."""
    rows, columns = rows[:2000], columns[:2000]
    kinds = [_kind(names) for names in (rows, columns)]
    strong = [kind in ("ensembl", "affymetrix", "joined", "transcript") for kind in kinds]
    if strong[0] != strong[1]:
        return (
            (ROWS, f"row ids are of kind {kinds[0]}") if strong[0] else (COLUMNS, f"column ids are of kind {kinds[1]}")
        )
    samples = [_mostly_samples(names) for names in (rows, columns)]
    if samples[0] != samples[1]:
        return (COLUMNS, "row ids are those of samples") if samples[0] else (ROWS, "column ids are those of samples")
    known = [not _KNOWN_GENES.isdisjoint(name.upper() for name in names) for names in (rows, columns)]
    if known[0] != known[1]:
        return (ROWS, "row ids are gene symbols") if known[0] else (COLUMNS, "column ids are gene symbols")
    if not clear and "entrez" not in kinds:  # names of cell lines look like symbols, numbers may be genes
        alike = [_like_symbols(names) for names in (rows, columns)]
        if alike[0] != alike[1]:
            return (ROWS, "row ids are like symbols") if alike[0] else (COLUMNS, "column ids are like symbols")
    return None


def _by_weak_ids(rows: Sequence[str], columns: Sequence[str]) -> tuple[str, str] | None:
    """Decide by kinds of ids that nearly any word matches."""
    kinds = [_kind(names) for names in (rows[:2000], columns[:2000])]
    weak = [kind != "other" for kind in kinds]
    if weak[0] != weak[1]:
        return (ROWS, f"row ids are of kind {kinds[0]}") if weak[0] else (COLUMNS, f"column ids are of kind {kinds[1]}")
    return None


def _kind(names: Sequence[str]) -> str:
    if not len(names):
        return "other"
    kind = id_type(names)
    joined = split_composites(names) if kind in ("other", "symbol") else None
    return "joined" if joined and (kind == "other" or "ensembl" in joined) else kind


def _like_symbols(names: Sequence[str]) -> bool:
    """Whether names are many different words in capitals, some with numbers: no series of samples, no plain words."""
    fitting = [name for name in names if _SYMBOL.match(name) and len(name) < 20]
    stems = {re.split(r"[\d.-]", name, maxsplit=1)[0] for name in fitting}
    numbered = sum(any(map(str.isdigit, name)) for name in fitting)
    many = len(names) >= 10 and 10 * len(fitting) >= 8 * len(names)
    return many and 2 * len(stems) >= len(names) and 3 * numbered >= len(names)


def _mostly_samples(names: Sequence[str]) -> bool:
    return bool(names) and 2 * sum(bool(_SAMPLE_IDS.match(name)) for name in names) >= len(names)
