"""An AnnData in memory behaves as the same matrix in a file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import dgex
from dgex.errors import DataError


def drawn() -> ad.AnnData:
    values = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    obs = pd.DataFrame({"study": list("aabbccd")}, index=[f"s{i}" for i in range(7)])
    var = pd.DataFrame({"role": ["landmark"] * 2 + ["target"] * 3}, index=[f"g{i}" for i in range(5)])
    return ad.AnnData(values, obs=obs, var=var, layers={"twice": 2 * values}, uns={"dgex": {"kind": "dataset"}})


@pytest.mark.parametrize(
    "kind",
    ["dense", "csr", "csc", "float64", "view", "sparse view", "backed", "backed csr", "backed csc", "backed view"],
)
@pytest.mark.parametrize("genes", [None, [4, 0, 2], ["g3", "g1"], slice(1, 4)])
@pytest.mark.parametrize("samples", [None, [6, 2, 2], slice(2, 6)])
def test_values_come_as_from_a_file(kind: str, genes: object, samples: object, tmp_path: Path) -> None:
    adata = drawn()
    dgex.write(adata, tmp_path / "same.h5ad")
    if "cs" in kind:
        adata.X = getattr(sparse, f"{kind[-3:]}_matrix")(adata.X)
    elif kind == "float64":
        adata.X = adata.X.astype(np.float64)
    if kind == "sparse view":
        adata.X = sparse.csr_matrix(adata.X)
    if "view" in kind:
        more = adata.copy()
        more.obs_names = [f"{name} again" for name in more.obs_names]
        adata = ad.concat([more, adata], merge="same")
    if "backed" in kind:
        adata.write_h5ad(tmp_path / "backed.h5ad")  # one file cannot be opened in two ways at once
        adata = ad.read_h5ad(tmp_path / "backed.h5ad", backed="r")
    if "view" in kind:
        adata = adata[7:]
        assert adata.is_view
    with dgex.open(adata) as memory, dgex.open(tmp_path / "same.h5ad") as file:
        np.testing.assert_array_equal(memory.read(genes, samples), file.read(genes, samples))
        for (where, one), (there, other) in zip(
            memory.iter_blocks(2, genes, samples), file.iter_blocks(2, genes, samples), strict=True
        ):
            assert where == there
            np.testing.assert_array_equal(one, other)


def test_the_values_of_a_view_are_never_copied_as_a_whole() -> None:
    adata = ad.AnnData(np.ones((2001, 2000), np.float32))[np.arange(2000, 0, -1)]
    with dgex.open(adata) as memory:
        next(memory.iter_blocks(10))  # what is imported and made once
        tracemalloc.start()
        assert sum(float(block.sum()) for _, block in memory.iter_blocks(10)) == 2000 * 2000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2000 * 2000 * 4 / 4
    assert adata.is_view


def test_layers_come_along_and_the_original_stays() -> None:
    adata = drawn()
    with dgex.open(adata) as memory:
        part = memory.to_adata(["g2"], ["s3", "s1"])
    part.X[:] = 0
    part.layers["twice"][:] = 0
    np.testing.assert_array_equal(adata.X, drawn().X)
    np.testing.assert_array_equal(adata.layers["twice"], drawn().layers["twice"])
    assert part.obs["study"].tolist() == ["b", "a"]


def test_what_is_no_matrix_with_names_is_refused_in_one_line() -> None:
    with pytest.raises(DataError, match="found 'DataFrame', accepted the path") as caught:
        dgex.open(pd.DataFrame(drawn().X))
    assert caught.value.found == "DataFrame"
    with pytest.raises(DataError, match="its X is None"):
        dgex.open(ad.AnnData(obs=drawn().obs, var=drawn().var))


def test_missing_values_are_refused_or_let_pass() -> None:
    adata = drawn()
    adata.X[3, 2] = np.nan
    with dgex.open(adata) as memory, pytest.raises(DataError, match="gene g2, sample s3"):
        memory.read()
    with dgex.open(adata, allow_missing=True) as memory:
        assert np.isnan(memory.read()).sum() == 1
