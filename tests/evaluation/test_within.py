"""Differences within groups: closed forms, what may not change them, and what is told of them."""

from __future__ import annotations

import json
import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from dgex.confidence.differences import Differences
from dgex.errors import SettingsError
from dgex.evaluation.evaluate import evaluate
from dgex.evaluation.result import TRIVIAL
from dgex.evaluation.within import MEASURES, Draws, Within, measure_within
from dgex.ranks import GeneRanks

PLATES = np.repeat(["p", "q", "r", "s", "t", "u", "v"], [9, 14, 20, 6, 8, 11, 1])
SIZE = (len(PLATES), 90)


def held(values: np.ndarray) -> GeneRanks:
    matrix = GeneRanks(*values.shape)
    matrix.append(values)
    return matrix


def within(true: np.ndarray, pred: np.ndarray, control: np.ndarray | None = None) -> Within:
    differences = Differences(PLATES, control)
    return measure_within(held(true), held(pred), differences, Draws(differences.member))


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    true = rng.normal(size=SIZE) + rng.normal(0, 3, size=(7, SIZE[1]))[np.unique(PLATES, return_inverse=True)[1]]
    return true.astype(np.float32), (0.5 * true + 0.4 * rng.normal(size=SIZE)).astype(np.float32)


def by_hand(true: np.ndarray, pred: np.ndarray, control: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences of all that are compared, profiles x genes."""
    found = []
    for values in (true.astype(np.float64), pred.astype(np.float64)):
        rows = [
            values[(plate == PLATES) & ~control] - values[(plate == PLATES) & control].mean(axis=0)
            for plate in np.unique(PLATES)
            if ((plate == PLATES) & control).any()
        ]
        found.append(np.concatenate(rows))
    return found[0], found[1]


def test_equals_the_computation_plate_by_plate(pair):
    control = np.random.default_rng(0).random(len(PLATES)) < 0.3
    found, (t, p) = within(*pair, control), by_hand(*pair, control)
    assert_allclose(found.genes["error"], np.abs(t - p).mean(0), rtol=1e-5)
    assert_allclose(found.genes["r"], stats.pearsonr(t, p).statistic, rtol=1e-5)
    assert_allclose(found.genes["sign"], (np.sign(t) == np.sign(p)).mean(0))
    assert_allclose(found.profiles["error"], np.abs(t - p).mean(1), rtol=1e-5)
    assert_allclose(found.profiles["r"], stats.pearsonr(t, p, axis=1).statistic, rtol=1e-5)
    assert_allclose(found.profiles["sign"], (np.sign(t) == np.sign(p)).mean(1))


@pytest.mark.parametrize("controlled", [False, True])
def test_a_shift_of_a_whole_plate_changes_nothing(pair, controlled):
    true, pred = pair
    control = np.arange(len(PLATES)) % 3 == 0 if controlled else None
    shift = np.random.default_rng(1).normal(0, 4, size=(7, SIZE[1]))[np.unique(PLATES, return_inverse=True)[1]]
    one, other = within(true, pred, control), within(true, (pred + shift).astype(np.float32), control)
    for name in MEASURES:
        assert_allclose(other.genes[name], one.genes[name], atol=1e-4)
        assert_allclose(other.drawn[name], one.drawn[name], atol=1e-4)
    assert_allclose(other.profiles["r"], one.profiles["r"], atol=1e-4)


def test_means_of_plates_know_no_differences_and_the_truth_knows_all(pair):
    true = pair[0]
    means = pd.DataFrame(true).groupby(PLATES).transform("mean").to_numpy(np.float32)
    found = within(true, means)
    assert np.isnan(found.genes["r"]).all()
    assert np.isnan(found.overall("r"))
    assert np.isnan(found.interval("r")).all()
    assert not found.genes["sign"].any()
    perfect = within(true, true)
    assert_allclose(perfect.genes["r"], 1)
    assert_allclose(perfect.profiles["r"], 1)
    assert_allclose([perfect.overall("error"), perfect.overall("sign"), *perfect.interval("r")], [0, 1, 1, 1])
    turned = within(true, -true)
    assert_allclose([turned.overall("r"), turned.overall("sign")], [-1, 0])


def test_intervals_are_those_of_drawing_plates_one_by_one(pair):
    found, differences = within(*pair), Differences(PLATES)
    t, p = (differences.of(values.T) for values in pair)
    rng, drawn = np.random.default_rng(9), []
    for _ in range(1000):
        at = np.concatenate([np.flatnonzero(differences.member == g) for g in rng.integers(0, 6, 6)])
        a, b = t[:, at], p[:, at]
        drawn.append((np.abs(a - b).mean(), stats.pearsonr(a, b, axis=1).statistic.mean()))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    for name, at in (("error", 0), ("r", 1)):
        assert_allclose(found.interval(name), (low[at], high[at]), atol=0.15 * (high[at] - low[at]))


def test_many_units_are_drawn_in_lots_and_one_not_at_all():
    many = Draws(np.random.default_rng(0).integers(0, 250, 2000))
    assert (many.units, many.counts.shape[1]) == (250, 100)
    assert Draws(np.zeros(30)).means(np.ones((9, 2, 30)))["r"].shape == (0, 2)


@pytest.fixture(scope="module")
def plates(data: ad.AnnData) -> ad.AnnData:
    """The test profiles in four plates and one alone, the 15 of GTEx without any; every third is a control."""
    data = data.copy()
    test = np.flatnonzero((data.obs["split"] == "test").to_numpy())
    data.obs["plate"] = None
    data.obs.loc[data.obs_names[test], "plate"] = [f"p{i % 4}" for i in range(len(test) - 1)] + ["alone"]
    data.obs["kind"] = ["ctl" if i % 3 == 0 else "trt" for i in range(len(data))]
    return data


@pytest.mark.parametrize("control", [None, 'kind == "ctl"'])
def test_evaluations_tell_of_differences(models, plates, control, caplog, tmp_path):
    with caplog.at_level(logging.INFO, "dgex"):
        result = evaluate(models, plates, "test,GTEx", within="plate", control=control)
    assert "GTEx: no differences within plate can be measured" in caplog.text
    assert "test: left out of differences: 1 profiles" in caplog.text
    table = result.overall.query("split == 'test'").set_index("model")
    assert result.overall.query("split == 'GTEx'")["within_r"].isna().all()
    assert np.isnan(table.at[TRIVIAL, "within_r"])
    assert (table["within_r_low"] <= table["within_r"])[["LR", "strong"]].all()
    assert (table["within_r"] <= table["within_r_high"])[["LR", "strong"]].all()
    genes = result.per_gene.query("model == 'LR' and split == 'test'")
    for name in MEASURES:
        assert table.at["LR", f"within_{name}"] == pytest.approx(genes[f"within_{name}"].mean())
    profiles = result.per_profile.query("model == 'LR'")
    assert set(profiles["split"]) == {"test"}
    assert profiles["within_r"].mean() == pytest.approx(table.at["LR", "within_profile_r"])
    assert len(profiles) == table.at["LR", "within_profiles"] == (19 if control is None else 13)
    of = result.settings["within"]["of"]["test"]
    assert (of["groups"], of["left_out_groups"], of["left_out_profiles"]) == (4, 1, 1)
    text = " ".join(str(result).split())
    assert "test: differences within plate" in text
    assert "4 groups; left out: 1 profiles, 1 groups" in text
    if control is not None:
        return  # the folder is the same but for numbers
    result.save(tmp_path / "out")
    assert "differences within plate" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert len(pd.read_csv(tmp_path / "out" / "profiles.csv")) == len(result.per_profile)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["settings"]["within"]["column"] == "plate"


@pytest.mark.parametrize("block", [1, 7])
def test_blocks_and_files_change_nothing(models, plates, block, monkeypatch):
    whole = evaluate(models, plates, within="plate")
    monkeypatch.setattr("dgex.arrays.columns._HELD", 0)
    again = evaluate(models, plates, within="plate", block=block)
    drop = ["seconds"]
    pd.testing.assert_frame_equal(again.overall.drop(columns=drop), whole.overall.drop(columns=drop), rtol=1e-6)
    pd.testing.assert_frame_equal(again.per_profile, whole.per_profile, rtol=1e-5)


def test_other_measures_stay_as_they_are(models, plates):
    one, other = evaluate(models, plates), evaluate(models, plates, within="plate")
    same = [name for name in one.overall if name != "seconds"]
    pd.testing.assert_frame_equal(one.overall[same], other.overall[same])
    assert one.per_profile is None
    fast = evaluate(models, plates, within="plate", spearman=False)
    assert_allclose(fast.overall["within_r"], other.overall["within_r"])
    assert fast.per_gene["recall"].isna().all()


def test_groups_of_the_split_are_drawn(models, plates):
    grouped = plates.copy()
    grouped.obs["study"] = [f"s{i // 3}" for i in range(len(grouped))]
    grouped.uns["dgex"] = {"split": {"group": "study"}}
    of = evaluate(models, grouped, within="plate").settings["within"]["of"]["test"]
    assert of["over"] == "study"
    assert of["units"] > of["groups"]


def test_says_what_cannot_be(models, plates):
    with pytest.raises(SettingsError, match="without a column of groups"):
        evaluate(models, plates, control='kind == "ctl"')
    with pytest.raises(SettingsError, match="no group of plate has two profiles in GTEx"):
        evaluate(models, plates, "GTEx", within="plate")
    with pytest.raises(SettingsError, match="within: found 'well'"):
        evaluate(models, plates, within="well")
    with pytest.raises(SettingsError, match="has a control profile and another in test"):
        evaluate(models, plates, within="plate", control='plate == "alone"')
