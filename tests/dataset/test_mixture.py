"""Logged profiles among linear ones are found; low linear profiles and shallow counts are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from dgex import io
from dgex.dataset.scale import Scale, decide_scale, settled
from dgex.errors import DataError

GENERATOR = np.random.default_rng(0)
LOG2 = (GENERATOR.normal(7, 2.5, 400) + GENERATOR.normal(0, 0.5, (12, 400))).clip(0, 16)  # as of real profiles
LINEAR = np.exp2(LOG2) - 1


def decided(X: np.ndarray, asked: str = "auto") -> Scale:
    obs = pd.DataFrame(index=[f"P{i}" for i in range(len(X))])
    return decide_scale(io.open(AnnData(X.astype(np.float32), obs=obs)), asked)


def mixed(logged: list[int], log: np.ndarray = LOG2) -> np.ndarray:
    X = LINEAR.copy()
    X[logged] = log[logged]
    return X


@pytest.mark.parametrize("logged", [[3], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]])
@pytest.mark.parametrize("base", [2, np.e])
def test_logged_profiles_among_linear_ones_are_refused_by_name(logged: list[int], base: float) -> None:
    X = mixed(logged, LOG2 / np.log2(base))
    with pytest.raises(DataError, match=rf"doubtful: {len(logged)} profiles look logged already.*: P{logged[0]}\b"):
        settled(decided(X), "it")
    assert decided(X, "linear").doubt == ""
    assert decided(X[::-1]).doubt


def test_a_floor_of_equal_values_hides_no_logarithm() -> None:
    assert decided(mixed([1, 2], LOG2.clip(6))).doubt


@pytest.mark.parametrize("factor", [1e-3, 0.01, 1.0, 100.0])
def test_low_linear_profiles_are_no_suspects(factor: float) -> None:
    X = LINEAR.copy()
    X[::2] *= factor
    X[0] *= 40 / X[0].max()
    found = decided(X)
    assert found.linear
    assert found.doubt == ""


def test_profiles_of_few_reads_are_no_suspects() -> None:
    depth = GENERATOR.choice([100, 1000, 100_000], size=(12, 1))
    counts = GENERATOR.poisson(LINEAR / LINEAR.sum(1, keepdims=True) * depth).astype(float)
    counts[0] = GENERATOR.poisson(0.3, 400)
    counts[1, 0] = 5000
    for X in (counts, counts / 7, counts / counts.sum(1, keepdims=True) * 3000):
        assert decided(X).doubt == ""


def test_groups_that_are_not_clear_are_not_refused() -> None:
    far = mixed([2], LOG2 / 50)  # no logarithm of values like the others
    between = mixed([2])
    between[5] = LINEAR[5].mean() * (1 + 0.85 * np.sign(GENERATOR.normal(size=400)))
    for X in (far, between):
        assert decided(X).linear
        assert decided(X).doubt == ""
