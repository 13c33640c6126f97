"""`dgex.adapt`: whole profiles as measured or as a dataset, units, what is told, what is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from dgex.adapting.adapt import adapt
from dgex.dataset.roles import landmarks, targets
from dgex.errors import DataError, FileError, GeneError, OutputExistsError, SettingsError
from dgex.evaluation.evaluate import evaluate
from dgex.fitting.train import train
from dgex.inference.infer import infer
from dgex.models.base import Estimator
from dgex.models.folder import load
from dgex.models.linear.regression import Ridge
from dgex.prepare.pipeline import prepare
from dgex.summary import info, lines

if TYPE_CHECKING:
    from anndata import AnnData


@pytest.fixture(scope="module")
def old(dataset: AnnData) -> Estimator:
    return train(dataset, "ridge", alpha=1.0)


@pytest.fixture(scope="module")
def platform() -> AnnData:
    """Other profiles on another platform: other levels and slopes of every gene."""
    from dgex.datasets.simulated.simulate import simulate

    made = simulate(samples=120, landmarks=20, targets=30, programmes=5, tissues=4, seed=1)
    rng = np.random.default_rng(5)
    values = np.asarray(made.X)
    slope, level = rng.uniform(0.5, 0.9, values.shape[1]), rng.uniform(1.0, 4.0, values.shape[1])
    made.X = (values * slope + level + 0.05 * rng.normal(size=values.shape)).astype(np.float32)
    made.obs["place"] = [f"place {at % 5}" for at in range(len(values))]
    made.obs_names = [f"new{at}" for at in range(len(values))]
    return made


def error(model: Estimator, profiles: AnnData) -> float:
    """In standard deviations of the profiles, on the scale they were measured on."""
    role = profiles.var["role"]
    panel, truth = profiles[:, role == "landmark"].copy(), profiles[:, role == "target"]
    found = infer(panel, model, scale="log2")
    assert found is not None
    true = np.asarray(truth.X)
    return float((np.abs(np.asarray(found[:, truth.var_names].X) - true) / true.std(axis=0)).mean())


def test_it_is_better_on_other_profiles_of_the_platform(old: Estimator, platform: AnnData) -> None:
    model = adapt(old, platform[:20].copy(), scale="log2")
    assert error(model, platform[20:]) < 0.5 * error(old, platform[20:])


def test_a_file_gives_what_memory_gives(old: Estimator, platform: AnnData, tmp_path: Path) -> None:
    old.save(tmp_path / "old")
    whole = platform[:20].copy()
    whole.write_h5ad(tmp_path / "whole.h5ad")
    adapt(tmp_path / "old", tmp_path / "whole.h5ad", tmp_path / "new", scale="log2")
    model, again = adapt(old, whole, scale="log2"), load(tmp_path / "new")
    role = platform.var["role"]
    panel = platform[20:30, role == "landmark"].copy()
    one, other = (infer(panel, m, scale="log2") for m in (model, again))
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(np.asarray(one.X), np.asarray(other.X), atol=1e-5)
    told = "\n".join(lines(info(tmp_path / "new")))
    assert "new profiles alone" in told
    assert "more" in told


def test_order_of_genes_and_profiles_does_not_matter(old: Estimator, platform: AnnData) -> None:
    whole = platform[:15].copy()
    turned = whole[:, whole.var_names[::-1]].copy()
    one, other = adapt(old, whole, scale="log2"), adapt(old, turned, scale="log2")
    np.testing.assert_array_equal(one.held_out_.predicted, other.held_out_.predicted)


def test_a_dataset_is_taken_back_and_its_test_profiles_left_alone(
    old: Estimator, platform: AnnData, caplog: pytest.LogCaptureFixture
) -> None:
    made = prepare(platform.copy(), seed=0)
    with caplog.at_level(logging.INFO, "dgex"):
        model = adapt(old, made)
    assert "as they were before standardising" in caplog.text
    learned = made.obs["split"].isin(["train", "validation"]).to_numpy()
    raw = adapt(old, platform[learned].copy(), scale="log2")
    assert len(model.held_out_.X) == learned.sum()
    np.testing.assert_allclose(model.held_out_.predicted, raw.held_out_.predicted, atol=5e-3)


def test_an_evaluation_is_in_the_datasets_units(old: Estimator, platform: AnnData) -> None:
    made = prepare(platform.copy(), seed=0)
    model = adapt(old, made)
    result = evaluate({"adapted": model}, made)
    rows = (made.obs["split"] == "test").to_numpy()
    panel = platform[rows][:, np.flatnonzero(landmarks(made))].copy()
    found = infer(panel, model, scale="log2")
    assert found is not None
    at = np.flatnonzero(targets(made))
    std = made.varm["std"].to_numpy()[at, 0]
    by_hand = np.abs(np.asarray(found[:, made.var_names[at]].X) - np.asarray(platform[rows].X)[:, at]) / std
    overall = result.overall.set_index("model")["error"]
    assert overall["adapted"] == pytest.approx(by_hand.mean(), rel=1e-3)
    assert overall["adapted"] < overall["training mean"]


def test_profiles_it_was_made_of_are_known_again(
    old: Estimator, platform: AnnData, compendium: AnnData, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "dgex"):
        model = adapt(old, compendium[:20].copy(), scale="log2")
    assert "were training profiles of the old model" in caplog.text
    assert model.metrics_["data"]["profiles_the_old_model_was_trained_on"] > 5
    caplog.clear()
    made = prepare(platform.copy(), seed=0)
    adapted = adapt(old, made, split=("test",))
    with caplog.at_level(logging.WARNING, "dgex"):
        evaluate({"adapted": adapted}, made)
    assert "were training profiles of adapted" in caplog.text


def test_target_genes_that_lack_are_told_and_stay(
    old: Estimator, platform: AnnData, caplog: pytest.LogCaptureFixture
) -> None:
    gone = old.targets_[4]
    whole = platform[:20, platform.var_names != gone].copy()
    with caplog.at_level(logging.WARNING, "dgex"):
        model = adapt(old, whole, scale="log2")
    assert (
        f"1 of 30 target genes are missing from in memory and stay with the old model, in its units: {gone}"
        in caplog.text
    )
    assert model.targets_ == old.targets_
    assert np.flatnonzero(model.lacking_).tolist() == [4]
    assert model.normalization_ is not None
    assert old.normalization_ is not None
    assert model.normalization_.target_mean is not None
    assert old.normalization_.target_mean is not None
    assert model.normalization_.target_mean[4] == old.normalization_.target_mean[4]


def test_an_old_model_of_bare_values(platform: AnnData) -> None:
    role = platform.var["role"]
    values = np.asarray(platform.X)
    names = platform.var_names
    x, y = (pd.DataFrame(values[60:, role == part], columns=names[role == part]) for part in ("landmark", "target"))
    bare = Ridge(alpha=1.0).fit(x, y + 1.0)
    model = adapt(bare, platform[:12].copy())
    assert model.normalization_ is None
    found = model.predict(x)
    assert np.abs(found - y.to_numpy()).mean() < 0.5 * np.abs(bare.predict(x) - y.to_numpy()).mean()


@pytest.mark.parametrize("group", [None, "place"])
def test_groups_are_held_out_by_their_column(old: Estimator, platform: AnnData, group: str | None) -> None:
    model = adapt(old, platform[:30].copy(), group=group, scale="log2")
    assert len(set(model.held_out_.fold)) == (10 if group is None else 5)
    assert model.metrics_["data"]["held_out_by"] == (group or "profile")


def test_what_is_refused(old: Estimator, platform: AnnData, tmp_path: Path) -> None:
    role = platform.var["role"]
    with pytest.raises(DataError, match=r"found 4, accepted at least 5"):
        adapt(old, platform[:4].copy(), scale="log2")
    with pytest.raises(DataError, match=r"no such column to group by: found 'donor', accepted"):
        adapt(old, platform[:9].copy(), group="donor", scale="log2")
    with pytest.raises(
        GeneError, match=r"1 of 20 landmark genes are missing from the whole profiles.*: " + old.landmarks_[0]
    ):
        adapt(old, platform[:9, platform.var_names != old.landmarks_[0]].copy(), scale="log2")
    with pytest.raises(GeneError, match=r"none of the model's 30 target genes"):
        adapt(old, platform[:9, role == "landmark"].copy(), scale="log2")
    with pytest.raises(SettingsError, match="scale: found 'octaves'"):
        adapt(old, platform[:9].copy(), scale="octaves")
    with pytest.raises(SettingsError, match="no set named GTEx"):
        adapt(old, prepare(platform.copy(), seed=0), split=("GTEx",))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine.txt").write_text("keep me")
    with pytest.raises((FileError, OutputExistsError)):
        adapt(old, platform[:9].copy(), tmp_path / "new", scale="log2", overwrite=True)
    assert (tmp_path / "new" / "mine.txt").read_text() == "keep me"


def test_nothing_is_left_of_what_failed(old: Estimator, platform: AnnData, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        adapt(old, platform[:4].copy(), tmp_path / "new", scale="log2")
    assert not list(tmp_path.iterdir())


def test_trust_and_intervals_are_of_the_new_platform(old: Estimator, platform: AnnData, tmp_path: Path) -> None:
    model = adapt(old, platform[:60].copy(), tmp_path / "new", group="place", scale="log2")
    assert model.confidence_ is not None
    assert "folds of whole groups (5)" in model.confidence_.judged["words"]
    role = platform.var["role"]
    panel, truth = platform[60:, role == "landmark"].copy(), np.asarray(platform[60:, model.targets_].X)
    covered, far = {}, {}
    for name, one in (("old", old), ("new", load(tmp_path / "new"))):
        found = infer(panel, one, scale="log2", interval=0.9)
        assert found is not None
        part = found[:, model.targets_]
        covered[name] = float(np.mean(np.abs(np.asarray(part.X) - truth) <= np.asarray(part.layers["halfwidth"])))
        far[name] = float(found.obs["distance"].median())
    assert covered["old"] < 0.7
    assert 0.84 < covered["new"] < 0.96
    assert far["old"] > 0.99
    assert 0.2 < far["new"] < 0.8


def test_genes_that_the_new_profiles_lack_are_unknown(old: Estimator, platform: AnnData) -> None:
    lacking = old.targets_[:3]
    part = platform[:40, [name for name in platform.var_names if name not in lacking]].copy()
    model = adapt(old, part, scale="log2")
    assert model.confidence_ is not None
    assert (model.confidence_.trust[:3] == "unknown").all()
    assert (model.confidence_.trust[3:] != "unknown").all()


def test_landmark_genes_that_the_new_profiles_lack_are_filled(old: Estimator, platform: AnnData) -> None:
    lacking = old.landmarks_[:2]
    part = platform[:40, [name for name in platform.var_names if name not in lacking]].copy()
    with pytest.raises(GeneError, match="missing='impute' fills them"):
        adapt(old, part, scale="log2")
    model, whole = adapt(old, part, scale="log2", missing="impute"), adapt(old, platform[:40].copy(), scale="log2")
    role = part.var["role"]
    panel, truth = platform[40:, part.var_names[role == "landmark"]].copy(), platform[40:, model.targets_]
    found = infer(panel, model, scale="log2", missing="impute")
    assert found is not None
    apart = np.abs(np.asarray(found[:, model.targets_].X) - np.asarray(truth.X)) / np.asarray(truth.X).std(axis=0)
    assert float(apart.mean()) < 1.15 * error(whole, platform[40:])
    with pytest.raises(SettingsError, match="missing"):
        adapt(old, part, missing="mean")
