"""Gains on groups left out: the recursion against regressions that are solved anew for every part."""

from __future__ import annotations

import numpy as np
import pytest
from panel_matrices import matrix

from dgex.errors import DataError
from dgex.models.linear.parallel import workers
from dgex.panels.forward import Forward, choose
from dgex.panels.products import ProfileSide
from dgex.panels.robust import LeftOut, folds_of

PENALTY = 0.02


def left_out_error(Z: np.ndarray, fold: np.ndarray, chosen: list[int], of: np.ndarray, weights: np.ndarray) -> float:
    """Squared error on each part by a ridge regression on the others, summed."""
    total = 0.0
    for part in np.unique(fold):
        inside, mean = fold != part, Z[fold != part].mean(axis=0)
        A, B = Z[inside] - mean, Z[~inside] - mean
        error = B[:, of]
        if chosen:
            S = A[:, chosen]
            coef = np.linalg.solve(S.T @ S + PENALTY * inside.sum() * np.eye(len(chosen)), S.T @ A[:, of])
            error = error - B[:, chosen] @ coef
        total += float(weights[of] @ (error**2).sum(axis=0))
    return total


def test_choice_and_gains_are_what_regressions_for_each_part_say() -> None:
    Z = matrix(45, 14).astype(np.float64)
    weights = np.random.default_rng(3).uniform(0.5, 2, 14)
    fold = np.random.default_rng(4).integers(0, 3, 45)
    genes = np.arange(14)
    with workers(2) as run:
        turned = np.ascontiguousarray(Z.T, np.float32)
        found = choose(LeftOut(turned, fold, weights, PENALTY, 6, run), 6, np.ones(14, bool))
    nothing = left_out_error(Z, fold, [], genes, weights)
    chosen: list[int] = []
    for at in range(6):
        gains = np.full(14, -np.inf)
        for gene in genes[~np.isin(genes, chosen)]:
            others = genes[genes != gene]
            before = left_out_error(Z, fold, chosen, others, weights)
            gains[gene] = (before - left_out_error(Z, fold, [*chosen, gene], others, weights)) / nothing
        assert found.genes[at] == gains.argmax()
        assert found.gains[at] == pytest.approx(gains.max(), rel=1e-3, abs=1e-6)
        chosen.append(int(found.genes[at]))


def test_a_gene_that_tells_most_in_one_study_alone_is_left_for_one_that_tells_in_all() -> None:
    rng = np.random.default_rng(0)
    study = np.repeat(["a", "b", "c"], 300)
    shared, of_one = rng.normal(size=900), np.where(study == "a", 3 * rng.normal(size=900), 0.0)
    targets = [shared + of_one + 0.5 * rng.normal(size=900) for _ in range(8)]
    Z = np.array([of_one + 0.1 * rng.normal(size=900), shared + 0.2 * rng.normal(size=900), *targets], np.float32)
    Z -= Z.mean(axis=1)[:, None]
    either, ones = np.arange(10) < 2, np.ones(10)
    with workers(1) as run:
        plain = choose(Forward(ProfileSide(Z, 1, run), ones, 9.0), 1, either)
        robust = choose(LeftOut(Z, folds_of(study), ones, 0.01, 1, run), 1, either)
    assert (plain.genes.tolist(), robust.genes.tolist()) == ([0], [1])


def test_whole_groups_go_into_parts_of_about_equal_size() -> None:
    groups = np.repeat([f"S{at}" for at in range(12)], np.arange(1, 13))
    fold = folds_of(groups, 4)
    assert all(len(set(fold[groups == name])) == 1 for name in set(groups))
    sizes = np.bincount(fold)
    assert len(sizes) == 4
    assert sizes.max() - sizes.min() <= 12


def test_one_group_cannot_be_left_out() -> None:
    with pytest.raises(DataError, match="found 1 \\(only\\)"):
        folds_of(np.array(["only"] * 5))
