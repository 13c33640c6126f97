"""A panel as a page and as text."""

from __future__ import annotations

import pandas as pd
import pytest
from pages import HOSTILE, Tree

from dgex.report.panels import Facts, curve_in_words, error_figure, gain_figure, laid_out, text_of


@pytest.fixture
def facts() -> Facts:
    curve = pd.DataFrame(
        {
            "size": [0, 2, 2],
            "panel": ["training mean", "chosen", "random"],
            "error": [0.7, 0.4, 0.5],
            "low": [0.6, 0.3, float("nan")],
            "high": [0.8, 0.5, float("nan")],
            "improvement": [float("nan"), float("nan"), 0.2],
            "improvement_low": [float("nan"), float("nan"), -0.1],
            "improvement_high": [float("nan"), float("nan"), 0.3],
            "tie": [False, False, True],
            "splits": 3,
        }
    )
    names = [HOSTILE, "G2"]
    told = {"gene": names, "rank": [1, 2], "gain": [0.2, 0.1], "also_inferred_from": ["G2", HOSTILE]}
    genes = pd.DataFrame(
        {
            "gene": ["G3", "G4"],
            "chosen error": [0.3, 0.6],
            "random error": [0.4, 0.5],
            "pearson": [0.9, 0.2],
            "inferred_from": ["G2", "G2"],
        }
    )
    settings = {
        "data": HOSTILE,
        "profiles": {"train": 9},
        "genes": 4,
        "split": "at random",
        "seed": 0,
        "splits": 3,
        "intervals": "over 9 profiles",
        "accuracy": 0.5,
        "excluded": [{"reason": "excluded by name", "genes": 1}],
        "rivals_by_gene": ["random"],
    }
    chosen = pd.DataFrame(told | {"kept": [True, False], "cost": [0.1, 0.05]})
    going = pd.DataFrame({"gene": ["G2"], "order": [1], "cost": [0.05]})
    return Facts(chosen, curve, genes, genes[1:], pd.DataFrame(told)[1:], going, settings, "chosen")


def test_a_gain_within_its_interval_is_a_tie(facts: Facts) -> None:
    words = curve_in_words(facts.curve, "chosen")
    assert words["gain"].tolist() == ["–", "–", "tie (20.0%)"]
    assert words["interval"].tolist()[-1] == "−10.0% to 30.0%"


def test_the_page_is_whole_and_names_of_others_stay_text(facts: Facts) -> None:
    figures = {"error-by-size": error_figure(facts.curve, "chosen"), "gain-by-rank": gain_figure(facts.chosen["gain"])}
    html = laid_out(facts, figures).html()
    tree = Tree(html)
    headings = tree.text("h2")
    assert headings[:4] == ["What it tells", "The panel", "What stays uninferable", "Who comes and who goes next"]
    assert "alert('&" not in html.replace("&amp;", "")
    assert len(tree.all("figure")) == 3
    assert "excluded: excluded by name" in "".join(tree.text("th"))


def test_the_text_names_who_was_added_and_who_comes_and_goes(facts: Facts) -> None:
    text = text_of(facts)
    assert "Added, the best first: G2" in text
    assert "Next: G2" in text
    assert "First to go: G2" in text
    assert "1 of 2 genes outside the panel correlate less than 0.5" in text
