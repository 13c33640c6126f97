"""Matching ids and collapsing probes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex.errors import SettingsError
from dgex.genes import match_genes
from dgex.prepare.collapse import Collapse

TABLE = pd.DataFrame(
    {
        "symbol": ["AA", "BB", "CC"],
        "ensembl": ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003"],
        "probes": [["1_at", "2_s_at"], ["3_at"], ["4_at", "5_at"]],
        "role": ["landmark", "target", "target"],
    },
    index=["AA", "BB", "CC"],
)


def columns(index: list[str], **more: list[object]) -> list[list[int]]:
    return [part.tolist() for part in match_genes(TABLE, pd.DataFrame(more, index=index)).columns]


def test_probes_symbols_and_ensembl() -> None:
    assert columns(["5_at", "1_at", "x_at", "2_s_at"]) == [[1, 3], [], [0]]
    assert columns(["CC", "ZZ", "AA"]) == [[2], [], [0]]
    assert columns(["ENSG00000000002.7", "ENSG00000000001.1"]) == [[1], [0], []]
    assert match_genes(TABLE, pd.DataFrame(index=["1_at", "3_at"])).matched_by == "probes -> names"


def test_several_rows_of_one_symbol_and_probes_of_several_genes() -> None:
    var = pd.DataFrame({"gene_symbol": ["AA", "AA", "AA /// BB", "BB", "CC///CC"]}, index=list("vwxyz"))
    found = match_genes(TABLE.drop(columns="probes"), var)
    assert [part.tolist() for part in found.columns] == [[0, 1], [3], [4]]
    assert found.ambiguous == 1


def test_other_ids_fill_what_the_best_leaves_out() -> None:
    assert columns(["AA", "BB", "old"], ensembl=["", "", "ENSG00000000003"]) == [[0], [1], [2]]


def test_zero_is_no_entrez_id() -> None:
    table = pd.DataFrame({"entrez": ["0", "12"]}, index=["A", "B"])
    var = pd.DataFrame({"entrez_gene_id": [0, 12]}, index=["x", "y"])
    assert [part.tolist() for part in match_genes(table, var).columns] == [[], [1]]


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
    rule=st.sampled_from(["mean", "median", "max-mean"]),
)
def test_rules_agree_with_pandas(sizes: list[int], seed: int, rule: str) -> None:
    generator = np.random.default_rng(seed)
    gene = generator.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X = generator.normal(8, 2, (6, len(gene) + 3)).astype(np.float32)
    places = generator.choice(len(gene) + 3, len(gene), replace=False)
    parts = [np.sort(places[gene == number]) for number in range(len(sizes))]
    means = X.mean(axis=0, dtype=np.float64)
    collapse = Collapse(parts, rule)
    if rule == "max-mean":
        expected = np.stack([X[:, part[np.argmax(means[part])]] for part in parts], axis=1)
        collapse = collapse.choose(means)
    else:
        grouped = pd.DataFrame(X[:, places].T.astype(np.float64)).groupby(gene)
        expected = grouped.mean().T.to_numpy() if rule == "mean" else grouped.median().T.to_numpy()
    np.testing.assert_allclose(collapse(X[:, collapse.needed]), expected, rtol=1e-6)


def test_errors() -> None:
    with pytest.raises(SettingsError, match="accepted: mean, median, max-mean"):
        Collapse([np.array([0])], "first")
    with pytest.raises(SettingsError, match="choose"):
        Collapse([np.array([0, 1])], "max-mean")(np.zeros((2, 2), np.float32))
