from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from given import dataset, drawn, network

import dgex
from dgex.errors import OutputExistsError


@pytest.fixture(scope="module")
def result():
    weights = drawn([8, 40, 12])
    weights["layers.1.weight"][:5, 7] = -20.0
    weights["layers.0.weight"][7, :3] = 20.0
    return dgex.interpret(network([{1: weights}], {"last": 1}, [np.arange(12)]), dataset(80, 8, 12), samples=6)


def test_save_writes_everything_once(result, tmp_path):
    out = tmp_path / "learned"
    result.save(out)
    tables = {"hubs", "gene_sets", "major_weights", "adjusted_r2", "attributions"}
    expected = {"report.html", "interpretation.json", "figures", *(f"{name}.csv" for name in tables)}
    assert {path.name for path in out.glob("[!.]*")} == expected
    assert {path.name for path in (out / "figures").iterdir()} == {
        f"{name}.{suffix}" for name in ("adjusted-r2", "major-weights") for suffix in ("svg", "png", "csv")
    }
    for name in tables:
        pd.testing.assert_frame_equal(
            pd.read_csv(out / f"{name}.csv"), getattr(result, name), rtol=1e-5, check_dtype=False
        )
    read = json.loads((out / "interpretation.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert read == result.summary
    with pytest.raises(OutputExistsError):
        result.save(out)
    result.save(out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["learned"]


def test_a_folder_of_something_else_is_never_replaced(result, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="is not an interpretation"):
        result.save(tmp_path, overwrite=True)
    with pytest.raises(OutputExistsError, match="is not an interpretation"):
        dgex.interpret("no model", "no data", tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_the_page_finds_the_landmark_genes_of_every_target(result):
    texts = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', result.page().html())
    lists = list(map(json.loads, texts))
    (data,) = (item for item in lists if isinstance(item, dict) and "measures" in item)
    assert result.attributions["gene"].unique().tolist() in lists  # the names that tables and figures share
    first = result.attributions[result.attributions["rank"] == 1]
    for text, landmark, effect in zip(data["measures"][0]["values"][0], first["landmark"], first["effect"]):
        name, value = text.split(" ")
        assert name == landmark
        assert float(value.replace("−", "-")) == pytest.approx(effect, abs=6e-4)


def test_the_table_tells_the_first_hub(result):
    text = str(result)
    assert "Genes whose adjusted R² rises" in text
    (row,) = (line.split() for line in text.splitlines() if line.split()[:2] == ["1", "7"])
    assert row[2:7] == ["8", "3", "5", "3", "5"]


def test_what_was_saved_is_loaded(result, tmp_path):
    result.save(tmp_path / "learned")
    read = dgex.Interpretation.load(tmp_path / "learned")
    for name in ("hubs", "gene_sets", "major_weights", "adjusted_r2", "attributions"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(result, name), rtol=1e-5, check_dtype=False)
    assert read.summary == result.summary
    assert str(read) == str(result)
    linear = dgex.interpret(dgex.OLS().fit(data := dataset(40, 8, 12), data), data, samples=6)
    linear.save(tmp_path / "linear")
    assert str(dgex.Interpretation.load(tmp_path / "linear")) == str(linear)
    dgex.Interpretation.load(tmp_path / "linear").page().html()
