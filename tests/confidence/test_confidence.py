"""What is stored with a model: read back as it was, honest on other profiles, and alike for every method."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import dgex
from dgex.confidence.held_out import MOST, HeldOut
from dgex.errors import DataError, GeneError, ModelError, SettingsError
from dgex.fitting.train import train


@pytest.fixture(scope="module")
def raw() -> ad.AnnData:
    return dgex.simulate(samples=700, landmarks=30, targets=40, seed=4)


@pytest.fixture(scope="module")
def data(raw: ad.AnnData) -> ad.AnnData:
    return dgex.prepare(raw, split=(0.4, 0.3, 0.3), seed=0)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("ols", {}),
        ("ridge", {}),
        ("knn-ge", {}),
        ("kernel", {"device": "cpu"}),
        ("dgex", {"hidden": 8, "epochs": 2, "device": "cpu"}),
        ("auto", {"device": "cpu"}),
    ],
)
def test_every_method_is_judged_and_covers_other_profiles(
    data: ad.AnnData, method: str, settings: dict[str, object], tmp_path: Path
) -> None:
    model = train(data, method, tmp_path / "m", **settings)  # type: ignore[arg-type]
    known = model.confidence_
    assert known is not None
    test = data[data.obs["split"] == "test"]
    x, y = (np.asarray(test[:, names].X) for names in (model.landmarks_, model.targets_))
    low, high = model.predict_interval(x, 0.9)
    assert 0.86 < np.mean((low <= y) & (y <= high)) < 0.94
    np.testing.assert_allclose((low + high) / 2, model.predict(x), atol=1e-4)
    error = np.abs(model.predict(x) - y).mean(0)
    assert np.median(np.abs(known.accuracy["error"] / error - 1)) < 0.1
    assert known.accuracy["error"].mean() == pytest.approx(error.mean(), rel=0.12)
    assert np.mean(known.farther(known.landmarks.distance(x)) < 0.01) < 0.04
    again = dgex.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict_interval(x, 0.8), model.predict_interval(x, 0.8))
    np.testing.assert_array_equal(again.confidence_.trust, known.trust)
    assert again.confidence_.judged == known.judged


def test_missing_genes_cost_what_the_model_says(data: ad.AnnData) -> None:
    model = train(data, "ridge")
    known = model.confidence_
    test = data[data.obs["split"] == "test"]
    x, y = (np.asarray(test[:, names].X) for names in (model.landmarks_, model.targets_))
    rng = np.random.default_rng(0)
    whole, lacking = np.abs(model.predict(x) - y).mean(), []
    for _ in range(12):
        holed = x.copy()
        holed[:, rng.permutation(30)[:6]] = np.nan
        lacking.append(np.abs(model.predict(known.landmarks.fill(holed)) - y).mean())
    assert known.missing.factor(0.2) == pytest.approx(np.mean(lacking) / whole, rel=0.1)
    assert known.missing.factor(0.0) == 1
    assert (np.diff(known.missing.factor(np.linspace(0, 0.5, 20))) >= 0).all()


def test_by_study_the_folds_hold_whole_studies(raw: ad.AnnData) -> None:
    grouped = dgex.prepare(raw.copy(), group="study", seed=0)
    model = train(grouped, "ridge")
    assert model.confidence_.judged["groups"] > 3
    assert "by group" in model.confidence_.judged["words"]
    assert model.confidence_.accuracy["r_within"].notna().all()
    at_random = train(dgex.prepare(raw.copy(), seed=0), "ridge")
    assert at_random.confidence_.judged["groups"] == 0
    assert model.confidence_.accuracy["error"].mean() > at_random.confidence_.accuracy["error"].mean()


def test_many_held_out_profiles_are_thinned_evenly() -> None:
    rows = np.arange(3 * MOST, dtype=np.float32)[:, None]
    few = HeldOut(rows, rows, rows, None, rows[:, 0].astype(str)).few()
    assert (len(few.X), few.X[0, 0], few.X[-1, 0]) == (MOST, 0, 3 * MOST - 1)
    assert [float(g) for g in few.groups] == few.X[:, 0].tolist()  # type: ignore[union-attr]


def test_calibrating_a_model_that_has_no_confidence(data: ad.AnnData, tmp_path: Path) -> None:
    train(data, "ridge", tmp_path / "m", alpha=10.0)
    model = dgex.load(tmp_path / "m")
    model.confidence_ = None
    model.save(tmp_path / "old")
    assert dgex.load(tmp_path / "old").confidence_ is None
    with pytest.raises(ModelError, match="dgex calibrate MODEL DATA"):
        dgex.load(tmp_path / "old").predict_interval(np.zeros((1, 30)))
    dgex.calibrate(tmp_path / "old", data)
    judged = dgex.load(tmp_path / "old").confidence_
    assert judged is not None
    assert judged.judged["profiles"] == 210
    np.testing.assert_array_equal(
        dgex.load(tmp_path / "old").predict(np.eye(30)), dgex.load(tmp_path / "m").predict(np.eye(30))
    )
    dgex.calibrate(tmp_path / "old", data, tmp_path / "new", split="test,validation", by="study")
    assert dgex.load(tmp_path / "new").confidence_.judged["groups"] > 1


def test_training_profiles_do_not_judge(data: ad.AnnData, tmp_path: Path) -> None:
    model = train(data, "ols")
    with pytest.raises(DataError, match=r"too few held-out profiles .* found 0"):
        dgex.calibrate(model, data, split="train")


@pytest.mark.parametrize(
    ("asked", "error", "match"),
    [
        ({"split": "nope"}, SettingsError, "no split named nope"),
        ({"by": "nope"}, SettingsError, "by"),
    ],
)
def test_bad_calls(data: ad.AnnData, asked: dict[str, str], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        dgex.calibrate(train(data, "ols"), data, **asked)  # type: ignore[arg-type]


def test_a_dataset_of_other_units_or_genes_is_refused(data: ad.AnnData, raw: ad.AnnData) -> None:
    model = train(data, "ols")
    with pytest.raises(DataError, match="in another unit"):
        dgex.calibrate(model, dgex.prepare(raw.copy(), standardize="none", seed=0))
    with pytest.raises(GeneError, match="1 landmark genes of the model are missing"):
        dgex.calibrate(model, data[:, [name for name in data.var_names if name != model.landmarks_[0]]].copy())


def test_too_few_for_trust_is_said(raw: ad.AnnData) -> None:
    small = dgex.prepare(raw[:60].copy(), seed=0)
    assert train(small, "lasso", alpha=0.1).confidence_ is None  # 6 validation profiles, and dear to fit again
    with pytest.raises(DataError, match="found 5"):
        dgex.OLS().fit(np.eye(9), np.eye(9)).calibrate(np.zeros((5, 9)), np.zeros((5, 9)))
