"""Quantile normalisation against a slow float64 reference, qnorm, and its own invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from dgex.dataset.quantile import TIES, quantile_normalize, reference_profile, resample_reference
from dgex.errors import DataError, SettingsError

ROWS = np.random.default_rng(0)


def profiles(samples: int = 150, genes: int = 37, decimals: int = 1) -> np.ndarray:
    """Profiles with many ties, and values on both sides of zero."""
    return np.round(ROWS.normal(0, 2, (samples, genes)), decimals).astype(np.float32)


def slow(X: np.ndarray, reference: np.ndarray, ties: str) -> np.ndarray:
    """The definitions, one value at a time, in float64."""
    genes = X.shape[1]
    out = np.empty(X.shape)
    for i, row in enumerate(X):
        lowest, highest, dense = (rankdata(row, which).astype(int) for which in ("min", "max", "dense"))
        mean_rank = rankdata(row, "average")
        for j in range(genes):
            if ties == "average":
                out[i, j] = reference[lowest[j] - 1 : highest[j]].mean()
            elif ties == "floor":
                out[i, j] = reference[int(mean_rank[j]) - 1]
            else:
                out[i, j] = reference[dense[j] * genes // dense.max() - 1]
    return out


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_agrees_with_the_definition(ties: str, decimals: int) -> None:
    X = profiles(decimals=decimals)
    reference = reference_profile(X)
    np.testing.assert_allclose(reference, np.sort(X.astype(np.float64), axis=1).mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        quantile_normalize(X, reference, ties=ties), slow(X, reference, ties), rtol=1e-6, atol=1e-7
    )


def test_agrees_with_qnorm() -> None:
    qnorm = pytest.importorskip("qnorm")
    X = profiles(64, 200)
    theirs = qnorm.quantile_normalize(X.T.astype(np.float64), axis=1).T
    np.testing.assert_allclose(quantile_normalize(X, reference_profile(X)), theirs, rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 9)),
        elements=st.floats(-(2.0**80), 2.0**80, width=32) | st.sampled_from([0.0, -0.0, 1.0]),
    )
)
def test_any_floats(X: np.ndarray) -> None:
    reference = np.arange(X.shape[1], dtype=np.float64)
    for ties in TIES:
        np.testing.assert_allclose(quantile_normalize(X, reference, ties=ties), slow(X, reference, ties), rtol=1e-6)


def test_in_place_and_threads_change_nothing() -> None:
    X = profiles(300)
    one = reference_profile(X, threads=1)
    np.testing.assert_array_equal(one, reference_profile(X, threads=3))
    expected = quantile_normalize(X, one, threads=1)
    assert quantile_normalize(X, one, out=X, threads=3) is X
    np.testing.assert_array_equal(X, expected)


def test_reference_of_blocks_and_of_parts() -> None:
    X = profiles(210)
    np.testing.assert_allclose(reference_profile(iter([X[:100], X[100:]])), reference_profile(X), rtol=1e-12)
    rows, columns = np.array([3, 5, 200]), np.array([7, 1, 30])
    np.testing.assert_allclose(
        reference_profile(X, rows=rows, columns=columns), reference_profile(X[rows][:, columns].copy()), rtol=1e-12
    )


def test_only_chosen_rows_change() -> None:
    X = profiles(20)
    reference = np.linspace(0, 1, X.shape[1])
    rows = np.array([2, 19])
    out = quantile_normalize(X, reference, rows=rows)
    np.testing.assert_array_equal(np.delete(out, rows, 0), np.delete(X, rows, 0))
    np.testing.assert_array_equal(out[rows], quantile_normalize(X[rows], reference))


def test_without_ties_every_profile_becomes_the_reference_and_stays_so() -> None:
    X = ROWS.permuted(np.tile(np.arange(50, dtype=np.float32), (9, 1)), axis=1)
    reference = np.sort(ROWS.normal(size=50)).astype(np.float32)
    for ties in TIES:
        once = quantile_normalize(X, reference, ties=ties)
        np.testing.assert_array_equal(np.sort(once, 1), np.tile(reference, (9, 1)))
        np.testing.assert_array_equal(np.argsort(once, 1), np.argsort(X, 1))
        np.testing.assert_array_equal(quantile_normalize(once, reference, ties=ties), once)


def test_only_ranks_matter() -> None:
    X = np.abs(profiles(30))
    reference = reference_profile(X)
    for ties in TIES:
        np.testing.assert_array_equal(
            quantile_normalize(X, reference, ties=ties), quantile_normalize(X**2 * 3 + 1, reference, ties=ties)
        )


def test_resampled_reference() -> None:
    reference = np.sort(ROWS.normal(size=101))
    np.testing.assert_array_equal(resample_reference(reference, 101), reference)
    np.testing.assert_allclose(resample_reference(reference, 51), reference[::2])
    assert resample_reference(reference, 1)[0] == np.median(reference)
    finer = resample_reference(reference, 997)
    assert (np.diff(finer) >= 0).all()
    np.testing.assert_allclose(finer[[0, -1]], reference[[0, -1]])
    with pytest.raises(SettingsError, match="at least 1"):
        resample_reference(reference, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_missing_values_are_refused(bad: float) -> None:
    X = profiles(70)
    reference = reference_profile(X)
    X[66, 4] = bad
    with pytest.raises(DataError, match="profile 66"):
        quantile_normalize(X, reference)
    with pytest.raises(DataError, match="profile 66"):
        reference_profile(X)


def test_wrong_arguments() -> None:
    X = profiles(3)
    with pytest.raises(SettingsError, match="accepted: average, floor, dense"):
        quantile_normalize(X, np.zeros(37), ties="first")
    with pytest.raises(DataError, match="36"):
        quantile_normalize(X, np.zeros(36))
    with pytest.raises(DataError, match="ascending"):
        quantile_normalize(X, np.arange(37)[::-1])
    with pytest.raises(DataError, match="no profiles"):
        reference_profile(X[:0])
