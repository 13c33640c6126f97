"""Distances and filled values against the closed form, and what filling saves."""

from __future__ import annotations

import numpy as np

from dgex.confidence.landmarks import RIDGE, Landmarks


def correlated(n: int, p: int = 30, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(5, p))
    return (rng.normal(size=(n, 5)) @ mixing + 0.5 * rng.normal(size=(n, p)) + 7).astype(np.float32)


def test_distance_is_mahalanobis_with_ridge() -> None:
    X, new = correlated(400), correlated(10, seed=1)
    known = Landmarks.of(X)
    z = (new - X.mean(0)) / X.std(0)
    matrix = np.corrcoef(X.T) + RIDGE * np.eye(30)
    expected = np.sqrt(np.einsum("ij,ij->i", z @ np.linalg.inv(matrix), z) / 30)
    np.testing.assert_allclose(known.distance(new), expected, rtol=1e-3)


def test_filled_values_are_conditional_means() -> None:
    X, new = correlated(400), correlated(12, seed=1)
    known = Landmarks.of(X, ridge=0.03)
    rng = np.random.default_rng(0)
    holed = np.where(rng.random(new.shape) < 0.3, np.nan, new).astype(np.float32)
    filled = known.fill(holed)
    C = np.corrcoef(X.T) + 0.03 * np.eye(30)
    z = (holed - X.mean(0)) / X.std(0)
    for row in range(12):
        there = ~np.isnan(z[row])
        expected = C[np.ix_(~there, there)] @ np.linalg.solve(C[np.ix_(there, there)], z[row, there])
        np.testing.assert_allclose(filled[row, ~there], (expected * X.std(0)[~there] + X.mean(0)[~there]), rtol=2e-3)
        np.testing.assert_array_equal(filled[row, there], new[row, there])
    np.testing.assert_allclose(known.fill(holed[3:4]), filled[3:4], rtol=1e-6)
    np.testing.assert_array_equal(known.fill(new), new)


def test_settling_tells_how_well_genes_follow_from_the_others() -> None:
    X, held = correlated(400), correlated(200, seed=1)
    held[:, 4] = held[:, 4].mean()
    known = Landmarks.of(X)
    error, r = known.settle(held)
    holed = held.copy()
    holed[:, 7] = np.nan
    found = known.fill(holed)[:, 7]
    np.testing.assert_allclose(error[7], np.abs(found - held[:, 7]).mean(), rtol=1e-3)
    np.testing.assert_allclose(r[7], np.corrcoef(found, held[:, 7])[0, 1], rtol=1e-3)
    assert np.isnan(r[4])
    assert error[7] < 0.5 * held[:, 7].std()


def test_a_constant_landmark_gene_is_no_distance() -> None:
    X = correlated(100)
    X[:, 3] = 2.5
    known = Landmarks.of(X)
    new = X[:5].copy()
    new[:, 3] = 9
    np.testing.assert_allclose(known.distance(new), known.distance(X[:5]), rtol=1e-6)
    new[:, 3] = np.nan
    np.testing.assert_allclose(known.fill(new)[:, 3], 2.5, rtol=1e-6)


def test_moments_of_many_rows_are_those_of_all_at_once() -> None:
    X = correlated(9000)
    known = Landmarks.of(X, np.arange(0, 9000, 2))
    np.testing.assert_allclose(known.mean, X[::2].mean(0), rtol=1e-5)
    np.testing.assert_allclose(known.correlation, np.corrcoef(X[::2].T), atol=1e-4)
