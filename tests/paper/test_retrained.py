"""Section 3.4: the selected network once more, for all genes of the arrays, and inference by it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dgex

SMALL: dict[str, Any] = {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "epochs": 2, "methods": ("ols",)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Arrays of 18 genes, RNA-Seq that measures 13 of them, and a panel of landmark genes."""
    folder = tmp_path_factory.mktemp("raw")
    arrays = dgex.simulate(samples=240, landmarks=8, targets=10, seed=1)
    other = dgex.simulate(samples=160, landmarks=8, targets=10, seed=2)
    assert arrays is not None
    assert other is not None
    paths = {name: folder / f"{name}.h5ad" for name in ("arrays", "other", "panel")}
    dgex.write(arrays, paths["arrays"])
    lacking = other.var_names.isin([*arrays.var_names[:1], *arrays.var_names[-4:]])
    dgex.write(other[:, ~lacking].copy(), paths["other"])
    dgex.write(arrays[:5, arrays.var["role"] == "landmark"].copy(), paths["panel"])
    return paths


def run(folder: Path, files: dict[str, Path], **more: Any) -> Any:
    given = {"data": files["arrays"], "rnaseq": files["other"], "group": "study", "l1000": files["panel"]}
    return dgex.reproduce(folder, **given, **SMALL, **more)


def test_the_network_is_trained_for_all_genes_of_the_arrays_and_infers(tmp_path: Path, files: dict[str, Path]) -> None:
    results = run(tmp_path / "study", files)
    assert len(results.data.genes) == 6
    told = json.loads((tmp_path / "study" / "retrained.json").read_text())
    assert (told["landmarks"], told["targets"], told["new"]) == (8, 10, 4)
    assert told["network"] == results.selected(results.data.platforms[0])
    assert all(np.isfinite(list(told["errors"].values())))
    folder = tmp_path / "study" / "models" / f"retrained-{told['network']}"
    model = dgex.load(folder)
    assert (model.n_features_in_, model.n_targets_) == (8, 10)
    with dgex.open(tmp_path / "study" / "l1000" / "inferred.gctx") as inferred:
        assert inferred.shape == (5, 18)
    page = (tmp_path / "study" / "report.html").read_text("utf-8")
    assert "Trained again on all genes (section 3.4)" in page
    assert "4 that the other platform does not measure" in page

    def times() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in (tmp_path / "study" / "models").rglob("*")}

    before = times()
    run(tmp_path / "study", files)  # done before
    assert times() == before
    weights = (folder / "model.safetensors").read_bytes()
    shutil.rmtree(folder)
    run(tmp_path / "study", files)  # a model that is gone is made again
    assert (folder / "model.safetensors").read_bytes() == weights


def test_a_dataset_of_all_genes_is_not_trained_on_again(tmp_path: Path) -> None:
    dgex.reproduce(tmp_path / "study", samples=240, rnaseq_samples=160, landmarks=6, targets=5, **SMALL)
    assert not (tmp_path / "study" / "retrained.json").exists()
    assert not list((tmp_path / "study" / "models").glob("retrained*"))
