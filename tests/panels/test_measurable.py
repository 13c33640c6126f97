"""Statistics of genes, and which cannot be measured."""

from __future__ import annotations

import numpy as np
import pytest

from dgex.errors import SettingsError
from dgex.panels.measurable import Limits, gene_facts


def test_statistics_are_numpys_whatever_the_blocks() -> None:
    X = np.random.default_rng(0).normal(8, 2, (50, 6)).astype(np.float32)
    X[:, 2] = 5
    batches = np.array(["a", "b"])[np.arange(50) % 2]
    X[batches == "a", 4] += 9
    parts = [(np.arange(0, 20), X[:20]), (np.arange(20, 50), X[20:])]
    facts = gene_facts(iter(parts), iter(parts), 6, Limits(floor=7.0), batches)
    assert facts.mean == pytest.approx(X.mean(axis=0, dtype=np.float64))
    assert facts.std == pytest.approx(X.std(axis=0, dtype=np.float64), rel=1e-5)
    assert facts.constant.tolist() == [False, False, True, False, False, False]
    assert facts.unexpressed == pytest.approx((X <= 7).mean(axis=0))
    between = [np.var([column[batches == "a"].mean(), column[batches == "b"].mean()]) for column in X.T]
    share = np.divide(between, X.var(axis=0), out=np.zeros(6), where=X.var(axis=0) > 0)
    assert facts.batch == pytest.approx(share, abs=1e-4)


def test_each_limit_excludes_by_its_own_reason() -> None:
    X = np.array([[0.0, 9, 5], [0.0, 9.5, 1], [4.0, 9.1, 9]], np.float32)
    facts = gene_facts(iter([(np.arange(3), X)]), iter([(np.arange(3), X)]), 3, Limits())
    found = facts.unmeasurable(Limits(level=5, unexpressed=0.5))
    assert [mask.tolist() for mask in found.values()] == [[True, False, False], [True, False, False]]


def test_shares_lie_between_none_and_all() -> None:
    with pytest.raises(SettingsError, match=r"max_unexpressed: found 1\.5, accepted a share from 0 to 1"):
        Limits(unexpressed=1.5)
