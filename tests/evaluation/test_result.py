from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from dgex.errors import OutputExistsError
from dgex.evaluation.evaluate import evaluate


@pytest.fixture(scope="module")
def result(models, data):
    models["strong"].history_ = pd.DataFrame({"epoch": [1, 2, 3], "train.error": [0.9, 0.6, 0.5], "loss": 7.0})
    return evaluate(models, data, "test")


def test_save_writes_everything_once(result, tmp_path):
    out = tmp_path / "eval"
    result.save(out)
    assert {p.name for p in out.glob("[!.]*")} == {
        "report.html",
        "overall.csv",
        "genes.csv",
        "levels.csv",
        "evaluation.json",
        "figures",
    }
    figures = sorted(p.name for p in (out / "figures").iterdir())
    assert {p.rsplit(".", 1)[0] for p in figures} == {
        "error-share-test",
        "pearson-share-test",
        "original-share-test",
        "error-density-test",
        "pearson-density-test",
        "errors-test-LR",
        "learning-strong",
    }
    for path in (out / "figures").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    for path in (out / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputExistsError):
        result.save(out)
    result.save(out, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["eval"]


def test_a_folder_of_something_else_is_never_replaced(result, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="is not an evaluation"):
        result.save(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_failure_leaves_nothing_behind(result, tmp_path, monkeypatch):
    def fail(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(result), "to_json", fail)
    with pytest.raises(KeyboardInterrupt):
        result.save(tmp_path / "eval")
    assert not list(tmp_path.iterdir())


def test_csv_and_json_hold_the_tables(result, tmp_path):
    result.to_csv(tmp_path)
    genes = pd.read_csv(tmp_path / "genes.csv")
    assert genes.columns.tolist() == ["gene", "model", "split", "mae", "rmse", "pearson", "spearman", "recall", "slope"]
    pd.testing.assert_frame_equal(genes, result.per_gene, rtol=1e-5)
    result.to_json(tmp_path / "e.json")
    read = json.loads((tmp_path / "e.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    table = pd.DataFrame(read["overall"]).astype(result.overall.dtypes.to_dict())
    pd.testing.assert_frame_equal(table, result.overall)
    assert read["settings"]["models"]["strong"]["settings"] == {"alpha": 30.0, "kind": "ridge"}
    with pytest.raises(OutputExistsError):
        result.to_csv(tmp_path)


def test_html_and_figures_one_by_one(result, tmp_path):
    result.to_html(tmp_path / "page.html", title="Mine & yours")
    assert "<h1>Mine &amp; yours</h1>" in (tmp_path / "page.html").read_text()
    assert all(path.exists() for path in result.save_figures(tmp_path / "drawn"))


def test_the_table_is_aligned_and_complete(result):
    text = str(result)
    lines = text.splitlines()
    assert lines[0] == "test: 20 profiles, 11 target genes"
    rows = [line for line in lines if line.startswith(("training mean", "LR", "strong", "Model"))]
    assert len(rows) == 4
    assert len({len(row) for row in rows}) == 1  # the last column is numeric: every line ends where it ends
    assert "baseline" in rows[2]
    error = result.overall.set_index("model")["error"]
    assert all(f"{error[name]:.4f}" in row for name, row in zip(["training mean", "LR", "strong"], rows[1:]))
    assert "against LR" in text


def test_results_are_plain_values(result):
    found = result.to_dict()
    assert json.loads(json.dumps(found)) == found
    trivial = found["overall"][0]
    assert trivial["pearson_mean"] is None
    assert np.isfinite(trivial["error"])
