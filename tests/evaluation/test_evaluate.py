from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from dgex.dataset.normalization import Normalization
from dgex.errors import DataError, DgexError, GeneError, SettingsError
from dgex.evaluation.evaluate import evaluate
from dgex.evaluation.result import TRIVIAL


def part(data: ad.AnnData, split: str) -> ad.AnnData:
    return data[(data.obs["split"] == split).to_numpy()].copy()


def gene_values(result, model: str, column: str, split: str = "test") -> pd.Series:
    frame = result.per_gene.query("model == @model and split == @split")
    return frame.set_index("gene")[column]


@pytest.fixture(scope="module")
def result(models, data):
    return evaluate(models, data, ["test", "GTEx"])


@pytest.mark.parametrize("split", ["test", "GTEx"])
@pytest.mark.parametrize("name", ["LR", "strong"])
def test_equals_the_computation_on_the_whole_matrix(result, models, data, split, name):
    held, targets = part(data, split), [g for g in data.var_names if g.startswith("T")]
    true = held[:, targets].X.astype(np.float64)
    pred = models[name].predict(held).astype(np.float64)
    mae = np.abs(true - pred).mean(0)
    assert gene_values(result, name, "mae", split).index.tolist() == targets
    assert_allclose(gene_values(result, name, "mae", split), mae, rtol=1e-12)
    assert_allclose(gene_values(result, name, "rmse", split), np.sqrt(((true - pred) ** 2).mean(0)), rtol=1e-12)
    assert_allclose(gene_values(result, name, "pearson", split), stats.pearsonr(true, pred).statistic, rtol=1e-10)
    rho = [stats.spearmanr(true[:, j], pred[:, j]).statistic for j in range(len(targets))]
    assert_allclose(gene_values(result, name, "spearman", split), rho, rtol=1e-10)
    row = result.overall.query("model == @name and split == @split").iloc[0]
    assert_allclose([row["error"], row["sd"]], [mae.mean(), mae.std()], rtol=1e-12)
    assert_allclose(row["spearman_median"], np.median(rho), rtol=1e-10)
    assert (row["profiles"], row["genes"]) == (len(true), len(targets))


def test_the_trivial_predictor_is_the_training_mean(result, data):
    targets = [g for g in data.var_names if g.startswith("T")]
    mean = part(data, "train")[:, targets].X.astype(np.float64).mean(0)
    expected = np.abs(part(data, "test")[:, targets].X - mean.astype(np.float32)).mean(0)
    assert_allclose(gene_values(result, TRIVIAL, "mae"), expected, rtol=1e-5)
    assert result.overall["model"].tolist()[:3] == [TRIVIAL, "LR", "strong"]
    assert gene_values(result, TRIVIAL, "pearson").isna().all()


def test_baseline_is_linear_regression_and_can_be_chosen(result, models, data):
    table = result.overall.query("split == 'test'").set_index("model")
    assert result.settings["baseline"] == "LR"
    assert table.loc["LR", "improvement"] == 0
    assert np.isnan(table.loc["LR", "better"])
    assert table.loc["strong", "improvement"] == pytest.approx(
        1 - table.at["strong", "error"] / table.at["LR", "error"]
    )
    better = gene_values(result, "strong", "mae") < gene_values(result, "LR", "mae")
    assert table.loc["strong", "better"] == pytest.approx(better.mean())
    assert evaluate({"strong": models["strong"]}, data).settings["baseline"] == TRIVIAL
    assert evaluate(models, data, baseline="strong").settings["baseline"] == "strong"


@pytest.mark.parametrize("block", [1, 7, 19, 20])
def test_block_size_changes_nothing(result, models, data, block):
    again = evaluate(models, data, "test, GTEx", block=block)
    pd.testing.assert_frame_equal(again.overall.drop(columns="seconds"), result.overall.drop(columns="seconds"))
    pd.testing.assert_frame_equal(again.per_gene, result.per_gene, rtol=1e-9)


def test_models_measured_together_or_alone_are_measured_alike(result, models, data, monkeypatch):
    monkeypatch.setattr("dgex.evaluation.measuring.MOST_TOGETHER", 1)
    alone = evaluate(models, data, "test, GTEx")
    pd.testing.assert_frame_equal(alone.overall.drop(columns="seconds"), result.overall.drop(columns="seconds"))
    pd.testing.assert_frame_equal(alone.per_gene, result.per_gene, rtol=1e-15)


def test_genes_in_another_order_change_nothing(result, models, data, caplog):
    order = np.random.default_rng(1).permutation(data.n_vars)
    with caplog.at_level(logging.WARNING, "dgex"):
        again = evaluate(models, data[:, order].copy(), ["test", "GTEx"])
    assert not caplog.records
    key = ["split", "model", "gene"]
    a, b = (r.per_gene.sort_values(key, ignore_index=True) for r in (again, result))
    pd.testing.assert_frame_equal(a, b, rtol=1e-9)


def test_a_file_gives_what_memory_gives(result, models, data, tmp_path):
    data.write_h5ad(tmp_path / "data.h5ad")
    again = evaluate(models, tmp_path / "data.h5ad", ["test", "GTEx"], block=9)
    pd.testing.assert_frame_equal(again.per_gene, result.per_gene, rtol=1e-9)
    assert again.settings["data"]["name"] == "data.h5ad"
    assert again.settings["data"]["fingerprint"] == result.settings["data"]["fingerprint"]


def test_missing_targets_are_left_out_and_said(models, data, caplog):
    with caplog.at_level(logging.WARNING, "dgex"):
        fewer = evaluate(models, data[:, ~data.var_names.isin(["T3", "T7"])].copy())
    assert fewer.settings["genes"] == 9
    assert "LR: compared on 9 of its 11 target genes" in caplog.text
    full = evaluate(models, data)
    assert_allclose(gene_values(fewer, "LR", "mae"), gene_values(full, "LR", "mae").drop(["T3", "T7"]), rtol=1e-12)


def test_a_target_that_is_no_target_of_the_data_is_not_compared(models, data):
    changed = data.copy()
    changed.var["role"] = np.where(changed.var_names == "T0", "other", changed.var["role"].astype(str))
    assert "T0" not in set(evaluate(models, changed).per_gene["gene"])


def test_models_of_other_targets_are_compared_on_common_genes(models, data, caplog):
    train = part(data, "train")
    some = train[:, ~train.var_names.isin(["T0", "T10"])].copy()
    other = type(models["LR"])(5.0).fit(some, some)
    with caplog.at_level(logging.WARNING, "dgex"):
        result = evaluate({**models, "other": other}, data)
    assert result.settings["genes"] == 9
    assert "9 of the dataset's 11 target genes are inferred by every model" in caplog.text
    assert set(result.overall["genes"]) == {9}


def test_a_constant_gene_has_errors_but_no_correlation(models, data):
    flat = data.copy()
    flat.X[(flat.obs["split"] == "test").to_numpy(), 8] = 0.25
    result = evaluate(models, flat)
    assert np.isnan(gene_values(result, "LR", "pearson")["T2"])
    assert np.isnan(gene_values(result, "LR", "spearman")["T2"])
    assert np.isfinite(result.overall.query("model == 'LR'")[["error", "pearson_mean", "spearman_mean"]]).all(axis=None)


def test_without_training_profiles_there_is_no_trivial_row(models, data, caplog):
    with caplog.at_level(logging.WARNING, "dgex"):
        result = evaluate(models, part(data, "GTEx"), "GTEx", spearman=False)
    assert result.overall["model"].tolist() == ["LR", "strong"]
    assert "trivial predictor is left out" in caplog.text
    assert result.per_gene["spearman"].isna().all()


def test_another_normalisation_is_said(models, data, caplog):
    model = type(models["LR"])(1.0).fit(part(data, "train"), part(data, "train"))
    model.normalization_ = Normalization.from_dataset(data)
    with caplog.at_level(logging.WARNING, "dgex"):
        evaluate({"same": model}, data)
        assert not caplog.records
        other = data.copy()
        other.varm["mean"] = other.varm["mean"] + 1
        evaluate({"same": model}, other)
    assert "normalised otherwise" in caplog.text


def test_errors_say_what_is_accepted(models, data):
    with pytest.raises(SettingsError, match=r"no split named 'tset'.*accepted: GTEx, test, train, validation"):
        evaluate(models, data, "tset")
    with pytest.raises(SettingsError, match="no baseline named 'x'; accepted: training mean, LR, strong"):
        evaluate(models, data, baseline="x")
    with pytest.raises(SettingsError, match="at least one"):
        evaluate({}, data)
    with pytest.raises(SettingsError, match="block"):
        evaluate(models, data, block=0)
    with pytest.raises(SettingsError, match="trivial predictor"):
        evaluate({TRIVIAL: models["LR"]}, data)
    with pytest.raises(SettingsError, match="twice"):
        evaluate(["models/a", "models/a"], data)
    with pytest.raises(GeneError, match="LR: 1 of 6 landmark genes are missing from the data: L2"):
        evaluate(models, data[:, data.var_names != "L2"].copy())
    renamed = data.copy()
    renamed.var_names = [f"Q{n}" if n.startswith("T") else n for n in data.var_names]
    with pytest.raises(GeneError, match="no target gene is common"):
        evaluate(models, renamed)
    broken = data.copy()
    broken.X[100, 9] = np.nan
    with pytest.raises(DataError, match="finite"):
        evaluate(models, broken)


def test_rank_recall_and_slope_are_the_textbook_ones(result, models, data):
    held, targets = part(data, "test"), [g for g in data.var_names if g.startswith("T")]
    true, pred = held[:, targets].X.astype(np.float64), models["LR"].predict(held).astype(np.float64)
    each = np.corrcoef(pred.T, true.T)[:11, 11:]  # inferred x measured
    share = [(np.delete(row, at) < row[at]).mean() for at, row in enumerate(each)]
    assert_allclose(gene_values(result, "LR", "recall"), share)
    slope = [stats.linregress(p, t).slope for p, t in zip(pred.T, true.T)]
    assert_allclose(gene_values(result, "LR", "slope"), slope, rtol=1e-6)
    row = result.overall.query("model == 'LR' and split == 'test'").iloc[0]
    assert_allclose([row["recall"], row["slope"]], [np.mean(np.array(share) >= 0.95), np.median(slope)], rtol=1e-6)
    assert np.isnan(result.overall.query("model == @TRIVIAL")["recall"]).all()


def test_fifths_of_the_genes_by_their_mean_in_original_units(result, models, data):
    table = result.levels.query("model == 'LR' and split == 'test'")
    mean = data.varm["mean"]["train"][[g for g in data.var_names if g.startswith("T")]].sort_values()
    assert table["genes"].sum() == 11
    assert table["genes"].max() - table["genes"].min() <= 1
    assert_allclose(table[["mean_low", "mean_high"]].to_numpy()[[0, -1], [0, 1]], mean.iloc[[0, -1]])
    assert (table["mean_high"].to_numpy()[:-1] <= table["mean_low"].to_numpy()[1:]).all()
    faint = gene_values(result, "LR", "mae")[mean.index[: table["genes"].iloc[0]]]
    assert_allclose(table["error"].iloc[0], faint.mean())
    assert_allclose((table["error"] * table["genes"]).sum() / 11, gene_values(result, "LR", "mae").mean())
    without = part(data, "GTEx")
    for key in ("mean", "std"):
        del without.varm[key]
    assert evaluate(models, without, "GTEx").levels.empty


def test_arguments_may_be_swapped_or_are_told(models, data, tmp_path):
    data.write_h5ad(tmp_path / "data.h5ad")
    for one, other in ((data, models), (data, list(models.values())), (tmp_path / "data.h5ad", models["LR"])):
        swapped, right = evaluate(one, other), evaluate(other, one)
        pd.testing.assert_frame_equal(swapped.per_gene, right.per_gene)
    for wrong in (3, [3], {"a": data}):
        with pytest.raises(DgexError, match="accepted"):
            evaluate(wrong, data)
    with pytest.raises(DgexError, match="found 'DataFrame', accepted the path of an expression file, or an AnnData"):
        evaluate(models, data.to_df())
    for option in ({"split": 3}, {"block": "many"}):
        with pytest.raises(SettingsError, match="accepted"):
            evaluate(models, data, **option)
