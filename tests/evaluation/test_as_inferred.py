"""What `evaluate` measures is what `infer` gives: the same errors, by every way to normalise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from dgex import io
from dgex.dataset.as_panel import AsPanel
from dgex.dataset.normalization import Normalization
from dgex.dataset.roles import landmarks, rows, targets
from dgex.evaluation.evaluate import evaluate
from dgex.fitting.calibrate import calibrate
from dgex.fitting.train import train
from dgex.inference.infer import infer
from dgex.prepare.pipeline import prepare

LANDMARKS, TARGETS, PROFILES = 30, 30, 160


def measured(linear: bool, seed: int = 0, count: int = PROFILES) -> ad.AnnData:
    """Profiles with noise in every gene, so that every rank counts, and zeros that tie; counts or their logarithms."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(count, 5))
    effects = np.random.default_rng(1).normal(size=(5, LANDMARKS + TARGETS))
    level = np.linspace(0, 9, LANDMARKS + TARGETS)[np.random.default_rng(2).permutation(LANDMARKS + TARGETS)]
    x = level + z @ effects + 0.5 * rng.normal(size=(count, LANDMARKS + TARGETS))
    counts = np.round(np.exp2(np.maximum(x, 0)) - 1) * np.round(rng.uniform(1, 4, size=(count, 1)))
    return ad.AnnData(
        (counts if linear else np.log2(counts + 1)).astype(np.float32),
        obs=pd.DataFrame({"platform": "rnaseq"}, index=[f"s{seed}-{i}" for i in range(count)]),
        var=pd.DataFrame(
            {"role": ["landmark"] * LANDMARKS + ["target"] * TARGETS},
            index=[f"GENE{i}" for i in range(LANDMARKS + TARGETS)],
        ),
    )


def errors_of_infer(model: Any, raw: ad.AnnData, data: ad.AnnData, split: str, whole: bool, own: bool) -> np.ndarray:
    """Mean absolute errors of what `infer` gives for profiles of a split, by gene, in the dataset's unit."""
    names = data.obs_names[rows(data, split)]
    given = raw[names].copy()
    if not whole:
        given = given[:, landmarks(given)].copy()
    unit = "original" if model.normalization_.standardize == "none" else "standardized"
    how = {"units": unit, "measured": "infer", "standardize": "own" if own else "model"}
    result = infer(given, model, scale="counts" if raw.X.max() > 100 else "log2", **how)
    guess = result[:, result.var["role"] == "target"].to_df()
    truth = data[names][:, targets(data)].to_df()[guess.columns]
    return np.abs(guess.to_numpy(np.float64) - truth.to_numpy()).mean(axis=0)


WAYS = [
    {
        "quantile": quantile,
        "standardize": standardize,
        "normalize": normalize,
        "linear": linear,
        "landmark_ranks": ranks,
    }
    for quantile in (None, "inductive", "paper")
    for standardize in ("none", "inductive", "paper")
    for linear in (True, False)
    for normalize in (("none", "cpm", "size-factors") if linear else ("none",))
    for ranks in ((None,) if quantile is None else ("alone", "together"))
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(str(part) for part in way.values()))
def test_evaluate_and_infer_give_the_same_errors(way: dict[str, Any]) -> None:
    way = dict(way)
    raw = measured(way.pop("linear"))
    scale = "counts" if raw.X.max() > 100 else "log2"
    data = prepare(raw, scale=scale, log2="auto", together=0, constant="drop", **way)
    model = train(data, "ridge")
    result = evaluate({"model": model}, data, spearman=False).per_gene
    found = result[result["model"] == "model"]["mae"].to_numpy()
    # Of a panel nobody knows the sum of all genes, by which counts per million are taken: these need whole profiles.
    whole = way["normalize"] == "cpm"
    assert_allclose(found, errors_of_infer(model, raw, data, "test", whole, own=False), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("ranks", ["alone", "together"])
def test_a_further_set_of_rnaseq_by_the_published_rules(ranks: str, tmp_path: Path) -> None:
    arrays = measured(linear=False)
    arrays.X += np.random.default_rng(3).uniform(0, 0.01, arrays.shape).astype(np.float32)  # arrays have no ties
    arrays.obs["platform"] = "array"
    further = measured(linear=False, seed=5, count=60)
    io.write(further, tmp_path / "further.h5ad")
    inputs = {"quantile": "paper", "standardize": "paper", "landmark_ranks": ranks, "together": 0}
    data = prepare([arrays, f"GTEx={tmp_path / 'further.h5ad'}"], constant="drop", **inputs)
    model = train(data, "ridge")
    assert model.normalization_.rnaseq_ties == "dense"
    for split, raw, own in (("test", arrays, False), ("GTEx", further, True)):
        result = evaluate({"model": model}, data, split, spearman=False).per_gene
        found = result[result["model"] == "model"]["mae"].to_numpy()
        assert_allclose(found, errors_of_infer(model, raw, data, split, False, own), rtol=2e-3, atol=1e-4)


def test_what_a_panel_is_given_follows_from_a_dataset_that_ranked_all_genes_together() -> None:
    raw = measured(linear=False)
    for ranks in ("alone", "together"):
        data = prepare(raw, quantile="inductive", landmark_ranks=ranks, together=0, constant="drop")
        assert Normalization.from_dataset(data).landmark_ranks == ranks
        columns = np.flatnonzero(landmarks(data))
        with io.open(data) as source:
            panel = AsPanel.of(source, columns)
        if ranks == "alone":
            assert panel is None
            alone = data.X[:, columns]
            continue
        assert panel is not None
        ours = Normalization.from_dataset(data)
        at = np.array([3, 150, 7])
        expected = ours.standardize_landmarks(ours.transform(raw[data.obs_names].X[:, columns]))
        assert_allclose(panel(data.X[at][:, columns], at), expected[at], atol=2e-5)
        assert np.abs(data.X[:, columns] - expected).max() > 0.1  # it does make a difference
        assert np.corrcoef(alone.ravel(), expected.ravel())[0, 1] > 0.99


def test_a_dataset_made_before_this_was_kept_ranked_all_genes_together() -> None:
    raw = measured(linear=False)
    data = prepare(raw, quantile="inductive", landmark_ranks="together", together=0, constant="drop")
    older = data.copy()
    del older.uns["dgex"]["quantile"]["landmark_ranks"]
    model = train(data, "ridge")
    results = [evaluate({"model": model}, d, spearman=False) for d in (data, older)]
    pd.testing.assert_frame_equal(results[0].per_gene, results[1].per_gene)
    assert results[1].settings["landmarks"] == "those of a panel"


def test_as_prepared_takes_landmark_genes_as_they_are() -> None:
    data = prepare(measured(linear=False), quantile="inductive", landmark_ranks="together", together=0, constant="drop")
    model = train(data, "ridge")
    result = evaluate({"model": model}, data, spearman=False, as_prepared=True)
    held = data[rows(data, "test")]
    truth = held[:, targets(data)].X
    expected = np.abs(model.predict(held).astype(np.float64) - truth).mean(axis=0)
    assert_allclose(result.per_gene[result.per_gene["model"] == "model"]["mae"], expected, rtol=1e-6)


@pytest.mark.parametrize("ranks", ["alone", "together"])
def test_trust_is_judged_as_infer_takes_a_panel(ranks: str) -> None:
    how = {"quantile": "inductive", "landmark_ranks": ranks, "together": 0, "constant": "drop"}
    data = prepare(measured(linear=False), split=(0.5, 0.25, 0.25), **how)
    model = calibrate(train(data, "ols"), data, split="test")
    result = evaluate({"model": model}, data, spearman=False).per_gene
    assert_allclose(model.confidence_.accuracy["error"], result[result["model"] == "model"]["mae"], rtol=1e-4)
    trained = train(data, "ols").confidence_
    if ranks == "together":  # there validation alone judges
        result = evaluate({"model": model}, data, "validation", spearman=False).per_gene
        assert_allclose(trained.accuracy["error"], result[result["model"] == "model"]["mae"], rtol=1e-4)
