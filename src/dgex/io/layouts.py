"""Layouts of text tables that are known by the names of their columns, or by their ids: quantifiers and portals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dgex.gene_ids import canonical

__all__ = ["BARE", "HTSEQ", "STAR", "SUMMARY_ROWS", "Layout", "portal", "recognise", "sample_name"]

# Rows about reads without a gene, as STAR, GDC and HTSeq count them among the genes.
SUMMARY_ROWS = re.compile(
    r"^(N_(unmapped|multimapping|noFeature|ambiguous)"
    r"|__(no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique))$"
)


@dataclass(frozen=True)
class Layout:
    """A table that one program or portal writes.

    Attributes
    ----------
    name : str
        In words.
    header : frozenset of str
        Columns that it has, in canonical form.
    value : str
        The column that is taken of a table of one sample; empty where every sample has a column.
    unit : str
        `uns["unit"]` of what is read: `counts`, `tpm`, `fpkm`; empty where the file does not say it.
    ids : tuple of str
        Where the ids are, best first, in canonical form.
    """

    name: str
    header: frozenset[str]
    value: str = ""
    unit: str = ""
    ids: tuple[str, ...] = ()


def _layout(name: str, header: str, value: str = "", unit: str = "", ids: str = "") -> Layout:
    return Layout(name, frozenset(map(canonical, header.split())), value, unit, tuple(map(canonical, ids.split())))


_LAYOUTS = (
    _layout("Salmon quantification", "Name Length EffectiveLength TPM NumReads", "TPM", "tpm", "Name"),
    _layout("RSEM results of isoforms", "transcript_id gene_id TPM IsoPct", "TPM", "tpm", "transcript_id"),
    _layout("RSEM results", "gene_id length effective_length expected_count TPM FPKM", "TPM", "tpm", "gene_id"),
    _layout("kallisto abundance", "target_id length eff_length est_counts tpm", "tpm", "tpm", "target_id"),
    _layout("StringTie gene abundance", "Gene_ID Gene_Name Reference Coverage FPKM TPM", "TPM", "tpm", "Gene_ID"),
    _layout("Cufflinks FPKM tracking", "tracking_id gene_id FPKM FPKM_status", "FPKM", "fpkm", "tracking_id"),
    _layout("GDC STAR counts", "gene_id gene_name gene_type unstranded tpm_unstranded", "tpm_unstranded", "tpm"),
    _layout("featureCounts table", "Geneid Chr Start End Strand Length", "", "counts"),
)
STAR = _layout("STAR gene counts", "", "unstranded", "counts")
HTSEQ = _layout("HTSeq counts", "", "count", "counts")
BARE = _layout("values of one sample without a header", "", "value")


def recognise(header: Sequence[str]) -> Layout | None:
    """The layout that a header belongs to."""
    names = {canonical(name) for name in header}
    return next((layout for layout in _LAYOUTS if layout.header <= names), None)


def sample_name(path: Path, layout: Layout) -> str:
    """What the one sample of a quantifier's file is called: the file without the last of its suffixes."""
    name = path.name.removesuffix(".gz")
    if layout is STAR:
        return re.sub(r"[._]?ReadsPerGene(\.out)?\.tab$", "", name) or path.parent.name
    return name.rpartition(".")[0] or name


# Portals whose tables have nothing but their ids in common.
_PORTALS = {
    "DepMap expression": re.compile(r"^ACH-\d{6}$"),
    "GTEx expression": re.compile(r"^GTEX-"),
    "TCGA expression": re.compile(r"^TCGA-"),
    "GEO profiles": re.compile(r"^GSM\d+$"),
    "SRA runs (recount3, ARCHS4)": re.compile(r"^[SED]RR\d+$"),
}


def portal(samples: Sequence[str], corner: str = "") -> str:
    """Where a table comes from, in words, by the ids of its samples; empty where nothing tells."""
    few = samples[:50]
    for name, pattern in _PORTALS.items():
        if few and 2 * sum(bool(pattern.match(sample)) for sample in few) >= len(few):
            xena = canonical(corner) in ("sample", "ensemblid", "xenasample")
            return f"UCSC Xena, {name}" if xena and name.startswith(("TCGA", "GTEx")) else name
    return ""
