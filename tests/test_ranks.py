"""Ranks of genes: agreement with scipy, ties, in memory and in a file."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

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
