"""Which way a matrix is turned: whether genes lie in its rows or in its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dgex.errors import DataError, first
from dgex.genes import id_type

if TYPE_CHECKING:
    from dgex.io.base import ExpressionFile

__all__ = ["GENE_COLUMNS", "ORIENTATIONS", "check_not_turned", "detect", "other"]

ROWS, COLUMNS = "genes-in-rows", "genes-in-columns"
ORIENTATIONS = ("auto", ROWS, COLUMNS)


def words(text: str) -> frozenset[str]:
    """The words of `text`, as a set."""
    return frozenset(text.split())


# Names of columns that describe genes, as expression tables of many sources head them.
GENE_COLUMNS = words(
    """gene genes gene_id geneid gene_ids gene_name genename gene_symbol genesymbol symbol symbols hugo_symbol hugo
    hgnc hgnc_symbol hgnc_id ensembl ensembl_id ensembl_gene_id ensembl_gene ensg entrez entrez_id entrezid
    entrez_gene_id entrezgene ncbi_gene_id probe probe_id probeid probeset probeset_id probe_set_id id_ref rid
    feature feature_id locus_tag orf pr_gene_id pr_gene_symbol gene_type gene_biotype biotype gene_title description
    chr chrom chromosome coord start end strand length gene_length"""
)
_SAMPLE_COLUMNS = words(
    """sample samples sample_id sampleid sample_name profile profiles profile_id cid patient patient_id donor donor_id
    subject subject_id barcode cell cell_id inst_id sig_id geo_accession accession run experiment condition"""
)
_SAMPLE_IDS = re.compile(r"^(GSM\d+|TCGA-|GTEX-|[SED]RR\d+|[SED]RS\d+|SAM[NED]|.+:[A-P]\d\d$)", re.IGNORECASE)
# Genes that nearly every human, mouse or rat table has: one among the ids settles the question.
_KNOWN_GENES = words(
    """ACTB GAPDH TP53 MYC EGFR B2M HPRT1 TBP PGK1 RPL13A RPLP0 RPS18 TUBB VIM CDK1 CDK4 CCND1 CCNB1 MAPK1
    AKT1 STAT1 STAT3 KRAS PTEN BRCA1 CD44 HSPA8 EEF1A1 ENO1 LDHA PKM SOD1 SDHA UBC YWHAZ XIST RBKS UBE2C PSME1"""
)


def detect(
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    shape: tuple[int, int],
    id_name: str = "",
    leading: Sequence[str] = (),
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
        Further columns before the values.

    Returns
    -------
    orientation : {"genes-in-rows", "genes-in-columns"}
    reason : str
        What it was decided by, strongest evidence first: names of the id columns, kinds of ids, size.
    """
    for name in (id_name, *leading):
        if name.strip().lower() in GENE_COLUMNS:
            return ROWS, f"column {name!r} names genes"
        if name.strip().lower() in _SAMPLE_COLUMNS:
            return COLUMNS, f"column {name!r} names samples"
    orientation = _by_ids(rows, columns)
    if orientation is not None:
        return orientation
    if shape[0] == shape[1]:
        return ROWS, "nothing tells rows from columns: genes are taken to be the rows"
    if shape[0] > shape[1]:
        return ROWS, f"there are more rows ({shape[0]:,}) than value columns ({shape[1]:,})"
    return COLUMNS, f"there are more value columns ({shape[1]:,}) than rows ({shape[0]:,})"


def check_not_turned(handle: ExpressionFile) -> None:
    """Refuse a file whose profiles bear ids of genes, and whose genes bear none, by clear evidence only.

    Raises
    ------
    DataError
        Naming a few ids of either side.
    """
    samples, genes = handle.obs.index[:2000].tolist(), handle.var.index[:2000].tolist()
    guess = _by_ids(samples, genes, clear=True)
    if guess is not None and guess[0] == ROWS:
        wish = other(handle.native)
        raise DataError(
            f"{handle.path} is turned the wrong way: its samples look like genes ({first(samples, 3)}), its genes "
            f"like samples ({first(genes, 3)}); orientation={wish!r} turns it, {handle.native!r} insists"
        )


def other(orientation: str) -> str:
    """The opposite orientation."""
    return COLUMNS if orientation == ROWS else ROWS


def _by_ids(rows: Sequence[str], columns: Sequence[str], clear: bool = False) -> tuple[str, str] | None:
    """Decide by the ids alone, where they differ in kind; `clear` leaves out kinds that nearly any word matches."""
    kinds = [id_type(names) if len(names) else "other" for names in (rows, columns)]
    strong = [kind in ("ensembl", "affymetrix") for kind in kinds]
    if strong[0] != strong[1]:
        return (
            (ROWS, f"row ids are of kind {kinds[0]}") if strong[0] else (COLUMNS, f"column ids are of kind {kinds[1]}")
        )
    known = [not _KNOWN_GENES.isdisjoint(name.upper() for name in names) for names in (rows, columns)]
    if known[0] != known[1]:
        return (ROWS, "row ids are gene symbols") if known[0] else (COLUMNS, "column ids are gene symbols")
    samples = [_mostly_samples(names) for names in (rows, columns)]
    if samples[0] != samples[1]:
        return (COLUMNS, "row ids are those of samples") if samples[0] else (ROWS, "column ids are those of samples")
    if clear:
        return None
    weak = [kind != "other" for kind in kinds]
    if weak[0] != weak[1]:
        return (ROWS, f"row ids are of kind {kinds[0]}") if weak[0] else (COLUMNS, f"column ids are of kind {kinds[1]}")
    return None


def _mostly_samples(names: Sequence[str]) -> bool:
    return bool(names) and 2 * sum(bool(_SAMPLE_IDS.match(name)) for name in names) >= len(names)
