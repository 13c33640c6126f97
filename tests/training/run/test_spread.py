"""Target parts and grids over several processes: the same models as one process makes, and who is told of a failure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from together import together, values

import dgex
from dgex.errors import RankError
from dgex.training.processes.group import ALONE, Group

pytestmark = pytest.mark.xdist_group("ranks")  # their server starts once

SMALL: dict[str, Any] = {"learning_rate": 0.02, "batch_size": 30, "epochs": 3, "device": "cpu"}
AXES: dict[str, list[Any]] = {"hidden": [4, 6], "dropout": [0, 0.2]}


def train_parts(group: Group, data: Path, folder: Path, checkpoint: bool = True) -> np.ndarray:
    adata = dgex.read(data)
    X, Y = (np.asarray(adata[:, (adata.var["role"] == role).to_numpy()].X) for role in ("landmark", "target"))
    model = dgex.DGEX(hidden=(6,), target_parts=3, partition="cluster", **SMALL)
    options = {"checkpoint_dir": folder / "checkpoint"} if checkpoint else {}
    return model.fit(X, Y, {"va": (X[:40], Y[:40])}, group=group, **options).predict(X)


def train_grid(group: Group, data: Path, folder: Path, method: str = "dgex") -> str:
    grid = dgex.train_grid(data, folder / "grid", AXES, method=method, **SMALL)
    return grid.members["status"].str.cat(sep=" ")


def models(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in (folder / "grid").glob("*/model.safetensors")}


def test_parts_over_processes_are_those_of_one(dataset_file: Path, tmp_path: Path) -> None:
    alone = train_parts(ALONE, dataset_file, tmp_path / "one")
    for found in values(2, train_parts, dataset_file, tmp_path / "two"):
        np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("method", ["dgex", "residual"])
def test_a_grid_over_processes_is_that_of_one(method: str, dataset_file: Path, tmp_path: Path) -> None:
    assert train_grid(ALONE, dataset_file, tmp_path / "one", method) == "finished finished finished finished"
    found = values(3, train_grid, dataset_file, tmp_path / "three", method)
    assert found == ["finished finished finished finished"] * 3
    assert models(tmp_path / "three") == models(tmp_path / "one")
    assert len(models(tmp_path / "one")) == 4


def train_raw(group: Group, shard: bool | None, folder: Path | None, parts: int = 1) -> np.ndarray | None:
    """Values as they were measured, which are standardised inside."""
    rng = np.random.default_rng(0)
    X = rng.normal(9, 2, size=(90, 5)).astype(np.float32)
    Y = (X @ rng.normal(size=(5, 7)) + 12).astype(np.float32)
    model = dgex.DGEX(hidden=(6, 4), shard=shard, target_parts=parts, **SMALL)
    options = {} if folder is None else {"checkpoint_dir": folder}
    model.fit(X[:60], Y[:60], {"va": (X[60:], Y[60:])}, group=group, **options)
    assert model.standardized_
    return model.predict(X) if group.leads or parts > 1 else None


@pytest.mark.parametrize("shard", [False, True])
def test_processes_standardise_alike(shard: bool) -> None:
    alone = train_raw(ALONE, None, None)
    found, nothing = values(2, train_raw, shard, None)
    np.testing.assert_allclose(found, alone, rtol=1e-4)
    assert nothing is None


def train_residual(group: Group, ensemble: int, folder: Path, resumed: bool = False) -> np.ndarray | None:
    """Noise and masks of every kind, a last batch of one profile; killed after two epochs and gone on with."""
    rng = np.random.default_rng(0)
    X = rng.normal(9, 2, size=(91, 5)).astype(np.float32)
    Y = (np.tanh(X - 9) @ rng.normal(size=(5, 7)) + 12).astype(np.float32)
    noise = {"dropout": 0.2, "noise": 0.1, "landmark_dropout": 0.1}
    for epochs in (2, 4) if resumed else (4,):
        schedule: dict[str, Any] = {"epochs": epochs, "batch_size": 30, "learning_rate": 0.05, "schedule": "constant"}
        schedule["optimiser"] = "sgd"  # the others divide by gradients of next to nothing: rounding grows
        model = dgex.Residual(hidden=(6, 6), ensemble=ensemble, device="cpu", **schedule, **noise)
        sets = {"va": (X[61:], Y[61:])}
        model.fit(X[:61], Y[:61], sets, group=group, checkpoint_dir=folder / "c", resume=epochs > 2 and resumed)
    return model.predict(X) if group.leads else None


@pytest.mark.parametrize(("ensemble", "size", "resumed"), [(1, 3, False), (2, 2, False), (1, 2, True)])
def test_a_residual_network_over_processes_is_that_of_one(
    ensemble: int, size: int, resumed: bool, tmp_path: Path
) -> None:
    alone = train_residual(ALONE, ensemble, tmp_path / "one")
    found, *nothing = values(size, train_residual, ensemble, tmp_path / "several", resumed)
    np.testing.assert_allclose(found, alone, rtol=1e-4)
    assert nothing == [None] * (size - 1)


def test_parts_over_processes_standardise_alike(tmp_path: Path) -> None:
    alone = train_raw(ALONE, None, tmp_path / "one", 3)
    for found in values(2, train_raw, None, tmp_path / "two", 3):
        np.testing.assert_array_equal(found, alone)


def test_parts_over_processes_need_a_folder(dataset_file: Path, tmp_path: Path) -> None:
    for ended in together(2, train_parts, dataset_file, tmp_path, False):
        assert "need checkpoint_dir, a folder that all of them see" in str(ended.error)


def other_data(group: Group, data: Path, folder: Path) -> None:
    adata = dgex.read(data)
    adata.X = np.asarray(adata.X) + group.rank
    dgex.train_grid(adata, folder / "grid", AXES, **SMALL)


def test_ranks_that_disagree_on_the_data_of_a_grid(dataset_file: Path, tmp_path: Path) -> None:
    for ended in together(2, other_data, dataset_file, tmp_path):
        assert isinstance(ended.error, RankError)
        assert "disagree on the data" in str(ended.error)
    assert not models(tmp_path)


def one_fails(group: Group) -> None:
    group.patient("while nothing was done").all_well("no room" if group.rank == 1 else None, "go on later")


def one_ends(group: Group) -> None:
    patient = group.patient("while nothing was done")
    if group.rank == 1:
        os._exit(9)
    patient.all_well(None, "")


@pytest.mark.parametrize(
    ("function", "said"),
    [(one_fails, "rank 1 of 2 failed: no room; go on later"), (one_ends, "was lost while nothing was done")],
)
def test_work_of_their_own_that_fails_is_told_to_all(function: Any, said: str) -> None:
    ended = together(2, function)
    assert isinstance(ended[0].error, RankError)
    assert said in str(ended[0].error)
