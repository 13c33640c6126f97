"""Several methods weighed gene by gene: honest folds, weights against closed forms, going on, leaving out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

import dgex
from dgex.errors import DataError, ModelError, SettingsError
from dgex.models.catalogue import METHODS, Method
from dgex.models.stack import auto as module
from dgex.models.stack import evidence
from dgex.models.stack.auto import Auto
from dgex.models.stack.evidence import ENOUGH, gather
from dgex.models.stack.judging import judge
from dgex.models.stack.members import Member
from dgex.models.stack.weights import stack

FEW = ("ols", "ridge", "knn-ge")


def problem(profiles: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(3, 2, size=(profiles, 10)).astype(np.float32)
    Y = np.sin(X @ rng.normal(size=(10, 7)) / 4) + rng.normal(0, 0.2, size=(profiles, 7))
    return X, Y.astype(np.float32)


def halves(profiles: int = 200) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    X, Y = problem(profiles)
    cut = profiles * 3 // 4
    return X[:cut], Y[:cut], {"validation": (X[cut:], Y[cut:])}


# ---- what judges


def test_every_profile_is_held_out_once_and_groups_stay_whole() -> None:
    X, Y, sets = halves()
    groups = np.array([f"g{i % 11}" for i in range(150)])
    held = np.array([f"h{i % 3}" for i in range(50)])
    evidence = gather(X, Y, sets, groups, held, 5, 0)
    labels = np.concatenate([groups, held])
    assert np.array_equal(np.sort(np.concatenate([out for _, out in evidence.folds])), np.arange(200))
    for fit, out in evidence.folds:
        assert not set(fit) & set(out)
        assert not set(labels[fit]) & set(labels[out])
    np.testing.assert_array_equal(evidence.X[:150], X)
    np.testing.assert_array_equal(evidence.Y[150:], sets["validation"][1])


def test_a_large_validation_set_judges_alone() -> None:
    X, Y = problem(ENOUGH + 60)
    evidence = gather(X[:60], Y[:60], {"validation": (X[60:], Y[60:])}, None, None, 5, 0)
    assert [(len(fit), len(out)) for fit, out in evidence.folds] == [(60, ENOUGH)]
    assert np.array_equal(np.sort(np.concatenate(evidence.parts)), np.arange(60, 60 + ENOUGH))


def test_one_group_only_is_said_and_too_few_profiles_refused(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="dgex")
    X, Y = problem(20)
    assert len(gather(X, Y, {}, ["a"] * 20, None, 5, 0).folds) == 5
    assert "all profiles are of one group" in caplog.text
    with pytest.raises(DataError, match="too few profiles to hold any out: found 3"):
        Auto(members=("ols",), device="cpu").fit(X[:3], Y[:3])


def test_held_out_predictions_are_those_of_a_model_that_never_saw_them() -> None:
    X, Y = problem(60)
    evidence = gather(X, Y, {}, None, None, 3, 0)
    judged = judge(Member("ridge", {"alpha": 2.0}), evidence)
    expected = [dgex.Ridge(alpha=2.0).fit(X[fit], Y[fit]).predict(X[out]) for fit, out in evidence.folds]
    np.testing.assert_allclose(judged.predicted, np.concatenate(expected), atol=1e-5)


def test_a_penalty_is_chosen_on_all_folds_together() -> None:
    X, Y = problem(90)
    evidence = gather(X, Y, {}, None, None, 3, 0)
    alpha = judge(Member("ridge", {}), evidence).settings["alpha"]

    def error(value: float) -> float:
        models = [(dgex.Ridge(alpha=value).fit(X[fit], Y[fit]), out) for fit, out in evidence.folds]
        return float(np.mean([np.abs(model.predict(X[out]) - Y[out]).mean() for model, out in models]))

    assert error(alpha) <= min(error(alpha * factor) for factor in (0.25, 4.0)) + 1e-6


# ---- weights


def test_common_weights_are_those_of_non_negative_least_squares() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(400, 30))
    members = [true + rng.normal(0, s, true.shape) for s in (0.5, 0.7)]
    parts = np.array_split(np.arange(400), 4)
    found = stack(members, true, np.zeros(30), parts)
    expected, _ = nnls(np.stack([member.ravel() for member in members], axis=1), true.ravel())
    np.testing.assert_allclose(found.weights.mean(axis=0), expected, atol=0.02)
    assert found.error < found.errors.min()


def test_genes_that_differ_get_weights_of_their_own() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(size=(600, 20))
    noise = [np.where(np.arange(20) < 10, *pair) for pair in ((0.1, 2.0), (2.0, 0.1))]
    members = [true + rng.normal(size=true.shape) * scale for scale in noise]
    found = stack(members, true, np.zeros(20), np.array_split(np.arange(600), 4))
    assert found.rule == "weights of each gene"
    assert (found.weights[:10, 0] > 0.8).all()
    assert (found.weights[10:, 1] > 0.8).all()
    assert found.error < 0.6 * found.errors.min()


def test_a_member_that_only_adds_noise_is_left_out() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(size=(300, 15))
    members = [true + rng.normal(0, 0.1, true.shape), rng.normal(0, 1, true.shape)]
    found = stack(members, true, np.zeros(15), np.array_split(np.arange(300), 3))
    assert not found.weights[:, 1].any()


def test_one_member_that_is_right_is_taken_as_it_is() -> None:
    true = np.random.default_rng(3).normal(size=(50, 6))
    found = stack([true + 1.0, true], true, np.zeros(6), np.array_split(np.arange(50), 2))
    assert found.rule == "one member"
    np.testing.assert_array_equal(found.weights, np.tile([0.0, 1.0], (6, 1)))


# ---- the whole


def test_it_predicts_the_weighted_sum_of_its_members() -> None:
    X, Y, sets = halves()
    model = Auto(members=FEW, device="cpu").fit(X, Y, sets)
    mean = Y.mean(axis=0)
    parts = [(member.predict(X) - mean) * model.weights_[:, at] for at, member in enumerate(model.members_)]
    np.testing.assert_allclose(model.predict(X), mean + sum(parts), atol=1e-5)


def test_refitted_members_have_seen_the_validation_profiles_and_the_others_have_not() -> None:
    X, Y, sets = halves()
    held = sets["validation"]
    whole = Auto(members=("ols",), device="cpu").fit(X, Y, sets)
    apart = Auto(members=("ols",), device="cpu", refit=False).fit(X, Y, sets)
    both = dgex.OLS().fit(np.concatenate([X, held[0]]), np.concatenate([Y, held[1]]))
    np.testing.assert_allclose(whole.predict(X), both.predict(X), atol=1e-4)
    np.testing.assert_allclose(apart.predict(X), dgex.OLS().fit(X, Y).predict(X), atol=1e-4)
    assert (whole.seen_, apart.seen_) == (("validation",), ())


def test_what_it_expects_is_what_new_profiles_show() -> None:
    X, Y = problem(3000)
    model = Auto(members=("ridge", "kernel"), device="cpu").fit(X[:300], Y[:300])
    error = np.abs(model.predict(X[300:]) - Y[300:]).mean()
    assert model.expected_["error"] == pytest.approx(error, rel=0.1)
    assert model.expected_by_gene_.mean() == pytest.approx(model.expected_["error"], rel=1e-4)


def test_saved_and_loaded_it_predicts_the_same(tmp_path: Path) -> None:
    X, Y, sets = halves()
    model = Auto(members=("ridge", "kernel", "knn-ge"), device="cpu").fit(X, Y, sets)
    model.save(tmp_path / "auto")
    loaded = dgex.load(tmp_path / "auto")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.expected_ == model.expected_
    assert [member.kind for member in loaded.members_] == [member.kind for member in model.members_]


class Broken(dgex.Estimator):
    kind = "broken"

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Any) -> None:
        raise DataError("it never works")


class Interrupted(Broken):
    kind = "interrupted"

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Any) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def odd_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    for made in (Broken, Interrupted):
        monkeypatch.setitem(METHODS, made.kind, Method(made.kind, f"{__name__}:{made.__name__}", "", ""))


def test_a_member_that_fails_is_left_out_and_said(odd_methods: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="dgex")
    X, Y = problem()
    model = Auto(members=("broken", "ols"), device="cpu").fit(X, Y)
    assert model.expected_["left_out"] == {"broken": "it never works"}
    assert "broken is left out: it never works" in caplog.text
    with pytest.raises(DataError, match="no member could be fitted: broken: it never works"):
        Auto(members=("broken",), device="cpu").fit(X, Y)


def test_an_interrupt_keeps_the_best_so_far(odd_methods: None) -> None:
    X, Y = problem()
    model = Auto(members=("ols", "interrupted", "knn-ge"), device="cpu").fit(X, Y)
    assert [member.kind for member in model.members_] == ["ols"]
    assert model.expected_["left_out"] == {"interrupted": "interrupted", "knn-ge": "interrupted"}
    with pytest.raises(KeyboardInterrupt):
        Auto(members=("interrupted", "ols"), device="cpu").fit(X, Y)


def test_what_the_budget_does_not_allow_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = problem()
    monkeypatch.setattr(module, "rate", lambda device: 1.0)  # a machine of one operation a second
    model = Auto(members=("ols", "kernel"), device="cpu", budget="2m").fit(X, Y)
    assert list(model.expected_["members"]) == ["ols"]
    assert "of a budget of 120 s" in model.expected_["left_out"]["kernel"]


def test_going_on_takes_what_was_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y, sets = halves()
    options = {"members": FEW, "device": "cpu"}
    whole = Auto(**options).fit(X, Y, sets)
    Auto(**options).fit(X, Y, sets, checkpoint_dir=tmp_path)
    judged: list[str] = []
    real = module.judge
    monkeypatch.setattr(
        module, "judge", lambda member, *rest, **how: judged.append(member.kind) or real(member, *rest, **how)
    )
    (tmp_path / "member-ridge.safetensors").write_bytes(b"cut off")
    again = Auto(**options).fit(X, Y, sets, checkpoint_dir=tmp_path, resume=True)
    assert judged == ["ridge"]
    np.testing.assert_allclose(again.predict(X), whole.predict(X), atol=1e-6)
    with pytest.raises(ModelError, match="is of other data or settings"):
        Auto(**options).fit(X[1:], Y[1:], sets, checkpoint_dir=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"members": ()}, "members"),
        ({"members": ("ols", "ols")}, "each once"),
        ({"members": ("auto",)}, "not auto itself"),
        ({"members": ("none-such",)}, "unknown method"),
        ({"folds": 1}, "folds"),
        ({"budget": 0}, "budget"),
        ({"budget": "soon"}, "90s, 10m, 2h"),
    ],
)
def test_settings_that_no_data_could_make_right(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Auto(**settings).fit(*problem(20))


def test_of_maps_as_many_held_out_profiles_judge_as_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 5)).astype(np.float32)
    Y = np.sin(X @ rng.normal(size=(5, 8))).astype(np.float32)
    for name, values in (("X", X), ("Y", Y)):
        np.save(tmp_path / f"{name}.npy", values)
    maps = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "XY"]
    whole, held = gather(*maps, {"validation": (X[:1200], Y[:1200])}, None, None, 5, 0), slice(1500, 2700)
    assert np.array_equal(whole.X, np.concatenate([X, X[:1200]]))
    assert np.array_equal(whole.Y[held], Y[:1200])
    assert len(whole.folds[0][1]) == 1200
    monkeypatch.setattr(evidence, "host_memory", lambda: 1000)
    caplog.set_level("INFO", logger="dgex")
    few = gather(*maps, {"validation": (X[:1200], Y[:1200])}, None, None, 5, 0)
    assert len(few.folds[0][1]) == 1000
    assert sorted(np.concatenate(few.parts)) == sorted(few.folds[0][1])
    assert "1,000 validation profiles of 1,200 judge" in caplog.text
    with pytest.raises(DataError, match="1,600 profiles in turn"):
        gather(*maps, {"validation": (X[:100], Y[:100])}, None, None, 5, 0)
