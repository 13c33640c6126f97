from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from pages import HOSTILE, Tree, embedded

from dgex.errors import DataError
from dgex.report.page.page import Page

TEXTS = {"xlabel": "Error by D-GEX", "ylabel": "Error by LR", "title": "D-GEX is better", "caption": "Every gene."}


def test_the_values_lie_on_the_dots_of_the_figure():
    """The corners of the axes as the script takes them are those of the diagonal that matplotlib drew."""
    html = Page("t").add_scatter([0.1, 0.5], [0.2, 0.9], ["A", "B"], **TEXTS).html()
    data, names = embedded(html)
    assert names == ["A", "B"]
    assert data["values"] == [[0.1, 0.5], [0.2, 0.9]]
    assert data["labels"] == ["Error by D-GEX", "Error by LR"]
    assert data["limits"][:2] == data["limits"][2:]
    left, right, bottom, top = data["box"]
    assert right - left == pytest.approx(bottom - top, abs=0.01)
    lines = re.findall(r'd="M ([\d.]+) ([\d.]+) \s*L ([\d.]+) ([\d.]+)', html)
    corners = [[float(v) for v in line] for line in lines]
    assert any(line == pytest.approx([left, bottom, right, top], abs=0.01) for line in corners)


def test_genes_without_a_finite_pair_are_found_but_have_no_dot():
    data, names = embedded(Page("t").add_scatter([0.1, np.nan, np.inf], [0.2, 0.3, 1], list("ABC"), **TEXTS).html())
    assert data["values"] == [[0.1, None, None], [0.2, 0.3, 1.0]]
    assert names == list("ABC")


def test_names_of_the_same_genes_stand_in_the_page_once():
    genes = [f"GENE{i}" for i in range(50)]
    values = np.linspace(0.1, 1, 50)
    frame = pd.DataFrame({"LR": values}, index=pd.Index(genes, name="gene"))
    page = Page("t").add_scatter(values, values, genes, **TEXTS).add_scatter(values, values**2, genes, **TEXTS)
    page.add_finder({"error": frame}, "c").add_scatter(values[:9], values[:9], genes[:9], **TEXTS)
    *users, first, second = embedded(page.html())
    assert (first, second) == (genes, genes[:9])
    assert [user["names"] for user in users] == ["names_1", "names_1", "names_1", "names_2"]
    assert page.html().count("GENE49") == 1


def test_hostile_names_and_texts_are_only_text():
    names = [HOSTILE, "</script>", "$x^2$", "\u2028β-catenin", '"']
    page = Page("t").add_scatter(np.arange(5), np.arange(5), names, **dict.fromkeys(TEXTS, HOSTILE), above="$a_b$")
    tree = Tree(page.html())
    assert embedded(page.html())[1] == names
    assert len(tree.all("script")) == 3
    assert tree.text("figcaption") == [HOSTILE]
    assert "$a_b$" in tree.text("text")


def test_the_same_values_give_the_same_page():
    pages = [Page("t").add_scatter([0.1, 0.2], [0.3, 0.1], ["A", "B"], **TEXTS).html() for _ in range(2)]
    assert pages[0] == pages[1]


def test_a_scatter_is_named_and_operable_without_a_pointer():
    tree = Tree(Page("t").add_scatter([0.1], [0.2], ["A"], **TEXTS).html())
    (drawing,) = [a for a in tree.all("svg") if a.get("role") == "img"]
    assert drawing["aria-label"] == TEXTS["caption"]
    assert "Find a gene" in tree.text("label")
    assert [a["aria-live"] for a in tree.all("output")] == ["polite"]


@pytest.mark.parametrize(
    ("x", "y", "names", "words"),
    [([1], [1, 2], ["A"], "found 1, 2 and 1"), ([np.nan], [1], ["A"], "no gene has a finite"), ([], [], [], "no gene")],
)
def test_values_that_cannot_be_drawn_are_refused(x, y, names, words):
    with pytest.raises(DataError, match=words):
        Page("t").add_scatter(x, y, names, **TEXTS)
