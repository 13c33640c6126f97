"""Near-duplicates against all distances in float64."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import pairwise_distances

from dgex import io
from dgex.errors import DataError, SettingsError
from dgex.gene_table import GeneTable
from dgex.prepare.duplicates import close_pairs, near_duplicates
from dgex.prepare.pipeline import prepare


def slow_pairs(X: np.ndarray, distance: float) -> np.ndarray:
    X = X.astype(np.float64)
    squared = ((X[:, None] - X[None]) ** 2).sum(2)
    i, j = np.nonzero(squared < distance**2)
    return np.stack([i, j], 1)[i < j]


def compendium(samples: int = 120, genes: int = 30, seed: int = 0, offset: float = 8.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(samples, genes)) + offset
    copied = generator.integers(0, samples, samples // 3)
    into = generator.integers(0, samples, samples // 3)
    X[into] = X[copied] + generator.normal(size=(len(into), genes)) * generator.uniform(0, 0.4, (len(into), 1))
    return X.astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), block=st.sampled_from([1, 7, 64, 2048]), offset=st.sampled_from([0.0, 8.0, 1e4]))
def test_exact_pairs_whatever_the_block(seed: int, block: int, offset: float) -> None:
    X = compendium(60, 12, seed, offset)
    np.testing.assert_array_equal(close_pairs(X, 1.0, block=block), slow_pairs(X, 1.0))


def test_at_the_threshold_float64_decides() -> None:
    generator = np.random.default_rng(1)
    X = np.repeat(generator.normal(10, 2, (40, 1, 200)).astype(np.float32), 2, axis=1).reshape(80, 200)
    X[1::2, 0] += 1  # pairs at a distance of one, but for the rounding of float32
    X[1::4, 1] = np.nextafter(X[1::4, 1], np.float32(99))
    pairs = close_pairs(X, 1.0)
    np.testing.assert_array_equal(pairs, slow_pairs(X, 1.0))
    assert 0 < len(pairs) < 40


def test_kept_ones_are_apart_and_dropped_ones_have_a_kept_one_before() -> None:
    X = compendium(200)
    keep = near_duplicates(X, 1.5).keep
    distances = pairwise_distances(X.astype(np.float64))
    close = distances < 1.5
    kept = np.flatnonzero(keep)
    assert not np.triu(close[np.ix_(kept, kept)], 1).any()
    for dropped in np.flatnonzero(~keep):
        assert close[dropped, kept[kept < dropped]].any()
    assert 0 < keep.sum() < 200


def test_a_chain_keeps_its_ends_unless_the_published_rule_is_asked_for() -> None:
    X = np.array([[0.0, 0], [0.8, 0], [1.6, 0], [9, 9]], dtype=np.float32)
    np.testing.assert_array_equal(near_duplicates(X, 1.0).keep, [True, False, True, True])
    published = near_duplicates(X, 1.0, method="clusters", clusters=1)
    np.testing.assert_array_equal(published.keep, [True, False, False, True])


def test_clusters_find_a_part_of_the_exact_pairs() -> None:
    X = compendium(150)
    exact = {tuple(pair) for pair in near_duplicates(X, 1.5).pairs.tolist()}
    some = near_duplicates(X, 1.5, method="clusters", clusters=5, seed=3)
    assert {tuple(pair) for pair in some.pairs.tolist()} <= exact
    one = near_duplicates(X, 1.5, method="clusters", clusters=1)
    assert {tuple(pair) for pair in one.pairs.tolist()} == exact
    again = near_duplicates(X, 1.5, method="clusters", clusters=5, seed=3)
    np.testing.assert_array_equal(some.keep, again.keep)


def test_transform_is_what_is_compared() -> None:
    X = compendium(80)
    linear = np.arange(80) % 2 == 0
    raw = np.where(linear[:, None], np.exp2(X.astype(np.float64)), X).astype(np.float32)

    def logged(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        values[linear[rows]] = np.log2(values[linear[rows]])
        return values

    before = raw.copy()
    found = near_duplicates(raw, 1.0, transform=logged)
    np.testing.assert_array_equal(found.pairs, slow_pairs(logged(raw.copy(), np.arange(80)), 1.0))
    np.testing.assert_array_equal(raw, before)


@pytest.mark.parametrize("X", [np.zeros((5, 3)), np.ones((1, 3)), np.empty((0, 3))])
def test_degenerate_matrices(X: np.ndarray) -> None:
    found = near_duplicates(X.astype(np.float32), 0.5)
    assert found.keep.sum() == min(len(X), 1)
    assert len(found.pairs) == len(X) * (len(X) - 1) // 2


def test_errors() -> None:
    X = compendium(10)
    with pytest.raises(SettingsError, match="above 0"):
        near_duplicates(X, 0.0)
    with pytest.raises(SettingsError, match="accepted: exact, clusters"):
        near_duplicates(X, 1.0, method="lsh")
    X[4, 4] = np.nan
    for method in ("exact", "clusters"):
        with pytest.raises(DataError, match="NaN"):
            near_duplicates(X, 1.0, method=method)


@pytest.mark.parametrize("method", ["exact", "clusters"])
def test_of_the_compendium_over_all_its_columns(tmp_path, method):
    rng = np.random.default_rng(0)
    names = [f"G{i}" for i in range(12)]
    X = rng.uniform(4, 15, (300, 12)).astype(np.float32)
    X[9] = X[2] + 0.01  # alike in all columns
    X[11] = X[4]
    X[11, 10:] += 3  # alike in the genes kept only
    others = pd.DataFrame(index=[f"s{i}" for i in range(300)]), pd.DataFrame(index=names)
    further = ad.AnnData(X[:5], obs=pd.DataFrame(index=[f"o{i}" for i in range(5)]), var=others[1])
    io.write(further, tmp_path / "set.h5ad")
    frame = pd.DataFrame({"role": ["landmark"] * 4 + ["target"] * 6}, index=names[:10])
    options = {"genes": GeneTable(frame), "dedup": 1.0, "dedup_method": method, "standardize": "none"}
    inputs = [f"set={tmp_path / 'set.h5ad'}", ad.AnnData(X, obs=others[0], var=others[1])]
    published = prepare(inputs, dedup_over="compendium", **options)
    assert set(others[0].index) - set(published.obs_names) == {"s9"}
    assert set(further.obs_names) <= set(published.obs_names)
    assert published.uns["dgex"]["duplicates"]["dropped_samples"] == ["s9"]
    if method == "exact":
        over_inputs = prepare(inputs, **options)
        assert set(others[0].index) - set(over_inputs.obs_names) == {"s0", "s1", "s2", "s3", "s4", "s9", "s11"}


@pytest.mark.parametrize("constant", [0, 29])
def test_a_part_of_the_columns_looked_at_first_changes_nothing(monkeypatch, constant):
    """Columns that tell profiles apart, and columns that do not, where all pairs would pass."""
    X = compendium(seed=4)
    X[:, :constant] = 5
    expected = slow_pairs(X, 1.0)
    rows = np.arange(3, 110)
    monkeypatch.setattr("dgex.prepare.duplicates._SCREEN", 5)
    assert len(expected)
    np.testing.assert_array_equal(close_pairs(X, 1.0, block=32), expected)
    inside = expected[np.isin(expected, rows).all(axis=1)]
    np.testing.assert_array_equal(close_pairs(X, 1.0, rows=rows, block=32), inside)
    X[77, 13] = np.nan
    with pytest.raises(DataError, match="NaN"):
        close_pairs(X, 1.0)
