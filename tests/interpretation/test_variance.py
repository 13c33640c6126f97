from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from dgex.interpretation.variance import explained
from dgex.models.linear.moments import Moments


def reference(X: np.ndarray, Y: np.ndarray, rank: int) -> np.ndarray:
    r2 = r2_score(Y, LinearRegression().fit(X, Y).predict(X), multioutput="raw_values")
    return 1 - (1 - r2) * (len(X) - 1) / (len(X) - rank - 1)


def moments(X: np.ndarray, Y: np.ndarray) -> Moments:
    return Moments(X.shape[1], Y.shape[1], double=True).update(X, Y)


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(8, 2, size=(150, 12))
    return X, np.tanh(X - 8) @ rng.normal(size=(12, 7)) + 0.3 * rng.normal(size=(150, 7))


def test_agrees_with_least_squares(data):
    X, Y = data
    found = explained(moments(X, Y), "the regressors")
    assert (found.rank, found.n) == (12, 150)
    np.testing.assert_allclose(found.adjusted, reference(X, Y, 12), rtol=1e-9)


def test_p_is_the_rank_and_units_do_not_matter(data):
    X, Y = data
    more = np.column_stack([X, X[:, 0] - 3 * X[:, 1], np.full(len(X), 5.0)])
    found = explained(moments(more * np.logspace(-4, 4, more.shape[1]), Y), "the regressors")
    assert found.rank == 12
    np.testing.assert_allclose(found.adjusted, reference(X, Y, 12), rtol=1e-7)


def test_too_few_profiles_are_told_and_not_guessed(data, caplog):
    X, Y = data
    with caplog.at_level(logging.WARNING, "dgex"):
        found = explained(moments(X[:13], Y[:13]), "the landmark genes")
    assert np.isnan(found.adjusted).all()
    assert "found 13 training profiles for 12 independent regressors, accepted at least 14" in caplog.text
    assert np.isfinite(explained(moments(X[:14], Y[:14]), "the landmark genes").adjusted).all()


def test_a_constant_target_has_none(data):
    X, Y = data
    Y = Y.copy()
    Y[:, 2] = 4.0
    found = explained(moments(X, Y), "the regressors")
    assert np.isnan(found.adjusted[2])
    assert np.isfinite(np.delete(found.adjusted, 2)).all()
