"""The program of docs/model-folder.md, with nothing of dgex in it, predicts as the model does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from safetensors.numpy import load_file

import dgex

PAGE = (Path(__file__).parents[2] / "docs" / "model-folder.md").read_text("utf-8")


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # the documentation's own
    return names


SMALL = {"epochs": 2, "batch_size": 16}


@pytest.mark.parametrize(
    ("method", "settings", "prepared"),
    [
        ("ridge", {}, {"quantile": "inductive"}),
        ("ols", {}, {"standardize": "none"}),
        ("lasso", {"alpha": 0.05}, {}),
        ("dgex", {"hidden": (8, 6), **SMALL}, {"quantile": "inductive"}),
        ("dgex", {"hidden": (8,), "target_parts": 2, **SMALL}, {}),
        ("dgex", {"hidden": (8,), **SMALL}, {"standardize": "none"}),
    ],
)
def test_numpy_alone_predicts_the_same(
    program: dict[str, Any], method: str, settings: dict[str, Any], prepared: dict[str, Any], tmp_path: Path
) -> None:
    if method == "dgex":
        pytest.importorskip("torch")
    raw = dgex.simulate(samples=150, landmarks=15, targets=12, seed=0)
    data = dgex.prepare(raw.copy(), seed=0, together=0, **prepared)
    model = dgex.train(data, method, tmp_path / "m", **settings)
    said, arrays = json.loads((tmp_path / "m" / "model.json").read_text()), load_file(tmp_path / "m/model.safetensors")
    X = np.random.default_rng(0).normal(0 if model.normalization_.standardize != "none" else 8, 1, (7, 15))
    x = X.astype(np.float32)
    assert_allclose(program["predict"](x, arrays, said), model.predict(x), atol=2e-5, rtol=1e-5)
    panel = raw[:9, said["genes"]["names"][:15]].copy()
    whole = dgex.infer(panel, model, scale="log2")
    found = program["inferred"](np.asarray(panel.X), tmp_path / "m")
    assert_allclose(found, whole[:, said["genes"]["names"][15:]].X, atol=2e-4)


def test_the_page_names_every_array(tmp_path: Path) -> None:
    raw = dgex.simulate(samples=150, landmarks=15, targets=12, seed=0)
    data = dgex.prepare(raw, quantile="inductive", seed=0, group="study")
    for method in ("ridge", "knn-ge", "knn"):
        dgex.train(data, method, tmp_path / method)
        for name in load_file(tmp_path / method / "model.safetensors"):
            family, _, rest = name.partition(".")
            written = {f"`{name}`", f"`.{rest}`", f"`{family}.…`", f"`{family}.{rest.partition('_')[0]}_…`"}
            assert any(words in PAGE for words in written), name
