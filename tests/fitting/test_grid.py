"""A grid: its networks are those trained alone, whenever it was killed and however many run at once."""

from __future__ import annotations

import json
import signal
from itertools import count
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

import dgex
from dgex.errors import DataError, DgexError, ModelError, OutputExistsError, SettingsError
from dgex.fitting import grid as module
from dgex.fitting.grid import train_grid
from dgex.fitting.train import train
from dgex.models.network.epochs import Extent
from dgex.training.batches.shared import held_copy
from dgex.training.run.checkpoint import Checkpoints

AXES: dict[str, list[Any]] = {"hidden": [4, 8], "layers": [1, 2], "dropout": [0, 0.2]}
SMALL: dict[str, Any] = {"epochs": 3, "batch_size": 32, "learning_rate": 0.01, "device": "cpu"}
SETS = ("validation", "test")


def weights(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("*/model.safetensors")}


@pytest.fixture(scope="module")
def whole(dataset: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "grid"
    train_grid(dataset, folder, AXES, validation=SETS, jobs=1, **SMALL)
    return folder


def test_members_are_the_networks_trained_alone(dataset: ad.AnnData, whole: Path, tmp_path: Path) -> None:
    for hidden, layers, dropout in [(4, 1, 0), (8, 2, 0.2)]:
        alone = tmp_path / f"{hidden}x{layers}-dropout{dropout}"
        train(dataset, "dgex", alone, validation=SETS, hidden=(hidden,) * layers, dropout=dropout, **SMALL)
        assert (alone / "model.safetensors").read_bytes() == weights(whole)[alone.name]
    assert len(weights(whole)) == 8


def test_networks_side_by_side_are_those_one_by_one(dataset: ad.AnnData, whole: Path, tmp_path: Path) -> None:
    train_grid(dataset, tmp_path / "g", AXES, validation=SETS, jobs=3, **SMALL)
    assert weights(tmp_path / "g") == weights(whole)


def test_the_table_tells_what_the_models_tell(whole: Path, dataset: ad.AnnData) -> None:
    grid = train_grid(dataset, whole, AXES, validation=SETS, resume=True, **SMALL)
    assert grid.finished
    assert grid.members["name"].is_unique
    for name in SETS:
        rows = grid.members.set_index("name")
        for member, row in rows.iterrows():
            best = dgex.load(whole / str(member)).best_[name]
            assert (row[f"{name}.error"], row[f"{name}.sd"]) == (best["error"], best["sd"])
            assert row[f"{name}.epoch"] == best["epoch"]
        assert rows.index[rows[f"{name}.best"]].tolist() == [grid.best[name]]
        assert rows[f"{name}.error"].idxmin() == grid.best[name]
        starred = [line.split()[0] for line in grid.table().splitlines() if "*" in line]
        assert set(starred) == set(grid.best.values())
    told = pd.read_csv(whole / "grid.tsv", sep="\t")
    assert told["name"].tolist() == grid.members["name"].tolist()
    np.testing.assert_allclose(told["test.error"], grid.members["test.error"], rtol=1e-5)
    described = json.loads((whole / "grid.json").read_text())
    assert described["best"] == grid.best
    assert [row["name"] for row in described["members"]] == told["name"].tolist()


def test_a_finished_grid_is_left_alone(dataset_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = dataset_file.parent / "grid"
    first = train_grid(dataset_file, folder, {"hidden": [4]}, **SMALL)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(module, "read_splits", lambda *_: pytest.fail("read the data"))
    again = train_grid(dataset_file, folder, {"hidden": [4]}, resume=True, **SMALL)
    assert again.table() == first.table()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_half_way_and_resumed(
    dataset: ad.AnnData, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    save, saved, number = Checkpoints.save, [], count(1)

    def killed(self: Any, run: Any, *others: Any) -> None:
        save(self, run, *others)
        saved.append((self.folder.name, run.epoch))
        if next(number) in (11, 18):
            raise SystemError("killed")

    monkeypatch.setattr(Checkpoints, "save", killed)
    with pytest.raises(SystemError, match="killed"):
        train_grid(dataset, tmp_path / "g", AXES, validation=SETS, jobs=jobs, **SMALL)
    rows = pd.read_csv(tmp_path / "g" / "grid.tsv", sep="\t")
    assert 0 < (rows["status"] == "finished").sum() < 8
    with pytest.raises(SystemError, match="killed"):
        train_grid(dataset, tmp_path / "g", AXES, validation=SETS, jobs=jobs, resume=True, **SMALL)
    grid = train_grid(dataset, tmp_path / "g", AXES, validation=SETS, jobs=jobs, resume=True, **SMALL)
    assert grid.finished
    assert weights(tmp_path / "g") == weights(whole)
    assert len(saved) == len(set(saved)) == 24  # no epoch was trained twice
    assert not list((tmp_path / "g").glob("*.checkpoint"))


def test_ctrl_c_ends_all_members_and_the_grid_goes_on(
    dataset: ad.AnnData, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, number = Checkpoints.save, count(1)

    def pressed(self: Any, run: Any, *others: Any) -> None:
        save(self, run, *others)
        if next(number) == 5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Checkpoints, "save", pressed)
    with pytest.raises(KeyboardInterrupt):
        train_grid(dataset, tmp_path / "g", AXES, validation=SETS, jobs=2, **SMALL)
    monkeypatch.undo()
    assert len(weights(tmp_path / "g")) < 8
    train_grid(dataset, tmp_path / "g", AXES, validation=SETS, resume=True, **SMALL)
    assert weights(tmp_path / "g") == weights(whole)


def test_a_network_that_diverges_is_recorded_and_the_others_go_on(dataset: ad.AnnData, tmp_path: Path) -> None:
    settings = SMALL | {"hidden": (8,)}
    del settings["learning_rate"]
    axes = {"learning_rate": [1e9, 0.01]}
    grid = train_grid(dataset, tmp_path / "g", axes, **settings)
    assert grid.members["status"].tolist() == ["diverged", "finished"]
    assert grid.members["validation.best"].tolist() == [False, True]
    assert grid.finished
    assert "training diverged" in next((tmp_path / "g").glob("*.diverged.txt")).read_text()
    assert "diverged" in grid.table()
    assert json.loads((tmp_path / "g" / "grid.json").read_text())["members"][0]["validation.error"] is None
    assert train_grid(dataset, tmp_path / "g", axes, resume=True, **settings).table() == grid.table()


def test_other_failures_stop_the_grid(dataset: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise DgexError("the disk is full")

    monkeypatch.setattr(Checkpoints, "save", full)
    with pytest.raises(DgexError, match="the disk is full"):
        train_grid(dataset, tmp_path / "g", AXES, jobs=2, **SMALL)


def test_target_parts_as_an_axis(dataset: ad.AnnData, tmp_path: Path) -> None:
    settings = SMALL | {"hidden": (8,)}
    grid = train_grid(dataset, tmp_path / "g", {"target_parts": [1, 2]}, **settings)
    epochs = grid.members["validation.epoch"].tolist()
    assert isinstance(epochs[0], int)
    assert len(epochs[1]) == 2
    assert pd.read_csv(tmp_path / "g" / "grid.tsv", sep="\t")["validation.epoch"].tolist()[1].count(",") == 1
    alone = train(dataset, "dgex", **settings, target_parts=2)
    assert grid.members["validation.error"][1] == alone.best_["validation"]["error"]  # type: ignore[attr-defined]


def test_what_lies_in_the_folder(dataset: ad.AnnData, whole: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"validation": SETS, **SMALL}
    with pytest.raises(OutputExistsError, match="holds a grid"):
        train_grid(dataset, whole, AXES, **options)
    with pytest.raises(ModelError, match=r"other axes or settings \(dropout: there \[0, 0\.2\], now \[0\]\)"):
        train_grid(dataset, whole, AXES | {"dropout": [0]}, resume=True, **options)
    with pytest.raises(ModelError, match="epochs: there 3, now 4"):
        train_grid(dataset, whole, AXES, resume=True, **options | {"epochs": 4})
    with pytest.raises(ModelError, match="validation: there"):
        train_grid(dataset, whole, AXES, resume=True, **options | {"validation": ["validation"]})
    other = dataset.copy()
    other.X = np.asarray(other.X) + 1
    with pytest.raises(ModelError, match="a grid of other data"):
        train_grid(other, whole, AXES, resume=True, **options)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for flags in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputExistsError, match="is not a grid"):
            train_grid(dataset, tmp_path / "mine", AXES, **options, **flags)


def test_a_grid_is_not_replaced_where_something_else_lies_in_it(dataset: ad.AnnData, tmp_path: Path) -> None:
    train_grid(dataset, tmp_path / "g", {"hidden": [4]}, **SMALL)
    (tmp_path / "g" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"holds notes\.txt, which dgex did not write there"):
        train_grid(dataset, tmp_path / "g", {"hidden": [5]}, overwrite=True, **SMALL)
    (tmp_path / "g" / "notes.txt").unlink()
    train_grid(dataset, tmp_path / "g", {"hidden": [5]}, overwrite=True, **SMALL)
    assert {p.name for p in (tmp_path / "g").glob("[!.]*")} == {"5x1", "grid.json", "grid.tsv"}


def test_a_grid_without_held_out_profiles_has_no_best(dataset: ad.AnnData, tmp_path: Path) -> None:
    data = dataset[(dataset.obs["split"] != "validation").to_numpy()].copy()
    grid = train_grid(data, tmp_path / "g", {"hidden": [4, 5]}, **SMALL)
    assert grid.finished
    assert grid.best == {}
    assert "4x1" in grid.table()


def test_bad_values_are_refused_before_anything_is_written(dataset: ad.AnnData, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="jobs: found 0"):
        train_grid(dataset, tmp_path / "g", AXES, jobs=0, **SMALL)
    with pytest.raises(SettingsError, match="does not take alpha"):
        train_grid(dataset, tmp_path / "g", AXES, alpha=1)
    with pytest.raises(SettingsError, match="no set named mars"):
        train_grid(dataset, tmp_path / "g", AXES, validation=["mars"], **SMALL)
    few = dataset[(dataset.obs["split"] != "train").to_numpy()].copy()
    with pytest.raises(DataError, match="training samples"):
        train_grid(few, tmp_path / "g", AXES, **SMALL)
    assert not (tmp_path / "g").exists()


def test_room_on_a_gpu_goes_to_small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest first and alone; as many small ones as fit together; never more than were asked for."""
    from types import SimpleNamespace

    job = module._Job.__new__(module._Job)
    sizes = {"huge": 300, "middle": 60, "small": 30, "tiny": 10}
    job.extents = {name: Extent(size * module.SIDE_BY_SIDE // 100, 1, 1, 200) for name, size in sizes.items()}
    members: Any = {name: SimpleNamespace(name=name) for name in sizes}
    job.jobs, job.device = None, SimpleNamespace(type="cuda")  # type: ignore[assignment]
    huge, middle, small, tiny = members.values()
    assert job._next([huge, middle, small, tiny], []) is huge
    assert job._next([middle, small, tiny], [huge]) is None
    assert job._next([small, tiny], [middle]) is small
    assert job._next([small, tiny], [middle, small]) is tiny
    assert job._next([small], [middle, small, tiny]) is None
    job.jobs = 2
    assert job._next([middle, small], [huge]) is middle
    assert job._next([small], [huge, middle]) is None
    job.jobs, job.device = None, SimpleNamespace(type="cpu")  # type: ignore[assignment]
    assert job._next([small], [tiny]) is None


BLOCKS: dict[str, list[Any]] = {"hidden": [8], "layers": [1, 2], "dropout": [0, 0.2], "skip": [True, False]}
BRIEF: dict[str, Any] = {"epochs": 2, "batch_size": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def residual(dataset: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("residual") / "grid"
    train_grid(dataset, folder, BLOCKS, method="residual", validation=SETS, jobs=2, **BRIEF)
    return folder


def test_residual_networks_of_a_grid_are_those_trained_alone(
    dataset: ad.AnnData, residual: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "8x2-dropout0.2-skiptrue"
    shaped = {"hidden": (8, 8), "dropout": 0.2, "skip": True}
    model = train(dataset, "residual", alone, validation=SETS, **shaped, **BRIEF)
    assert (alone / "model.safetensors").read_bytes() == weights(residual)[alone.name]
    assert len(weights(residual)) == 8
    grid = train_grid(dataset, residual, BLOCKS, method="residual", validation=SETS, resume=True, **BRIEF)
    row = grid.members.set_index("name").loc[alone.name]
    assert row["test.error"] == model.best_["test"]["error"]  # type: ignore[attr-defined]
    assert grid.best["test"] == grid.members.set_index("name")["test.error"].idxmin()


def test_a_grid_of_another_method_is_not_gone_on_with(dataset: ad.AnnData, residual: Path, whole: Path) -> None:
    options: dict[str, Any] = {"validation": SETS, "resume": True}
    with pytest.raises(ModelError, match=r"settings \(method: there residual, now dgex\)$"):
        train_grid(dataset, residual, AXES, **options, **SMALL)
    with pytest.raises(ModelError, match="method: there dgex, now residual"):
        train_grid(dataset, whole, AXES, method="residual", **options, **BRIEF)
    described = json.loads((whole / "grid.json").read_text())
    del described["method"]  # as it was written while there was only one
    (whole / "grid.json").write_text(json.dumps(described))
    assert train_grid(dataset, whole, AXES, **options, **SMALL).finished


def test_an_ensemble_in_a_grid_killed_and_resumed(
    dataset: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes, settings = {"ensemble": [1, 2]}, BRIEF | {"hidden": (8, 8), "method": "residual"}
    train_grid(dataset, tmp_path / "whole", axes, **settings)
    save, number = Checkpoints.save, count(1)

    def killed(self: Any, run: Any, *others: Any) -> None:
        save(self, run, *others)
        if next(number) == 3:
            raise SystemError("killed")

    monkeypatch.setattr(Checkpoints, "save", killed)
    with pytest.raises(SystemError, match="killed"):
        train_grid(dataset, tmp_path / "g", axes, **settings)
    grid = train_grid(dataset, tmp_path / "g", axes, resume=True, **settings)
    assert grid.finished
    assert weights(tmp_path / "g") == weights(tmp_path / "whole")
    assert len(grid.members["validation.epoch"][1]) == 2


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_networks_side_by_side_on_a_gpu_learn_what_they_learn_alone(
    dataset: ad.AnnData, tmp_path: Path, precision: str
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    settings = SMALL | {"device": "cuda", "precision": precision, "epochs": 10}
    found = [train_grid(dataset, tmp_path / str(jobs), AXES, jobs=jobs, **settings) for jobs in (1, 4)]
    one, four = (grid.members["validation.error"].to_numpy() for grid in found)
    np.testing.assert_allclose(four, one, rtol=1e-3)
    assert held_copy(np.asarray(dataset.X), torch.device("cuda")) is None  # nothing stays there
