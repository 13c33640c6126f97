"""What notebooks show: real tables of every result, names as text, in the colours of the notebook."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anndata import AnnData
from sklearn.base import clone

import dgex
from dgex import notebook

HOSTILE = "<script>alert(1)</script>&\x1b[2J\u202e"


class Markup(HTMLParser):
    """Names of all elements, checked to be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag != "br":
            self.open.append(tag)
        assert {name for name, _ in attrs} <= {"scope", "style", "open"}
        assert dict(attrs).get("style", "text-align: left") == "text-align: left"  # no colours: notebooks may be dark

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def raw() -> AnnData:
    whole = dgex.simulate(samples=160, landmarks=8, targets=12, seed=0)
    names = list(whole.var_names)
    names[0], names[-1] = HOSTILE, HOSTILE + "2"
    whole.var_names = names
    return whole


@pytest.fixture(scope="module")
def data(raw: AnnData) -> AnnData:
    return dgex.prepare(raw.copy(), group="study", seed=0)


@pytest.fixture(scope="module")
def model(data: AnnData) -> dgex.Estimator:
    return dgex.train(data, "ridge")


@pytest.fixture(scope="module")
def results(raw: AnnData, data: AnnData, model: dgex.Estimator) -> dict[str, Any]:
    return {
        "evaluation": dgex.evaluate({HOSTILE: model}, data, split="test"),
        "explanation": dgex.explain(model, raw[:1], genes=[HOSTILE + "2"]),
        "interpretation": dgex.interpret(model, data),
        "panel": dgex.select_landmarks(raw.copy(), size=5, sizes=[3, 5], splits=1),
        "model": model,
    }


@pytest.mark.parametrize("name", ["evaluation", "explanation", "interpretation", "panel", "model"])
def test_results_are_tables_of_text(results: dict[str, Any], name: str) -> None:
    shown = Markup(results[name]._repr_html_())
    assert not shown.open
    assert set(shown.seen) <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "p", "br", "details", "summary"}
    assert shown.seen.count("table") >= 1
    assert shown.seen.count("caption") >= 1
    assert "\x1b" not in shown.text
    assert "\u202e" not in shown.text
    if name not in ("interpretation", "model"):
        assert "<script>alert(1)</script>&" in shown.text


def test_every_number_of_the_text_is_in_the_table(results: dict[str, Any]) -> None:
    for name in ("evaluation", "explanation", "panel", "interpretation"):
        numbers = re.findall(r"\d+\.\d+", str(results[name]))
        assert numbers
        shown = Markup(results[name]._repr_html_()).text
        assert all(number in shown for number in numbers), name


def test_an_estimator_says_what_it_is(model: dgex.Estimator, data: AnnData) -> None:
    assert repr(dgex.Ridge()) == "Ridge()"
    assert repr(dgex.KNNGE(n_neighbors=3)) == "KNNGE(n_neighbors=3)"
    assert repr(clone(model)) == "Ridge()"
    training = int((data.obs["split"] == "train").sum())
    overall = model.metrics_["sets"]["validation"]["overall"]
    assert repr(model) == (
        f"Ridge(): fitted, 8 landmark genes -> 12 target genes, trained on {training} profiles, "
        f"overall error {overall:.4f} on validation"
    )
    assert repr(dgex.OLS().fit(np.eye(3), np.eye(3))) == "OLS(): fitted, 3 landmark genes -> 3 target genes"
    assert "not fitted" in dgex.Ridge(alpha=2.5)._repr_html_()
    assert "alpha=2.5" in dgex.Ridge(alpha=2.5)._repr_html_()


def test_a_model_that_is_loaded_says_the_same(model: dgex.Estimator, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    assert repr(dgex.load(tmp_path / "m")) == repr(model)
    assert dgex.load(tmp_path / "m")._repr_html_() == model._repr_html_()


def test_names_of_data_of_others_do_not_steer_a_terminal(model: dgex.Estimator, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    other = dgex.load(tmp_path / "m")
    other.metrics_["data"]["name"] = HOSTILE
    assert "\x1b" not in repr(other)
    assert "<script" not in other._repr_html_()


def test_what_is_folded_is_there() -> None:
    html = notebook.facts([("a", notebook.Folded("<b>", notebook.facts([("c", "<d>")])))])
    assert html.count("<table>") == 2
    assert "&lt;b&gt;" in html
    assert "&lt;d&gt;" in html
