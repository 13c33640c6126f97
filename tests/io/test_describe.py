"""Describing a file in one pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from dgex import io
from dgex.dataset.describe import describe


@pytest.mark.parametrize("block", [1, 3, 100])
def test_counts_do_not_depend_on_blocks(tiny: AnnData, tmp_path: Path, block: int) -> None:
    tiny.X[1, 2] = 0
    tiny.X[0, 0], tiny.X[3, 1], tiny.X[3, 2] = np.nan, np.inf, np.nan
    tiny.uns["dgex"] = {"steps": ["dedup"]}
    io.write(tiny, tmp_path / "a.h5ad")
    found = describe(tmp_path / "a.h5ad", block=block)
    finite = tiny.X[np.isfinite(tiny.X)].astype(np.float64)
    assert (found["samples"], found["genes"]) == (7, 5)
    assert found["gene_ids"] == "affymetrix"
    assert (found["missing"], found["infinite"]) == (2, 1)
    assert found["zeros"] == pytest.approx(1 / 35)
    assert found["minimum"] == finite.min()
    assert found["maximum"] == finite.max()
    assert found["mean"] == pytest.approx(finite.mean())
    assert found["roles"] == {"landmark": 2, "target": 2, "other": 1}
    assert found["splits"] is None
    assert found["record"] == {"steps": ["dedup"]}


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        (0, 15, "log2"),
        (-0.5, 20, "log2"),
        (0, 6.7e9, "linear"),
        (-4, 80, "linear"),
        (-21, 79, "linear"),
        (-5, 19, "log2"),
        (-80, 80, "standardized"),
    ],
)
def test_scale_by_range(tiny: AnnData, tmp_path: Path, low: float, high: float, scale: str) -> None:
    tiny.X[:] = np.linspace(low, high, tiny.X.size).reshape(tiny.shape)
    io.write(tiny, tmp_path / "a.gctx")
    assert describe(tmp_path / "a.gctx")["scale"] == scale
