"""Genes that are named: found by any identifier, refused or told where they are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dgex.errors import DgexError, GeneError
from dgex.panels.lists import excluded, listed, names_of, weights_of

VAR = pd.DataFrame(
    {"ensembl": ["ENSG00000141510", "ENSG00000136997", "ENSG00000198804"]}, index=["TP53", "MYC", "MT-CO1"]
)


def test_names_come_from_lists_files_and_gene_tables(tmp_path: Path) -> None:
    plain, table = tmp_path / "plain.txt", tmp_path / "table.tsv"
    plain.write_text("TP53\nMYC\n")
    table.write_text("gene\trole\nMYC\tlandmark\nTP53\ttarget\n")
    assert names_of(["TP53"]) == ["TP53"]
    assert names_of(plain) == ["TP53", "MYC"]
    assert names_of(table) == ["MYC"]
    with pytest.raises(DgexError, match="does not exist"):
        names_of(tmp_path / "none.txt")


def test_genes_are_found_by_other_identifiers_and_missing_ones_named() -> None:
    assert listed(["ENSG00000136997", "ENSG00000141510"], VAR, "keep").tolist() == [1, 0]
    with pytest.raises(GeneError, match="1 of 2 genes to keep are not in the data: NOPE"):
        listed(["TP53", "NOPE"], VAR, "keep")


def test_patterns_and_names_and_files_exclude(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("MYC\nMT-*\n")
    assert excluded(["MT-*"], VAR).tolist() == [False, False, True]
    assert excluded(["TP53", str(path)], VAR).tolist() == [True, True, True]
    assert not excluded(["NOPE"], VAR).any()


def test_weights_come_from_a_list_with_numbers_or_from_gene_sets(tmp_path: Path) -> None:
    numbers, sets = tmp_path / "w.tsv", tmp_path / "sets.gmt"
    numbers.write_text("gene\tweight\nMYC\t3\nTP53\n")
    sets.write_text("HALLMARK\thttp://example.org\tTP53\tABSENT\n")
    assert weights_of(numbers, VAR, 10).tolist() == [10, 3, 1]
    assert weights_of(sets, VAR, 4).tolist() == [4, 1, 1]
    assert weights_of({"MYC": 0}, VAR, 4).tolist() == [1, 0, 1]
    assert weights_of(None, VAR, 4).tolist() == [1, 1, 1]


@pytest.mark.parametrize("weights", [{"MYC": -1.0}, {"MYC": float("nan")}, {"NOPE": 2.0}])
def test_weights_that_cannot_be_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(DgexError, match=r"weight of MYC|none of 1 genes"):
        weights_of(weights, VAR, np.float64(2))
