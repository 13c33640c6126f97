"""A model's training profiles are known again in another split, under another name, and no others are."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import dgex
from dgex.dataset.signatures import known, signatures
from dgex.evaluation import given


def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(given, "warn", said.append)
    return said


@pytest.mark.parametrize("quantile", [None, "inductive"])
@pytest.mark.parametrize("renamed", [False, True])
def test_another_split_of_the_same_profiles_is_told(
    compendium: ad.AnnData, monkeypatch: pytest.MonkeyPatch, quantile: str | None, renamed: bool, tmp_path: Path
) -> None:
    one, other = compendium.copy(), compendium.copy()
    if renamed:
        other.obs_names = [f"X{name}" for name in other.obs_names]
    # of few landmark genes ranked alone the reference moves all of a profile's values
    ranks = "together" if renamed else None
    first = dgex.prepare(one, seed=0, quantile=quantile, landmark_ranks=ranks)
    second = dgex.prepare(other, seed=1, quantile=quantile, landmark_ranks=ranks)
    model = dgex.train(first, "ridge", tmp_path / "ridge", alpha=10.0)
    train, test = (set(d.obs_names[d.obs["split"] == s]) for d, s in ((first, "train"), (second, "test")))
    trained = {f"X{name}" for name in train} if renamed else train
    expected = len(trained & test)
    assert 0 < expected < len(test)
    said = told(monkeypatch)
    for fitted in (model, dgex.load(tmp_path / "ridge")):
        result = dgex.evaluate({"r": fitted}, second, spearman=False)
        counted = result.settings["models"]["r"]["trained_on"].get("test", 0)
        if renamed and quantile:  # of 20 landmark genes under another name the reference moves some too far
            assert 0 < counted <= expected
            continue
        assert counted == expected
        line = f"{expected:,} of {len(test):,} profiles of test were training profiles of r"
        assert any(line in text for text in said)


def test_profiles_it_never_saw_are_not_told(compendium: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    said = told(monkeypatch)
    data = dgex.prepare(compendium.copy(), seed=0)
    model = dgex.train(data, "ols")
    dgex.evaluate({"ols": model}, data, split=["test", "validation"], spearman=False)
    foreign = dgex.simulate(samples=240, landmarks=20, targets=30, programmes=5, tissues=4, seed=2)
    assert set(foreign.obs_names) == set(compendium.obs_names)
    result = dgex.evaluate({"ols": model}, dgex.prepare(foreign, seed=0), split=["train", "test"], spearman=False)
    assert result.settings["models"]["ols"]["trained_on"] == {}
    assert not [line for line in said if "training profiles of" in line]


def test_order_of_genes_and_units_do_not_matter(compendium: ad.AnnData) -> None:
    landmark = np.flatnonzero((compendium.var["role"] == "landmark").to_numpy())
    names = compendium.var_names[landmark].tolist()
    data = dgex.prepare(compendium.copy(), seed=0)
    rows = np.arange(50)
    with dgex.open(compendium) as raw, dgex.open(data) as standardized:
        one = signatures(raw, rows, landmark[::-1], names[::-1])
        columns = standardized.var.index.get_indexer(names)
        other = signatures(standardized, standardized.obs.index.get_indexer(raw.obs.index[rows]), columns, names)
    np.testing.assert_allclose(one["projections"], other["projections"], atol=1e-4)
    assert known(one, other).all()
    assert known(other, {name: array[:7] for name, array in one.items()}).all()


@pytest.mark.real
def test_real_profiles_of_another_split_are_told(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = dgex.read(real_data / "human_rnaseq.h5ad")
    raw = raw[:, np.cumsum(raw.var["role"] == "target") <= 500].copy()  # all landmark genes up to the 500th target
    said = told(monkeypatch)
    data = {seed: dgex.prepare(raw.copy(), seed=seed, quantile=True) for seed in (0, 1)}
    model = dgex.train(data[0], "ridge", alpha=100.0)
    dgex.evaluate({"ridge": model}, data[0], spearman=False)
    assert not said
    result = dgex.evaluate({"ridge": model}, data[1], spearman=False)
    both = (data[0].obs["split"] == "train") & (data[1].obs["split"] == "test").reindex(data[0].obs_names)
    assert result.settings["models"]["ridge"]["trained_on"] == {"test": int(both.sum())}
