"""Ranks of genes: agreement with scipy, ties, in memory and in a file."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from dgex.errors import DataError
from dgex.ranks import GeneRanks, spearman


@pytest.mark.parametrize("held", [0, 1 << 28])
def test_ranks_are_the_same_in_memory_and_in_a_file(monkeypatch, held):
    monkeypatch.setattr("dgex.ranks._HELD", held)
    rng = np.random.default_rng(0)
    true, pred = rng.normal(size=(2, 57, 23)).round(1).astype(np.float32)
    ranks = [GeneRanks(57, 23), GeneRanks(57, 23)]
    assert isinstance(ranks[0]._values, np.memmap) == (held == 0)
    for matrix, rank in zip((true, pred), ranks):
        for start in range(0, 57, 10):
            rank.append(matrix[start : start + 10])
    assert_allclose(ranks[0].rank().spearman(ranks[1].rank()), spearman(true, pred), rtol=1e-12)


def test_ranks_need_every_profile():
    ranks = GeneRanks(3, 2)
    ranks.append(np.zeros((2, 2)))
    with pytest.raises(DataError, match="all 3 profiles, found 2"):
        ranks.rank()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", [1, 2, 300])
def test_ranks_are_those_of_scipy(ties, size):
    rng = np.random.default_rng(size)
    values = rng.normal(size=(size, 150)).astype(np.float32)
    if ties:
        values = np.round(values, 1)
    values[:, 0], values[:, 1] = 3.5, -values[:, 1]  # a constant; zeros of either sign
    values[::2, 2], values[1::2, 2] = 0.0, -0.0
    values[0, 3], values[-1, 3] = np.inf, -np.inf
    values[:, 4] = np.float32(1e-42) * np.arange(size)  # below the smallest normal number
    ranks = GeneRanks(*values.shape)
    ranks.append(values)
    expected = stats.rankdata(values, axis=0)
    assert np.array_equal(ranks.rank().profiles(np.arange(size)), expected)
    assert np.array_equal(ranks.genes(slice(2, 5)), expected.T[2:5])


def test_correlations_are_those_of_scipy():
    rng = np.random.default_rng(3)
    true = rng.normal(size=(400, 20)).astype(np.float32)
    pred = np.round(true + rng.normal(size=true.shape), 1).astype(np.float32)
    pred[:, 5], pred[7, 6] = 1.0, np.nan
    held = [GeneRanks(*true.shape), GeneRanks(*true.shape)]
    for ranks, values in zip(held, (true, pred)):
        ranks.append(values)
    found = held[0].rank().spearman(held[1].rank())
    known = np.r_[0:5, 7:20]
    expected = [stats.spearmanr(true[:, at], pred[:, at]).statistic for at in known]
    assert_allclose(found[known], expected, rtol=1e-12)
    assert np.isnan(found[[5, 6]]).all()
