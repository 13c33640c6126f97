from __future__ import annotations

import math

import pytest
from pages import HOSTILE, Tree

from dgex.errors import DataError
from dgex.report.page.page import Cell, Page


def matrix(cells, **options) -> Tree:
    given = {"rows": range(1, len(cells) + 1), "columns": ["3,000", "6,000"][: len(cells[0])], "corner": "Layers"}
    return Tree(Page("t").add_matrix(cells, caption="c", **(given | options)).html())


def test_measured_values_stand_above_the_published_ones():
    tree = matrix(
        [
            [Cell(0.32044, 0.08786, 0.3204, 0.0879, best=True, selected=True), Cell(-0.5)],
            [Cell(published=0.4), Cell(0.5, note="40 epochs")],
        ]
    )
    assert tree.text("small") == ["paper 0.3204 ± 0.0879", "paper 0.4000", "40 epochs"]
    assert [t for t in tree.text("span") if t[0].isdigit() or t[0] in "−–"] == [
        "0.3204 ± 0.0879", "−0.5000", "–", "0.5000"
    ]  # fmt: skip
    assert [a.get("class") for a in tree.all("td")] == ["best selected", None, None, None]


def test_headers_have_scopes_and_span_their_columns():
    tree = matrix([[Cell(1), Cell(2)]], over="Hidden units")
    heads = {(a.get("scope"), a.get("colspan"), a.get("rowspan")) for a in tree.all("th")}
    assert heads == {("col", None, "2"), ("colgroup", "2", None), ("col", None, None), ("row", None, None)}
    assert tree.text("th") == ["Layers", "Hidden units", "3,000", "6,000", "1"]
    assert len(tree.all("caption")) == 1


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (Cell(1, 0.1), {"±"}),
        (Cell(1, published=1), {"paper"}),
        (Cell(1, best=True), {"lowest"}),
        (Cell(1, selected=True), {"chosen"}),
        (Cell(math.nan), {"not measured"}),
        (None, {"not measured"}),
        (Cell(1), set()),
    ],
)
def test_the_legend_explains_the_marks_that_occur(cell, words):
    html = Page("t").add_matrix([[cell]], rows=[1], columns=[2], corner="k", caption="c", selected="chosen").html()
    legend = html.split("</table>")[1].split("</section>")[0].split("<footer>")[0]
    assert {word for word in ("±", "paper", "lowest", "chosen", "not measured") if word in legend} == words
    assert ('class="legend"' in legend) == bool(words)


def test_hostile_texts_are_only_text():
    tree = matrix(
        [[Cell(1, note=HOSTILE, best=True)]],
        rows=[HOSTILE],
        columns=[HOSTILE],
        corner=HOSTILE,
        over=HOSTILE,
        best=HOSTILE,
    )
    assert tree.text("th") == [HOSTILE] * 4
    assert tree.text("small") == [HOSTILE]
    assert len(tree.all("script")) == 1


@pytest.mark.parametrize("cells", [[], [[Cell(1)], [Cell(1)]], [[Cell(1), Cell(1)]]])
def test_cells_that_do_not_fit_are_refused(cells):
    with pytest.raises(DataError, match="1 rows and 1 columns"):
        Page("t").add_matrix(cells, rows=[1], columns=[1], corner="k", caption="c")
