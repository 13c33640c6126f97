"""Checkpoints: a resumed run is the uninterrupted run, bit for bit; nothing else is taken for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dgex.digests import of_sets
from dgex.errors import ModelError, OutputExistsError, RankError, SettingsError
from dgex.ownership import PARTIAL
from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.processes.group import Group
from dgex.training.run import checkpoint
from dgex.training.run.checkpoint import Checkpoints
from dgex.training.run.history import read_history
from dgex.training.run.loop import Result, train
from dgex.training.run.settings import TrainingSettings
from dgex.training.run.snapshots import Snapshots
from dgex.training.run.state import Run

TIMES = ("seconds", "profiles_per_s", "share_of_ceiling")


def problem(profiles: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, 4)).astype(np.float32)
    return X, np.sin(2 * X[:, :3]).astype(np.float32)


def run(
    folder: Path | None,
    epochs: int = 6,
    *,
    stop_before: int | None = None,
    resume: bool = False,
    every: int = 1,
    settings: dict[str, Any] | None = None,
    profiles: int = 40,
    **options: Any,
) -> Result:
    X, Y = problem(profiles)
    sets = {"a": problem(15, seed=1), "b": problem(15, seed=2)}
    learner = MomentumStep(Perceptron([4, 8, 3], seed=1), dropout=0.3, seed=1)
    if stop_before is not None:
        begin = learner.begin_epoch

        def killed(epoch: int) -> None:
            if epoch == stop_before:
                raise SystemError("killed")
            begin(epoch)

        learner.begin_epoch = killed  # type: ignore[method-assign]
    checkpoints = None
    if folder is not None:
        checkpoints = Checkpoints(folder, settings or {"hidden": (8,)}, of_sets({"": (X, Y), **sets}), every)
    schedule = TrainingSettings(0.02, epochs=epochs, batch_size=9)
    return train(learner, X, Y, sets, schedule, checkpoints=checkpoints, resume=resume, **options)


def same(one: Result, other: Result) -> bool:
    """Weights, best epochs and history but for the times it took, bit for bit."""
    timeless = [[{k: v for k, v in row.items() if k not in TIMES} for row in r.history] for r in (one, other)]
    pairs = [(one.last, other.last), *((one.best[name], other.best[name]) for name in one.best)]
    weights = all(torch.equal(a.weights[name], b.weights[name]) for a, b in pairs for name in a.weights)
    epochs = [a.epoch == b.epoch for a, b in pairs]
    return weights and all(epochs) and timeless[0] == timeless[1]


@pytest.mark.parametrize("stop_before", [2, 4, 6])
def test_a_killed_run_continues_to_the_same_weights(tmp_path: Path, stop_before: int) -> None:
    whole = run(None)
    with pytest.raises(SystemError, match="killed"):
        run(tmp_path / "c", stop_before=stop_before)
    assert same(run(tmp_path / "c", resume=True), whole)


def test_killed_between_two_checkpoints_repeats_only_what_came_after_the_first(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    with pytest.raises(SystemError, match="killed"):
        run(tmp_path / "c", stop_before=4, every=2, history_path=history)
    assert len(read_history(history)) == 3
    assert json.loads((tmp_path / "c/checkpoint.json").read_text())["epoch"] == 2
    result = run(tmp_path / "c", resume=True, every=2, history_path=history)
    assert same(result, run(None))
    assert read_history(history) == result.history


@pytest.mark.parametrize(("writer", "call"), [("save_file", 3), ("save_file", 4), ("json_dump", 2), ("json_dump", 3)])
def test_killed_while_a_checkpoint_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, call: int
) -> None:
    """Whichever file is the last to be written, the checkpoint before is still whole."""
    original, calls = getattr(checkpoint, writer), [0]

    def killed(*args: Any) -> None:
        calls[0] += 1
        if calls[0] == call:
            raise SystemError("killed")
        original(*args)

    monkeypatch.setattr(checkpoint, writer, killed)
    with pytest.raises(SystemError, match="killed"):
        run(tmp_path / "c")
    monkeypatch.undo()
    assert same(run(tmp_path / "c", resume=True), run(None))


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    run(folder, epochs=1)
    for name in (f"{PARTIAL}abc-state.safetensors", "state-00002.safetensors", "best-00009.safetensors"):
        (folder / name).write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    run(folder, epochs=3, resume=True)
    described = json.loads((folder / "checkpoint.json").read_text())
    named = {described["state"], *(entry["file"] for entry in described["best"].values())}
    assert {p.name for p in folder.iterdir()} == {"checkpoint.json", "notes.txt", *named}


def test_only_the_last_checkpoint_and_what_it_names_stay(tmp_path: Path) -> None:
    result = run(tmp_path / "c")
    best = {f"best-{kept.epoch:05d}.safetensors" for kept in result.best.values()}
    assert {p.name for p in (tmp_path / "c").iterdir()} == {"checkpoint.json", "state-00006.safetensors", *best}


def test_a_finished_run_does_nothing_and_more_epochs_go_on(tmp_path: Path) -> None:
    first = run(tmp_path / "c", epochs=3)
    before = (tmp_path / "c/checkpoint.json").read_bytes()
    assert same(run(tmp_path / "c", epochs=3, resume=True), first)
    assert (tmp_path / "c/checkpoint.json").read_bytes() == before
    assert same(run(tmp_path / "c", epochs=6, resume=True), run(None))


def test_resuming_without_a_checkpoint_starts(tmp_path: Path) -> None:
    assert same(run(tmp_path / "c", resume=True), run(None))


def test_a_checkpoint_is_not_overwritten_unasked(tmp_path: Path) -> None:
    run(tmp_path / "c", epochs=1)
    with pytest.raises(OutputExistsError, match="resume=True"):
        run(tmp_path / "c")


def test_other_settings_or_data_are_refused(tmp_path: Path) -> None:
    run(tmp_path / "c", epochs=1)
    with pytest.raises(ModelError, match=r"other settings \(hidden: there \[8\], now \[9\]\)"):
        run(tmp_path / "c", resume=True, settings={"hidden": (9,)})
    with pytest.raises(ModelError, match="other data"):
        run(tmp_path / "c", resume=True, profiles=41)


def test_another_version_or_damage_is_said(tmp_path: Path) -> None:
    run(tmp_path / "c", epochs=1)
    description = json.loads((tmp_path / "c/checkpoint.json").read_text())
    cases = {
        "format 99": lambda folder: write(folder, description | {"format": 99}),
        "is damaged or no checkpoint": lambda folder: (folder / "checkpoint.json").write_text("{"),
        "is missing": lambda folder: (folder / description["state"]).unlink(),
        "cannot be read": lambda folder: (folder / description["state"]).write_bytes(b"12345678"),
        "is damaged": lambda folder: write(folder, {k: v for k, v in description.items() if k != "rate"}),
    }
    for number, (message, harm) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "c", folder)
        harm(folder)
        with pytest.raises(ModelError, match=message):
            run(folder, resume=True)


def write(folder: Path, description: dict[str, Any]) -> None:
    (folder / "checkpoint.json").write_text(json.dumps(description))


def test_nothing_is_kept_that_was_joined_without_a_lost_process(tmp_path: Path) -> None:
    run(tmp_path, epochs=2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    group = Group(0, 2)
    group.fate.missing = True  # noticed while the tensors of all were joined
    learner = MomentumStep(Perceptron([4, 3, 2]))
    with pytest.raises(RankError, match="another rank of the 2 was lost"):
        Checkpoints(tmp_path, {}, "data", group=group).save(Run(0.1, 3), learner, Snapshots(learner.device))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_every_must_be_one_or_more(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="checkpoint_every: found 0"):
        Checkpoints(tmp_path, {}, "", every=0)


def test_the_digest_tells_values_shapes_and_names_apart() -> None:
    X, Y = problem()
    sets = {"a": problem(seed=1)}
    changed = X.copy()
    changed[3, 2] += 1
    digests = [
        of_sets({"": (X, Y), **sets}),
        of_sets({"": (changed, Y), **sets}),
        of_sets({"": (X[:-1], Y[:-1]), **sets}),
        of_sets({"": (X.reshape(80, 2), Y), **sets}),
        of_sets({"": (X, Y), "b": sets["a"]}),
        of_sets({"": (X, Y)}),
    ]
    assert len(set(digests)) == len(digests)
    assert of_sets({"": (X.copy(), Y.copy()), **sets}) == digests[0]


def test_a_run_without_a_checkpoint_is_returned_as_it_is(tmp_path: Path) -> None:
    start = Run(rate=0.5)
    learner = MomentumStep(Perceptron([2, 2, 1]))
    assert Checkpoints(tmp_path, {}, "").start(start, learner, resume=False) is start
