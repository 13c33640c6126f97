"""A matrix that memory does not hold becomes the same dataset, bit for bit, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import dgex
from dgex.arrays.rowfile import RowFile
from dgex.errors import DataError, FileError
from dgex.prepare import room
from dgex.prepare.duplicates import close_pairs, near_duplicates
from dgex.prepare.pipeline import prepare


def raw(samples: int, prefix: str, linear: bool = False) -> AnnData:
    """Genes with two rows each, copies of profiles, a gene that is constant once there are ranks."""
    generator = np.random.default_rng(len(prefix))
    X = generator.gamma(9, 0.9, (samples, 44)).astype(np.float32)
    X[5], X[:, 43] = X[2] + np.float32(1e-3), 0
    X = np.expm1(X) if linear else X
    names = [f"G{at // 2}" for at in range(42)] + ["G21", "G22"]
    obs = pd.DataFrame({"study": [f"{prefix}{at % 9}" for at in range(samples)]})
    return AnnData(X, obs=obs.set_index(pd.Index([f"{prefix}{at}" for at in range(samples)])), var={"gene": names})


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    raw(230, "array").write_h5ad(tmp_path / "a.h5ad")
    dgex.write(raw(70, "rna", linear=True), tmp_path / "r.gctx")
    return [str(tmp_path / "a.h5ad"), f"GTEx={tmp_path / 'r.gctx'}"]


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "HELD_SHARE", 0.0)


GENES = pd.DataFrame({"role": ["landmark"] * 12 + ["target"] * 11}, index=[f"G{at}" for at in range(23)])
WAYS: list[dict[str, Any]] = [
    {"quantile": True, "group": "study"},
    {"quantile": True, "standardize": "paper", "dedup": 0.1},
    {"dedup": 0.1, "dedup_method": "clusters", "collapse": "max-mean", "quantile": "inductive"},
    {"dedup": 0.1, "dedup_over": "compendium", "collapse": "median", "log2": "auto"},
    {"normalize": "size-factors", "standardize": "none"},
    {"normalize": "cpm", "standardize": "paper"},
]


@pytest.mark.parametrize(("way", "suffix"), [(WAYS[0], ".zarr"), *((way, ".h5ad") for way in WAYS)])
def test_the_same_bit_for_bit(
    inputs: list[str], way: dict[str, Any], suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "genes.tsv"
    GENES.rename_axis("gene").to_csv(table, sep="\t")
    if "normalize" in way:  # depth is taken out of what trains
        inputs = [inputs[1].removeprefix("GTEx="), f"Arrays={inputs[0]}"]
    options = {"genes": table, "constant": "drop", "seed": 1, **way}
    held = prepare(inputs, **options)
    monkeypatch.setattr(room, "HELD_SHARE", 0.0)
    folder = tmp_path / "out"
    lazy = prepare(inputs, folder / f"d{suffix}", **options)
    assert os.listdir(folder) == [f"d{suffix}"]
    assert not isinstance(lazy.X, np.ndarray)
    found = ad.read_h5ad(folder / "d.h5ad") if suffix == ".h5ad" else ad.read_zarr(folder / "d.zarr")
    for data in (lazy, found):
        np.testing.assert_array_equal(np.asarray(data.X[:]), held.X)
        assert (data.obs["split"].astype(str) == held.obs["split"]).all()
        for key, values in held.varm.items():
            np.testing.assert_array_equal(data.varm[key].to_numpy(), values.to_numpy())
    assert lazy.uns["dgex"].keys() == held.uns["dgex"].keys()
    if "quantile" in held.uns["dgex"]:
        for key in ("reference", "landmark_reference", "measures"):
            np.testing.assert_equal(found.uns["dgex"]["quantile"][key], held.uns["dgex"]["quantile"][key])
    np.testing.assert_array_equal(dgex.read(folder / f"d{suffix}").X, dgex.open(lazy).read())  # while it is open


def test_search_for_duplicates_in_a_file(tmp_path: Path) -> None:
    X = np.concatenate([raw(90, "x").X, raw(90, "x").X + np.float32(0.01)])
    linear = np.arange(len(X)) % 3 == 0

    def moved(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        values[linear[rows]] *= 2
        return values

    with RowFile(X.shape, tmp_path) as file:
        file[:] = X
        for transform in (None, moved):
            one, other = (close_pairs(values, 0.5, transform=transform, block=32) for values in (X, file))
            assert len(one)
            np.testing.assert_array_equal(one, other)
            for method in ("exact", "clusters"):
                kept = [near_duplicates(v, 0.5, method=method, clusters=5, transform=transform) for v in (X, file)]
                np.testing.assert_array_equal(kept[0].keep, kept[1].keep)
        np.testing.assert_array_equal(file[:], X)


def test_pairs_without_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dgex.prepare.duplicates._MOST", 99)
    with pytest.raises(DataError, match="more than 99 pairs of 30 profiles are closer than 1e"):
        close_pairs(raw(30, "y").X, 1e6)


@pytest.mark.usefixtures("small_memory")
def test_room_on_the_disk_comes_first(inputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, other = tmp_path / "out" / "d.h5ad", tmp_path / "other"
    options: dict[str, Any] = {"genes": tmp_path / "genes.tsv", "constant": "drop"}
    GENES.rename_axis("gene").to_csv(options["genes"], sep="\t")
    monkeypatch.setenv("TMPDIR", str(other))
    with pytest.raises(FileError, match=r"no temporary folder at .*other.*TMPDIR"):
        prepare(inputs[0], out, **options)
    other.mkdir()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=30_000))
    with pytest.raises(FileError, match=r"needs .* GiB on the disk of .*other.*are free; TMPDIR names another"):
        prepare(inputs[0], out, **options)
    assert os.listdir(out.parent) == os.listdir(other) == []


def test_killed_while_writing(inputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed with half of the output written: no output under its name, and the next run tidies."""
    out, table = tmp_path / "out" / "d.h5ad", tmp_path / "genes.tsv"
    GENES.rename_axis("gene").to_csv(table, sep="\t")
    program = f"""
import itertools, os, signal
from dgex.prepare import pipeline, result, room
room.HELD_SHARE, whole = 0.0, result.finished
def some(work):
    yield from itertools.islice(whole(work), 2)
    os.kill(os.getpid(), signal.SIGKILL)
result.finished = some
pipeline.prepare({inputs[0]!r}, {str(out)!r}, genes={str(table)!r}, constant="drop", quantile=True)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
    assert out.name not in os.listdir(out.parent)
    assert all(name.startswith(".dgex-") for name in os.listdir(out.parent))
    monkeypatch.setattr(room, "HELD_SHARE", 0.0)
    prepare(inputs[0], out, genes=table, constant="drop", quantile=True)
    assert os.listdir(out.parent) == ["d.h5ad"]
