"""A page in a real browser: Chromium by DGEX_CHROMIUM or on PATH; skipped where there is none."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from browser import NEEDS_CHROMIUM, browse
from pages import HOSTILE

from dgex.report.figures.evaluation import density, to_svg
from dgex.report.look import Points
from dgex.report.page.page import Cell, Page

pytestmark = NEEDS_CHROMIUM

GENES = ["TP53BP1", "TP53", HOSTILE, "$x^2$", "MYC"]
X, Y = [0.1, 0.3, 0.5, 0.7, np.nan], [0.2, 0.5, 0.4, 0.9, 0.1]


@pytest.fixture(scope="module")
def page() -> str:
    frame = pd.DataFrame({"Method": ["LR", "LR-L1", "none"], "error": [0.36, 0.05, np.nan]})
    genes = pd.DataFrame({"LR": [0.5, 0.1, 0.3, 0.4, 0.2], "D-GEX": [0.4, 0.2, 0.2, 0.4, np.nan]}, index=GENES)
    wide = pd.DataFrame({f"a long name of column {at}": [1.0] for at in range(12)})
    page = Page(HOSTILE, "x" * 200).add_heading("Tables")
    page.add_table(frame, "Sorted by a click.", selected=[0]).add_table(wide, "A wide one " * 30)
    page.add_matrix([[Cell(0.3, 0.1, 0.3, 0.1, True, True)] * 6], rows=[1], columns=range(6), corner="k", caption="c")
    page.add_heading("Figures").add_figure(to_svg(density({"LR": np.array(Y)})), "Density.")
    texts = {"xlabel": "By D-GEX", "ylabel": "By LR", "title": "A long title that is wrapped " * 3, "caption": HOSTILE}
    page.add_scatter(X, Y, GENES, **texts).add_scatter(Y, X, GENES, **texts)
    page.add_heading("Find a gene").add_finder({"error": genes, "r": -genes}, "All genes.", best={"error": "min"})
    for at in range(9):
        page.add_heading(f"Part {at} of the study").add_text("word " * 300).add_text("code " * 60, code=True)
    return page.html()


def test_what_the_other_tests_look_for_would_be_seen(page, tmp_path):
    broken = page.replace("<main", '<img src="https://example.invalid/a.png" alt=""><main')
    broken = broken.replace("const none =", "console.error('broken'); const none =")
    results, console = browse(broken, tmp_path, "throw new Error('told')")
    assert "told" in results["failed"]
    assert any("broken" in line for line in console)
    assert any("example.invalid" in line for line in console)


def test_tables_sort_and_the_finder_finds(page, tmp_path):
    results, console = browse(
        page,
        tmp_path,
        """
        const heads = all("table.sortable")[0].querySelectorAll("thead button");
        const column = () => all("table.sortable")[0].tBodies[0].querySelectorAll("th");
        const order = () => [...column()].map(e => e.firstChild.textContent);
        results.sort = [];
        for (const at of [1, 1, 0, 0]) { heads[at].click(); results.sort.push(order()); }
        results.aria = all("table.sortable")[0].querySelectorAll("thead th")[0].getAttribute("aria-sort");
        const finder = one(".finder"), genes = () => words(".finder tbody th");
        results.all = genes();
        type(one("input", finder), "tp53"); results.found = genes(); results.said = one("output", finder).textContent;
        results.values = words(".finder tbody tr:first-child td");
        type(one("input", finder), ""); one(".finder thead th:nth-child(2) button").click(); results.sorted = genes();
        one(".finder thead th:nth-child(3) button").click(); one(".finder thead th:nth-child(3) button").click();
        results.down = genes();
        one("select", finder).selectedIndex = 1; one("select", finder).dispatchEvent(new Event("change"));
        type(one("input", finder), "myc"); results.other = words(".finder tbody td");
        """,
    )
    assert console == []
    assert "failed" not in results
    assert results["resources"] == []
    assert results["sort"] == [
        ["LR-L1", "LR", "none"], ["LR", "LR-L1", "none"], ["LR", "LR-L1", "none"], ["none", "LR-L1", "LR"]
    ]  # fmt: skip
    assert results["aria"] == "descending"
    assert sorted(results["all"]) == sorted(GENES)
    assert results["found"] == ["TP53", "TP53BP1"]
    assert results["said"] == "2 of 5"
    assert results["values"] == ["0.100 (best)", "0.200"]
    assert results["sorted"] == ["TP53", "MYC", HOSTILE, "$x^2$", "TP53BP1"]
    assert results["down"][-1] == "MYC"  # no value goes last, whichever way
    assert results["other"] == ["−0.200", "–"]


def test_a_dot_tells_its_gene_to_pointer_finger_and_name(page, tmp_path):
    results, console = browse(
        page,
        tmp_path,
        """
        const plot = all("figure.plot")[0], svg = one("svg", plot), tip = one(".tip", plot), ring = one(".ring", plot);
        const data = JSON.parse(one("script", plot).textContent), [l, r, b, t] = data.box, [low, high] = data.limits;
        const matrix = svg.getScreenCTM();
        const send = (kind, x, y, type, off = 0) => {
          const at = new DOMPoint(l + (x - low) / (high - low) * (r - l), b + (y - low) / (high - low) * (t - b));
          const {x: clientX, y: clientY} = at.matrixTransform(matrix);
          svg.dispatchEvent(new PointerEvent(kind, {clientX: clientX + off, clientY, pointerType: type}));
          return tip.hidden ? null : tip.textContent;
        };
        results.hover = send("pointermove", 0.3, 0.5, "mouse", 5);
        results.hostile = send("pointermove", 0.5, 0.4, "mouse");
        results.far = send("pointermove", 0.9, 0.1, "mouse");
        results.drag = send("pointermove", 0.3, 0.5, "touch");
        results.tap = send("click", 0.7, 0.9, "touch", 12);
        const input = one("input", plot), said = one("output", plot);
        const ask = text => { type(input, text); return said.textContent; };
        results.exact = ask("tp53"); results.marked = tip.textContent;
        svg.dispatchEvent(new PointerEvent("pointerleave", {pointerType: "mouse"})); results.kept = tip.textContent;
        results.several = ask("5"); results.unmarked = tip.hidden && ring.style.display;
        results.dotless = ask("MYC"); results.nodot = tip.hidden;
        results.missing = ask("nothing"); results.empty = ask("");
        ask("TP53B"); plot.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"})); results.gone = tip.hidden;
        type(input, "p53"); input.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}));
        results.entered = said.textContent;
        """,
    )
    assert console == []
    assert "failed" not in results
    assert results["hover"] == results["marked"] == results["kept"] == "TP53By D-GEX: 0.3000By LR: 0.5000"
    assert results["hostile"] == f"{HOSTILE}By D-GEX: 0.5000By LR: 0.4000"
    assert results["far"] is None
    assert results["drag"] is None
    assert results["tap"] == "$x^2$By D-GEX: 0.7000By LR: 0.9000"
    assert results["exact"] == "TP53: By D-GEX 0.3000; By LR 0.5000."
    assert results["several"] == "2 genes: TP53BP1, TP53"
    assert results["unmarked"] == "none"
    assert results["dotless"] == "MYC: By D-GEX –; By LR 0.1000."
    assert results["nodot"] is True
    assert results["missing"] == "No gene has “nothing” in its name."
    assert results["empty"] == ""
    assert results["gone"] is True
    assert results["entered"].startswith("TP53BP1: ")


def test_a_scatter_gives_its_values_as_a_file(page, tmp_path):
    results, console = browse(
        page,
        tmp_path,
        """
        const link = one("figure.plot a.data");
        link.addEventListener("click", e => e.preventDefault());
        link.click();
        results.name = link.download;
        results.text = decodeURIComponent(link.href.split(",").slice(1).join(","));
        """,
    )
    assert console == []
    assert results["name"].endswith(".csv")
    table = pd.read_csv(io.StringIO(results["text"]))
    assert list(table) == ["Gene", "By D-GEX", "By LR"]
    assert table["Gene"].tolist() == GENES
    assert table["By D-GEX"].tolist() == pytest.approx([*X[:4], np.nan], nan_ok=True)


@pytest.mark.parametrize("width", [360, 700, 1280])
def test_no_page_is_wider_than_its_screen(page, tmp_path, width):
    # A window of a desktop browser has a least width; the root element has none.
    html = page.replace("<html ", f'<html style="width:{width}px" ', 1) if width < 600 else page
    results, console = browse(
        html,
        tmp_path,
        """
        const limit = document.documentElement.getBoundingClientRect().right;
        const held = e => e.parentElement.closest(".scroll,pre,svg,nav ul") || e.matches(".skip,#results");
        const scrolls = e => e.matches(".scroll,pre,.unseen,.here,nav ul");
        const spills = e => !scrolls(e) && e.clientWidth && e.scrollWidth > e.clientWidth + 1;
        results.wide = all("body *").filter(e => !held(e))
          .filter(e => spills(e) || e.getBoundingClientRect().right > limit + 1).map(e => e.outerHTML.slice(0, 80));
        results.scrolls = all(".scroll").map(e => e.scrollWidth > e.clientWidth);
        results.open = one("nav details").open;
        """,
        f"--window-size={width},740",
    )
    assert console == []
    assert "failed" not in results
    assert results["wide"] == []
    assert results["scrolls"][1] is True  # the table of twelve long columns does, inside its own box
    assert results["open"] == (width == 1280)


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_ground(page, tmp_path, dark):
    """At least 4.5 to 1, as WCAG 2.2 asks for text (level AA, criterion 1.4.3)."""
    results, console = browse(
        page,
        tmp_path,
        """
        results.dark = matchMedia("(prefers-color-scheme:dark)").matches;
        type(one("figure.plot input"), "TP53");
        const parts = color => color.match(/[\\d.]+/g).map(Number);
        const light = color => parts(color).slice(0, 3).map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
          .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
        const ground = e => {
          for (; e; e = e.parentElement) {
            const color = getComputedStyle(e).backgroundColor;
            if ((parts(color)[3] ?? 1) > 0) return color;
          }
        };
        const texts = all("body *").filter(e => !e.closest("svg,script,style,noscript,#results,[hidden]") &&
          [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
        results.count = texts.length;
        results.faint = texts.flatMap(e => {
          const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
          const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          return ratio < 4.5 ? [`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 80)}`] : [];
        });
        """,
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
    )
    assert console == []
    assert "failed" not in results
    assert results["dark"] is dark
    assert results["count"] > 100
    assert results["faint"] == []


def test_a_click_on_a_gene_opens_its_card(tmp_path):
    rng = np.random.default_rng(0)
    by_group = pd.DataFrame(rng.random((2, 5)), ["a", "b"], GENES).rename_axis("study")
    values = rng.normal(size=(2, 9, 5)).astype(np.float32)
    points = Points(GENES, [f"p{at}" for at in range(9)], ["a"] * 9, *values, "log2", by_group, {"MYC": [("L1", 0.5)]})
    table = pd.DataFrame({"r": [0.9, 0.8, 0.7, 0.6, 0.5]}, index=GENES)
    page = Page("t").add_cards({"test": points}, {"test": pd.Series("r .9", index=GENES)})
    page.add_finder({"r": table}, "All genes.", given=True)
    results, console = browse(
        page.html(),
        tmp_path,
        """
        const title = () => one(".card h3").textContent, buttons = all(".cards .tools button");
        results.titles = [title()];
        all(".finder tbody button")[4].click(); results.titles.push(title());
        results.focus = document.activeElement.className; results.last = buttons[1].disabled;
        buttons[0].click(); results.titles.push(title());
        type(one(".cards input"), "tp53bp"); results.titles.push(title());
        all(".finder tbody button")[4].click();
        results.dots = all(".card circle:not(.ring)").length; results.tables = all(".card table").length;
        results.order = words(".finder tbody th");
        """,
    )
    assert console == []
    assert "failed" not in results
    assert results["titles"] == ["TP53BP1", "MYC", "$x^2$", "TP53BP1"]
    assert results["focus"] == "card"
    assert results["last"]
    assert results["dots"] == 9
    assert results["tables"] == 2
    assert results["order"] == GENES
