"""No verb changes what it is given: neither values nor metadata, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

import dgex


def raw() -> AnnData:
    """Profiles with something in every part of an AnnData."""
    whole = dgex.simulate(samples=260, landmarks=8, targets=12, seed=0)
    whole.layers["copy"] = sp.csr_matrix(whole.X)
    whole.obsm["X_pca"] = np.asarray(whole.X[:, :2]).copy()
    whole.obs["note"] = pd.Categorical(["a", "b"] * 130)
    whole.uns["colours"] = {"study": ["#fff", "#000"]}
    return whole


@pytest.fixture(scope="module")
def data() -> AnnData:
    return dgex.prepare(raw(), group="study", seed=0)


@pytest.fixture(scope="module")
def model(data: AnnData) -> dgex.Estimator:
    return dgex.train(data, "ridge")


def parts(adata: AnnData) -> dict[str, Any]:
    """All that an AnnData holds, arrays as their own bytes."""
    held: dict[str, Any] = {"X": adata.X}
    for name in ("layers", "obsm", "varm"):
        held |= {f"{name}/{key}": value for key, value in getattr(adata, name).items() if key is not None}
    made: dict[str, Any] = {}
    for name, value in held.items():
        arrays = (value.data, value.indices, value.indptr) if sp.issparse(value) else (np.asarray(value),)
        made[name] = [(array.dtype.str, array.shape, array.tobytes()) for array in arrays]
    return made | {"obs": adata.obs.copy(deep=True), "var": adata.var.copy(deep=True), "uns": repr(dict(adata.uns))}


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for name in ("obs", "var"):
        pd.testing.assert_frame_equal(before.pop(name), after.pop(name), check_exact=True)
    assert before == after


VERBS: dict[str, Callable[[AnnData, AnnData, dgex.Estimator, Path], Any]] = {
    "prepare": lambda whole, data, model, at: dgex.prepare(whole, group="study", quantile=True, dedup=1.0, seed=0),
    "train": lambda whole, data, model, at: dgex.train(data, "ols"),
    "calibrate": lambda whole, data, model, at: dgex.calibrate(model, data, at / "calibrated", split="validation,test"),
    "evaluate": lambda whole, data, model, at: dgex.evaluate({"m": model}, data, split="test"),
    "interpret": lambda whole, data, model, at: dgex.interpret(model, data),
    "infer": lambda whole, data, model, at: dgex.infer(whole, model, interval=0.9, extra="carry"),
    "infer, own statistics": lambda whole, data, model, at: dgex.infer(whole, model, standardize="own", measured="raw"),
    "infer a view": lambda whole, data, model, at: dgex.infer(whole[:9, whole.var["role"] == "landmark"], model),
    "infer into a file": lambda whole, data, model, at: dgex.infer(whole, model, at / "full.h5ad", report=at / "page"),
    "explain": lambda whole, data, model, at: dgex.explain(model, whole[:1], genes=model.targets_[:1]),
    "adapt": lambda whole, data, model, at: dgex.adapt(model, whole, seed=0),
    "select_landmarks": lambda whole, data, model, at: dgex.select_landmarks(whole, size=3, sizes=[3], splits=1),
    "write": lambda whole, data, model, at: dgex.write(whole, at / "whole.h5ad"),
    "predict": lambda whole, data, model, at: model.predict(data),
}


@pytest.mark.parametrize("verb", VERBS)
def test_inputs_stay_as_they_are(verb: str, data: AnnData, model: dgex.Estimator, tmp_path: Path) -> None:
    whole = raw()
    given = [(whole, parts(whole)), (data, parts(data))]
    VERBS[verb](whole, data, model, tmp_path)
    for adata, before in given:
        assert_same(before, parts(adata))


def test_results_share_no_memory_with_inputs(data: AnnData, model: dgex.Estimator) -> None:
    whole = raw()
    for result in (dgex.prepare(whole, seed=0), dgex.infer(whole, model), dgex.infer(whole, model, measured="raw")):
        assert not np.shares_memory(np.asarray(result.X), np.asarray(whole.X))
        before = parts(whole)
        result.X[:] = -1
        result.obs["study"] = "changed"
        result.uns["colours"] = None
        assert_same(before, parts(whole))


def test_a_device_is_for_one_inference_alone(data: AnnData) -> None:
    pytest.importorskip("torch")
    network = dgex.train(data, "dgex", hidden=(4,), epochs=1)
    before = network.get_params()
    dgex.infer(raw(), network, device="cpu")
    assert network.get_params() == before
