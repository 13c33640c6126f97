"""Accuracy of genes against textbook formulas, and intervals that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from dgex.confidence.accuracy import gene_accuracy
from dgex.confidence.trust import at_least, trust
from dgex.errors import SettingsError


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    true = rng.normal(5, 2, size=(300, 700)).astype(np.float32)
    noise = rng.uniform(0.1, 4, size=700)
    return true, (0.8 * true + noise * rng.normal(size=true.shape)).astype(np.float32)


def test_measures_are_the_textbook_ones(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, inferred = (m.astype(np.float64) for m in pair)
    table = gene_accuracy(*pair)
    error = inferred - true
    np.testing.assert_allclose(table["error"], np.abs(error).mean(0), rtol=1e-5)
    np.testing.assert_allclose(table["deviation"], true.std(0), rtol=1e-5)
    np.testing.assert_allclose(table["r"], [np.corrcoef(t, p)[0, 1] for t, p in zip(true.T, inferred.T)], rtol=1e-4)
    np.testing.assert_allclose(table["r2"], 1 - (error**2).mean(0) / true.var(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(table["variance"], 1 - error.var(0) / true.var(0), rtol=1e-4, atol=1e-4)


def test_recall_is_the_share_of_other_genes_that_correlate_less(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, inferred = pair
    table = gene_accuracy(true, inferred)
    for gene in (0, 350, 699):
        each = np.array([np.corrcoef(inferred[:, gene], true[:, other])[0, 1] for other in range(700)])
        share = (np.delete(each, gene) < each[gene]).mean()
        assert table["recall"][gene] == pytest.approx(share, abs=2e-3)
        assert table["recall_low"][gene] <= table["recall"][gene] <= table["recall_high"][gene]


def test_intervals_of_the_error_hold_the_true_one() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(20):
        true = rng.normal(size=(200, 50)).astype(np.float32)
        table = gene_accuracy(true, true + rng.normal(size=true.shape).astype(np.float32))
        held += ((table["error_low"] <= np.sqrt(2 / np.pi)) & (np.sqrt(2 / np.pi) <= table["error_high"])).tolist()
    assert 0.91 < np.mean(held) < 0.97


def test_groups_widen_intervals_where_their_profiles_err_alike() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), 15).astype(str)
    true = rng.normal(size=(300, 40)).astype(np.float32)
    inferred = true + np.repeat(rng.normal(size=(20, 40)), 15, axis=0).astype(np.float32)
    alone, together = gene_accuracy(true, inferred), gene_accuracy(true, inferred, groups)
    width = [float((t["error_high"] - t["error_low"]).mean()) for t in (alone, together)]
    assert width[1] > 2 * width[0]


def test_differences_within_groups_do_not_see_shifts_of_groups() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(10), 20).astype(str)
    shift = np.repeat(rng.normal(0, 5, size=(10, 30)), 20, axis=0)
    true = (rng.normal(size=(200, 30)) + shift).astype(np.float32)
    only_shifts = gene_accuracy(
        true, shift.astype(np.float32) + rng.normal(0, 0.1, true.shape).astype(np.float32), groups
    )
    assert only_shifts["r"].min() > 0.9
    assert only_shifts["r_within"].abs().max() < 0.35
    moved = gene_accuracy(true, (true - shift).astype(np.float32), groups)
    np.testing.assert_allclose(moved["r_within"], 1, atol=1e-3)
    np.testing.assert_allclose(moved["sign_within"], 1, atol=2e-2)


def test_a_constant_gene_is_unknown() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(60, 5)).astype(np.float32)
    true[:, 2] = 4
    table = gene_accuracy(true, true + np.float32(0.1))
    assert trust(table).tolist() == ["high", "high", "unknown", "high", "high"]
    assert table["recall"].isna().tolist() == [False, False, True, False, False]


def test_at_least_keeps_what_was_measured() -> None:
    words = np.array(["measured", "high", "medium", "low", "unknown"])
    assert at_least(words, "medium").tolist() == [True, True, True, False, False]
    assert at_least(words, "unknown").all()
    with pytest.raises(SettingsError, match="min_trust"):
        at_least(words, "good")
