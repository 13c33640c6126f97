"""A lasso over training profiles: scikit-learn's profile by profile, and what its weights tell."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Lasso

import dgex
from dgex.errors import DataError, SettingsError
from dgex.models.folder import load
from dgex.models.sample_lasso import SampleLasso


def problem(n: int, p: int, t: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n, 6))
    weights = np.random.default_rng(99).standard_normal((6, p + t))
    values = factors @ weights + 0.5 * rng.standard_normal((n, p + t)) + 8
    return values[:, :p].astype(np.float32), values[:, p:].astype(np.float32)


@pytest.mark.parametrize(("n", "p"), [(40, 90), (120, 30)])
@pytest.mark.parametrize("alpha", [0.02, 0.3])
def test_agrees_with_scikit_learn_profile_by_profile(n: int, p: int, alpha: float) -> None:
    X, Y = problem(n, p, 7)
    new, _ = problem(6, p, 7, seed=1)
    model = SampleLasso(alpha=alpha, tol=1e-7).fit(X, Y)
    mean, std = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    Z, z, y_mean = (X - mean) / std, (new - mean) / std, Y.mean(axis=0, dtype=np.float64)
    weights = model.weights_of(new)
    assert weights.shape == (6, n)
    for row in range(6):
        exact = Lasso(alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=200_000).fit(Z.T, z[row]).coef_
        np.testing.assert_allclose(weights[[row]].toarray()[0], exact, atol=2e-3)
        np.testing.assert_allclose(model.predict(new)[row], y_mean + (Y - y_mean).T @ exact, atol=5e-3)


def test_a_training_profile_is_found_by_name() -> None:
    X, Y = problem(30, 60, 4)
    x = pd.DataFrame(X, index=[f"S{i}" for i in range(30)], columns=[f"L{i}" for i in range(60)])
    annotated = ad.AnnData(X, obs=pd.DataFrame(index=x.index), var=pd.DataFrame(index=x.columns))
    for given in (x, annotated):
        model = SampleLasso(alpha=0.001).fit(given, Y)
        weights = model.weights_of(given[5:6] if given is annotated else x.iloc[5:6]).toarray()[0]
        assert model.profiles_[int(weights.argmax())] == "S5"
        assert weights.max() > 0.9
        np.testing.assert_allclose(model.predict(X)[5], Y[5], atol=0.1)
    assert SampleLasso(alpha=0.1).fit(X, Y).profiles_[5] == "5"


def test_with_the_largest_penalty_the_mean_is_left() -> None:
    X, Y = problem(30, 20, 4)
    model = SampleLasso(alpha=1e6).fit(X, Y)
    assert model.weights_of(X).nnz == 0
    np.testing.assert_allclose(model.predict(X), np.tile(Y.mean(axis=0), (30, 1)), rtol=1e-5)


def test_units_of_landmark_genes_do_not_matter() -> None:
    X, Y = problem(60, 25, 5)
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.2, 5, 25).astype(np.float32), rng.uniform(-9, 9, 25).astype(np.float32)
    one, two = SampleLasso(alpha=0.05).fit(X, Y), SampleLasso(alpha=0.05).fit(X * a + b, Y)
    np.testing.assert_allclose(one.predict(X[:9]), two.predict(X[:9] * a + b), atol=5e-3)


def test_a_constant_landmark_gene_says_nothing() -> None:
    X, Y = problem(60, 25, 5)
    X[:, 3] = 7.1
    new = X[:4].copy()
    new[:, 3] = 100
    model = SampleLasso(alpha=0.05).fit(X, Y)
    np.testing.assert_array_equal(model.predict(new), model.predict(X[:4]))


@pytest.mark.parametrize("held", [60, 600])
def test_takes_the_penalty_of_least_overall_error(held: int, tmp_path: Path) -> None:
    X, Y = problem(80, 30, 5)
    far = problem(held, 30, 5, seed=2)
    model = SampleLasso().fit(X, Y, {"held-out": far, "unused": (X, Y)})
    whole = [entry for entry in model.path_ if entry["profiles"] == held]
    assert model.alpha_ == min(whole, key=lambda entry: entry["error"])["alpha"]
    assert -model.score(*far) == pytest.approx(min(entry["error"] for entry in whole), rel=1e-2)
    model.save(tmp_path / "model")
    copy = load(tmp_path / "model")
    assert isinstance(copy, SampleLasso)
    assert (copy.alpha_, copy.path_, copy.profiles_) == (model.alpha_, model.path_, model.profiles_)
    np.testing.assert_array_equal(copy.weights_of(far[0]).toarray(), model.weights_of(far[0]).toarray())


def test_settings_and_sizes_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = problem(20, 6, 2)
    with pytest.raises(SettingsError, match="eval_sets"):
        SampleLasso().fit(X, Y)
    with pytest.raises(SettingsError, match="alpha: found -1"):
        SampleLasso(alpha=-1).fit(X, Y)
    with pytest.raises(SettingsError, match="tol: found 0"):
        SampleLasso(alpha=1.0, tol=0).fit(X, Y)
    with pytest.raises(dgex.DgexError, match="not fitted"):
        SampleLasso().weights_of(X)
    monkeypatch.setattr("dgex.models.sample_lasso.host_memory", lambda: 20_000)
    with pytest.raises(DataError, match="found 20, accepted at most 12 here"):
        SampleLasso(alpha=1.0).fit(X, Y)
