"""Gene statistics against numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from dgex.dataset import standardize as module
from dgex.dataset.standardize import gene_statistics, standardize, unstandardize
from dgex.errors import DataError


@pytest.fixture
def X() -> np.ndarray:
    generator = np.random.default_rng(0)
    return (generator.normal(size=(501, 13)) * generator.uniform(0.01, 3, 13) + 1000).astype(np.float32)


@pytest.mark.parametrize("block_bytes", [1, 8 * 13 * 7, 2**25])
def test_statistics_do_not_depend_on_blocks(X: np.ndarray, block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
    rows = np.arange(0, 501, 3)
    found = gene_statistics(X, rows)
    exact = X[rows].astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.std, exact.std(0), rtol=1e-9)
    np.testing.assert_array_equal(found.minimum, X[rows].min(0))
    np.testing.assert_array_equal(found.maximum, X[rows].max(0))
    assert found.count == len(rows)


def test_agrees_with_scikit_learn_and_returns(X: np.ndarray) -> None:
    expected = StandardScaler().fit_transform(X.astype(np.float64))
    statistics = gene_statistics(X)
    Z = X.copy()
    standardize(Z, statistics.mean, statistics.std)
    np.testing.assert_allclose(Z, expected, atol=1e-5)
    np.testing.assert_allclose(unstandardize(Z, statistics.mean, statistics.std), X, rtol=1e-6)


def test_only_given_rows_change(X: np.ndarray) -> None:
    Z = X.copy()
    rows = np.array([4, 400])
    standardize(Z, np.zeros(13), np.full(13, 2.0), rows)
    np.testing.assert_array_equal(Z[rows], X[rows] / 2)
    np.testing.assert_array_equal(np.delete(Z, rows, 0), np.delete(X, rows, 0))


def test_constant_is_exact(X: np.ndarray) -> None:
    X[:, 5] = 0.1  # whose mean over 501 samples is not 0.1 in floating point
    X[:, 6] = 0.1
    X[77, 6] = np.nextafter(np.float32(0.1), np.float32(1))
    np.testing.assert_array_equal(np.flatnonzero(gene_statistics(X).constant), [5])


def test_errors(X: np.ndarray) -> None:
    with pytest.raises(DataError, match="no samples"):
        gene_statistics(X, np.array([], dtype=int))
    with pytest.raises(DataError, match="1 genes"):
        standardize(X, np.zeros(13), np.array([0.0, *[1.0] * 12]))
