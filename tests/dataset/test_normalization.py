"""A new raw profile is treated as the training profiles were."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from dgex.dataset.normalization import Normalization
from dgex.dataset.scale import Scale
from dgex.errors import DataError
from dgex.prepare.pipeline import prepare


def brought(normalization: Normalization, X: np.ndarray, part: str = "landmarks", own: bool = False) -> np.ndarray:
    """Raw values in the units of a model: transformed, then standardised."""
    values = normalization.transform(X, part=part)
    if part == "landmarks":
        return normalization.standardize_landmarks(values, own=own)
    if normalization.landmark_mean is None:
        return values
    mean, std = (
        np.concatenate([getattr(normalization, f"{role}_{name}") for role in ("landmark", "target")]).astype(np.float64)
        for name in ("mean", "std")
    )
    return ((values - mean) / std).astype(np.float32)


def raw(linear: bool = False, samples: int = 60) -> AnnData:
    generator = np.random.default_rng(5)
    X = generator.gamma(9, 0.9, (samples, 20)).astype(np.float32)
    var = pd.DataFrame({"role": ["landmark"] * 6 + ["target"] * 14}, index=[f"G{i}" for i in range(20)])
    obs = pd.DataFrame(index=[f"s{i}" for i in range(samples)])
    return AnnData(np.exp2(X) if linear else X, obs=obs, var=var)


OPTIONS = [
    {},
    {"standardize": "none"},
    {"standardize": "paper"},
    {"quantile": "inductive"},
    {"quantile": "paper", "standardize": "paper"},
    {"log2": "auto", "linear": True},
    {"log2": "always", "linear": True, "quantile": "inductive"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_whole_profiles_come_out_as_in_the_dataset(options: dict[str, Any]) -> None:
    options = dict(options)
    source = raw(options.pop("linear", False))
    data = prepare(source, landmark_ranks="together", **options)  # as whole profiles are normalised
    normalization = Normalization.from_dataset(data)
    np.testing.assert_allclose(brought(normalization, source.X, part="all"), data.X, atol=2e-5)
    one = brought(normalization, source.X[7:8], part="all")
    np.testing.assert_array_equal(one, brought(normalization, source.X, part="all")[7:8])
    if "quantile" not in options:  # then landmark genes alone need nothing of the rest
        X = data.X[:, :6]
        np.testing.assert_allclose(brought(normalization, source.X[:, :6]), X, atol=2e-5)
        np.testing.assert_allclose(brought(normalization, source.X, part="all")[:, 6:], data.X[:, 6:], atol=2e-5)
        units = normalization.transform(source.X)
        np.testing.assert_allclose(normalization.invert_landmarks(X), units[:, :6], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(normalization.invert_targets(data.X[:, 6:]), units[:, 6:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [o | {"landmark_ranks": "alone"} for o in OPTIONS])
def test_landmark_genes_come_out_as_those_of_a_panel(options: dict[str, Any]) -> None:
    options = dict(options)
    source = raw(options.pop("linear", False))
    data = prepare(source, **options)
    normalization = Normalization.from_dataset(data)
    np.testing.assert_allclose(brought(normalization, source.X[:, :6]), data.X[:, :6], atol=2e-5)
    both = prepare(source, **options | {"landmark_ranks": "together"})
    np.testing.assert_array_equal(data.X[:, 6:], both.X[:, 6:])  # target genes are ranked among all


@pytest.mark.parametrize("options", OPTIONS)
def test_stored_and_restored(options: dict[str, Any]) -> None:
    options = dict(options)
    source = raw(options.pop("linear", False))
    normalization = Normalization.from_dataset(prepare(source, **options))
    arrays = {**normalization.arrays(), "weights": np.zeros(3)}
    restored = Normalization.restore(arrays, json.loads(json.dumps(normalization.state())))
    panel = source.X[:4, :6]
    np.testing.assert_array_equal(brought(restored, panel), brought(normalization, panel))
    np.testing.assert_array_equal(
        restored.invert_targets(source.X[:, 6:]), normalization.invert_targets(source.X[:, 6:])
    )
    assert all(name.startswith("normalization.") for name in normalization.arrays())


def test_a_panel_is_mapped_to_the_reference_of_landmarks() -> None:
    data = prepare(raw(), quantile="inductive")
    normalization = Normalization.from_dataset(data)
    generator = np.random.default_rng(0)
    panel = generator.normal(1000, 50, (5, 6)).astype(np.float32)  # another scale: only ranks count
    out = normalization.transform(panel)
    expected = data.uns["dgex"]["quantile"]["landmark_reference"]
    np.testing.assert_array_equal(np.sort(out, axis=1), np.tile(expected, (5, 1)))
    fewer = normalization.transform(panel[:, :4])
    np.testing.assert_allclose(np.sort(fewer, axis=1)[:, [0, -1]], np.tile(expected[[0, -1]], (5, 1)))


def test_own_statistics_are_the_rule_for_a_further_set() -> None:
    data = prepare(raw(), standardize="paper")
    normalization = Normalization.from_dataset(data)
    further = raw(samples=30).X[:, :6] * 2 + 5
    expected = (further - further.mean(0, dtype=np.float64)) / (further.std(0, dtype=np.float64) + 1e-3)
    np.testing.assert_allclose(brought(normalization, further, own=True), expected, atol=1e-5)
    with pytest.raises(DataError, match="one profile"):
        brought(normalization, further[:1], own=True)


def test_the_scale_is_decided_for_all_profiles_at_once() -> None:
    normalization = Normalization(log2="auto")
    X = np.array([[1, 2.5, 14], [0, 3, 900]], dtype=np.float32)
    np.testing.assert_allclose(normalization.transform(X), np.log2(X + 1), rtol=1e-6)
    log = Scale("log2", "log2", 0, 14, 0)
    np.testing.assert_array_equal(normalization.transform(X[:1], scale=log), X[:1])
    natural = Scale("ln", "ln", 0, 14, 0)
    np.testing.assert_allclose(normalization.transform(X[:1], scale=natural), X[:1] / np.log(2), rtol=1e-6)


def test_a_dataset_made_elsewhere_is_taken_as_it_is() -> None:
    source = raw()
    normalization = Normalization.from_dataset(source)
    np.testing.assert_array_equal(brought(normalization, source.X[:, :6]), source.X[:, :6])
    np.testing.assert_array_equal(normalization.invert_targets(source.X[:, 6:]), source.X[:, 6:])


def test_statistics_of_the_set_that_trains_most() -> None:
    source = raw()
    source.obs["platform"] = ["array"] * 40 + ["rnaseq"] * 20
    data = prepare(source, standardize="paper")
    normalization = Normalization.from_dataset(data)
    assert normalization.set_name == "array"
    np.testing.assert_allclose(brought(normalization, source.X[:40], part="all"), data.X[:40], atol=2e-5)


def test_wrong_shapes() -> None:
    normalization = Normalization.from_dataset(prepare(raw()))
    with pytest.raises(DataError, match="6 landmark genes"):
        brought(normalization, np.zeros((2, 5)))
    with pytest.raises(DataError, match="matrix"):
        brought(normalization, np.zeros(6))
