"""The whole study from raw files: GSE92743 with CMap's weights, and the paper's own files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import anndata as ad
import gse92743_files as gse
import numpy as np
import original_files
import pandas as pd
import pytest

import dgex
from dgex import io
from dgex.datasets.public import download
from dgex.errors import DataError

SMALL: dict[str, Any] = {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "epochs": 2, "batch_size": 50}


def with_weights(folder: Path) -> Path:
    """The public files with weights that infer every target gene as the mean of two landmark genes."""
    raw = gse.raw_files(folder)
    weights = np.zeros((1 + len(gse.LANDMARKS), len(gse.TARGETS)), np.float32)
    weights[1:3] = 0.5
    obs = pd.DataFrame(index=["OFFSET", *gse.LANDMARKS])
    io.write(ad.AnnData(weights.T.copy(), obs=pd.DataFrame(index=gse.TARGETS), var=obs), raw / "w.gctx")
    (raw / "w.gctx").rename(raw / "GSE92743_Broad_OLS_WEIGHTS_n979x11350.gctx")
    return raw


def test_gse92743_has_three_platforms_a_row_of_cmap_and_infers_l1000(tmp_path: Path) -> None:
    raw = with_weights(tmp_path / "raw")
    results = dgex.reproduce(tmp_path / "study", data="gse92743", raw=raw, **SMALL)
    assert [platform.name for platform in results.data.platforms] == ["GEO", "GTEx", "L1000"]
    for platform in results.data.platforms:
        rows = {row.label: row for row in results.rows(platform)}
        assert {"LR", "LR-L1", "LR-L2", "KNN-GE", "sample-KNN", "CMap OLS"} < set(rows)
        assert rows["CMap OLS"].genes == len(gse.TARGETS)
        gain = rows["CMap OLS"].interval  # found when it was measured, on the genes that the weights have
        assert gain is not None
        assert gain.improvement_low <= rows["CMap OLS"].improvement <= gain.improvement_high
    # what the weights say, by hand: the mean of two landmark genes in log2 units, over each gene's divisor
    data = io.read(tmp_path / "study" / "data.h5ad")
    rows_ = (data.obs["split"] == "L1000-te").to_numpy()
    std, mean = (data.varm[name]["L1000-te"].to_numpy() for name in ("std", "mean"))
    raw_values = data.X[rows_] * std + mean
    two = [data.var["entrez"].tolist().index(gene) for gene in gse.LANDMARKS[:2]]
    target = (data.var["role"] == "target").to_numpy()
    off = np.abs(raw_values[:, two].mean(1, keepdims=True) - raw_values[:, target]).mean(0) / std[target]
    row = next(row for row in results.rows(results.data.platforms[2]) if row.label == "CMap OLS")
    np.testing.assert_allclose(row.measured.errors["L1000-te"], off, rtol=2e-4)
    with dgex.open(tmp_path / "study" / "l1000" / "inferred.gctx") as inferred:
        assert inferred.shape == (len(gse.SAMPLES), len(gse.GENES))
    page = (tmp_path / "study" / "report.html").read_text("utf-8")
    assert "L1000: tested on L1000-te" in page
    assert "weights that LINCS infers with" in page


def test_downloaded_files_must_be_those_that_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = gse.raw_files(tmp_path / "raw")
    (raw / download.RECORD).write_text("{}")
    asked = []

    def files(folder: Path, name: str, *, only: Any) -> dict[str, Path]:
        asked.append((folder, name, tuple(only)))
        raise DataError("a file is not the one that was downloaded")

    monkeypatch.setattr(download, "files", files)
    with pytest.raises(DataError, match="not the one that was downloaded"):
        dgex.reproduce(tmp_path / "study", data="gse92743", raw=raw, **SMALL)
    assert asked == [(raw, "gse92743", ("affymetrix", "gtex_rnaseq", "gtex_l1000", "gene_info", "inst_info"))]


def test_the_papers_own_files(tmp_path: Path) -> None:
    world = original_files.simulated(tmp_path / "raw")
    results = dgex.reproduce(tmp_path / "study", data="paper", raw=world.folder, **SMALL)
    assert [(p.va, p.te) for p in results.data.platforms] == [("GEO-va", "GEO-te"), ("1000G-va", "GTEx-te")]
    assert results.missing == []
    page = (tmp_path / "study" / "report.html").read_text("utf-8")
    assert "The paper's own compendium is not public" not in page  # these are the paper's data
    assert "0.3784" in page


@pytest.mark.real
def test_the_layout_of_the_papers_files_made_of_public_matrices(real_data: Path, tmp_path: Path) -> None:
    world = original_files.of_real_data(tmp_path / "raw", real_data)
    # What could go wrong is in the genes; the stages that follow are those of the files made up above.
    small = SMALL | {"methods": ("ols",), "stages": ["data", "baselines"]}
    results = dgex.reproduce(tmp_path / "study", data="paper", raw=world.folder, **small)
    assert results.data.facts["targets"] == 9520
    for platform in results.data.platforms:
        errors = {row.label: row.test[0] for row in results.rows(platform)}
        assert {"training mean", "LR"} <= set(errors)
        assert all(np.isfinite(error) for error in errors.values())
    shutil.rmtree(tmp_path / "study")
