"""Nearest neighbours among landmark genes and among training profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsRegressor

from dgex.errors import SettingsError
from dgex.metrics import GeneErrors
from dgex.models.folder import load
from dgex.models.neighbours import KNNGE, SampleKNN


def problem(n: int, p: int, t: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n, 6))
    X = factors @ rng.standard_normal((6, p)) + 0.3 * rng.standard_normal((n, p)) + rng.uniform(4, 12, p)
    Y = factors @ rng.standard_normal((6, t)) + 0.3 * rng.standard_normal((n, t)) + rng.uniform(4, 12, t)
    return X.astype(np.float32), Y.astype(np.float32)


def by_definition(X: np.ndarray, Y: np.ndarray, new: np.ndarray, k: int) -> np.ndarray:
    """In loops: the mean of the k landmark genes closest over the training profiles."""
    predicted = np.empty((len(new), Y.shape[1]))
    for target in range(Y.shape[1]):
        distance = np.linalg.norm(X.astype(np.float64) - Y[:, [target]], axis=0)
        predicted[:, target] = new[:, np.argsort(distance)[:k]].mean(axis=1)
    return predicted


def z(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    return (values - of.mean(axis=0, dtype=np.float64)) / of.std(axis=0, dtype=np.float64)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(8, 40), p=st.integers(2, 12), t=st.integers(1, 6), k=st.integers(1, 12), seed=st.integers(0, 50))
def test_gene_neighbours_follow_the_definition(n: int, p: int, t: int, k: int, seed: int) -> None:
    X, Y = problem(n, p, t, seed)
    k = min(k, p)
    new, _ = problem(5, p, t, seed + 100)
    raw = KNNGE(n_neighbors=k, standardize=False).fit(X, Y)
    np.testing.assert_allclose(raw.predict(new), by_definition(X, Y, new, k), atol=1e-4)
    standard = KNNGE(n_neighbors=k).fit(X, Y)
    expected = by_definition(z(X, X), z(Y, Y), z(new, X), k) * Y.std(axis=0) + Y.mean(axis=0)
    np.testing.assert_allclose(standard.predict(new), expected, atol=1e-3)


def test_units_of_genes_do_not_matter_once_standardised() -> None:
    X, Y = problem(200, 30, 10)
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.2, 5, 30).astype(np.float32), rng.uniform(-9, 9, 30).astype(np.float32)
    one, two = KNNGE(n_neighbors=4).fit(X, Y), KNNGE(n_neighbors=4).fit(X * a + b, Y)
    np.testing.assert_array_equal(one.neighbors_, two.neighbors_)
    np.testing.assert_allclose(one.predict(X), two.predict(X * a + b), atol=1e-3)


def test_a_target_that_equals_a_landmark_is_its_own_neighbour() -> None:
    X, Y = problem(100, 20, 3)
    Y[:, 1] = X[:, 7]
    model = KNNGE(n_neighbors=1).fit(X, Y)
    assert model.neighbors_[1, 0] == 7
    np.testing.assert_allclose(model.predict(X)[:, 1], X[:, 7], atol=1e-5)


def test_constant_genes() -> None:
    X, Y = problem(100, 6, 3)
    X[:, 2], Y[:, 1] = 8.0, 3.5
    model = KNNGE(n_neighbors=5).fit(X, Y)
    assert 2 not in model.neighbors_
    np.testing.assert_array_equal(model.predict(X)[:, 1], np.float32(3.5))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("k", [1, 7, 60])
def test_profile_neighbours_agree_with_scikit_learn(weights: str, k: int) -> None:
    X, Y = problem(60, 10, 8)
    new = np.vstack([problem(9, 10, 8, seed=5)[0], X[:3]])  # profiles of the training set too: distance zero
    model = SampleKNN(n_neighbors=k, weights=weights).fit(X, Y)
    other = KNeighborsRegressor(k, weights=weights, algorithm="brute").fit(X, Y)
    np.testing.assert_allclose(model.predict(new), other.predict(new), atol=1e-4)


@pytest.mark.parametrize("held", [60, 600])
@pytest.mark.parametrize("model", [KNNGE(), KNNGE(standardize=False), SampleKNN(), SampleKNN(weights="distance")])
def test_the_number_of_neighbours_has_the_least_overall_error(model: Any, held: int) -> None:
    X, Y = problem(80 + held, 12, 5)
    train, validation = (X[:80], Y[:80]), (X[80:], Y[80:])
    model.fit(*train, eval_sets={"held-out": validation, "unused": train})
    whole = [entry for entry in model.path_ if entry["profiles"] == held]
    assert model.n_neighbors_ == min(whole, key=lambda entry: entry["error"])["n_neighbors"]
    for entry in whole[:5]:
        fixed = type(model)(**model.get_params() | {"n_neighbors": int(entry["n_neighbors"])}).fit(*train)
        errors = GeneErrors(5)
        errors.update(validation[1], fixed.predict(validation[0]))
        assert entry["error"] == pytest.approx(errors.overall, rel=1e-4)
        if entry["n_neighbors"] == model.n_neighbors_:
            np.testing.assert_allclose(fixed.predict(X), model.predict(X), atol=1e-5)


def test_folders_predict_alone(tmp_path: Path) -> None:
    X, Y = problem(80, 12, 5)
    for model in (KNNGE(n_neighbors=3), KNNGE(n_neighbors=2, standardize=False), SampleKNN(4, weights="distance")):
        model.fit(X, Y).save(tmp_path / "model", overwrite=True)
        np.testing.assert_array_equal(load(tmp_path / "model").predict(X), model.predict(X))


@pytest.mark.parametrize("kind", [KNNGE, SampleKNN])
def test_numbers_of_neighbours_that_cannot_be(kind: Any) -> None:
    X, Y = problem(20, 6, 2)
    with pytest.raises(SettingsError, match="eval_sets"):
        kind().fit(X, Y)
    for wrong in (0, 21, 1.5, float("inf"), float("nan")):
        with pytest.raises(SettingsError, match=f"n_neighbors: found {wrong}"):
            kind(n_neighbors=wrong).fit(X, Y)
    with pytest.raises(SettingsError, match="weights"):
        SampleKNN(n_neighbors=2, weights="rank").fit(X, Y)


@pytest.mark.parametrize("model", [KNNGE(n_neighbors=2), SampleKNN(n_neighbors=2)])
def test_inputs_are_left_alone(model: Any) -> None:
    X, Y = problem(30, 6, 4)
    before = X.copy(), Y.copy()
    model.fit(X, Y).predict(X)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])
