"""Path integrals in closed form against sums over many small steps."""

from __future__ import annotations

import numpy as np
import pytest

from dgex.models.paths import rational_path, swaps


@pytest.mark.parametrize("gamma", [1e-3, 0.3, 20.0])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 30.0])
def test_the_kernels_integral_is_that_of_its_gradient(gamma: float, scale: float) -> None:
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 5))
    end = start + scale * (end - start)
    centers, weights = rng.normal(size=(7, 5)), rng.normal(size=(7, 3))
    added = rational_path(start, end, centers, weights, gamma)
    places, shares = np.polynomial.legendre.leggauss(10)
    parts = 200  # of the way
    places = ((places + 1) / 2 + np.arange(parts)[:, None]).ravel() / parts
    shares = np.tile(shares / 2, parts) / parts
    way = start + places[:, None] * (end - start)
    apart = way[:, None] - centers  # points, centers, landmarks
    slope = -2 * gamma * apart / (1 + gamma * (apart**2).sum(2, keepdims=True)) ** 2
    expected = np.einsum("a,acj,ct->tj", shares, slope, weights) * (end - start)
    np.testing.assert_allclose(added, expected, rtol=1e-5, atol=1e-9 * np.abs(expected).max())


def test_no_way_no_change() -> None:
    assert not rational_path(np.ones(2), np.ones(2), np.zeros((3, 2)), np.ones((3, 1)), 1.0).any()


def test_swaps_lead_from_the_nearest_at_the_start_to_those_at_the_end() -> None:
    rng = np.random.default_rng(1)
    profiles = rng.normal(size=(60, 4))
    start, end = rng.normal(size=(2, 4))
    near = [set(np.argsort(((profiles - at) ** 2).sum(1))[:6].tolist()) for at in (start, end)]
    now = set(near[0])
    for old, new in swaps(start, end, profiles, 6):
        assert old in now
        assert new not in now
        assert float((end - start) @ (profiles[new] - profiles[old])) > 0
        now = now - {old} | {new}
    assert now == near[1]
