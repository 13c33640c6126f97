"""Moments: one pass in any blocks gives the float64 sums of products."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from dgex.errors import DataError
from dgex.models.linear.moments import Moments


def matrices(n: int, p: int, t: int, level: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + level
    Y = rng.standard_normal((n, t)) + X[:, :1] + level
    return X.astype(np.float32), Y.astype(np.float32)


def centred(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    return values - values.mean(axis=0)


def check(moments: Moments, X: np.ndarray, Y: np.ndarray, tolerance: float) -> None:
    x, y = centred(X), centred(Y)
    scale = len(X) * max(1.0, float(X.std()))
    np.testing.assert_allclose(moments.x_mean, X.astype(np.float64).mean(axis=0), atol=tolerance, rtol=1e-6)
    np.testing.assert_allclose(moments.y_mean, Y.astype(np.float64).mean(axis=0), atol=tolerance, rtol=1e-6)
    np.testing.assert_allclose(moments.gram(), x.T @ x, atol=tolerance * scale)
    np.testing.assert_allclose(moments.cross(), x.T @ y, atol=tolerance * scale)
    np.testing.assert_allclose(moments.y_squares(), (y * y).sum(axis=0), atol=tolerance * scale)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 60),
    p=st.integers(1, 6),
    t=st.integers(1, 6),
    level=st.sampled_from([0.0, 9.5, -200.0]),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    double=st.booleans(),
)
def test_any_blocks_and_merges_give_the_sums(
    n: int, p: int, t: int, level: float, cuts: list[int], double: bool
) -> None:
    X, Y = matrices(n, p, t, level)
    edges = [0, *sorted(min(cut, n) for cut in cuts), n]
    streamed, merged = Moments(p, t, double=double), Moments(p, t, double=double)
    for a, b in pairwise(edges):
        streamed.update(X[a:b], Y[a:b])
        merged.merge(Moments(p, t, double=double).update(X[a:b], Y[a:b]))
    for moments in (streamed, merged):
        assert moments.n == n
        check(moments, X, Y, 1e-9 * max(1.0, level * level) if double else 3e-5)


def test_blocks_longer_than_a_product_are_split() -> None:
    X, Y = matrices(9000, 3, 2)
    whole = Moments(3, 2, double=True).update(X, Y)
    parts = Moments.of(X, Y, double=True)
    np.testing.assert_allclose(whole.cross(), parts.cross(), rtol=1e-12)
    check(Moments.of(X, Y), X, Y, 1e-6)


def test_blocks_of_a_file_give_the_very_sums_of_matrices() -> None:
    X, Y = matrices(9000, 3, 2, level=9.0)
    whole = Moments.of(X, Y)
    pairs = ((X[start : start + 4096], Y[start : start + 4096]) for start in range(0, len(X), 4096))
    parts = Moments.streamed(pairs, X.shape, Y.shape)
    for one, other in ((whole.gram(), parts.gram()), (whole.cross(), parts.cross()), (whole.y_mean, parts.y_mean)):
        np.testing.assert_array_equal(one, other)


def test_slices_of_targets_are_parts_of_the_whole() -> None:
    X, Y = matrices(50, 4, 11)
    moments = Moments.of(X, Y)
    parts = [moments.cross(part) for part in moments.chunks(4)]
    np.testing.assert_array_equal(np.hstack(parts), moments.cross())


def test_float32_products_keep_digits_on_the_raw_scale() -> None:
    X, Y = matrices(20_000, 5, 3, level=12.0)
    x, y = centred(X), centred(Y)
    moments = Moments.of(X, Y, double=False)
    error = np.abs(moments.cross() - x.T @ y).max() / np.abs(x.T @ y).max()
    plain = (X.T @ Y - len(X) * np.outer(X.mean(axis=0), Y.mean(axis=0))).astype(np.float64)
    assert error < 1e-6
    assert error < 0.1 * np.abs(plain - x.T @ y).max() / np.abs(x.T @ y).max()


def test_few_profiles_are_multiplied_in_float64() -> None:
    assert Moments.of(*matrices(30, 4, 2)).double
    assert not Moments.of(*matrices(400, 4, 2)).double


@pytest.mark.parametrize("double", [False, True])
def test_constant_genes_have_exactly_no_variance(double: bool) -> None:
    X, Y = matrices(500, 3, 3)
    X[:, 1], Y[:, 2] = 7.3, -0.1
    moments = Moments.of(X, Y, double=double)
    assert not moments.gram()[1].any()
    assert not moments.gram()[:, 1].any()
    assert not moments.cross()[1].any()
    assert not moments.cross()[:, 2].any()
    assert moments.y_squares()[2] == 0
    assert (moments.y_squares()[:2] > 0).all()


def test_inputs_are_left_alone() -> None:
    X, Y = matrices(20, 3, 2)
    before = X.copy(), Y.copy()
    Moments.of(X, Y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


def test_blocks_that_do_not_fit_are_refused() -> None:
    X, Y = matrices(20, 3, 2)
    with pytest.raises(DataError, match="blocks do not fit"):
        Moments(3, 2).update(X, Y[:-1])
    with pytest.raises(DataError, match="blocks do not fit"):
        Moments(4, 2).update(X, Y)
    with pytest.raises(DataError, match="moments do not fit"):
        Moments(3, 2).merge(Moments(3, 3))


@pytest.mark.parametrize("threads", ["1", "2"])
def test_threads_do_not_change_the_sums(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = matrices(9000, 4, 11)
    inline = Moments.of(X, Y)
    monkeypatch.setattr("dgex.models.linear.moments.SMALL", 0)
    monkeypatch.setattr("dgex.models.linear.moments.TARGETS", 3)
    with threadpool_limits(int(threads)):
        threaded = Moments.of(X, Y)
    np.testing.assert_allclose(threaded.cross(), inline.cross(), rtol=1e-5, atol=5e-2)
    np.testing.assert_allclose(threaded.gram(), inline.gram(), rtol=1e-5, atol=5e-2)
    check(threaded, X, Y, 5e-6)
