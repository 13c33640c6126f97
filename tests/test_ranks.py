"""Ranks of genes: agreement with scipy, ties, in memory and in a file."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from dgex.errors import DataError
from dgex.ranks import GeneRanks, spearman


@pytest.mark.parametrize("held", [0, 1 << 28])
@pytest.mark.parametrize("block", [10, 600])
def test_ranks_are_the_same_in_memory_and_in_a_file_and_in_any_blocks(monkeypatch, held, block):
    monkeypatch.setattr("dgex.arrays.columns._HELD", held)
    rng = np.random.default_rng(0)
    true, pred = rng.normal(size=(2, 1300, 23)).round(1).astype(np.float32)
    held = [GeneRanks(1300, 23), GeneRanks(1300, 23)]
    for matrix, ranks in zip((true, pred), held):
        for start in range(0, 1300, block):
            ranks.append(matrix[start : start + block])
    values = held[1].copy()
    found = held[0].rank().spearman(values)
    assert_allclose(found, spearman(true, pred), rtol=1e-12)
    assert np.array_equal(found, held[0].spearman(held[1].rank()))  # ranks of ranks are what they are
    assert np.array_equal(values.genes(slice(3, 23)), pred.T[3:])


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
    assert np.array_equal(ranks.rank().genes(slice(None)), expected.T)
    assert np.array_equal(ranks.genes(slice(2, 5)), expected.T[2:5])


def test_correlations_are_those_of_scipy():
    rng = np.random.default_rng(3)
    true = rng.normal(size=(400, 20)).astype(np.float32)
    pred = np.round(true + rng.normal(size=true.shape), 1).astype(np.float32)
    pred[:, 5], pred[7, 6] = 1.0, np.nan
    pred[3, 7], pred[5, 7], pred[9, 7] = np.inf, np.inf, -np.inf
    pred[:300, 8], pred[:, 9] = 0.0, pred[:, 9] > 0
    held = [GeneRanks(*true.shape), GeneRanks(*true.shape)]
    for ranks, values in zip(held, (true, pred)):
        ranks.append(values)
    found = held[0].rank().spearman(held[1])
    known = np.r_[0:5, 7:20]
    expected = [stats.spearmanr(true[:, at], pred[:, at]).statistic for at in known]
    assert_allclose(found[known], expected, rtol=1e-12)
    assert np.isnan(found[[5, 6]]).all()
    assert np.isnan(GeneRanks(0, 2).rank().spearman(GeneRanks(0, 2))).all()
    one = GeneRanks(1, 2)
    one.append(np.ones((1, 2), np.float32))
    assert np.isnan(one.rank().spearman(one)).all()
