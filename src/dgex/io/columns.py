"""Which columns of a table are ids, annotation of genes, or values: by known names, else by what is in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dgex.errors import DataError, first
from dgex.gene_ids import ID_COLUMNS, canonical, row_numbers
from dgex.io.numerals import Numerals

__all__ = ["Columns", "choose", "describes", "known", "names_genes", "names_samples"]


def _words(text: str) -> frozenset[str]:
    return frozenset(map(canonical, text.split()))


# Besides the columns of ids: what tables of genes say of a gene, wherever it stands, a number or not.
_GENE_IDS = _words(
    "rid target_id tracking_id transcript_id transcript_ids locus_tag orf hgnc_id mgi_id accession_number"
)
_PLACES = _words("chr chrom chromosome chromosome_name seqnames seqid strand")
_WITH_PLACES = _words("start end stop width reference source level coverage")  # names that samples may have too
_ANNOTATION = _PLACES | _words(
    """coord start_position end_position gene_start gene_end txstart txend length gene_length transcript_length
    efflength eff_length effective_length exon_count gene_type gene_biotype biotype gene_title gene_description
    transcript_type gene_category description definition cytoband class_code nearest_ref_id species organism taxid
    pr_gene_title pr_is_lm pr_is_bing feature_space feature_type feature_types genome gc_content num_reads numreads
    percentage_gene_gc_content refseq refseq_id unigene unigene_id go_id ontology_term uniprot uniprot_id
    probe_sequence probe_start probe_chr_orientation array_address_id gene_family gene_version"""
)
_SAMPLE_IDS = _words(
    """sample samples sample_id sampleid sample_name samplename profile profiles profile_id cid patient patient_id donor
    donor_id subject subject_id barcode barcodes cell cells cell_id cellid inst_id sig_id geo_accession accession run
    experiment condition cell_line model_id modelid depmap_id sequencingid sequencing_id profileid index_sample"""
)
_NEUTRAL = _words("id ids name names index identifier rowname rownames row_names unnamed0")
_GENES = frozenset(name for names in ID_COLUMNS.values() for name in names) | _GENE_IDS
# One a sample, beside its values: GenomeStudio's tables, and GEO's made of them.
_BESIDE = re.compile(
    r"(^|[._ -])(detection([ _.-]*p[ _.-]*val(ue)?)?|bead[_ ]?std?(err|ev)|avg_nbeads|nbeads|array_stdev|abs_call)\d*$",
    re.IGNORECASE,
)
# What spreadsheets and instruments write where a number is missing: a sample that broke, no metadata.
_MARKS = re.compile(
    r"^([-–—.?*]+|#[A-Z0-9/!?]+[!?]?|n\.?d\.?|<\s*lod|inf(inity)?|error|absent|undetermined"
    r"|[<>~]\s*[+-]?\d[\d.,]*\s*[%*]?|[+-]?\d[\d.,]*\s*[%*])$",
    re.IGNORECASE,
)


def names_genes(name: str) -> bool:
    """Whether a column of that name describes genes."""
    return canonical(name) in _GENES or canonical(name) in _ANNOTATION or bool(_BESIDE.search(name))


def names_samples(name: str) -> bool:
    """Whether a column of that name holds ids of samples."""
    return canonical(name) in _SAMPLE_IDS


def known(name: str) -> bool:
    """Whether a column of that name holds ids or annotation, never values of a sample."""
    return names_genes(name) or names_samples(name) or canonical(name) in _NEUTRAL


@dataclass
class Columns:
    """Places of the columns of a table.

    Attributes
    ----------
    ids : int or None
        Names of the rows.
    described : list of int
        Metadata of the rows.
    values : list of int
    dropped : list of int
        Counters of rows, and columns without name and content.
    said : list of str
        What the user is told of the choice.
    """

    ids: int | None
    described: list[int]
    values: list[int]
    dropped: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def choose(names: Sequence[str], rows: Sequence[Sequence[str]], numerals: Numerals) -> Columns:
    """Sort the columns of a table by their names and by the first rows.

    Raises
    ------
    DataError
        A column that is neither numbers nor text, named; or no values at all.
    """
    columns = [[row[at].strip() for row in rows] for at in range(len(names))]
    placed = any(canonical(name) in _PLACES for name in names)
    kinds = [_kind(name, column, numerals, placed) for name, column in zip(names, columns)]
    for at, name in enumerate(names):  # `control`, `sample`: words for ids of samples, or samples
        if at and names_samples(name) and not names_genes(name) and _numeric(columns[at], numerals):
            kinds[at] = "value"
    ids = _ids(names, columns, kinds)
    found = Columns(ids, [], [])
    for at, (name, kind) in enumerate(zip(names, kinds)):
        if at == ids:
            continue
        if kind == "blank" or (at == 0 and kind == "counter"):
            found.dropped.append(at)
        elif kind in ("known", "text"):
            found.described.append(at)
        elif kind == "value":
            found.values.append(at)
        else:
            raise DataError(_doubt(name, columns[at], numerals))
    if not found.values:
        raise DataError(f"it holds no expression values: none of its {len(names):,} columns is numeric")
    if 0 in found.dropped and names:
        found.said.append(f"the first column numbers the rows: left out, ids are column {names[ids or 0]!r}")
    if found.described:
        named = first([repr(names[at]) for at in found.described], 8)
        found.said.append(f"columns taken for annotation, not values: {named}")
    return found


def _kind(name: str, values: Sequence[str], numerals: Numerals, placed: bool) -> str:
    """What a column is: known, value, text, blank, counter or doubtful."""
    present = [value for value in values if not numerals.is_missing(value)]
    numbers = sum(map(numerals.is_number, present))
    if canonical(name) in _NEUTRAL | {"", "x"}:
        if name == "" and not any(values):
            return "blank"
        if present and numbers == len(present) and _rises(present):
            return "counter"
    if known(name) or (placed and canonical(name) in _WITH_PLACES):
        return "known"
    if 2 * numbers > len(present) or not present:
        return "value"  # a few words among numbers are found, with their lines, when it is read
    if numbers == 0 and not any(map(_MARKS.match, present)):
        return "text"
    return "doubtful"


def _numeric(values: Sequence[str], numerals: Numerals) -> bool:
    return all(map(numerals.is_number, values))


def _rises(values: Sequence[str]) -> bool:
    """Whether whole numbers go up by one from 0 or 1, or at least go up: an index that rows were taken from."""
    if row_numbers(values):
        return True
    whole = [int(value) for value in values if value.isdigit()]
    return len(whole) == len(values) > 2 and all(low < high for low, high in pairwise(whole))


def _ids(names: Sequence[str], columns: Sequence[Sequence[str]], kinds: Sequence[str]) -> int | None:
    """The column that names the rows: the first, unless it counts them, holds values, or describes."""
    ids = [at for at, name in enumerate(names) if canonical(name) in _GENES or names_samples(name)]
    texts = [at for at, kind in enumerate(kinds) if kind == "text"]
    named = [at for at, name in enumerate(names) if canonical(name) in _NEUTRAL and kinds[at] == "known"]
    full = [at for at in (*ids, *named, *texts) if all(columns[at])]
    different = [at for at in full if len(set(columns[at])) == len(columns[at])]
    if 0 in full and (0 in different or not different or not "".join(columns[0]).isdigit()):
        return 0
    if different or full:
        return (different or full)[0]
    return 0  # numbers: Entrez ids, names of samples


def describes(name: str, values: Sequence[str], numerals: Numerals) -> bool:
    """Whether a reader takes such a column for metadata: only then may one be written beside values."""
    return name != "" and _kind(name, values, numerals, False) in ("known", "text")


def _doubt(name: str, values: Sequence[str], numerals: Numerals) -> str:
    present = [value for value in values if not numerals.is_missing(value)]
    bad = next(value for value in present if not numerals.is_number(value))
    numbers = sum(map(numerals.is_number, present))
    return (
        f"column {name!r} is neither numbers nor names: {len(present) - numbers:,} of its first {len(values):,} values "
        f"are no numbers, such as {bad[:40]!r}; mend or remove the column"
    )
