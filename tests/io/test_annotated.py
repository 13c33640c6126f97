"""AnnData on disk: what anndata wrote opens here, what is written here opens in anndata."""

from __future__ import annotations

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from dgex import io
from dgex.errors import DataError, FileError

KINDS = ["h5ad", "zarr"]


def _theirs(path: Path) -> AnnData:
    return anndata.read_h5ad(path) if path.suffix == ".h5ad" else anndata.read_zarr(path)


def _save(adata: AnnData, path: Path) -> None:
    if path.suffix == ".h5ad":
        adata.write_h5ad(path)
    else:
        adata.write_zarr(path)


@pytest.mark.parametrize("kind", KINDS)
def test_anndata_opens_ours(tiny: AnnData, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    tiny.varm["mean"] = pd.DataFrame({"train": np.arange(5.0)}, index=tiny.var_names)
    tiny.uns["dgex"] = {"scale": "log2", "sizes": np.arange(3)}
    tiny.layers["raw"] = tiny.X + 1
    tiny.obsm["pca"] = np.ones((7, 2))
    io.write(tiny, path)
    found = _theirs(path)
    np.testing.assert_array_equal(found.X, tiny.X)
    np.testing.assert_array_equal(found.layers["raw"], tiny.layers["raw"])
    np.testing.assert_array_equal(found.obsm["pca"], tiny.obsm["pca"])
    assert found.obs["note"].isna().tolist() == tiny.obs["note"].isna().tolist()
    assert found.obs["kept"].tolist() == tiny.obs["kept"].tolist()
    assert found.obs["well"].tolist() == tiny.obs["well"].tolist()
    assert found.varm["mean"]["train"].tolist() == list(range(5))
    assert found.uns["dgex"]["scale"] == "log2"
    again = io.read(path, genes=["201000_at", "200814_at"], samples=[5, 0])
    np.testing.assert_array_equal(again.layers["raw"], tiny.layers["raw"][[5, 0]][:, [4, 0]])
    np.testing.assert_array_equal(again.varm["mean"]["train"], [4, 0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_dense_and_sparse_read_alike(tmp_path: Path, kind: str, make: type) -> None:
    random = np.random.default_rng(0)
    values = (random.random((30, 20)) * (random.random((30, 20)) < 0.3)).astype(np.float64)
    genes = pd.Index([f"g{i}" for i in range(20)], dtype=object)  # anndata cannot write the strings of pandas 3
    samples = pd.Index([f"s{i}" for i in range(30)], dtype=object)
    adata = AnnData(make(values), obs=pd.DataFrame(index=samples), var=pd.DataFrame(index=genes))
    path = tmp_path / f"a.{kind}"
    _save(adata, path)
    values = values.astype(np.float32)
    with io.open(path) as source:
        np.testing.assert_array_equal(source.read(), values)
        for genes in (None, [3, 1, 7], slice(2, 9)):
            for size in (1, 7, 100):
                for samples in (None, [29, 3, 3, 0], slice(5, 25)):
                    blocks = [block for _, block in source.iter_blocks(size, genes, samples)]
                    expected = values[samples if samples is not None else slice(None)]
                    expected = expected[:, genes if genes is not None else slice(None)]
                    np.testing.assert_array_equal(np.concatenate(blocks), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_records_come_back_as_they_were(tiny: AnnData, tmp_path: Path, kind: str) -> None:
    record = {
        "version": "0.1",
        "inputs": ["a/b.gctx", "c.gctx"],
        "split": [0.8, 0.1, 0.1],
        "none": None,
        "empty": [],
        "nested": {"counts": {"train": 3, "x/y": 4}, "flag": True, "share": 0.25},
        "steps": [{"name": "dedup", "removed": 3}],
        "reference": np.linspace(0, 1, 5, dtype=np.float32),
    }
    tiny.uns["dgex"] = record
    io.write(tiny, tmp_path / f"a.{kind}")
    with io.open(tmp_path / f"a.{kind}") as source:
        found = source.uns["dgex"]
    np.testing.assert_array_equal(found.pop("reference"), record.pop("reference"))
    assert found == record
    assert type(found["nested"]["counts"]["train"]) is int


def test_sparse_and_backed_matrices_are_written(tiny: AnnData, tmp_path: Path) -> None:
    io.write(AnnData(sparse.csr_matrix(tiny.X), obs=tiny.obs, var=tiny.var), tmp_path / "a.gctx", block=2)
    np.testing.assert_array_equal(io.read(tmp_path / "a.gctx").X, tiny.X)
    io.write(tiny, tmp_path / "b.h5ad")
    backed = anndata.read_h5ad(tmp_path / "b.h5ad", backed="r")
    io.write(backed, tmp_path / "c.gctx")
    np.testing.assert_array_equal(io.read(tmp_path / "c.gctx").X, tiny.X)


def test_what_is_no_anndata(tiny: AnnData, tmp_path: Path) -> None:
    io.write(tiny, tmp_path / "a.gctx")
    (tmp_path / "a.gctx").rename(tmp_path / "a.h5ad")
    with pytest.raises(FileError, match="no AnnData file: it has no obs and no var; it looks like GCTX"):
        io.read(tmp_path / "a.h5ad")
    io.write(tiny, tmp_path / "b.h5ad")
    (tmp_path / "b.h5ad").rename(tmp_path / "b.gctx")
    with pytest.raises(FileError, match=r"no GCTX.*AnnData: name it .h5ad"):
        io.read(tmp_path / "b.gctx")
    io.write(tiny, tmp_path / "c.h5ad")
    with h5py.File(tmp_path / "c.h5ad", "r+") as handle:
        del handle["X"]
        handle["X"] = np.zeros((7, 4), np.float32)
    with pytest.raises(DataError, match="7 samples and 5 genes"):
        io.read(tmp_path / "c.h5ad")


def test_a_damaged_chunk_of_zarr(tiny: AnnData, tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    io.write(tiny, path)
    (path / "X" / "0.0").write_bytes(b"\x01\x02\x03")
    with pytest.raises(FileError, match="truncated, damaged"):
        io.read(path)


def test_a_folder_that_is_no_zarr(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(FileError, match=r"a.zarr"):
        io.read(tmp_path / "a.zarr")


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize(
    ("part", "values"), [("indices", 7_000_000), ("indices", -3), ("indptr", 10**9), ("indptr", -1), ("indptr", 1)]
)
def test_a_sparse_matrix_that_points_outside_itself_is_refused(
    tmp_path: Path, kind: str, part: str, values: int
) -> None:
    path = tmp_path / "a.h5ad"
    matrix = getattr(sparse, f"{kind}_matrix")(np.eye(4, dtype=np.float32))
    names = [f"n{i}" for i in range(4)]
    AnnData(matrix, obs=pd.DataFrame(index=names), var=pd.DataFrame(index=names)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file[f"X/{part}"][0 if values == 1 else 2] = values
    with pytest.raises(FileError, match="cannot read"):
        io.read(path)


def test_columns_that_a_file_system_lost_because_of_their_case(tmp_path: Path) -> None:
    import shutil

    obs = pd.DataFrame({"Sex": ["m", "f"], "sex": ["a", "b"]}, index=["s1", "s2"])
    io.write(AnnData(np.ones((2, 1), np.float32), obs=obs, var=pd.DataFrame(index=["TP53"])), tmp_path / "a.zarr")
    for name in ("zarr.json", ".zmetadata"):
        (tmp_path / "a.zarr" / name).unlink(missing_ok=True)
    shutil.rmtree(tmp_path / "a.zarr" / "obs" / "sex")
    with pytest.raises(FileError, match=r"columns of obs differ in case only \(Sex, sex\)"):
        io.open(tmp_path / "a.zarr")


@pytest.mark.parametrize("name", ["a.h5ad", "a.zarr"])
def test_values_in_a_layer_and_in_raw(tiny: AnnData, tmp_path: Path, name: str) -> None:
    values = tiny.X.copy()
    tiny.raw = tiny.copy()
    tiny = tiny[:, ::2].copy()
    tiny.layers["log2"] = sparse.csr_matrix(values[:, ::2] * 2)
    tiny.X = None
    getattr(tiny, f"write_{name[2:]}")(tmp_path / name)
    for source in (tmp_path / name, tiny):
        with pytest.raises(DataError, match=r"X.*accepted: layer='log2', layer='raw'"):
            io.open(source)
        with pytest.raises(DataError, match=r"no layer 'lin'; accepted: layer='log2', layer='raw'"):
            io.open(source, layer="lin")
        np.testing.assert_array_equal(io.read(source, layer="log2").X, values[:, ::2] * 2)
        found = io.read(source, layer="raw", genes=["218597_s_at", "200814_at"])
        np.testing.assert_array_equal(found.X, values[:, [1, 0]])
    with io.open(tmp_path / name, layer="log2") as file:
        assert file.notes["layers"] == "log2, raw"


def test_a_file_that_another_program_writes(tiny: AnnData, tmp_path: Path) -> None:
    import subprocess
    import sys

    io.write(tiny, tmp_path / "a.h5ad")
    code = "import sys; from dgex import io; io.open(sys.argv[1])"
    with h5py.File(tmp_path / "a.h5ad", "r+"):
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.h5ad")], capture_output=True, text=True)
    assert "is locked: another program has it open for writing" in done.stderr


@pytest.mark.parametrize("name", ["a.h5ad", "a.zarr"])
def test_a_table_of_genes_of_another_length_is_refused(tiny: AnnData, tmp_path: Path, name: str) -> None:
    tiny.varm["loadings"] = np.ones((tiny.n_vars, 2), np.float32)
    io.write(tiny, tmp_path / name)
    (tmp_path / "a.zarr" / ".zmetadata").unlink(missing_ok=True)
    if name == "a.zarr":
        import zarr

        anndata.io.write_elem(zarr.open_group(str(tmp_path / name), mode="r+")["varm"], "loadings", np.ones((2, 2)))
    else:
        with h5py.File(tmp_path / name, "r+") as file:
            anndata.io.write_elem(file["varm"], "loadings", np.ones((2, 2)))
    with pytest.raises(DataError, match="varm loadings is of another length than its"):
        io.open(tmp_path / name)


@pytest.mark.parametrize("part", ["X", "obs/plate"])
def test_an_array_that_is_gone_is_not_read_as_zeros(tiny: AnnData, tmp_path: Path, part: str) -> None:
    import shutil

    tiny.obs["plate"] = range(tiny.n_obs)
    io.write(tiny, tmp_path / "a.zarr")
    assert (tmp_path / "a.zarr" / part).is_dir()
    shutil.rmtree(tmp_path / "a.zarr" / part)
    with pytest.raises(FileError, match=r"of an array that \.zmetadata tells of, is missing"):
        io.open(tmp_path / "a.zarr")
