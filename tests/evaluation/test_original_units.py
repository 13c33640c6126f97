"""Models of original units on standardised datasets: errors known in closed form, and the same as in other units."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from dgex import io
from dgex.dataset.normalization import Normalization
from dgex.evaluation.evaluate import evaluate
from dgex.fitting.train import train
from dgex.models.linear.regression import OLS
from dgex.prepare.pipeline import prepare


def compendium(profiles: int = 300, seed: int = 0) -> ad.AnnData:
    """Log2 values of 5 landmark and 4 target genes."""
    rng = np.random.default_rng(seed)
    X = 8 + 2 * rng.normal(size=(profiles, 5))
    Y = 7 + 0.3 * X @ rng.normal(size=(5, 4)) + 0.5 * rng.normal(size=(profiles, 4))
    role = ["landmark"] * 5 + ["target"] * 4
    return ad.AnnData(
        np.hstack([X, Y]).astype(np.float32),
        obs=pd.DataFrame(index=[f"s{seed}-{i}" for i in range(profiles)]),
        var=pd.DataFrame({"role": role}, index=[f"L{i}" for i in range(5)] + [f"T{i}" for i in range(4)]),
    )


def overall(result, model: str, split: str) -> np.ndarray:
    return result.per_gene.query("model == @model and split == @split")["mae"].to_numpy()


@pytest.fixture(scope="module")
def two_sets(tmp_path_factory):
    """Datasets of arrays and of a further set that is measured otherwise: raw, and standardised both ways."""
    folder = tmp_path_factory.mktemp("units")
    other = compendium(60, seed=1)
    other.X = (0.5 * other.X + 3).astype(np.float32)
    io.write(other, folder / "other.h5ad")
    inputs = [compendium(), f"GTEx={folder / 'other.h5ad'}"]
    return {how: prepare(inputs, standardize=how) for how in ("none", "inductive", "paper")}


@pytest.mark.parametrize("standardize", ["inductive", "paper"])
def test_errors_are_those_of_original_units_over_the_divisor_of_the_set(two_sets, standardize):
    raw, data = two_sets["none"], two_sets[standardize]
    model = OLS().fit(raw, raw)
    model.coef_[:] = 0  # a model that says 9 of every gene: its errors need no regression to be known
    model.intercept_[:] = 9
    model.normalization_ = Normalization.from_dataset(raw)
    result = evaluate({"nine": model}, data, ["test", "GTEx"], spearman=False)
    for split in ("test", "GTEx"):
        rows = (raw.obs["split"] == split).to_numpy()
        name = data.obs["set"][rows].iloc[0] if standardize == "paper" else "train"
        divisor = data.varm["std"][name].to_numpy()[5:]
        expected = np.abs(raw.X[rows][:, 5:].astype(np.float64) - 9).mean(0) / divisor
        assert_allclose(overall(result, "nine", split), expected, rtol=1e-5)
    assert result.settings["models"]["nine"]["units"].startswith("original")


@pytest.mark.parametrize("standardize", ["inductive", "paper"])
def test_landmarks_come_back_in_original_units(two_sets, standardize, caplog):
    raw, data = two_sets["none"], two_sets[standardize]
    known = OLS().fit(raw, raw)
    known.coef_[:], known.intercept_[:] = np.eye(4, 5), 0  # target i is said to be landmark i
    known.normalization_ = Normalization.from_dataset(raw)
    result = evaluate({"copy": known}, data, "GTEx", spearman=False, block=7)
    assert not caplog.records
    rows = (raw.obs["split"] == "GTEx").to_numpy()
    divisor = data.varm["std"][data.obs["set"][rows].iloc[0] if standardize == "paper" else "train"].to_numpy()[5:]
    values = raw.X[rows].astype(np.float64)
    assert_allclose(overall(result, "copy", "GTEx"), np.abs(values[:, :4] - values[:, 5:]).mean(0) / divisor, rtol=1e-5)


@pytest.mark.parametrize("standardize", ["inductive", "paper"])
def test_regression_has_the_same_errors_in_either_units(two_sets, standardize):
    models = {"raw": train(two_sets["none"], "ols"), "standardised": train(two_sets[standardize], "ols")}
    result = evaluate(models, two_sets[standardize], spearman=True)
    assert_allclose(overall(result, "raw", "test"), overall(result, "standardised", "test"), rtol=2e-5)
    table = result.overall.set_index("model")
    assert_allclose(table.loc["raw", "spearman_mean"], table.loc["standardised", "spearman_mean"], rtol=1e-3)


def test_other_steps_before_standardising_are_said(two_sets, caplog):
    model = train(prepare(compendium(), standardize="none", quantile="inductive"), "ols")
    evaluate({"model": model}, two_sets["paper"], spearman=False)
    assert "normalised otherwise" in caplog.text


def test_on_a_raw_dataset_nothing_is_changed(two_sets, caplog):
    raw = two_sets["none"]
    model = train(raw, "ols")
    result = evaluate({"model": model}, raw, "GTEx", spearman=False)
    values = raw.X[(raw.obs["split"] == "GTEx").to_numpy()]
    expected = np.abs(model.predict(values[:, :5]).astype(np.float64) - values[:, 5:]).mean(0)
    assert_allclose(overall(result, "model", "GTEx"), expected, rtol=1e-6)
    assert not caplog.records
