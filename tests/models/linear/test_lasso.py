"""Lasso: agreement with scikit-learn, certified gaps, and the path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso as SklearnLasso

from dgex.errors import SettingsError
from dgex.metrics import GeneErrors
from dgex.models.folder import load
from dgex.models.linear.lasso import Lasso
from dgex.models.linear.lasso_solver import LassoSolver, relative_gap
from dgex.models.linear.moments import Moments


def problem(n: int, p: int, t: int, noise: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4)) @ rng.standard_normal((4, p)) + rng.standard_normal((n, p))
    X /= X.std(axis=0)
    weights = rng.standard_normal((p, t)) * (rng.random((p, t)) < 0.2)
    return X.astype(np.float32), (X @ weights + noise * rng.standard_normal((n, t))).astype(np.float32)


def objective(X: np.ndarray, Y: np.ndarray, coef: np.ndarray, intercept: np.ndarray, alpha: float) -> np.ndarray:
    residual = Y - X @ coef.T.astype(np.float64) - intercept
    return 0.5 * (residual**2).mean(axis=0) + alpha * np.abs(coef).sum(axis=1)


@pytest.mark.parametrize("alpha", [0.003, 0.05, 0.4])
def test_agrees_with_scikit_learn(alpha: float) -> None:
    X, Y = problem(300, 30, 9)
    model = Lasso(alpha=alpha, tol=1e-6).fit(X, Y)
    other = SklearnLasso(alpha=alpha, tol=1e-10, max_iter=50_000).fit(X.astype(np.float64), Y.astype(np.float64))
    np.testing.assert_allclose(model.coef_, other.coef_, atol=2e-3)
    np.testing.assert_allclose(
        objective(X, Y, model.coef_, model.intercept_, alpha),
        objective(X, Y, other.coef_, other.intercept_, alpha),
        rtol=1e-5,
    )


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(3, 40),
    p=st.integers(1, 15),
    t=st.integers(1, 6),
    strength=st.floats(1e-3, 1.2),
    units=st.sampled_from([1.0, 30.0]),
    seed=st.integers(0, 50),
)
def test_the_gap_is_met_and_bounds_the_distance_to_the_optimum(
    n: int, p: int, t: int, strength: float, units: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X = (rng.integers(-3, 4, (n, p)) * rng.uniform(1, units, p)).astype(np.float32)  # repeats and constants too
    Y = rng.standard_normal((n, t)).astype(np.float32)
    x, y = X - X.mean(axis=0, dtype=np.float64), Y - Y.mean(axis=0, dtype=np.float64)
    alpha = max(float(np.abs(x.T @ y).max()) / n * strength, 1e-6)
    model = Lasso(alpha=alpha, tol=1e-3).fit(X, Y)
    assert model.gap_ <= 1e-3
    exact = SklearnLasso(alpha=alpha, tol=1e-9, max_iter=100_000).fit(x, y)
    best = objective(
        X, Y, np.atleast_2d(exact.coef_), Y.mean(axis=0) - X.mean(axis=0) @ np.atleast_2d(exact.coef_).T, alpha
    )
    found = objective(X, Y, model.coef_, model.intercept_, alpha)
    assert (found - best <= 1e-3 * 0.5 * y.var(axis=0) + 1e-6).all()


def test_the_gap_is_scikit_learns() -> None:
    X, Y = problem(200, 20, 1)
    x, y = X - X.mean(axis=0, dtype=np.float64), (Y - Y.mean(axis=0, dtype=np.float64))[:, 0]
    other = SklearnLasso(alpha=0.05, tol=1e-3, fit_intercept=False).fit(x, y)
    gap = relative_gap(x.T @ x / 200, (x.T @ y / 200)[:, None], np.array([y @ y / 200]), other.coef_[:, None], 0.05)
    # scikit-learn reports the gap of the halved mean squared loss; ours is relative to half the variance
    assert 0 <= gap[0] <= other.dual_gap_ / (0.5 * (y @ y) / 200) * (1 + 1e-6)
    assert other.dual_gap_ / (0.5 * (y @ y) / 200) <= 2 * 1e-3


def test_the_gap_of_zero_coefficients_at_the_largest_penalty_is_zero() -> None:
    X, Y = problem(100, 8, 1)
    moments = Moments.of(X, Y)
    top = np.abs(moments.cross()).max() / moments.n
    model = Lasso(alpha=float(top) * 1.0001).fit(X, Y)
    assert not model.coef_.any()
    assert model.gap_ < 1e-6
    assert Lasso(alpha=float(top) * 0.99).fit(X, Y).coef_.any()


def test_targets_are_solved_independently_of_their_neighbours_and_threads() -> None:
    X, Y = problem(300, 40, 1200)
    moments = Moments.of(X, Y)
    squares = moments.y_squares() / moments.n

    def solve(threads: int) -> np.ndarray:
        solver = LassoSolver(moments.gram() / moments.n, threads=threads)
        return solver.solve(lambda part: moments.cross(part) / moments.n, squares, 0.05, 1e-5)[0]

    one, two = solve(1), solve(2)
    np.testing.assert_array_equal(one, two)
    alone = Lasso(alpha=0.05, tol=1e-5).fit(X, Y[:, 700:703]).coef_
    np.testing.assert_allclose(one[700:703], alone, atol=1e-3)


def test_dense_solutions_and_warm_starts_reach_the_gap() -> None:
    X, Y = problem(500, 40, 30, noise=1.0)
    moments = Moments.of(X, Y)
    solver = LassoSolver(moments.gram() / moments.n)
    coef = None
    for alpha in (0.3, 0.1, 0.01, 0.001):
        coef, gap = solver.solve(
            lambda part: moments.cross(part) / moments.n, moments.y_squares() / moments.n, alpha, 1e-5, coef
        )
        assert gap.max() <= 1e-5
    assert np.count_nonzero(coef) > 0.8 * coef.size


def test_fewer_profiles_than_landmarks() -> None:
    X, Y = problem(30, 60, 5)
    model = Lasso(alpha=0.1).fit(X, Y)
    assert model.gap_ <= 1e-4
    assert (np.count_nonzero(model.coef_, axis=1) <= 30).all()


def test_constant_repeated_and_equal_genes() -> None:
    X, Y = problem(200, 8, 3)
    X[:, 1], X[:, 2], Y[:, 1], Y[:, 2] = X[:, 0], -2.5, 4.0, X[:, 5]
    model = Lasso(alpha=0.01).fit(X, Y)
    assert not model.coef_[:, 2].any()
    assert not model.coef_[1].any()
    np.testing.assert_array_equal(model.predict(X)[:, 1], np.float32(4.0))
    variance = X[:, 5].var(dtype=np.float64)
    np.testing.assert_allclose(model.coef_[2, 5], 1 - 0.01 / variance, atol=5e-3)
    assert np.abs(np.delete(model.coef_[2], 5)).max() < 5e-3


def test_takes_the_penalty_of_least_overall_error_on_its_path(tmp_path: Path) -> None:
    X, Y = problem(400, 40, 6, noise=3.0)
    train, validation = (X[:100], Y[:100]), (X[100:], Y[100:])
    model = Lasso().fit(*train, eval_sets={"held-out": validation})
    errors = [entry["error"] for entry in model.path_]
    assert model.alpha_ == model.path_[int(np.argmin(errors))]["alpha"]
    assert 0 < int(np.argmin(errors)) < len(errors) - 1
    measured = GeneErrors(6)
    measured.update(validation[1], model.predict(validation[0]))
    assert min(errors) == pytest.approx(measured.overall, rel=1e-2)
    model.save(tmp_path / "model")
    copy = load(tmp_path / "model")
    assert isinstance(copy, Lasso)
    assert (copy.alpha_, copy.gap_, copy.path_) == (model.alpha_, model.gap_, model.path_)
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))


def test_a_path_on_some_targets_chooses_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = problem(400, 40, 12, noise=3.0)
    train, validation = (X[:100], Y[:100]), (X[100:], Y[100:])
    monkeypatch.setattr("dgex.models.linear.lasso.SOME_TARGETS", 5)
    model = Lasso().fit(*train, eval_sets={"held-out": validation})
    *screened, whole = model.path_
    assert {entry["targets"] for entry in screened} == {5}
    assert model.alpha_ == min(screened, key=lambda entry: entry["error"])["alpha"]
    assert (whole["alpha"], whole["targets"], whole["profiles"]) == (model.alpha_, 12, 300)
    assert whole["error"] == pytest.approx(-model.score(*validation), rel=1e-5)
    assert whole["nonzero"] == np.count_nonzero(model.coef_) / 12
    # as good for all as any other penalty of the path
    others = [-Lasso(alpha=entry["alpha"]).fit(*train).score(*validation) for entry in screened]
    assert whole["error"] <= 1.01 * min(others)
    few = Lasso(alpha=screened[3]["alpha"]).fit(*train).predict(validation[0])[:, [0, 3, 6, 8, 11]]
    expected = np.abs(few - validation[1][:, [0, 3, 6, 8, 11]]).mean()
    assert screened[3]["error"] == pytest.approx(expected, rel=5e-3)
    np.testing.assert_allclose(model.predict(X), Lasso(alpha=model.alpha_).fit(*train).predict(X), atol=0.05)


def test_settings_that_cannot_be_used() -> None:
    X, Y = problem(50, 5, 2)
    with pytest.raises(SettingsError, match="eval_sets"):
        Lasso().fit(X, Y)
    with pytest.raises(SettingsError, match="alpha: found -1"):
        Lasso(alpha=-1).fit(X, Y)
    with pytest.raises(SettingsError, match="tol: found 0"):
        Lasso(alpha=1.0, tol=0).fit(X, Y)
