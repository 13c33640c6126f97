from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pages import HOSTILE, Tree, embedded

from dgex.errors import DataError
from dgex.report.look import Points
from dgex.report.page.gene_cards import gene_cards, packed
from dgex.report.page.page import Page


def points(genes: list[str]) -> Points:
    rng = np.random.default_rng(0)
    measured, inferred = rng.normal(size=(2, 9, len(genes))).astype(np.float32)
    by_group = pd.DataFrame(rng.random((2, len(genes))), index=[HOSTILE, "b"], columns=genes).rename_axis("study")
    names = [f"p{at}" for at in range(9)]
    return Points(genes, names, [HOSTILE] * 9, measured, inferred, "log2", by_group, {genes[0]: [("L1", 0.5)]})


def test_values_come_back_within_a_thousandth_of_their_range() -> None:
    measured, inferred = np.random.default_rng(3).normal(size=(2, 50)) * [[3], [7]]
    (low, high), *whole = packed(measured, inferred)
    for values, steps in zip((measured, inferred), whole):
        back = low + np.array(steps) / 999 * (high - low)
        assert np.abs(back - values).max() <= (high - low) / 1998 + 1e-4


def test_a_constant_gene_and_missing_values_can_be_packed() -> None:
    assert packed(np.full(2, 3.0), np.array([3.0, np.nan])) == ([3.0, 4.0], [0, 0], [0, None])
    assert packed(np.array([np.nan]), np.array([np.inf])) == ([0.0, 1.0], [None], [None])


def test_a_page_holds_cards_as_data_that_no_name_can_break() -> None:
    genes = ["TP53", HOSTILE]
    facts = pd.Series(["r .9", HOSTILE], index=genes)
    page = Page("t").add_cards({"test": points(genes), "GTEx": points(genes)}, {"test": facts, "GTEx": facts}).html()
    tree = Tree(page)
    assert "alert" not in [attributes.get("src") for attributes in tree.all("script")]
    (data,) = [part for part in embedded(page) if isinstance(part, dict) and "sets" in part]
    assert data["genes"] == genes
    assert [of["name"] for of in data["sets"]] == ["test", "GTEx"]
    assert data["sets"][0]["by"]["names"] == [HOSTILE, "b"]
    assert data["drivers"] == [[["L1", 0.5]], []]
    assert any(attributes.get("aria-live") == "polite" for attributes in tree.all("output"))


def test_sets_of_other_genes_are_refused() -> None:
    facts = pd.Series(["", ""], index=["a", "b"])
    with pytest.raises(DataError, match="'other' has others"):
        gene_cards({"one": points(["a", "b"]), "other": points(["b", "a"])}, {"one": facts, "other": facts})
    with pytest.raises(DataError, match="found none"):
        gene_cards({}, {})
