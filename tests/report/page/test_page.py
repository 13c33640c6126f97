from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from pages import HOSTILE, Tree, embedded

from dgex.errors import DataError, OutputExistsError
from dgex.report.page.page import Page

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
    '<defs><clipPath id="c"><path d="M0 0"/></clipPath></defs>'
    '<g id="axes" clip-path="url(#c)"><use xlink:href="#axes"/></g></svg>'
)


@pytest.fixture
def page() -> Page:
    frame = pd.DataFrame({"Model": [HOSTILE, "D-GEX"], "error": [0.4321, np.nan], "n": [1234, 5]})
    genes = pd.DataFrame({HOSTILE: [0.12345, np.nan], "B": [1.0, -2.0]}, index=pd.Index([HOSTILE, "TP53"], name="gene"))
    return (
        Page(HOSTILE, HOSTILE)
        .add_heading(HOSTILE)
        .add_text(f"{HOSTILE}\n\nsecond")
        .add_text(HOSTILE, code=True)
        .add_numbers([(HOSTILE, HOSTILE, HOSTILE)])
        .add_table(frame, HOSTILE, labels={"error": HOSTILE}, formats={"error": ".2f"}, best={"n": "max"})
        .add_heading("Figures")
        .add_figure(SVG, HOSTILE)
        .add_figure(SVG, "again")
        .add_heading("Part", level=3)
        .add_finder({HOSTILE: genes, "Other": genes}, HOSTILE, best={"Other": "min"})
    )


def test_a_hostile_name_is_only_text(page):
    html = page.html()
    tree = Tree(html)
    assert "<script>alert" not in html
    assert len(tree.all("script")) == 3  # the finder's values, its genes and the page's own script
    assert tree.text("h1") == [HOSTILE]
    assert HOSTILE in tree.text("th")
    assert tree.text("title") == [HOSTILE]


def test_nothing_is_loaded_from_outside(page):
    html = page.html()
    for tag, attributes in Tree(html).elements:
        for name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    assert "@import" not in html
    assert not re.search(r"url\(\s*['\"]?(?!#)", html)
    assert "default-src 'none'" in html


def test_ids_are_unique_and_references_meet_them(page):
    tree = Tree(page.html())
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in tree.elements:
        for name in ("href", "xlink:href", "aria-labelledby"):
            value = attributes.get(name) or ""
            if value.startswith("#") or name == "aria-labelledby":
                assert not value or value.lstrip("#") in ids
        clip = re.search(r"url\(#(.+)\)", attributes.get("clip-path") or "")
        assert clip is None or clip.group(1) in ids


def test_landmarks_headings_and_names_for_screen_readers(page):
    tree = Tree(page.html())
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert len(tree.all(tag)) == 1
    assert tree.all("html")[0]["lang"] == "en"
    figures = [a for a in tree.all("svg") if a.get("role") == "img"]
    assert [a["aria-label"] for a in figures] == [HOSTILE, "again"]
    assert all(a.get("scope") in ("col", "row") for a in tree.all("th"))
    assert len(tree.all("section")) == 2


def test_a_table_shows_rounded_and_sorts_by_exact_values(page):
    tree = Tree(page.html())
    cells = tree.all("td")
    assert [a.get("data-v") for a in cells if "data-v" in a] == ["0.4321", "1234.0", "", "5.0"]
    assert tree.text("td") == ["0.43", "1,234", "–", "5"]
    assert "best" in (cells[1]["class"] or "")


def test_the_finder_carries_the_values_as_strict_json(page):
    found, names = embedded(page.html())
    assert names == [HOSTILE, "TP53"]
    assert [m["name"] for m in found["measures"]] == [HOSTILE, "Other"]
    assert found["measures"][1] == {
        "name": "Other", "best": "min", "columns": [HOSTILE, "B"], "values": [[0.123, None], [1.0, -2.0]]
    }  # fmt: skip


def test_a_page_of_eight_thousand_genes_stays_small():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((8000, 7)), index=[f"ENSG{i:011d}" for i in range(8000)])
    measures = dict.fromkeys(("error", "Pearson", "Spearman"), frame)
    assert len(Page("t").add_finder(measures, "c").html().encode()) < 2e6
    small = Page("t").add_finder(measures, "c", max_values=120_000).html()
    assert "Left out of this page for its size: Spearman." in small
    assert small.count("<option>") == 2


def test_measures_of_other_genes_are_refused():
    frame = pd.DataFrame({"LR": [1.0, 2.0]}, index=["A", "B"])
    with pytest.raises(DataError, match="'second' has others"):
        Page("t").add_finder({"first": frame, "second": frame[::-1]}, "c")
    with pytest.raises(DataError, match="at least one measure"):
        Page("t").add_finder({}, "c")


def test_figures_next_to_each_other_share_a_grid(page):
    html = page.html()
    assert html.count('class="figures"') == 1
    assert html.index('class="figures"') < html.index("<figure>")


def test_save_is_whole_and_asks_before_replacing(page, tmp_path):
    path = page.save(tmp_path / "deep" / "report.html")
    assert path.read_text("utf-8") == page.html()
    with pytest.raises(OutputExistsError):
        page.save(path)
    page.save(path, overwrite=True)
    with pytest.raises(DataError, match="no well-formed SVG"):
        page.add_figure("<svg", "broken")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_headings_are_linked_by_their_words():
    page = Page("t")
    for text in ("Table 1: overall error ± SD", "Content", "Über R²", "Methods", "Methods", "…", "caption_1"):
        page.add_heading(text)
    page.add_heading("Methods", level=3)
    tree = Tree(page.html())
    assert [a["id"] for a in tree.all("h2")] == [
        "table-1-overall-error-sd", "content-2", "über-r2", "methods", "methods-2", "section", "caption-1"
    ]  # fmt: skip
    assert [a["id"] for a in tree.all("h3")] == ["methods-3"]
    assert [a["href"] for a in tree.all("a")][1:] == [f"#{a['id']}" for a in tree.all("h2")]


@pytest.mark.parametrize(("sections", "folded"), [(1, None), (2, False), (6, False), (7, True), (12, True)])
def test_many_sections_fold(sections, folded):
    page = Page("t")
    for at in range(sections):
        page.add_heading(f"Part {at}").add_text("x")
    tree = Tree(page.html())
    assert len(tree.all("nav")) == (folded is not None)
    assert len(tree.all("details")) == bool(folded)
    assert len(tree.all("li")) == (sections if folded is not None else 0)


def test_every_table_has_its_caption_and_a_box_named_by_it(page):
    tree = Tree(page.html())
    assert len(tree.all("caption")) == len(tree.all("table")) == 2
    boxes = [a for a in tree.all("div") if a.get("role") == "region"]
    spans = [a["id"] for a in tree.all("span") if "id" in a]
    assert [a["aria-labelledby"] for a in boxes] == spans
    assert all(a["tabindex"] == "0" for a in boxes)


def test_selected_rows_say_so_and_still_sort_by_their_words():
    frame = pd.DataFrame({"Method": ["LR", '"D-GEX"'], "error": [0.4, 0.3]})
    tree = Tree(Page("t").add_table(frame, "c", best={"error": "min"}, selected=[1]).html())
    assert [a.get("class") for a in tree.all("tr")] == [None, None, "selected"]
    assert [a["data-s"] for a in tree.all("th") if "data-s" in a] == ['"D-GEX"']
    assert [t for t in tree.text("span") if t != "c"] == ["◆", " (selected)", " (best)"]
    plain = Page("t").add_table(frame, "c").html()
    assert "(selected)" not in plain.split("<body>")[1].split("<script>")[0]
    with pytest.raises(DataError, match="row 2 cannot be marked"):
        Page("t").add_table(frame, "c", selected=[2])


def test_an_empty_page_is_a_page():
    assert Tree(Page("Only a title").html()).text("h1") == ["Only a title"]


def test_a_finder_holds_words_as_well_as_numbers():
    frame = pd.DataFrame({"1": ["HLA-A +0.2", None], "error": [0.25, np.nan]}, index=["TP53", "MYC"])
    html = Page("t").add_finder({"m": frame}, "c").html()
    (text,) = re.findall(r'<div class="finder"><script type="application/json">(.*?)</script>', html)
    assert json.loads(text)["measures"][0]["values"] == [["HLA-A +0.2", "–"], [0.25, None]]


def test_headings_of_every_level_and_room_for_long_texts() -> None:
    page = Page("t").add_heading("A").add_heading("B", 3).add_heading("C", 4)
    frame = pd.DataFrame({"name": ["x"], "short": ["yes"], "words": ["several words that need room"], "number": [1.0]})
    html = page.add_table(frame, "c").html()
    assert [f"<h{level} id=" in html for level in (2, 3, 4)] == [True, True, True]
    assert html.count('<td class="long">') == 1  # the words alone: neither the short text nor the number
