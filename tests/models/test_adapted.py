"""A model adapted to another platform: what it is in closed form, and what it must not lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dgex.models.adapted as adapted_module
from dgex.errors import DataError, ModelError, SettingsError
from dgex.models.adaptation import choice
from dgex.models.adaptation.choice import gram
from dgex.models.adapted import Adapted
from dgex.models.base import Arrays, Estimator
from dgex.models.catalogue import METHODS, Method
from dgex.models.folder import load
from dgex.models.kernel.kernels import KernelShape
from dgex.models.linear.regression import Ridge
from dgex.models.neighbours import KNNGE

P, T = 8, 11


@pytest.fixture(scope="module")
def world() -> dict[str, np.ndarray]:
    """An old platform, and a new one whose genes follow half as steeply, at other levels, with something of its own."""
    rng = np.random.default_rng(3)
    B, own = rng.normal(size=(P, T)), rng.normal(size=(P, T))
    old, new = rng.normal(size=(150, P)), rng.normal(size=(90, P))
    return {
        "X": old,
        "Y": old @ B + 0.1 * rng.normal(size=(150, T)),
        "new": new,
        "wanted": 0.5 * new @ B + 0.4 * new @ own + 2.0 + 0.1 * rng.normal(size=(90, T)),
    }


@pytest.fixture(scope="module")
def old(world: dict[str, np.ndarray]) -> Estimator:
    return Ridge(alpha=1.0).fit(world["X"], world["Y"])


def adapted(world: dict[str, np.ndarray], old: Estimator, n: int = 40, **options: Any) -> Adapted:
    return Adapted().fit(world["new"][:n], world["wanted"][:n], old=old, **options)


def by_hand(model: Adapted, old: Estimator, X: np.ndarray, Y: np.ndarray, far: np.ndarray) -> np.ndarray:
    """The definition, gene by gene, with the settings of a fitted model."""
    shape = KernelShape(model.gamma_, model.linear_)
    X, far = X.astype(np.float32), far.astype(np.float32)
    K, k = gram(X, X, shape, model._units), gram(far, X, shape, model._units)
    f, ahead = old.predict(X).astype(float), old.predict(far).astype(float)
    result = np.empty((len(far), Y.shape[1]))
    for gene in range(Y.shape[1]):
        y, mean = Y[:, gene].astype(np.float32).astype(float), f[:, gene].mean()
        rest = y - y.mean() - model.share_ * (f[:, gene] - mean)
        weights = np.linalg.solve(K + model.alpha_ * np.eye(len(K)), rest)
        result[:, gene] = y.mean() + model.share_ * (ahead[:, gene] - mean) + k @ weights
    return result


def test_it_is_the_closed_form_of_its_definition(world: dict[str, np.ndarray], old: Estimator) -> None:
    model = adapted(world, old)
    expected = by_hand(model, old, world["new"][:40], world["wanted"][:40], world["new"][40:])
    np.testing.assert_allclose(model.predict(world["new"][40:]), expected, atol=2e-3)


def test_what_was_held_out_is_predicted_without_it(world: dict[str, np.ndarray], old: Estimator) -> None:
    model = adapted(world, old)
    held = model.held_out_
    for number in np.unique(held.fold):
        rest, out = held.fold != number, held.fold == number
        expected = by_hand(model, old, held.X[rest], held.Y[rest], held.X[out])
        np.testing.assert_allclose(held.predicted[out], expected, atol=2e-3)


def test_changing_the_held_out_truth_changes_no_prediction_of_it(
    world: dict[str, np.ndarray], old: Estimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapted_module, "choose", lambda *_: choice.Choice(0, 0.1, 0.6, 1.0, 1.0, 1.0))
    first = adapted(world, old)
    out = first.held_out_.fold == 0
    other = world["wanted"].copy()
    other[:40][out] += 100.0
    again = Adapted().fit(world["new"][:40], other[:40], old=old)
    np.testing.assert_array_equal(first.held_out_.fold, again.held_out_.fold)
    np.testing.assert_allclose(again.held_out_.predicted[out], first.held_out_.predicted[out], atol=1e-4)


def test_the_error_of_one_decomposition_is_that_of_solving_each(world: dict[str, np.ndarray], old: Estimator) -> None:
    X, Y = world["new"][:12].astype(np.float32), world["wanted"][:12].astype(np.float32)
    kernel = gram(X, X, KernelShape(1.0, 0.3), choice.units_of_few(X))
    prior = old.predict(X)
    folds = [(np.arange(4, 12), np.arange(4)), (np.arange(8), np.arange(8, 12))]
    found = choice.errors(kernel, choice.Problem([], Y, prior), folds)
    for i, alpha in enumerate(choice.ALPHAS):
        for j, share in enumerate(choice.SHARES):
            parts = []
            for train, held in folds:
                rest = Y[train] - share * prior[train]
                level = rest.mean(axis=0)
                inner = kernel[np.ix_(train, train)] + (0 if np.isinf(alpha) else alpha) * np.eye(len(train))
                weights = 0 * rest if np.isinf(alpha) else np.linalg.solve(inner, rest - level)
                parts.append(np.abs(Y[held] - share * prior[held] - level - kernel[np.ix_(held, train)] @ weights))
            assert found[i, j] == pytest.approx(np.concatenate(parts).mean(), rel=1e-3)


@pytest.mark.parametrize("n", [10, 30, 80])
def test_it_is_better_than_either_on_profiles_held_out(world: dict[str, np.ndarray], old: Estimator, n: int) -> None:
    errors = adapted(world, old, n).expected_["members"]
    assert errors["adapted"] <= min(errors.values())


def test_an_old_model_that_is_right_but_for_levels_is_kept(world: dict[str, np.ndarray]) -> None:
    B = np.random.default_rng(0).normal(size=(P, T))
    right = Ridge(alpha=1e-6).fit(world["X"], world["X"] @ B)
    new = world["new"]
    model = Adapted().fit(new[:6], new[:6] @ B + 5.0, old=right)
    np.testing.assert_allclose(model.predict(new), new @ B + 5.0, atol=0.02)


def test_an_old_model_of_noise_is_left_out(world: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    noise = Ridge(alpha=1e-6).fit(world["X"], 5 * rng.normal(size=(150, T)) + 9 * world["X"][:, :1])
    model = adapted(world, noise, 80)
    assert model.expected_["error"] <= model.expected_["members"]["new profiles alone"]
    assert model.share_ <= 0.2


def test_whole_groups_are_held_out(world: dict[str, np.ndarray], old: Estimator) -> None:
    groups = np.array(["a", "b", "c", "d"])[np.arange(40) % 4]
    held = adapted(world, old, groups=groups).held_out_
    assert all(len(set(held.fold[groups == name])) == 1 for name in set(groups))
    assert len(set(held.fold)) == 4


def test_target_genes_that_lack_stay_with_the_old_model(world: dict[str, np.ndarray], old: Estimator) -> None:
    lacking = np.arange(T) == 3
    spoiled = world["wanted"].copy()
    spoiled[:, 3] = 1e6  # must not be looked at
    model = Adapted().fit(world["new"][:40], spoiled[:40], old=old, lacking=lacking)
    whole = adapted(world, old)
    found = model.predict(world["new"])
    np.testing.assert_allclose(found[:, 3], old.predict(world["new"])[:, 3], atol=1e-4)
    assert np.isnan(model.held_out_.Y[:, 3]).all()
    assert not np.isnan(model.held_out_.Y[:, 4]).any()
    assert np.flatnonzero(np.isnan(model.expected_by_gene_)).tolist() == [3]
    assert model.share_ == pytest.approx(whole.share_, abs=0.21)


def test_one_profile_equals_its_row_of_many(world: dict[str, np.ndarray], old: Estimator) -> None:
    model = adapted(world, old)
    np.testing.assert_allclose(model.predict(world["new"][50:51]), model.predict(world["new"])[50:51], atol=1e-4)


def test_a_folder_predicts_alone_and_may_be_adapted_again(
    world: dict[str, np.ndarray], old: Estimator, tmp_path: Path
) -> None:
    model = adapted(world, old)
    model.save(tmp_path / "one")
    again = load(tmp_path / "one")
    assert isinstance(again, Adapted)
    np.testing.assert_array_equal(again.predict(world["new"]), model.predict(world["new"]))
    assert again.expected_ == model.expected_
    assert not hasattr(again, "held_out_")
    twice = adapted(world, again, 30)
    twice.save(tmp_path / "two")
    np.testing.assert_array_equal(load(tmp_path / "two").predict(world["new"]), twice.predict(world["new"]))
    assert "new profiles alone" in (tmp_path / "one" / "README.md").read_text("utf-8")


def test_any_method_can_be_the_old_one(world: dict[str, np.ndarray], tmp_path: Path) -> None:
    near = KNNGE(n_neighbors=2).fit(world["X"], world["Y"])
    model = adapted(world, near, 12)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(load(tmp_path / "m").predict(world["new"]), model.predict(world["new"]))


class Slope(Estimator):
    """A method of another package."""

    kind = "slope"

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Any) -> None:
        self.slope_ = Y.mean(axis=0)

    def _predict(self, X: np.ndarray) -> np.ndarray:
        return X[:, :1] * self.slope_

    def _arrays(self) -> Arrays:
        return {"slope": self.slope_}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        self.slope_ = arrays["slope"]


def test_a_method_of_another_package_and_what_is_said_without_it(
    world: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as there:
        there.setitem(
            METHODS, "slope", Method("slope", f"{__name__}:Slope", "a slope", "slope", package="dgex-slope 1")
        )
        model = adapted(world, Slope().fit(world["X"], world["Y"]), 12)
        model.save(tmp_path / "m")
        np.testing.assert_array_equal(load(tmp_path / "m").predict(world["new"]), model.predict(world["new"]))
    with pytest.raises(ModelError, match=r"'slope'; the package dgex-slope 1 brings it"):
        load(tmp_path / "m")


def test_the_curve_tells_what_more_profiles_bring(world: dict[str, np.ndarray], old: Estimator) -> None:
    curve = adapted(world, old, 60).expected_["curve"]
    sizes = curve["profiles"]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 54
    assert curve["more"] == 60
    assert curve["then"] <= curve["now"]


def test_of_many_profiles_some_choose_and_all_tell(
    world: dict[str, np.ndarray], old: Estimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "PROFILES", 30)
    model = adapted(world, old, 90)
    unit = np.nanmean(np.abs(model.held_out_.predicted - model.held_out_.Y), axis=0) / model.expected_by_gene_
    apart = np.abs(model.held_out_.predicted - model.held_out_.Y) / unit
    assert model.expected_["error"] == pytest.approx(apart.mean(), rel=1e-3)
    assert model.expected_["curve"]["profiles"][-1] == 81
    assert model.expected_["curve"]["error"][-1] == pytest.approx(model.expected_["error"], abs=1e-4)


def test_a_power_law_is_found_again() -> None:
    from dgex.models.adaptation.curve import expected_with

    points = [{"profiles": n, "error": 2.0 * n**-0.3} for n in (4, 8, 16)]
    assert expected_with(points, 48) == pytest.approx(2.0 * 48**-0.3)
    assert expected_with(points[:1], 48) is None
    rising = [{"profiles": n, "error": 0.1 * n} for n in (4, 8)]
    assert expected_with(rising, 16) == pytest.approx(0.8)


def test_what_cannot_be_adapted(world: dict[str, np.ndarray], old: Estimator) -> None:
    new, wanted = world["new"], world["wanted"]
    with pytest.raises(SettingsError, match="an old model of the same genes"):
        Adapted().fit(new, wanted)
    with pytest.raises(SettingsError, match="an old model of the same genes"):
        Adapted().fit(new[:, :3], wanted, old=old)
    with pytest.raises(DataError, match="found 4, accepted at least 5"):
        adapted(world, old, 4)
    with pytest.raises(DataError, match="one group"):
        adapted(world, old, 10, groups=["a"] * 10)
    with pytest.raises(DataError, match="9 labels"):
        adapted(world, old, 10, groups=["a"] * 9)
    with pytest.raises(DataError, match="do not vary"):
        Adapted().fit(np.ones((9, P)), wanted[:9], old=old)
    with pytest.raises(DataError, match="do not vary"):
        Adapted().fit(new[:9], np.ones((9, T)), old=old)
    with pytest.raises(SettingsError, match="folds: found 1"):
        Adapted(folds=1).fit(new, wanted, old=old)
