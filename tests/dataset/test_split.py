"""Splits: whole, seeded, groups never on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex.dataset.split import SPLITS, split_samples
from dgex.errors import DataError, SettingsError


@given(samples=st.integers(3, 400), seed=st.integers(0, 50))
@settings(deadline=None)
def test_sizes_and_seed(samples: int, seed: int) -> None:
    split = split_samples(samples, seed=seed)
    sizes = {name: int((split == name).sum()) for name in SPLITS}
    assert sum(sizes.values()) == samples
    assert min(sizes.values()) >= 1
    if samples >= 10:
        assert abs(sizes["validation"] - samples / 10) <= 0.5
        assert abs(sizes["test"] - samples / 10) <= 0.5
    np.testing.assert_array_equal(split, split_samples(samples, seed=seed))


def test_seeds_differ() -> None:
    assert (split_samples(100, seed=0) != split_samples(100, seed=1)).any()


@given(sizes=st.lists(st.integers(1, 40), min_size=3, max_size=30), seed=st.integers(0, 50))
@settings(deadline=None)
def test_groups_stay_together(sizes: list[int], seed: int) -> None:
    groups = np.random.default_rng(seed).permutation(np.repeat([f"g{i}" for i in range(len(sizes))], sizes))
    split = split_samples(len(groups), seed=seed, groups=groups)
    for group in np.unique(groups):
        assert len(set(split[groups == group])) == 1
    assert set(split) == set(SPLITS)


def test_group_sizes_approach_the_fractions() -> None:
    groups = np.repeat(np.arange(200), 5)
    split = split_samples(1000, (0.7, 0.2, 0.1), groups=groups)
    assert [(split == name).sum() for name in SPLITS] == [700, 200, 100]


def test_a_huge_group_trains() -> None:
    groups = np.array(["huge"] * 90 + list("abcdefghij"))
    for seed in range(5):
        assert set(split_samples(100, seed=seed, groups=groups)[:90]) == {"train"}


def test_a_share_of_zero_leaves_a_part_out() -> None:
    assert set(split_samples(50, (0.9, 0, 0.1))) == {"train", "test"}
    assert set(split_samples(5, (1, 0, 0))) == {"train"}
    assert set(split_samples(5, (1, 0, 0), groups=list("aabbc"))) == {"train"}


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.1), (0.8, 0.1, 0.2), (-0.1, 0.6, 0.5), (0, 0.5, 0.5), (np.nan, 0.5, 0.5)]
)
def test_wrong_fractions(fractions: tuple[float, ...]) -> None:
    with pytest.raises(SettingsError, match="three shares"):
        split_samples(100, fractions)


def test_too_few() -> None:
    with pytest.raises(DataError, match="2 samples cannot be split into 3"):
        split_samples(2)
    with pytest.raises(DataError, match="2 groups cannot be split into 3"):
        split_samples(10, groups=list("aaaaabbbbb"))
    with pytest.raises(DataError, match="2 samples have no group"):
        split_samples(5, groups=["a", None, "b", float("nan"), "c"])
