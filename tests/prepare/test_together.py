"""Near-duplicates stay on one side of the split, and nothing else changes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex import io
from dgex.datasets.simulated.simulate import simulate
from dgex.errors import SettingsError
from dgex.prepare.duplicates import close_pairs
from dgex.prepare.pipeline import prepare
from dgex.prepare.together import joined_groups


@pytest.fixture(autouse=True)
def notes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dgex")


def matrix(profiles: int = 120, copies: int = 15, seed: int = 0, groups: int = 10) -> ad.AnnData:
    """Profiles far from each other, of which the last `copies` are near-copies of the first."""
    rng = np.random.default_rng(seed)
    donors = rng.permutation(profiles) % groups
    X = rng.uniform(4, 15, (profiles, 40))
    if copies:
        X[-copies:] = X[:copies] + rng.uniform(-0.05, 0.05, (copies, 40))
    obs = pd.DataFrame({"donor": [f"d{i}" for i in donors]}, index=names(profiles))
    var = pd.DataFrame({"role": ["landmark"] * 10 + ["target"] * 30}, index=[f"G{i}" for i in range(40)])
    return ad.AnnData(X.astype(np.float32), obs=obs, var=var)


def names(profiles: int) -> list[str]:
    return [f"s{i}" for i in range(profiles)]


def sides(data: ad.AnnData) -> np.ndarray:
    return data.obs["split"].to_numpy(dtype=str)


@pytest.mark.parametrize("seed", range(4))
def test_no_pair_straddles(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    raw = matrix(seed=seed)
    data = prepare(raw, seed=seed)
    split = sides(data)
    np.testing.assert_array_equal(split[-15:], split[:15])
    assert [(split == name).sum() for name in ("train", "validation", "test")] == [96, 12, 12]
    assert "15 pairs of near-duplicates (30 profiles closer than 1): all of them are kept" in caplog.text
    record = data.uns["dgex"]
    assert record["options"]["together"] == 1.0
    assert record["near_duplicates"] == {"distance": 1.0, "pairs": 15, "on_both_sides": 0}
    apart = sides(prepare(raw, seed=seed, together=0))
    assert (apart[-15:] != apart[:15]).any(), "the planted pairs say nothing at this seed"


@pytest.mark.parametrize("group", [None, "donor"])
def test_without_near_duplicates_the_split_is_what_it_was(group: str | None, caplog: Any) -> None:
    raw = matrix(copies=0)
    split = sides(prepare(raw, group=group))
    assert "no two profiles are closer than 1" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(split, sides(prepare(raw, group=group, together=0)))
    close = matrix(copies=15)
    np.testing.assert_array_equal(sides(prepare(close, group=group, together=0)), split)
    assert "closer" not in caplog.text


def test_groups_that_share_near_duplicates_are_joined() -> None:
    raw = matrix(copies=3, groups=30)
    data = prepare(raw, group="donor")
    split, donor = sides(data), data.obs["donor"].to_numpy(dtype=str)
    np.testing.assert_array_equal(split[-3:], split[:3])
    for name in np.unique(donor):
        assert len(set(split[donor == name])) == 1


def test_pairs_are_looked_for_on_the_log2_scale() -> None:
    raw = matrix()
    linear = ad.AnnData(np.exp2(raw.X) - 1, obs=raw.obs, var=raw.var)
    split = sides(prepare(linear, scale="linear"))
    np.testing.assert_array_equal(split, sides(prepare(raw)))


def test_of_a_simulated_set_with_repeated_profiles() -> None:
    raw = simulate(samples=400, landmarks=20, targets=60, duplicates=0.1, seed=3)
    pairs = close_pairs(np.asarray(raw.X), 1.0)
    assert len(pairs) > 5
    split, apart = sides(prepare(raw)), sides(prepare(raw, together=0))
    assert (split[pairs[:, 0]] == split[pairs[:, 1]]).all()
    assert (apart[pairs[:, 0]] != apart[pairs[:, 1]]).any()


def test_where_duplicates_are_dropped_none_are_looked_for() -> None:
    data = prepare(matrix(), dedup=1.0)
    assert data.uns["dgex"]["options"]["together"] == 0.0
    assert data.n_obs == 105


def test_copies_in_a_named_set_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = matrix(copies=0)
    io.write(raw[:7].copy(), tmp_path / "other.h5ad")
    prepare([raw, f"other={tmp_path / 'other.h5ad'}"], standardize="none")
    said = caplog.text
    assert "7 pairs of near-duplicates lie on both sides of the split, in other and" in said


def test_a_distance_that_joins_nearly_all_is_said_and_not_used(caplog: pytest.LogCaptureFixture) -> None:
    raw = matrix()
    split = sides(prepare(raw, together=1000))
    assert "too many to keep on one side" in caplog.text
    np.testing.assert_array_equal(split, sides(prepare(raw, together=0)))


def test_a_distance_that_nearly_all_pairs_are_within_is_found_on_some(
    monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dgex.prepare.together.PROBED", 50)
    raw = matrix()
    np.testing.assert_array_equal(sides(prepare(raw, together=1000)), sides(prepare(raw, together=0)))
    assert "100% of the pairs of profiles are closer than 1000" in caplog.text


def test_many_profiles_are_not_looked_at_unasked(monkeypatch: Any, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("dgex.prepare.together.MOST", 100)
    raw = matrix()
    np.testing.assert_array_equal(sides(prepare(raw)), sides(prepare(raw, together=0)))
    assert "not looked for among 120 profiles" in caplog.text


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=12), st.booleans())
def test_joined_groups_are_the_connected_components(links: list[tuple[int, int]], grouped: bool) -> None:
    groups = np.array([f"g{i // 2}" for i in range(30)]) if grouped else None
    pairs = np.array([link for link in links if link[0] != link[1]], dtype=int).reshape(-1, 2)
    own = np.arange(30) if groups is None else np.arange(30) // 2
    reached = own.copy()
    for _ in range(60):  # by hand: the smallest label that pairs and groups lead to
        for i, j in pairs:
            reached[[i, j]] = min(reached[i], reached[j])
        for group in np.unique(own):
            reached[own == group] = reached[own == group].min()
    joined = joined_groups(30, pairs, 1, groups, 1.0)
    too_many = max(np.bincount(reached)[np.unique(reached[pairs])], default=0) > 15
    if too_many or (reached == own).all():
        assert joined is groups
        return
    assert joined is not None
    same = joined[:, None] == joined[None]
    np.testing.assert_array_equal(same, reached[:, None] == reached[None])


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_distances_that_cannot_be(wrong: float) -> None:
    with pytest.raises(SettingsError, match="together, the distance of near-duplicates: found"):
        prepare(matrix(), together=wrong)
