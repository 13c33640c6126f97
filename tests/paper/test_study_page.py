"""The page of a study in a real browser: silent, alone, and every gene can be found."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import NEEDS_CHROMIUM, browse

from dgex.paper.measured import read_measured

pytestmark = NEEDS_CHROMIUM


def test_it_opens_from_disk_asks_for_nothing_and_finds_a_gene(study: Path, tmp_path: Path) -> None:
    results, console = browse(
        (study / "report.html").read_text("utf-8"),
        tmp_path,
        """
        results.scatters = all("figure.plot").length;
        const finder = all(".finder").at(-1);
        type(one("input", finder), "TG00007");
        results.genes = words(".finder:last-of-type tbody th");
        results.found = [...finder.querySelectorAll("tbody th")].map(e => e.textContent);
        results.values = [...finder.querySelectorAll("tbody td")].map(e => parseFloat(e.textContent));
        results.methods = [...finder.querySelectorAll("thead th")].map(e => e.textContent);
        const plot = one("figure.plot");
        type(one("input", plot), "TG00007"); results.said = one("output", plot).textContent;
        results.levels = all("h1,h2,h3,h4,h5").map(e => Number(e.tagName[1]));
        results.unnamed = all("svg:not([role=img])").length + all("th:not([scope])").length;
        """,
    )
    assert console == []
    assert "failed" not in results
    assert results["resources"] == []
    assert results["scatters"] == 6  # figures 3 and 4 and S2, on two platforms
    assert results["found"] == ["TG00007"]
    measured = read_measured(study / "measured", "ols")
    assert measured is not None
    ours = results["values"][results["methods"].index("LR") - 1]
    assert ours == pytest.approx(measured.errors["test"][6], abs=6e-4)
    assert results["said"].startswith("TG00007: Error by D-GEX")
    assert all(b <= a + 1 for a, b in zip(results["levels"], results["levels"][1:]))
    assert results["unnamed"] == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_no_wider_than_a_telephone(study: Path, tmp_path: Path, width: int) -> None:
    html = (study / "report.html").read_text("utf-8")
    html = html.replace("<html ", f'<html style="width:{width}px" ', 1) if width < 600 else html
    results, console = browse(
        html,
        tmp_path,
        """
        const limit = document.documentElement.getBoundingClientRect().right;
        const held = e => e.parentElement.closest(".scroll,pre,svg,nav ul") || e.matches(".skip,#results");
        results.wide = all("body *").filter(e => !held(e) && e.getBoundingClientRect().right > limit + 1)
          .map(e => e.outerHTML.slice(0, 80));
        """,
        f"--window-size={width},740",
    )
    assert console == []
    assert "failed" not in results
    assert results["wide"] == []
