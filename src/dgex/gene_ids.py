"""Identifiers of genes: their kinds, the columns that hold them, and names that join several of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import numpy as np

__all__ = [
    "ID_COLUMNS",
    "ID_WORDS",
    "canonical",
    "excel_dates",
    "id_type",
    "normalize_ids",
    "row_numbers",
    "split_composites",
    "strip_version",
]

_ENSEMBL = r"ENS[A-Z]*GR?\d{9,}(?:\.\d+)?(?:_\d+)?(?:_PAR_Y)?"  # GENCODE lifted to an older genome: .15_6

_PATTERNS = {
    "ensembl": re.compile(rf"^{_ENSEMBL}$"),
    "transcript": re.compile(r"^(ENS[A-Z]*T\d{9,}(\.\d+)?(_\d+)?(_PAR_Y)?|[NX][MR]_\d{5,}(\.\d+)?)$"),
    "affymetrix": re.compile(r"^(AFFX-.+|\d+(_[a-z])*_at|[A-Za-z0-9.-]+(_[a-z])*_at|L\d+_at)$"),
    "entrez": re.compile(r"^\d+(\.0)?$"),
    "symbol": re.compile(r"^[A-Za-z][A-Za-z0-9@_.\-/]*$"),
}

ID_WORDS = {"ensembl": "Ensembl id", "entrez": "Entrez id", "affymetrix": "probe id", "symbol": "symbol"}

_NO_LETTERS = re.compile(r"[^a-z0-9]+")


def canonical(name: object) -> str:
    """The name of a column without case, blanks and marks: `Gene Symbol`, `gene_symbol` and `geneSymbol` are one."""
    return _NO_LETTERS.sub("", str(name).lower())


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(canonical, text.split())))


# Columns of gene metadata that hold identifiers, by kind and in canonical form; names as CMap, AnnData users, BioMart,
# Bioconductor, GEO's platforms and quantifiers write them.
ID_COLUMNS: dict[str, tuple[str, ...]] = {
    "symbol": _names(
        """symbol pr_gene_symbol gene_symbol hgnc_symbol hugo_symbol gene_name gene_symbols symbols external_gene_name
        gene_short_name feature_name approved_symbol official_symbol official_gene_symbol mgi_symbol rgd_symbol
        associated_gene_name ilmn_gene hugo hgnc gene genes gene_names symbol_id target_symbol display_name
        identifier"""
    ),
    "ensembl": _names(
        """ensembl ensembl_id ensembl_gene_id ensembl_gene_id_version ensembl_gene ensembl_ids ensembl_geneid ensg
        ensg_id gene_stable_id gene_stable_id_version gene_id_ensembl gencode_id stable_id gene_ids gene_id geneid
        feature_id gene_id_version ensembl_version"""
    ),
    "entrez": _names(
        """entrez entrez_id entrez_gene_id entrez_gene entrezgene_id entrez_ids pr_gene_id ncbi ncbi_id ncbi_gene
        ncbi_gene_id locuslink locuslink_id ncbi_gene_formerly_entrezgene_id gene_id geneid"""
    ),
    "affymetrix": _names(
        """probe probe_id pr_id affymetrix affy affy_id probeset probe_set probeset_id probe_set_id probe_sets id_ref"""
    ),
}


def strip_version(names: Iterable[str]) -> list[str]:
    """Drop the version of Ensembl ids (`ENSG00000175063.12`, `….12_4`); leave others alone."""
    return [
        re.split(r"[._](?!PAR_Y)", name, maxsplit=1)[0]
        if name.startswith("ENS") and _PATTERNS["ensembl"].match(name)
        else name
        for name in names
    ]


def id_type(names: Iterable[object]) -> str:
    """Recognise the kind of identifier that most of `names` are.

    Returns
    -------
    str
        `"ensembl"`, `"transcript"`, `"affymetrix"`, `"entrez"`, `"symbol"`, or `"other"` when no kind fits half.

    Examples
    --------
    >>> id_type(["TP53", "MYC"]), id_type(["ENSG00000141510.11"]), id_type(["1007_s_at"]), id_type([7157, 4609])
    ('symbol', 'ensembl', 'affymetrix', 'entrez')
    """
    sample = [str(name) for name in names]
    if len(sample) > 2000:
        sample = sample[:: len(sample) // 2000]
    if not sample:
        return "other"
    counts = dict.fromkeys(_PATTERNS, 0)
    for name in sample:
        for kind, pattern in _PATTERNS.items():  # the most specific pattern comes first
            if pattern.match(name):
                counts[kind] += 1
                break
    kind = max(counts, key=lambda key: counts[key])
    return kind if counts[kind] * 2 >= len(sample) else "other"


def normalize_ids(values: Iterable[object]) -> list[str]:
    """Make identifiers comparable: text, no blanks around, no Ensembl version, Entrez ids without `.0`."""
    texts = []
    for value in values:
        if value is None or (isinstance(value, float) and not np.isfinite(value)):
            texts.append("")
            continue
        text = str(int(value)) if isinstance(value, float | np.floating) else str(value).strip()
        if text.endswith(".0") and text[:-2].isdigit():
            text = text[:-2]
        texts.append("" if text in {"nan", "None", "-666", "<NA>", "na", "NA"} else text)
    return strip_version(texts)


def row_numbers(values: Sequence[object]) -> bool:
    """Whether values are those of a counter of rows, from 0 or 1 on: never identifiers."""
    try:
        numbers = [int(str(value)) for value in values]
    except ValueError:
        return False
    return len(numbers) > 1 and numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


_DATE = re.compile(
    r"^(\d{1,2}-(Mar|Sep|Dec|Oct|Nov|Apr|Feb)|(Mar|Sep|Dec|Oct|Nov|Apr|Feb)-\d{1,2}"
    r"|\d{4}-\d\d-\d\d( 00:00:00)?)$",
    re.IGNORECASE,
)
_DAYS = {3: 11, 9: 15, 10: 11, 12: 2}  # months that begin names of genes, and how far these count
_MOST_DAYS = sum(_DAYS.values())


def excel_dates(names: Iterable[str]) -> list[str]:
    """Names that are dates, as spreadsheets make of MARCH1, SEPT2 and DEC1; among symbols their day numbers, too."""
    listed = list(names)
    numbers = {name for name in listed if name.isascii() and name.isdigit()}
    serial = 0 < len(numbers) <= min(_MOST_DAYS, len(listed) // 2) and all(map(_day_number, numbers))
    return [name for name in listed if ("-" in name and _DATE.match(name)) or (serial and name in numbers)]


def _day_number(name: str) -> bool:
    """Whether a number is how spreadsheets hold such a day of the years 2000 to 2039."""
    if not 36526 <= int(name) < 51136:
        return False
    day = date(1899, 12, 30) + timedelta(days=int(name))
    return day.day <= _DAYS.get(day.month, 0)


# Names that join identifiers, as RSEM, TCGA, DepMap and TempO-Seq write them; the groups are called as their kinds.
_COMPOSITES = tuple(
    re.compile(text)
    for text in (
        rf"^(?P<ensembl>{_ENSEMBL})[_|:; ]+(?P<symbol>(?!\d+$|PAR_Y$)[^|]+)$",
        rf"^(?P<symbol>[^|(]+?)(?:[_|:; ]+| \()(?P<ensembl>{_ENSEMBL})\)?$",
        r"^(?P<symbol>[^|()\s]+)\|(?P<entrez>\d+)$",
        r"^(?P<symbol>[^|()\s]+) ?\((?P<entrez>\d+)\)$",
        r"^(?P<symbol>[A-Za-z][A-Za-z0-9@.\-/]*)_(?P<probe>\d{1,6})$",
    )
)


def split_composites(names: Sequence[str]) -> dict[str, list[str]] | None:
    """Take names apart that join several identifiers (`ENSG…_TSPAN6`, `TSPAN6|7105`, `TSPAN6 (7105)`, `TSPAN6_22345`).

    Returns
    -------
    dict or None
        Kind (`symbol`, `ensembl`, `entrez`) to one identifier a name, empty where it has none. None when fewer than
        nine in ten names are of one such pattern, or when what stands before a number is no gene (`sample_12`).

    Examples
    --------
    >>> split_composites(["TSPAN6 (7105)", "DPM1 (8813)"])
    {'symbol': ['TSPAN6', 'DPM1'], 'entrez': ['7105', '8813']}
    """
    few = names[:: max(1, len(names) // 200)]
    if id_type(few) not in ("symbol", "other"):
        return None
    for pattern in _COMPOSITES:
        if 10 * sum(bool(pattern.match(name)) for name in few) < 8 * len(few) or not few:
            continue
        found = [pattern.match(name) for name in names]
        if 10 * sum(map(bool, found)) < 9 * len(names):
            continue
        kinds = {kind: [match[kind] if match else "" for match in found] for kind in pattern.groupindex}
        few_words = 3 * len(set(kinds["symbol"])) < len(names)
        if ("ensembl" not in kinds and few_words) or ("probe" in kinds and len(names) < 10):
            return None  # few words before many numbers: samples, loci
        kinds.pop("probe", None)
        kinds["symbol"] = ["" if text.strip() in ("?", "NA", "-") else text.strip() for text in kinds["symbol"]]
        return kinds
    return None
