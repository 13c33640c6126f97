"""Identifiers are recognised and genes are aligned by name, whatever the order and the kind of identifier."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgex.errors import FileError, GeneError
from dgex.gene_table import has_header, read_gene_table
from dgex.genes import align, id_type, match_genes, normalize_ids, strip_version


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["UBE2C", "RBKS", "HLA-A", "C1orf112", "NKX2-5"], "symbol"),
        (["ENSG00000175063", "ENSG00000171174.12", "ENSMUSG00000051951.6", "ENSGR0000124334"], "ensembl"),
        (["5720", "55847", "780"], "entrez"),
        (["1007_s_at", "202954_at", "AFFX-BioB-5_at", "117_at", "217398_x_at"], "affymetrix"),
        ([], "other"),
        (["", "?!", "++"], "other"),
    ],
)
def test_kinds_of_identifier(names: list[str], kind: str) -> None:
    assert id_type(names) == kind


def test_versions_and_number_forms_do_not_matter() -> None:
    assert strip_version(["ENSG00000175063.12", "NKX2.5", "RP11-34P13.7"]) == [
        "ENSG00000175063",
        "NKX2.5",
        "RP11-34P13.7",
    ]
    assert normalize_ids([5720.0, "5720.0", " 5720 ", np.float32(5720), float("nan"), None, "-666"]) == [
        "5720",
        "5720",
        "5720",
        "5720",
        "",
        "",
        "",
    ]


@given(st.permutations(list(range(20))), st.integers(0, 20))
def test_alignment_finds_every_gene_in_any_order(order: list[int], keep: int) -> None:
    wanted = pd.DataFrame(index=[f"G{i}" for i in range(20)])
    have = pd.DataFrame(index=[f"G{i}" for i in order][:keep])
    found = align(wanted, have)
    assert found.found == keep
    assert [have.index[at] for at in found.index if at >= 0] == [n for n in wanted.index if n in have.index]
    assert found.missing == [n for n in wanted.index if n not in have.index]


def test_alignment_across_kinds_of_identifier() -> None:
    wanted = pd.DataFrame({"ensembl": ["ENSG00000000001.3", "ENSG00000000002", ""]}, index=["AAA", "BBB", "CCC"])
    by_ensembl = pd.DataFrame(index=["ENSG00000000002.9", "ENSG00000000001.1"])
    found = align(wanted, by_ensembl)
    assert found.index.tolist() == [1, 0, -1]
    assert found.missing == ["CCC"]
    assert found.matched_by == "ensembl -> names"
    cmap = pd.DataFrame({"pr_gene_symbol": ["CCC", "AAA", "ZZZ"]}, index=["1_at", "2_at", "3_at"])
    assert align(wanted, cmap).index.tolist() == [1, -1, 0]


def test_an_ambiguous_name_does_not_match() -> None:
    wanted = pd.DataFrame(index=["AAA", "BBB"])
    var = pd.DataFrame({"symbol": ["AAA", "AAA", "BBB"]}, index=["1_at", "2_at", "3_at"])
    assert align(wanted, var).index.tolist() == [-1, 2]


def test_the_probes_of_a_gene_are_looked_up() -> None:
    wanted = pd.DataFrame({"probes": ["1_at,2_at", "3_at", "4_at"]}, index=["AAA", "BBB", "CCC"])
    cmap = pd.DataFrame({"pr_gene_symbol": ["AAA", "NEW"]}, index=["2_at", "3_at"])
    found = align(wanted, cmap)
    assert found.index.tolist() == [0, 1, -1]
    assert found.missing == ["CCC"]


def test_a_gene_missed_by_the_best_identifier_is_found_by_another() -> None:
    wanted = pd.DataFrame({"ensembl": ["ENSG00000000001", "ENSG00000000002"]}, index=["AAA", "OLDNAME"])
    var = pd.DataFrame({"ensembl": ["", "ENSG00000000002"]}, index=["AAA", "NEWNAME"])
    assert align(wanted, var).index.tolist() == [0, 1]


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_table_with_a_header(tmp_path: Path) -> None:
    path = write(tmp_path / "g.tsv", "gene\trole\tprobes\nA1\tlandmark\t1_at,2_at\nB1\ttarget\t\nC1\tother\t3_at\n")
    table = read_gene_table(path)
    assert (table.landmarks, table.targets) == (["A1"], ["B1"])
    assert table.frame["probes"].tolist() == [["1_at", "2_at"], [], ["3_at"]]


def test_the_pair_of_the_paper_in_either_order(tmp_path: Path) -> None:
    landmarks = write(tmp_path / "map_lm.txt", "A1\tENSG00000000001\t1_at\n")
    targets = write(tmp_path / "map_tg.txt", "A1\tENSG00000000001\t9_at\nB1\tENSG00000000002\t2_at,3_at\n")
    for pair in ([landmarks, targets], [targets, landmarks]):
        table = read_gene_table(pair)
        assert table.landmarks == ["A1"]
        assert table.targets == ["A1|9_at", "B1"]
        assert table.frame["role"].tolist() == ["landmark", "target", "target"], "landmarks stand first"
    assert not has_header(landmarks)
    assert has_header(write(tmp_path / "t.txt", "Hugo_Symbol\tEntrez_Gene_Id\tS1\nTES\t26136\t2\n"))


def test_gene_info_of_cmap(tmp_path: Path) -> None:
    header = "pr_gene_id\tpr_gene_symbol\tpr_gene_title\tpr_is_lm\tpr_is_bing\n"
    rows = "780\tDDR1\tx\t1\t1\n7849\tPAX8\tx\t0\t1\n2978\tGUCA1A\tx\t0\t0\n"
    table = read_gene_table(write(tmp_path / "gene_info.txt", header + rows))
    assert table.frame["role"].tolist() == ["landmark", "target", "other"]
    assert table.frame["entrez"].tolist() == ["780", "7849", "2978"]
    assert table.frame.index.tolist() == ["DDR1", "PAX8", "GUCA1A"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("gene\trole\nA1\tboss\n", GeneError, "unknown role boss"),
        ("gene\trole\nA1\ttarget\n", GeneError, "no landmark genes"),
        ("gene\trole\nA1\tlandmark\nA1\tlandmark\n", GeneError, "twice"),
        ("gene\tensembl\nA1\tENSG00000000001\n", GeneError, "has no role"),
        ("1\t2\t3\n4\t5\t6\n", FileError, "no gene table"),
        ("", FileError, "no tab-separated gene table"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        read_gene_table(write(tmp_path / "g.tsv", text))
    assert "\n" not in str(caught.value)


def test_a_compressed_table_that_was_damaged(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"gene\trole\nA1\tlandmark\nB1\ttarget\n"))
    packed[10] |= 6  # a kind of block that there is none of
    (tmp_path / "g.tsv.gz").write_bytes(packed)
    with pytest.raises(FileError, match="no tab-separated gene table"):
        read_gene_table(tmp_path / "g.tsv.gz")


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        read_gene_table(tmp_path / "none.tsv")


@pytest.mark.real
def test_the_genes_of_the_paper(real_data: Path) -> None:
    table = read_gene_table([real_data / "map_lm.txt", real_data / "map_tg.txt"])
    assert (len(table.landmarks), len(table.targets)) == (943, 9520)
    landmarks, targets = (table.frame[table.frame["role"] == role]["ensembl"] for role in ("landmark", "target"))
    assert targets.isin(set(landmarks)).sum() == 445


def numbered(n: int = 3000) -> tuple[pd.DataFrame, list[str]]:
    """A model's genes whose Entrez ids are small numbers, and the symbols of a table that holds some of them."""
    wanted = pd.DataFrame({"entrez": [str(10 * i + 3) for i in range(20)]}, index=[f"AA{i}" for i in range(20)])
    symbols = [f"ZZ{i}" for i in range(n)]
    for i in range(18):
        symbols[n - 100 + i] = f"AA{i}"
    return wanted, symbols


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_numbers_of_rows_are_no_entrez_ids(start: int, step: int) -> None:
    wanted, symbols = numbered()
    rows = pd.Index([str(i + start) for i in range(len(symbols))])[::step]
    found = align(wanted, pd.DataFrame(index=rows))
    assert found.found == 0
    var = pd.DataFrame({"gene_symbol": symbols}, index=[str(i + start) for i in range(len(symbols))])
    found = align(wanted, var)
    assert found.missing == ["AA18", "AA19"]
    assert [symbols[at] for at in found.index[:18]] == wanted.index[:18].tolist()


def test_numbers_of_probes_are_no_entrez_ids() -> None:
    wanted, symbols = numbered()
    var = pd.DataFrame({"gene_symbol": symbols, "probe_id": range(1, 3001)}, index=[f"A_23_P{i}" for i in range(3000)])
    assert align(wanted, var).missing == ["AA18", "AA19"]


def test_entrez_ids_match_where_they_are_known_as_such() -> None:
    wanted, _ = numbered()
    ids = [*wanted["entrez"], *(str(7_000_000 + i) for i in range(50))]
    other = [f"P{i}" for i in range(70)]
    for var in (
        pd.DataFrame({"entrez_id": ids}, index=other),
        pd.DataFrame(index=pd.Index(ids, name="entrez")),
        pd.DataFrame(index=ids),  # numbers without a name, most of which are wanted
        pd.DataFrame(index=ids[::-1]),
    ):
        assert align(wanted, var).found == 20
    few = pd.DataFrame(index=[*ids[:3], *(str(7_000_000 + 11 * i) for i in range(50))])
    assert align(wanted, few).found == 0, "three of fifty numbers are chance"


def test_a_pair_that_matches_little_or_disagrees_is_no_evidence() -> None:
    names = [f"AA{i}" for i in range(40)]
    wanted = pd.DataFrame({"ensembl": [f"ENSG{i:011d}" for i in range(40)]}, index=names)
    have = [*names[:38], "NEW1", "NEW2"]
    agreeing = [f"ENSG{i:011d}" for i in range(40)]
    found = match_genes(wanted, pd.DataFrame({"ensembl": agreeing}, index=have))
    assert found.by == {"ensembl -> ensembl": 40}
    partly = ["" if i < 20 else name for i, name in enumerate(agreeing)]
    found = match_genes(wanted, pd.DataFrame({"ensembl": partly}, index=have))
    assert found.by == {"names -> names": 38, "ensembl -> ensembl": 2}
    assert found.how == "38 by symbol, 2 by Ensembl id in column ensembl"
    shifted = [*partly[20:], *partly[:20]]
    assert match_genes(wanted, pd.DataFrame({"ensembl": shifted}, index=have)).by == {"names -> names": 38}
    alone = [*[""] * 38, *agreeing[38:]]
    assert match_genes(wanted, pd.DataFrame({"ensembl": alone}, index=have)).by == {"names -> names": 38}


def test_copies_on_y_are_left_out() -> None:
    wanted = pd.DataFrame({"ensembl": ["ENSG00000000001", "ENSG00000000002"]}, index=["AA", "BB"])
    ids = ["ENSG00000000001.4_PAR_Y", "ENSG00000000001.4", "ENSG00000000002.1", "ENSGR0000000002.1"]
    found = match_genes(wanted, pd.DataFrame({"gene_name": ["AA", "AA", "BB", "BB"]}, index=ids))
    assert [part.tolist() for part in found.columns] == [[1], [2]]
    assert found.copies == 2


@pytest.mark.parametrize("mark", ["\t", ",", ";"])
def test_gene_tables_by_any_delimiter(tmp_path: Path, mark: str) -> None:
    lines = ["Gene Symbol", "Role", "ensembl_gene_id"], ["TP53", "landmark", "ENSG00000141510"], ["MYC", "target", ""]
    (tmp_path / "genes.csv").write_text("".join(mark.join(line) + "\n" for line in lines))
    frame = read_gene_table(tmp_path / "genes.csv").frame
    assert frame["role"].to_dict() == {"TP53": "landmark", "MYC": "target"}
    assert frame["ensembl"].tolist() == ["ENSG00000141510", ""]


def test_the_gene_table_of_clue(tmp_path: Path) -> None:
    header = "gene_id\tgene_symbol\tensembl_id\tgene_title\tgene_type\tsrc\tfeature_space\n"
    rows = [("12", "SERPINA3", "landmark"), ("16", "AARS", "best inferred"), ("24", "ABCA4", "inferred")]
    rows.append(("25", "ABL1", "reported"))
    (tmp_path / "geneinfo_beta.txt").write_text(
        header
        + "".join(f"{n}\t{s}\tENSG{int(n):011d}\ta title\tprotein-coding\tNCBI\t{space}\n" for n, s, space in rows)
    )
    frame = read_gene_table(tmp_path / "geneinfo_beta.txt").frame
    assert frame["role"].to_dict() == {"SERPINA3": "landmark", "AARS": "target", "ABCA4": "other", "ABL1": "other"}
    assert frame["entrez"].tolist() == ["12", "16", "24", "25"]


@pytest.mark.parametrize(
    "rows", ["TP53\tlandmark\tENSG1\nTP53\tlandmark\tENSG1\n", "TP53\tlandmark\tENSG1\nTP53\ttarget\tENSG1\n"]
)
def test_a_gene_listed_twice_is_an_error(tmp_path: Path, rows: str) -> None:
    (tmp_path / "genes.tsv").write_text("gene\trole\tensembl\n" + rows)
    with pytest.raises(GeneError, match="lists 1 genes twice: TP53; one line a gene is accepted"):
        read_gene_table(tmp_path / "genes.tsv")


def test_a_copy_on_y_is_had_only_by_who_asks_for_it() -> None:
    """The paper's table names CRLF2 by its copy alone, and IL9R by both; other tables mean the gene on X."""
    at_hand = pd.DataFrame(
        index=["ENSG00000205755.9", "ENSGR0000205755.9", "ENSG00000124334.2", "ENSG00000124334.2_PAR_Y"]
    )
    as_usual = match_genes(pd.DataFrame(index=["ENSG00000205755", "ENSG00000124334"]), at_hand)
    assert [columns.tolist() for columns in as_usual.columns] == [[0], [2]]
    assert as_usual.copies == 2
    by_copy = match_genes(pd.DataFrame(index=["ENSG00000205755", "ENSGR0000205755"]), at_hand)
    assert [columns.tolist() for columns in by_copy.columns] == [[0], [1]]
