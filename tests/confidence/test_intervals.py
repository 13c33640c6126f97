"""Intervals cover what they say on exchangeable profiles, and are wider where errors are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dgex.confidence.intervals import LEVELS, Intervals, check_level
from dgex.errors import DataError, SettingsError


def drawn(n: int, genes: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inferred values, truth, and distances by which errors grow; genes with more noise where expressed more."""
    rng = np.random.default_rng(seed)
    predicted = rng.normal(size=(n, genes))
    far = rng.uniform(0.5, 3, size=n)
    noise = rng.normal(size=(n, genes)) * np.where(predicted > 0, 2.0, 0.5) * far[:, None] * rng.uniform(0.1, 2, genes)
    return predicted.astype(np.float32), (predicted + noise).astype(np.float32), far


@pytest.mark.parametrize("level", [0.5, 0.8, 0.87, 0.9, 0.95])
def test_coverage_on_other_profiles(level: float) -> None:
    covered = []
    for seed in range(6):
        predicted, true, far = drawn(900, seed=seed)
        known = Intervals.of(predicted[:400], true[:400], far[:400])
        half = known.halfwidth(predicted[400:], far[400:], level)
        covered.append(np.mean(np.abs(true - predicted)[400:] <= half))
    assert np.mean(covered) == pytest.approx(level, abs=0.01)


def test_strange_profiles_and_noisy_levels_get_wider_ones() -> None:
    predicted, true, far = drawn(2000)
    known = Intervals.of(predicted, true, far)
    near, distant = (known.halfwidth(predicted[:50], np.full(50, d), 0.9) for d in (0.6, 2.4))
    assert np.median(distant / near) == pytest.approx(4, rel=0.15)
    low, high = (known.halfwidth(np.full((1, 60), v, np.float32), np.array([1.0]), 0.9) for v in (-1, 1))
    assert np.median(high / low) == pytest.approx(4, rel=0.3)


def test_they_are_narrower_than_without_a_scale_at_the_same_coverage() -> None:
    predicted, true, far = drawn(3000)
    half = Intervals.of(predicted[:1500], true[:1500], far[:1500]).halfwidth(predicted[1500:], far[1500:], 0.9)
    plain = np.quantile(np.abs(true - predicted)[:1500], 0.9, axis=0)
    assert half.mean() < 0.95 * plain.mean()


def test_wider_with_the_level() -> None:
    predicted, true, far = drawn(200)
    known = Intervals.of(predicted, true, far)
    widths = [known.halfwidth(predicted, far, level) for level in (*LEVELS[:-1], 0.98, LEVELS[-1])]
    assert all((a <= b).all() for a, b in pairwise(widths))


def test_the_same_for_any_block() -> None:
    predicted, true, far = drawn(300)
    known = Intervals.of(predicted, true, far)
    whole = known.halfwidth(predicted, far, 0.9)
    parts = [known.halfwidth(predicted[at : at + 7], far[at : at + 7], 0.9) for at in range(0, 300, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_groups_that_err_alike() -> None:
    """New groups are covered, where each group brings an error of its own."""
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=(1200, 40)).astype(np.float32)
    groups = np.repeat(np.arange(60), 20)
    true = predicted + np.repeat(rng.normal(size=(60, 40)), 20, axis=0).astype(np.float32)
    far = np.ones(1200)
    known = Intervals.of(predicted[:800], true[:800], far[:800], groups[:800].astype(str))
    covered = np.mean(np.abs(true - predicted)[800:] <= known.halfwidth(predicted[800:], far[800:], 0.9))
    assert 0.86 < covered < 0.94


@pytest.mark.parametrize("level", [1.2, 1, 0, 0.3, -1, True, "0.9", float("nan"), 0.999])
def test_levels_that_are_none(level: object) -> None:
    with pytest.raises(SettingsError, match=r"interval.*accepted.*0\.5 to 0\.99"):
        check_level(level)  # type: ignore[arg-type]


def test_too_few_profiles() -> None:
    with pytest.raises(DataError, match="found 5, at least 20"):
        Intervals.of(*drawn(5))
