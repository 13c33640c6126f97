"""Genes under older names are found by a table of aliases, and by nothing doubtful; why names miss is told."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import dgex
from dgex import progress
from dgex.errors import FileError, GeneError
from dgex.fitting.train import train
from dgex.genes import Match, match_genes
from dgex.renamed import causes, looked_up, read_aliases
from dgex.summary import info

HGNC = """hgnc_id\tsymbol\tname\tprev_symbol\talias_symbol\tentrez_id\tensembl_gene_id
HGNC:1\tNEWA\ta gene\tOLDA\t"ANCA|OTHA"\t1000001\tENSG00000000001
HGNC:2\tNEWB\ta gene\tOLDB|SHARED\t\t1000002\tENSG00000000002
HGNC:3\tNEWC\ta gene\t\tSHARED|OLDC\t1000003\tENSG00000000003
HGNC:4\tOLDD\ta gene\t\t\t1000004\tENSG00000000004
HGNC:5\tNEWD\ta gene\tOLDD\t\t1000005\tENSG00000000005
"""


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was said on stderr since the last call."""
    progress.enable()
    yield lambda: " ".join(capsys.readouterr().err.split())
    progress.enable(False)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "hgnc_complete_set.txt"
    path.write_text(HGNC)
    return path


def found(wanted: list[str] | pd.DataFrame, var: list[str] | pd.DataFrame, table: Any) -> tuple[list[str], Match]:
    """Which row each gene has."""
    wanted, var = (pd.DataFrame(index=x) if isinstance(x, list) else x for x in (wanted, var))
    (match,) = looked_up([wanted], [match_genes(wanted, var)], var, read_aliases(table), "it")
    return ["+".join(var.index[part]) for part in match.columns], match


def test_old_and_new_symbols_match_either_way(table: Path) -> None:
    names = ["X1", "X2", "X3"]
    for wanted, there in (("NEWA", "OLDA"), ("OLDA", "NEWA"), ("ANCA", "OTHA"), ("NEWB", "OLDB")):
        rows, match = found([wanted, *names], [*names, there], table)
        assert rows == [there, *names]
        assert match.by["aliases"] == 1
        assert "1 by aliases" in match.how


def test_what_is_ambiguous_is_left_out_and_counted(table: Path, told: Callable[[], str]) -> None:
    assert found(["X", "NEWB", "NEWC"], ["X", "SHARED", "OLDC"], table)[0] == ["X", "", "OLDC"]  # alias of two genes
    assert found(["X", "NEWD"], ["X", "OLDD"], table)[0] == ["X", ""]  # an old symbol that is a current one
    assert found(["X", "NEWA", "ANCA"], ["X", "OLDA"], table)[0] == ["X", "", ""]  # one gene, wanted twice
    said = told()
    assert "1 genes are found under older names by hgnc_complete_set.txt (OLDC -> NEWC); 1 names that stand for" in said


def test_what_matched_otherwise_is_left_alone(table: Path) -> None:
    rows, match = found(["OLDA", "NEWA", "NEWB"], ["OLDA", "NEWA", "OLDB", "SHARED"], table)
    assert rows == ["OLDA", "NEWA", "OLDB"]
    assert match.by["aliases"] == 1
    assert found(["NEWA"], ["OLDA"], None)[0] == [""]


def test_ids_tell_what_a_symbol_leaves_open(table: Path) -> None:
    wanted = pd.DataFrame({"ensembl": ["ENSG00000000005.3", ""]}, index=["OLDD", "X"])
    assert found(wanted, ["NEWD", "X"], table)[0] == ["NEWD", "X"]
    ensembl = pd.DataFrame(index=["ENSG00000000001.7", "ENSG00000000002"])
    assert found(["NEWA", "OLDB"], ensembl, table)[0] == list(ensembl.index)
    entrez = pd.DataFrame({"entrez_id": ["1000003", "1000001"]}, index=["p1", "p2"])
    assert found(["NEWA", "OLDC"], entrez, table)[0] == ["p2", "p1"]
    assert found(["NEWA"], ["1000001", "1000002", "x", "y", "z"], table)[0] == [""]  # of a kind that nobody told


def test_order_changes_nothing(table: Path) -> None:
    names = ["OLDA", "SHARED", "OLDC", "OLDD", "X"]
    wanted = ["NEWA", "NEWB", "NEWC", "NEWD", "X"]
    expected = dict(zip(wanted, found(wanted, names, table)[0]))
    lines = HGNC.splitlines()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(5)
        table.write_text("\n".join([lines[0], *(lines[1:][at] for at in order)]) + "\n")
        again = [wanted[at] for at in order]
        assert dict(zip(again, found(again, [names[at] for at in order[::-1]], table)[0])) == expected


@pytest.mark.parametrize(
    "text",
    [
        "old\tnew\nOLDA\tNEWA\nNEWA\tNEWA\n",
        "OLDA,NEWA\n",
        "Approved symbol\tPrevious symbols\tAlias symbols\nNEWA\tOLDA, OLDER\tX9\n",
        "#tax_id\tGeneID\tSymbol\tLocusTag\tSynonyms\n9606\t1\tNEWA\t-\tOLDA|OLDER\n9606\t2\tY\t-\t-\n",
    ],
)
def test_tables_of_other_shapes(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.txt.gz").write_bytes(gzip.compress(text.encode()))
    assert found(["NEWA", "X"], ["OLDA", "X"], tmp_path / "names.txt.gz")[0] == ["OLDA", "X"]


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        read_aliases(tmp_path / "none.txt")
    (tmp_path / "x.txt").write_text("a\tb\tc\n1\t2\t3\n")
    with pytest.raises(FileError, match=r"no table of aliases: found columns a, b, c; accepted: HGNC's complete set"):
        read_aliases(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("wanted", "there", "words"),
    [
        (["TP53", "ACTB", "GAPDH"], ["Actb", "Gapdh", "Trp53"], "the input's symbols are written as those of mouse"),
        (["Actb", "Gapdh", "Myc"], ["ACTB", "GAPDH", "X1"], "the genes looked for are written as those of mouse"),
        (["C1ORF112", "CXORF56"], ["C1orf112", "CXorf56", "X1"], r"in other case \(C1orf112 for C1ORF112\)"),
        (["MARCHF1", "SEPTIN2"], ["1-Mar", "2-Sep", "TP53", "MYC", "EGFR"], "2 names are dates such as 1-Mar"),
        (["MARCHF1", "SEPTIN2"], ["44256", "TP53", "MYC", "EGFR"], "1 names are dates such as 44256"),
        (["SEPTIN2", "MYC"], ["SEPT2", "X1"], r"aliases=TABLE looks up renamed symbols"),
    ],
)
def test_why_genes_may_be_missing(wanted: list[str], there: list[str], words: str) -> None:
    lacking, var = pd.DataFrame(index=wanted), pd.DataFrame(index=there)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(causes(lacking, var))
    assert "aliases=TABLE" not in causes(lacking, var, read_aliases({"A": "B"}))


def test_nothing_is_guessed_of_other_kinds_of_ids() -> None:
    assert causes(pd.DataFrame(index=["TP53"]), pd.DataFrame(index=["ENSG00000000001", "ENSG00000000002"])) == ""


def test_infer_and_prepare_by_aliases(dataset: AnnData, compendium: AnnData, tmp_path: Path) -> None:
    model = train(dataset, "ridge", alpha=10.0)
    panel = compendium[:25, model.landmarks_].copy()
    expected = dgex.infer(panel, model)
    old = {"OLDNAME1": model.landmarks_[3], "OLDNAME2": model.landmarks_[7]}
    renamed = {new: name for name, new in old.items()}
    panel.var_names = [renamed.get(name, name) for name in panel.var_names]
    panel = panel[:, ::-1].copy()
    for column in ("symbol", "ensembl", "entrez"):
        assert column not in panel.var
    with pytest.raises(GeneError, match=r"2 of 20 landmark genes are missing .*aliases=TABLE"):
        dgex.infer(panel, model)
    np.testing.assert_array_equal(np.asarray(dgex.infer(panel, model, aliases=old).X), np.asarray(expected.X))
    whole = compendium.copy()
    whole.var_names = [renamed.get(name, name) for name in whole.var_names]
    table = pd.DataFrame({"gene": compendium.var_names, "role": compendium.var["role"].to_numpy()})
    table.to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    whole.var = pd.DataFrame(index=whole.var_names)
    made = dgex.prepare(whole, genes=tmp_path / "genes.tsv", aliases=old, seed=0)
    np.testing.assert_array_equal(np.asarray(made.X), np.asarray(dataset[:, made.var_names].X))
    assert made.uns["dgex"]["genes"]["aliases"] == "aliases"
    whole.write_h5ad(tmp_path / "whole.h5ad")
    about = info(tmp_path / "whole.h5ad", genes=[tmp_path / "genes.tsv"], aliases=old)
    assert about["landmarks in the gene table"].startswith("20 of 20 (18 by symbol, 2 by aliases")


def test_a_list_of_landmark_genes_by_aliases(compendium: AnnData, tmp_path: Path) -> None:
    names = list(compendium.var_names)
    raw = AnnData(np.asarray(compendium.X), obs=compendium.obs, var=pd.DataFrame(index=names))
    made = dgex.prepare(raw, landmarks=["OLDNAME", *names[1:5]], aliases={"OLDNAME": names[0]})
    assert set(made.var_names[made.var["role"] == "landmark"]) == set(names[:5])


def test_a_file_is_opened_once_for_info(compendium: AnnData, tmp_path: Path, told: Callable[[], str]) -> None:
    table = pd.DataFrame({"gene": compendium.var_names, "role": compendium.var["role"].to_numpy()})
    table.to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    dgex.write(compendium, tmp_path / "c.tsv")
    told()
    about = info(tmp_path / "c.tsv", genes=[tmp_path / "genes.tsv"])
    assert about["landmarks in the gene table"].startswith("20 of 20")
    assert told().count("columns profiles") == 1
