"""Differences from groups and their controls, against the computation group by group."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dgex.confidence.differences import Differences

GROUPS = np.array(["b", "a", "b", "", "c", "a", "b", "d", "d", ""])
CONTROL = np.array([True, False, False, True, True, True, True, False, False, False])


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(7, 2, size=(4, len(GROUPS))).astype(np.float32)


def test_each_profile_is_compared_with_all_of_its_group(values):
    differences = Differences(GROUPS)
    assert sorted(differences.at) == [0, 1, 2, 5, 6, 7, 8]
    assert (differences.left_groups, differences.left_profiles) == (1, 3)  # c, and two without a group
    for column, at in zip(differences.of(values).T, differences.at):
        expected = values[:, at] - values[:, GROUPS[at] == GROUPS].mean(axis=1, dtype=np.float64)
        assert_allclose(column, expected, atol=2e-5)
    assert differences.names[differences.member].tolist() == GROUPS[differences.at].tolist()


def test_others_are_compared_with_the_controls_of_their_group(values):
    differences = Differences(GROUPS, CONTROL)
    assert sorted(differences.at) == [1, 2]  # c has nothing but a control, d has none
    assert (differences.left_groups, differences.left_profiles) == (2, 5)
    for column, at in zip(differences.of(values).T, differences.at):
        controls = values[:, (GROUPS[at] == GROUPS) & CONTROL]
        assert_allclose(column, values[:, at] - controls.mean(axis=1, dtype=np.float64), atol=2e-5)


def test_rounding_is_no_difference():
    mean = np.float32([[0.1, 0.3, 1e5]]).T @ np.ones((1, 7), np.float32)
    assert not Differences(["a"] * 7).of(mean).any()


def test_nothing_to_compare(values):
    for groups, control in ((np.arange(10).astype(str), None), (np.full(10, ""), None), (GROUPS, np.zeros(10, bool))):
        differences = Differences(groups, control)
        assert differences.of(values).shape == (4, 0)
        assert differences.left_profiles == 10
