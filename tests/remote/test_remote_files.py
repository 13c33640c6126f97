"""Matrices and tables at URLs are what they are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from misbehaving import Web

import dgex
from dgex.errors import FileError
from dgex.io.gctx import MATRIX
from dgex.remote.places import located
from dgex.remote.stream import BLOCK

NAMES = ("a.gctx", "a.gct", "a.gct.gz", "a.h5ad", "a.zarr", "a.parquet", "a.tsv", "a.csv.gz")


def put(folder: Path, name: str, url: str) -> str:
    """Copy a file or folder to fsspec's memory."""
    import fsspec

    fsspec.filesystem("memory").put(str(folder / name), f"{url.removeprefix('memory:/')}/{name}", recursive=True)
    return f"{url}/{name}"


def same(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one.X, other.X)
    pd.testing.assert_frame_equal(one.obs, other.obs)
    pd.testing.assert_frame_equal(one.var, other.var)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_over_the_web_is_the_local_one(name: str, web: Web, compendium: Any) -> None:
    dgex.write(compendium, web.folder / name)
    same(dgex.read(f"{web.url}/{name}"), dgex.read(web.folder / name))


@pytest.mark.parametrize("name", NAMES)
def test_every_format_through_fsspec_is_the_local_one(name: str, memory: str, tmp_path: Path, compendium: Any) -> None:
    dgex.write(compendium, tmp_path / name)
    same(dgex.read(put(tmp_path, name, memory)), dgex.read(tmp_path / name))


def test_a_store_that_is_not_consolidated_is_listed(memory: str, tmp_path: Path, compendium: Any) -> None:
    import zarr

    dgex.write(compendium, tmp_path / "a.zarr")
    for extra in (tmp_path / "a.zarr").glob(".zmetadata"):
        extra.unlink()
    if int(zarr.__version__.partition(".")[0]) >= 3:
        root = tmp_path / "a.zarr" / "zarr.json"
        if root.is_file():
            pytest.skip("written in format 3, whose root repeats the rest")
    same(dgex.read(put(tmp_path, "a.zarr", memory)), dgex.read(tmp_path / "a.zarr"))


@pytest.mark.parametrize("name", ["a.h5ad", "a.gctx", "a.parquet", "a.tsv"])
def test_a_server_without_parts_gives_the_whole(name: str, web: Web, compendium: Any) -> None:
    dgex.write(compendium, web.folder / name)
    web.ranges = False
    same(dgex.read(f"{web.url}/{name}"), dgex.read(web.folder / name))


def test_one_block_of_a_hundred_fetches_a_few(web: Web) -> None:
    rows, genes = 100, 2 * BLOCK // 4  # a row is two blocks of what is fetched at least
    with h5py.File(web.folder / "big.gctx", "w") as file:
        file.attrs["version"] = np.bytes_("GCTX1.0")
        values = file.create_dataset(MATRIX, (rows, genes), np.float32)
        for row in range(rows):
            values[row] = row
        file["0/META/ROW/id"] = np.arange(genes).astype("S")
        file["0/META/COL/id"] = np.arange(rows).astype("S")
    with dgex.open(f"{web.url}/big.gctx", allow_repeats=True) as file:
        before = web.sent
        np.testing.assert_array_equal(file.read(samples=slice(57, 58)), np.full((1, genes), 57, np.float32))
        assert web.sent - before < 4 * 4 * genes


def test_one_row_group_of_parquet_is_read_without_the_others(web: Web) -> None:
    values = np.random.default_rng(0).normal(8, 2, (3000, 100)).astype(np.float32)
    frame = pd.DataFrame(values, columns=[f"GENE{at}" for at in range(100)])
    frame.insert(0, "sample", [f"GSM{at}" for at in range(3000)])
    frame.to_parquet(web.folder / "a.parquet", row_group_size=100)
    with dgex.open(f"{web.url}/a.parquet") as file:
        before = web.sent
        np.testing.assert_array_equal(file.read(samples=slice(1500, 1501)), values[1500:1501])
        assert web.sent - before < 0.3 * values.nbytes


@pytest.mark.parametrize("name", ["a.zarr", "a.h5ad"])
def test_a_few_profiles_are_read_without_the_others(name: str, web: Web) -> None:
    data = dgex.simulate(samples=2000, landmarks=100, targets=900, seed=0)
    dgex.write(data, web.folder / name, block=256)
    with dgex.open(f"{web.url}/{name}") as file:
        before = web.sent
        got = file.read(samples=slice(1900, 1901))
        assert web.sent - before < 0.35 * 4 * data.n_obs * data.n_vars
    np.testing.assert_array_equal(got, np.asarray(data.X[1900:1901], np.float32))


def test_several_files_and_gene_tables_and_aliases(web: Web, tmp_path: Path, compendium: Any) -> None:
    dgex.write(compendium[:100].copy(), web.folder / "one.h5ad")
    dgex.write(compendium[100:].copy(), web.folder / "two.h5ad")
    lines = [f"{gene}\t{role}" for gene, role in compendium.var["role"].items()]
    (web.folder / "genes.tsv").write_text("\n".join(["gene\trole", *lines]) + "\n")
    (web.folder / "old.tsv").write_text("OLD\tNEW\n")
    where: dict[str, Any] = {}
    for base in (web.url, web.folder):
        where[str(base)] = dgex.prepare(
            [f"{base}/one.h5ad", f"{base}/two.h5ad"], genes=f"{base}/genes.tsv", aliases=f"{base}/old.tsv", seed=0
        )
    same(*where.values())
    joined = dgex.read([f"{web.url}/one.h5ad", f"{web.url}/two.h5ad"])
    np.testing.assert_array_equal(joined.X, compendium.X)


def test_copies_are_gone_when_nobody_holds_them(web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = tmp_path / "temporary"
    here.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(here))
    dgex.write(dgex.simulate(samples=20, landmarks=5, targets=5), web.folder / "a.tsv")
    dgex.read(f"{web.url}/a.tsv")
    assert list(here.iterdir()) == []


def test_credentials_go_to_their_server_and_nowhere_else(web: Web) -> None:
    (web.folder / "genes.txt").write_text("TP53\n")
    url = f"{web.url.replace('//', '//me:secret@')}/genes.txt"
    with located(url).open("rb") as handle:
        assert handle.read() == b"TP53\n"
    assert {headers["Authorization"] for headers in web.headers} == {"Basic bWU6c2VjcmV0"}


@pytest.mark.parametrize("name", ["a.h5ad", "a.tsv", "a.zarr", "a"])
def test_what_is_not_there_is_said(name: str, web: Web, memory: str) -> None:
    for url in (web.url, memory):
        with pytest.raises(FileError, match="does not exist"):
            dgex.read(f"{url}/{name}")
