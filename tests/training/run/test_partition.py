"""Parts of the targets: each gene in exactly one, equal sizes, similar genes together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex.errors import SettingsError
from dgex.training.run.partition import PARTITIONS, split_targets


@settings(deadline=None)  # busy machines
@given(st.integers(1, 30), st.data(), st.sampled_from(PARTITIONS), st.integers(0, 3))
def test_parts_hold_every_gene_once_in_equal_sizes(genes: int, data: st.DataObject, how: str, seed: int) -> None:
    count = data.draw(st.integers(1, genes))
    Y = np.random.default_rng(seed).normal(size=(12, genes)).astype(np.float32)
    parts = split_targets(Y, count, how, seed)
    sizes = [len(part) for part in parts]
    assert len(parts) == count
    assert max(sizes) - min(sizes) <= 1
    assert sorted(np.concatenate(parts)) == list(range(genes))
    assert all((np.diff(part) > 0).all() for part in parts)
    again = split_targets(Y, count, how, seed)
    assert all((a == b).all() for a, b in zip(parts, again))


def test_one_part_is_all_and_seeds_draw_other_parts() -> None:
    Y = np.zeros((3, 40))
    np.testing.assert_array_equal(split_targets(Y, 1, "random", 5)[0], np.arange(40))
    one, other = split_targets(Y, 2, "random", 0)[0], split_targets(Y, 2, "random", 1)[0]
    assert set(one) != set(other)


@pytest.mark.parametrize("groups", [2, 5])
def test_clusters_recover_planted_groups_whatever_the_scale_of_a_gene(groups: int) -> None:
    rng = np.random.default_rng(groups)
    label = rng.permutation(np.repeat(np.arange(groups), 30))
    Y = rng.normal(size=(200, groups))[:, label] + 0.8 * rng.normal(size=(200, len(label)))
    Y = 7 + Y * rng.uniform(0.01, 100, size=len(label))
    found = split_targets(Y.astype(np.float32), groups, "cluster", 0)
    assert {frozenset(part) for part in found} == {frozenset(np.flatnonzero(label == g)) for g in range(groups)}


def test_equal_parts_of_unequal_groups_are_the_best_there_are() -> None:
    """40 genes of one kind, 8 of another in two parts of 24: the small kind stays together."""
    rng = np.random.default_rng(3)
    label = rng.permutation(np.repeat([0, 1], [40, 8]))
    Y = rng.normal(size=(100, 2))[:, label] + 0.3 * rng.normal(size=(100, 48))
    small = [len(set(part) & set(np.flatnonzero(label == 1))) for part in split_targets(Y, 2, "cluster", 0)]
    assert sorted(small) == [0, 8]


def test_constant_genes_find_a_part() -> None:
    Y = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    Y[:, 2:] = 5.3
    assert sorted(np.concatenate(split_targets(Y, 3, "cluster", 0))) == list(range(6))


@pytest.mark.parametrize(
    ("parts", "how", "message"),
    [
        (0, "random", "target_parts: found 0, accepted 1 to 3"),
        (4, "cluster", "target_parts: found 4, accepted 1 to 3"),
        (2, "halves", "partition: found 'halves', accepted 'random' or 'cluster'"),
    ],
)
def test_parts_that_cannot_be(parts: int, how: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        split_targets(np.zeros((5, 3)), parts, how, 0)
