"""OLS and ridge: agreement with scikit-learn, float64 QR and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import Ridge as SklearnRidge

from dgex.errors import SettingsError
from dgex.metrics import GeneErrors
from dgex.models.linear.moments import Moments
from dgex.models.linear.regression import OLS, Linear, Ridge, RidgePath


def problem(
    n: int, p: int, t: int, noise: float = 0.5, seed: int = 0, factors: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    """Landmark genes that share factors, as expression does, and targets that follow from them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, factors)) @ rng.standard_normal((factors, p)) + rng.standard_normal((n, p))
    Y = X @ rng.standard_normal((p, t)) / np.sqrt(p) + noise * rng.standard_normal((n, t))
    return X.astype(np.float32), Y.astype(np.float32)


def reference(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Least squares on centred data in float64, minimum norm where it is not unique; [targets, landmarks]."""
    x, y = X.astype(np.float64), Y.astype(np.float64)
    return np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(axis=0), rcond=1e-6)[0].T


def relative(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def test_ols_agrees_with_scikit_learn() -> None:
    X, Y = problem(300, 20, 7)
    model, other = OLS().fit(X, Y), LinearRegression().fit(X.astype(np.float64), Y.astype(np.float64))
    np.testing.assert_allclose(model.coef_, other.coef_, atol=1e-5)
    np.testing.assert_allclose(model.intercept_, other.intercept_, atol=1e-5)
    np.testing.assert_allclose(model.predict(X), other.predict(X), atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 25), p=st.integers(1, 12), t=st.integers(1, 4), seed=st.integers(0, 99))
def test_ols_is_the_least_squares_solution_of_minimum_norm(n: int, p: int, t: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(-4, 5, (n, p)).astype(np.float32)  # small integers repeat: ranks of every kind
    Y = rng.standard_normal((n, t)).astype(np.float32)
    model = OLS().fit(X, Y)
    np.testing.assert_allclose(model.coef_, reference(X, Y), atol=2e-4)
    centred = X - X.mean(axis=0, dtype=np.float64)
    assert model.rank_ == np.linalg.matrix_rank(centred, tol=1e-6)


@pytest.mark.parametrize("raw", [False, True])
def test_float32_products_reach_float64_qr(raw: bool) -> None:
    X, Y = problem(5000, 40, 6, factors=10)
    if raw:  # log2 intensities between 4 and 15
        X = np.clip(X / X.std(axis=0) * 1.3 + np.linspace(6, 13, 40), 4, 15).astype(np.float32)
        Y = (Y / Y.std(axis=0) + 9).astype(np.float32)
    moments = Moments.of(X, Y)
    assert not moments.double
    x = X.astype(np.float64) - X.astype(np.float64).mean(axis=0)
    q, r = np.linalg.qr(x)
    true = np.linalg.solve(r, q.T @ (Y - Y.mean(axis=0, dtype=np.float64))).T
    assert relative(OLS().fit(X, Y).coef_, true) < 1e-4


def test_nearly_collinear_landmarks_are_multiplied_in_float64() -> None:
    X, Y = problem(2000, 30, 4)
    X[:, 0] = X[:, 1] + 1e-3 * X[:, 0]
    assert relative(OLS().fit(X, Y).coef_, reference(X, Y)) < 1e-4
    coarse = Moments.of(X, Y, double=False)  # what float32 alone would give
    assert relative(np.linalg.solve(coarse.gram(), coarse.cross()).T, reference(X, Y)) > 1e-4


def test_repeated_and_constant_landmarks_share_their_weight() -> None:
    X, Y = problem(200, 6, 3)
    X[:, 1], X[:, 2] = X[:, 0], 3.0
    model = OLS().fit(X, Y)
    assert model.rank_ == 4
    np.testing.assert_allclose(model.coef_[:, 0], model.coef_[:, 1], atol=1e-5)
    np.testing.assert_array_equal(model.coef_[:, 2], 0)
    np.testing.assert_allclose(model.coef_, reference(X, Y), atol=1e-5)


def test_a_target_that_equals_a_landmark_is_found() -> None:
    X, Y = problem(100, 5, 2)
    Y[:, 0] = X[:, 3]
    np.testing.assert_allclose(OLS().fit(X, Y).coef_[0], [0, 0, 0, 1, 0], atol=1e-5)


@pytest.mark.parametrize("model", [OLS(), Ridge(alpha=1.0)])
def test_a_constant_target_is_predicted_exactly(model: Linear) -> None:
    X, Y = problem(100, 5, 2)
    Y[:, 1] = 5.25
    model.fit(X, Y)
    np.testing.assert_array_equal(model.coef_[1], 0)
    np.testing.assert_array_equal(model.predict(X)[:, 1], np.float32(5.25))


@pytest.mark.parametrize(("n", "alpha"), [(300, 0.1), (300, 1000.0), (12, 3.0)])
def test_ridge_agrees_with_scikit_learn(n: int, alpha: float) -> None:
    X, Y = problem(n, 20, 7)
    model = Ridge(alpha=alpha).fit(X, Y)
    other = SklearnRidge(alpha=alpha, solver="svd").fit(X.astype(np.float64), Y.astype(np.float64))
    np.testing.assert_allclose(model.coef_, other.coef_, atol=1e-5)
    np.testing.assert_allclose(model.intercept_, other.intercept_, atol=1e-5)


def test_ridge_path_holds_the_same_solutions() -> None:
    X, Y = problem(200, 15, 4)
    path = RidgePath(Moments.of(X, Y))
    for alpha in (0.01, 1.0, 300.0):
        model = Ridge(alpha=alpha).fit(X, Y)
        np.testing.assert_allclose(path.coef(alpha), model.coef_, atol=1e-5)
        np.testing.assert_allclose(path.predict(path.rotate(X), alpha), model.predict(X), atol=1e-4)


@pytest.mark.parametrize("held", [80, 700])
def test_ridge_takes_the_penalty_of_least_overall_error(held: int) -> None:
    X, Y = problem(60 + held, 40, 6, noise=2.0)
    train, validation = (X[:60], Y[:60]), (X[60:], Y[60:])
    model = Ridge().fit(*train, eval_sets={"held-out": validation, "unused": train})

    def overall(alpha: float) -> float:
        errors = GeneErrors(Y.shape[1])
        errors.update(validation[1], Ridge(alpha=alpha).fit(*train).predict(validation[0]))
        return errors.overall

    whole = [entry for entry in model.path_ if entry["profiles"] == held]
    for entry in whole:
        assert entry["error"] == pytest.approx(overall(entry["alpha"]), rel=1e-4)
    assert model.alpha_ == min(whole, key=lambda entry: entry["error"])["alpha"]
    # no penalty of the path is better on the whole set than the chosen one
    assert overall(model.alpha_) <= min(overall(entry["alpha"]) for entry in model.path_) * 1.0005


def test_ridge_looks_more_closely_about_the_best_penalty() -> None:
    X, Y = problem(200, 40, 6, noise=2.0)
    model = Ridge().fit(X[:60], Y[:60], eval_sets={"held-out": (X[60:], Y[60:])})
    tried = np.sort([entry["alpha"] for entry in model.path_])
    steps = np.diff(np.log(tried))
    at = int(np.searchsorted(tried, model.alpha_))
    assert 0 < at < len(tried) - 1
    assert steps[[at - 1, at]].max() < 0.3 * steps.max()


def test_ridge_goes_on_where_the_end_of_its_path_wins() -> None:
    X, Y = problem(60, 10, 3)
    rng = np.random.default_rng(1)
    noise = rng.permutation(Y)  # nothing to learn: the largest penalty wins
    model = Ridge().fit(X, noise, eval_sets={"held-out": (X, rng.permutation(noise))})
    assert len(model.path_) > 20
    values = [entry["alpha"] for entry in model.path_]
    assert values == sorted(values)


def test_ridge_without_penalty_needs_an_evaluation_set() -> None:
    X, Y = problem(50, 5, 2)
    with pytest.raises(SettingsError, match="eval_sets"):
        Ridge().fit(X, Y)
    with pytest.raises(SettingsError, match=r"alpha: found 0\.0, accepted a number above 0"):
        Ridge(alpha=0.0).fit(X, Y)


@pytest.mark.real
def test_real_profiles_reach_float64_least_squares(real_data: Path) -> None:
    import anndata

    data = anndata.read_h5ad(real_data / "human_rnaseq.h5ad")
    landmark = (data.var["role"] == "landmark").to_numpy()
    X, Y = data.X[:, landmark], data.X[:, ~landmark][:, ::200]
    assert relative(OLS().fit(X, Y).coef_, reference(X, Y)) < 1e-4


def test_ridge_of_genes_whose_sum_never_changes() -> None:
    X, Y = problem(80, 12, 5)
    ranks = X.argsort(axis=1).argsort(axis=1).astype(np.float32)  # as a panel's landmark genes are ranked
    ranks = (ranks - ranks.mean(axis=0)) / ranks.std(axis=0)
    for alpha in (1e-9, 1e-5, 1.0):
        found = Ridge(alpha=alpha).fit(ranks, Y).predict(ranks)
        other = SklearnRidge(alpha=alpha, solver="svd").fit(ranks.astype(np.float64), Y.astype(np.float64))
        np.testing.assert_allclose(found, other.predict(ranks.astype(np.float64)), atol=2e-3)
