"""Kinds of identifiers, columns that hold them, and names that join several."""

from __future__ import annotations

import pytest

from dgex.gene_ids import canonical, excel_dates, id_type, normalize_ids, row_numbers, split_composites, strip_version
from dgex.genes import ID_COLUMNS

SYMBOLS = ["TSPAN6", "TNMD", "DPM1", "SCYL3", "C1orf112", "HLA-A", "NKX2-5", "7SK", "FGR", "CFH", "GCLC"]
ENSEMBL = [f"ENSG{number:011d}" for number in range(3, 14)]
ENTREZ = [str(7105 + number) for number in range(11)]


@pytest.mark.parametrize(
    ("joined", "parts"),
    [
        ("{e}.3_{s}", "es"),
        ("{e}.15_PAR_Y_{s}", "es"),
        ("{e}_{s}", "es"),
        ("{e}|{s}", "es"),
        ("{s}|{e}.2", "es"),
        ("{s} ({e})", "es"),
        ("{s}|{n}", "sn"),
        ("{s} ({n})", "sn"),
    ],
)
def test_joined_ids_are_taken_apart(joined: str, parts: str) -> None:
    names = [joined.format(e=e, s=s, n=n) for e, s, n in zip(ENSEMBL, SYMBOLS, ENTREZ)]
    found = split_composites(names)
    assert found is not None
    assert found["symbol"] == SYMBOLS
    if "e" in parts:
        assert normalize_ids(found["ensembl"]) == ENSEMBL
    else:
        assert found["entrez"] == ENTREZ


def test_probes_of_tempo_seq() -> None:
    genes = [name for name in SYMBOLS if name[0].isalpha()] * 2
    assert split_composites([f"{name}_{at + 1000}" for at, name in enumerate(genes)]) == {"symbol": genes}


def test_genes_without_a_symbol() -> None:
    found = split_composites(["?|100130426", "?|100133144", *(f"{s}|{n}" for s, n in zip(SYMBOLS, ENTREZ))])
    assert found is not None
    assert found["symbol"][:3] == ["", "", "TSPAN6"]
    assert found["entrez"][:2] == ["100130426", "100133144"]


@pytest.mark.parametrize(
    "names",
    [
        SYMBOLS,
        ENSEMBL,
        ENTREZ,
        [f"{name}.15_6" for name in ENSEMBL],
        [f"{name}.2_PAR_Y" for name in ENSEMBL],
        ["1007_s_at", "1053_at", "117_at"],
        [f"BSU_{number:05d}" for number in range(30)],
        [f"sample_{number}" for number in range(30)],
        [f"S ({number})" for number in range(30)],
        ["NM_000546", "NM_001126112", "NR_15"],
        [],
    ],
)
def test_plain_ids_are_left_alone(names: list[str]) -> None:
    assert split_composites(names) is None


def test_lifted_versions_are_versions() -> None:
    assert id_type([f"{name}.15_6" for name in ENSEMBL]) == "ensembl"
    assert strip_version([f"{name}.15_6" for name in ENSEMBL]) == ENSEMBL


def test_transcripts_are_no_genes() -> None:
    assert id_type(["ENST00000373020.9", "ENST00000494424.1", "NM_000546.6"]) == "transcript"


def test_usual_names_of_columns() -> None:
    usual = {
        "symbol": """gene|Gene Symbol|hgnc_symbol|external_gene_name|feature_name|SYMBOL|Hugo_Symbol|GeneSymbol
        |gene.name|Associated Gene Name|mgi_symbol|ILMN_Gene|approved_symbol|gene_short_name|pr_gene_symbol""",
        "ensembl": """Ensembl|ENSEMBL|ensembl_gene_id|Gene stable ID|ensembl_gene_id_version|gene_ids|gene_id|Geneid
        |ENSG""",
        "entrez": """ENTREZID|Entrez Gene ID|entrezgene_id|NCBI Gene ID|GeneID|gene_id|pr_gene_id|Entrez_Gene_Id
        |LocusLink""",
        "affymetrix": "probe_id|Probe Set ID|PROBEID|ID_REF|AFFY",
    }
    for kind, names in usual.items():
        for name in names.split("|"):
            found = {other for other, known in ID_COLUMNS.items() if canonical(name) in known}
            assert kind in found, name


def test_numbers_of_rows() -> None:
    assert row_numbers(["1", "2", "3"])
    assert row_numbers([0, 1, 2])
    assert not row_numbers(["7157", "7158"])
    assert not row_numbers(["1"])
    assert not row_numbers(["1", "x"])


def test_dates_that_were_genes() -> None:
    assert excel_dates(["1-Mar", "TP53", "Sep-02", "2-Dec", "2023-03-01 00:00:00", "HLA-A", "MARCH1"]) == [
        "1-Mar",
        "Sep-02",
        "2-Dec",
        "2023-03-01 00:00:00",
    ]
