"""Choosing genes one by one: the recursion against regressions that are solved anew."""

from __future__ import annotations

import numpy as np
import pytest
from panel_matrices import chosen_directly, matrix, unexplained

from dgex.models.linear.parallel import workers
from dgex.panels.forward import Chosen, Forward, choose
from dgex.panels.products import GeneSide, ProfileSide, Side, by_profiles, gram_of

PENALTY = 0.7


def chosen(Z: np.ndarray, size: int, side: str, weights: np.ndarray, threads: int = 1, **more: object) -> Chosen:
    with workers(threads) as run:
        held: Side
        if side == "profiles":
            held = ProfileSide(np.ascontiguousarray(Z.T), size, run)
        else:
            held = GeneSide(gram_of([Z[:17], Z[17:]], Z.shape[1], run), size, run)
        return choose(Forward(held, weights, PENALTY), size, np.ones(Z.shape[1], bool), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", ["profiles", "genes"])
def test_every_gene_is_the_one_that_a_regression_for_each_would_choose(side: str) -> None:
    Z = matrix(50, 18)
    weights = np.random.default_rng(1).uniform(0.5, 3, 18)
    found = chosen(Z, 7, side, weights)
    assert found.genes.tolist() == chosen_directly(Z, 7, weights, PENALTY)


@pytest.mark.parametrize("side", ["profiles", "genes"])
def test_many_genes_later_it_still_is(side: str) -> None:
    Z = matrix(90, 40, rank=20)
    ones = np.ones(40)
    assert chosen(Z, 24, side, ones).genes.tolist() == chosen_directly(Z, 24, ones, PENALTY)


@pytest.mark.parametrize("side", ["profiles", "genes"])
def test_gains_are_what_the_regressions_say(side: str) -> None:
    Z = matrix(40, 15)
    weights = np.random.default_rng(2).uniform(0.5, 3, 15)
    found = chosen(Z, 6, side, weights)
    total = float(weights @ (Z.astype(np.float64) ** 2).sum(axis=0))
    for at, gene in enumerate(found.genes):
        others = np.delete(np.arange(15), gene)
        before = unexplained(Z, found.genes[:at], weights, PENALTY, others)
        after = unexplained(Z, found.genes[: at + 1], weights, PENALTY, others)
        assert found.gains[at] == pytest.approx((before - after) / total, rel=1e-4)


def test_both_sides_and_any_number_of_threads_choose_alike() -> None:
    Z, ones = matrix(60, 700, rank=12), np.ones(700)
    first = chosen(Z, 30, "profiles", ones)
    assert first.genes.tolist() == chosen(Z, 30, "genes", ones).genes.tolist()
    again = chosen(Z, 30, "profiles", ones, threads=3)
    assert (first.genes.tolist(), first.gains.tolist()) == (again.genes.tolist(), again.gains.tolist())


def test_genes_to_keep_come_first_and_the_others_follow_from_them() -> None:
    Z, ones = matrix(50, 16), np.ones(16)
    found = chosen(Z, 6, "profiles", ones, keep=[9, 3])
    assert set(found.genes[:2]) == {3, 9}
    assert found.genes.tolist() == chosen_directly(Z, 6, ones, PENALTY, first=found.genes[:2].tolist())


def test_a_copy_of_a_chosen_gene_adds_next_to_nothing() -> None:
    Z = matrix(50, 12)
    Z[:, 11] = Z[:, chosen(Z, 1, "profiles", np.ones(12)).genes[0]]
    found = chosen(Z, 12, "profiles", np.ones(12))
    copies = {
        int(found.genes[0]),
        11 if found.genes[0] != 11 else int(chosen(Z[:, :11], 1, "profiles", np.ones(11)).genes[0]),
    }
    at = max(found.genes.tolist().index(gene) for gene in copies)
    assert found.gains[at] < 0.01 * found.gains[0]


def test_genes_of_no_weight_draw_nobody() -> None:
    Z = matrix(60, 20)
    Z[:, 10:] = matrix(60, 10, seed=5)  # another family
    weights = np.where(np.arange(20) < 10, 1.0, 0.0)
    assert all(gene < 10 for gene in chosen(Z, 4, "profiles", weights).genes)


def test_the_gram_matrix_is_that_of_centred_genes() -> None:
    X = matrix(70, 30) + np.linspace(-1, 1, 30, dtype=np.float32)
    with workers(2) as run:
        gram = gram_of([X[:11], X[11:40], X[40:]], 30, run)
    centred = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(gram, centred.T @ centred, atol=1e-3)


def test_the_smaller_side_is_taken() -> None:
    assert by_profiles(1_000, 9_000)
    assert not by_profiles(9_000, 9_000)
