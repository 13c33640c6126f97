from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from dgex.errors import DataError, OutputExistsError
from dgex.report.page import Page

HOSTILE = "<script>alert('&\"')</script>"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
    '<defs><clipPath id="c"><path d="M0 0"/></clipPath></defs>'
    '<g id="axes" clip-path="url(#c)"><use xlink:href="#axes"/></g></svg>'
)
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Tree(HTMLParser):
    """Collects elements, attributes and text, and insists that every element that opens is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


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
    assert len(tree.all("script")) == 2  # the finder's data and the page's own script
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
    html = page.html()
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', html, flags=re.DOTALL)
    found = json.loads(data, parse_constant=lambda name: pytest.fail(name))
    assert found["names"] == [HOSTILE, "TP53"]
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


def test_an_empty_page_is_a_page():
    assert Tree(Page("Only a title").html()).text("h1") == ["Only a title"]
