"""Training over several processes: the weights of one process to rounding, and a clear end when one is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from together import Ended, together, values
from torch import Tensor

from dgex.digests import of_sets
from dgex.errors import DataError, OutputExistsError, RankError
from dgex.models.network.dgex import DGEX
from dgex.training.learners.learner import make_learner
from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.learners.sharded import ShardedStep
from dgex.training.processes.group import ALONE, Group
from dgex.training.processes.watch import PeerWatch
from dgex.training.run.checkpoint import Checkpoints
from dgex.training.run.history import read_history
from dgex.training.run.loop import Result, train
from dgex.training.run.settings import TrainingSettings

pytestmark = pytest.mark.xdist_group("ranks")  # their server starts, and all cases of a size run, once

SIZES = [
    4,
    7,
    5,
    3,
]  # no count of units, targets or profiles (50, in batches of 8 and a last one of 2) divides by 2 and 3
Pair = tuple[np.ndarray, np.ndarray]


def problem(profiles: int = 50, seed: int = 0, dtype: str = "float64") -> Pair:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, SIZES[0])).astype(dtype)
    return X, np.sin(2 * X[:, : SIZES[-1]])


def learner(group: Group, dtype: str = "float64", dropout: float = 0.3) -> Any:
    if dtype == "bf16":  # what a GPU takes: steps are captured where units are divided
        own: dict[str, Any] = {"dropout": dropout, "seed": 1, "group": group}
        return make_learner(SIZES, device=group.device or torch.device("cuda", 0), precision="bf16", **own)
    device = group.device or torch.device("cpu")
    kind = getattr(torch, dtype)
    own = {"dropout": dropout, "seed": 1, "group": group}
    if group.divides == "units":
        return ShardedStep(SIZES, device=device, dtype=kind, **own)
    return MomentumStep(Perceptron(SIZES, seed=1).to(device, kind), **own)


def run(
    group: Group,
    divides: str = "profiles",
    *,
    dtype: str = "float64",
    dropout: float = 0.3,
    folder: Path | None = None,
    step: Any = None,
    epochs: int = 4,
    resume: bool = False,
    rate: float = 0.02,
) -> Result:
    """Train through the loop; `step` is called with the group before every step, and may replace its loss."""
    group = group.dividing(divides)
    trained = learner(group, dtype, dropout)
    if step is not None:
        take, taken = trained.step, [0]

        def watched(*args: Any) -> Tensor:
            taken[0] += 1
            told = step(group, taken[0])
            loss = take(*args)
            return loss if told is None else told

        trained.step = watched
    kind = "float32" if dtype == "bf16" else dtype
    X, Y = problem(dtype=kind)
    sets = {"a": problem(16, seed=1, dtype=kind), "b": problem(1, seed=2, dtype=kind)}
    checkpoints = None
    if folder is not None:
        checkpoints = Checkpoints(folder, {}, of_sets({"": (X, Y), **sets}), group=group)
    schedule = TrainingSettings(rate, epochs=epochs, batch_size=8, monitor_samples=20)
    files: dict[str, Any] = {"checkpoints": checkpoints, "resume": resume}
    return train(trained, X, Y, sets, schedule, group=group, **files)


CASES = [(divides, dtype, dropout) for divides in ("profiles", "units") for dtype, dropout in
         [("float64", 0.0), ("float64", 0.3), ("float32", 0.3)]]  # fmt: skip


def run_all(group: Group) -> list[Result]:
    return [run(group, divides, dtype=dtype, dropout=dropout) for divides, dtype, dropout in CASES]


@cache
def runs(size: int) -> list[list[Result]]:
    """The results of each rank; all cases with one start of the processes."""
    return values(size, run_all)


def check_same(found: Result, wanted: Result, tolerance: float) -> None:
    """Weights, best epochs and learning curves agree."""
    for name in wanted.best:
        assert found.best[name].epoch == wanted.best[name].epoch
    pairs = [(found.last, wanted.last), *((found.best[name], wanted.best[name]) for name in wanted.best)]
    for one, other in pairs:
        assert one.weights.keys() == other.weights.keys()
        for name, value in other.weights.items():
            torch.testing.assert_close(one.weights[name], value, rtol=tolerance, atol=tolerance)
    for row, other_row in zip(found.history, wanted.history, strict=True):
        for name in row.keys() - {"seconds", "profiles_per_s"}:
            assert row[name] == pytest.approx(other_row[name], rel=tolerance), name


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("size", [2, 3])
def test_any_number_of_processes_gives_the_weights_of_one(size: int, case: tuple[str, str, float]) -> None:
    _, dtype, dropout = case
    ranks = [results[CASES.index(case)] for results in runs(size)]
    check_same(ranks[0], run(ALONE, dtype=dtype, dropout=dropout), 1e-10 if dtype == "float64" else 1e-5)
    for other in ranks[1:]:  # they decide alike, and leave the weights to rank 0
        assert [row["learning_rate"] for row in other.history] == [r["learning_rate"] for r in ranks[0].history]
        assert {n: kept.epoch for n, kept in other.best.items()} == {n: k.epoch for n, k in ranks[0].best.items()}
        assert not any(kept.weights for kept in other.best.values())


def two_gpus() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")


@pytest.mark.gpu
@pytest.mark.parametrize("divides", ["profiles", "units"])
def test_two_gpus_learn_what_the_cpu_learns(divides: str) -> None:
    two_gpus()
    found = values(2, without_dropout, divides, device="cuda")[0]
    check_same(found, run(ALONE, dropout=0.0), 1e-9)


def without_dropout(group: Group, divides: str) -> Result:
    """Dropout of a GPU is another stream than the CPU's."""
    result = run(group, divides, dropout=0.0)
    for kept in (result.last, *result.best.values()):
        kept.weights.update({name: value.cpu() for name, value in kept.weights.items()})
    return result


def test_one_rank_divides_units_alone() -> None:
    check_same(run(ALONE, "units"), run(ALONE), 1e-12)


@pytest.mark.parametrize(("before", "after"), [((2, "profiles"), (3, "units")), ((3, "units"), (1, "profiles"))])
def test_a_run_goes_on_with_another_number_of_ranks(
    tmp_path: Path, before: tuple[int, str], after: tuple[int, str]
) -> None:
    values(before[0], begin, before[1], tmp_path)
    finished = values(after[0], finish, after[1], tmp_path)[0]
    check_same(finished, run(ALONE), 1e-10)


def begin(group: Group, divides: str, folder: Path, dtype: str = "float64") -> None:
    run(group, divides, dtype=dtype, folder=folder, epochs=2)


def finish(group: Group, divides: str, folder: Path, dtype: str = "float64") -> Result:
    found = run(group, divides, dtype=dtype, folder=folder, resume=(folder / "checkpoint.json").exists())
    for kept in (found.last, *found.best.values()):
        kept.weights.update({name: value.cpu() for name, value in kept.weights.items()})
    return found


ON = [(3, "cpu", "float64"), *(pytest.param(2, "cuda", kind, marks=pytest.mark.gpu) for kind in ("float64", "bf16"))]


@pytest.mark.parametrize(("size", "device", "dtype"), ON, ids=["cpu", "cuda", "cuda-bf16"])
@pytest.mark.parametrize("divides", ["profiles", "units"])
def test_a_killed_rank_ends_the_others_with_one_line_and_a_checkpoint(
    tmp_path: Path, divides: str, size: int, device: str, dtype: str
) -> None:
    if device == "cuda":
        two_gpus()
    first, killed, *others = together(size, gone_in_the_third_epoch, divides, tmp_path, dtype, device=device)
    assert killed.exitcode == -signal.SIGKILL
    check_told([first, *others], size)
    if device == "cpu":
        check_same(run(ALONE, folder=tmp_path, resume=True), run(ALONE), 1e-10)


@pytest.mark.gpu
@pytest.mark.parametrize("divides", ["profiles", "units"])
def test_a_stopped_rank_ends_the_other_too(tmp_path: Path, divides: str) -> None:
    two_gpus()
    first, stopped = together(2, gone_in_the_third_epoch, divides, tmp_path, "bf16", True, device="cuda")
    check_told([first], 2)
    assert stopped.error is not None or stopped.exitcode != 0


def check_told(ended: list[Ended], size: int) -> None:
    for other in ended:
        assert isinstance(other.error, RankError)
        words = str(other.error)
        assert words.startswith(f"another rank of the {size} was lost in epoch 3; the checkpoint in ")
        assert "resume=True" in words
        assert "\n" not in words


def gone_in_the_third_epoch(
    group: Group, divides: str, folder: Path, dtype: str = "float64", stopped: bool = False
) -> None:
    def step(group: Group, number: int) -> None:
        if group.rank != 1 or number != 17:  # of 7 an epoch
            return
        if stopped:
            subprocess.Popen(["sh", "-c", f"sleep 35; kill -CONT {os.getpid()}"])
        os.kill(os.getpid(), signal.SIGSTOP if stopped else signal.SIGKILL)

    run(group, divides, dtype=dtype, folder=folder, step=step)


@pytest.mark.gpu
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_run_goes_on_with_another_number_of_gpus(tmp_path: Path, before: int, after: int) -> None:
    two_gpus()
    values(before, begin, "units", tmp_path, "bf16", device="cuda")
    finished = values(after, finish, "units", tmp_path, "bf16", device="cuda")[0]
    whole = values(1, finish, "units", tmp_path / "whole", "bf16", device="cuda")[0]
    for row, other in zip(finished.history, whole.history, strict=True):
        assert row["a.error"] == pytest.approx(other["a.error"], rel=2e-2)


def test_ctrl_c_on_one_rank_stops_all_together() -> None:
    results = values(2, interrupted_on_the_second)
    for result in results:
        assert (result.stopped, len(result.history)) == ("interrupted", 2)
    check_best_of_two_epochs(results[0])


def interrupted_on_the_second(group: Group) -> Result:
    def step(group: Group, number: int) -> None:
        if group.rank == 1 and number in (15, 16):  # the terminal's and the one that torchrun passes on
            signal.raise_signal(signal.SIGINT)

    return run(group, step=step)


def check_best_of_two_epochs(result: Result) -> None:
    wanted = run(ALONE, epochs=2)
    for name, kept in wanted.best.items():
        assert result.best[name].epoch == kept.epoch
        torch.testing.assert_close(result.best[name].weights, kept.weights, rtol=1e-10, atol=1e-10)


def test_ctrl_c_in_the_first_epoch_ends_all() -> None:
    assert all(isinstance(end.error, KeyboardInterrupt) for end in together(2, interrupted_at_once))


def interrupted_at_once(group: Group) -> Result:
    return run(group, step=lambda group, number: signal.raise_signal(signal.SIGINT) if group.leads else None)


def test_a_loss_that_is_nan_on_one_rank_stops_all(caplog: pytest.LogCaptureFixture) -> None:
    for result in values(2, nan_on_the_second, 10):
        assert (result.stopped, len(result.history)) == ("diverged", 1)
    for end in together(2, nan_on_the_second, 1):
        assert isinstance(end.error, DataError)
        assert "became nan at step 1 of 7 in epoch 1 with learning rate 0.02" in str(end.error)


def nan_on_the_second(group: Group, at: int) -> Result:
    return run(group, step=lambda group, number: torch.tensor(torch.nan) if (group.rank, number) == (1, at) else None)


def test_ranks_with_other_data_or_settings_are_told() -> None:
    for difference, words in [("data", "the data: rank 1 of 3 differs"), ("seed", "seed: rank 1, 2 of 3 differ")]:
        for end in together(3, fitted, difference):
            assert isinstance(end.error, RankError)
            assert f"disagree on {words} from rank 0 (found" in str(end.error)


def fitted(group: Group, difference: str = "", shard: bool | None = None, **options: Any) -> DGEX:
    X, Y = problem(dtype="float32")
    if difference == "data" and group.rank == 1:
        X[3, 2] += 1
    seed = int(difference == "seed" and group.rank > 0)
    model = DGEX(hidden=(6, 5), epochs=3, batch_size=8, learning_rate=0.02, seed=seed, device="cpu", shard=shard)
    return model.fit(X, Y, {"a": problem(16, seed=1, dtype="float32")}, group=group, **options)


@pytest.mark.parametrize("shard", [False, True])
def test_rank_0_holds_the_fitted_network(tmp_path: Path, shard: bool) -> None:
    first, other = values(2, fitted_with_files, shard, tmp_path)
    X, _ = problem(16, seed=1, dtype="float32")
    np.testing.assert_allclose(first.predict(X), fitted(ALONE).predict(X), rtol=1e-4, atol=1e-6)
    with pytest.raises(Exception, match="rank 0 holds the model"):
        other.predict(X)
    assert len(read_history(tmp_path / "history.jsonl")) == 3
    for end in together(2, fitted_with_files, shard, tmp_path):  # refused by rank 0, told by all
        assert isinstance(end.error, OutputExistsError)


def fitted_with_files(group: Group, shard: bool, folder: Path) -> DGEX:
    return fitted(group, shard=shard, checkpoint_dir=folder / "c", history_path=folder / "history.jsonl")


def test_sigterm_is_an_error_of_one_line() -> None:
    for end in together(2, terminated):
        assert isinstance(end.error, RankError)
    assert "told to stop, in epoch 1" in str(together(2, terminated)[0].error)


def terminated(group: Group) -> Result:
    return run(group, step=lambda group, number: signal.raise_signal(signal.SIGTERM) if group.leads else None)


def test_a_process_that_cannot_raise_ends_on_sigterm_all_the_same() -> None:
    program = (
        "import signal\nfrom dgex.training.processes import termination as ending\n"
        "from dgex.training.processes.group import Group\n"
        "ending.GRACE, group = 0, Group(0, 2)\ngroup.fate.ending = True\n"
        "with ending.Termination(group):\n    signal.raise_signal(signal.SIGTERM)\n    while True: signal.pause()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: another rank of the 2 was lost, or the run was told to stop, before")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("divides", ["profiles", "units"])
def test_a_rank_that_notices_a_loss_itself_tells_its_watch(divides: Any) -> None:
    whole = Group(0, 2)
    whole.dividing(divides).lost("Connection closed by peer")
    assert whole.fate.missing  # what waits on a GPU is then aborted: to free the group would wait for ever


def test_shares_and_parts_cover_everything_once() -> None:
    for size in (1, 2, 3, 7):
        for count in (0, 1, 2, 5, 9520):
            ranks = [Group(rank, size) for rank in range(size)]
            for slices in ([g.share(count) for g in ranks], [g.part(count) for g in ranks]):
                assert [i for s in slices for i in range(count)[s]] == list(range(count))
            assert all(g.dividing("units").share(count) == slice(0, count) for g in ranks)
            assert [ranks[0].part(count, g.rank) for g in ranks] == [g.part(count) for g in ranks]


def test_a_process_that_fails_before_training_ends_the_others() -> None:
    ended: list[Ended] = together(2, refuses)
    assert isinstance(ended[1].error, DataError)
    assert isinstance(ended[0].error, RankError)
    assert "before the first epoch" in str(ended[0].error)


def refuses(group: Group) -> Result:
    if group.rank == 1:
        raise DataError("a file of this host alone is damaged")
    return fitted(group)


@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_waits_for_its_device_notices_the_end_of_another(killed: int) -> None:
    ended = together(3, wait_in_the_dark, killed)
    assert ended[killed].exitcode == -signal.SIGKILL
    assert [one.value for rank, one in enumerate(ended) if rank != killed] == [True, True]


def wait_in_the_dark(group: Group, killed: int) -> bool:
    """Exchange nothing, as a process does that waits inside the queue of its device."""
    aborted = threading.Event()
    with PeerWatch(group, aborted.set):
        if group.rank == killed:
            os.kill(os.getpid(), signal.SIGKILL)
        return aborted.wait(30) and group.fate.missing


def test_a_rank_that_was_stopped_is_lost() -> None:
    """Its connection stays open. When it wakes it finds the others gone."""
    assert values(3, stop_one) == [True, True, True]


def stop_one(group: Group) -> bool:
    aborted = threading.Event()
    with PeerWatch(group, aborted.set, silence=1.0):
        if group.rank == 1:
            subprocess.Popen(["sh", "-c", f"sleep 3; kill -CONT {os.getpid()}"])
            os.kill(os.getpid(), signal.SIGSTOP)
        return aborted.wait(30) and group.fate.missing


def test_processes_that_leave_in_turn_lose_nobody() -> None:
    assert values(3, leave_in_turn) == [False, False, False]


def leave_in_turn(group: Group) -> bool:
    with PeerWatch(group, lambda: None):
        for _ in range(group.rank):  # one leaves after the other
            torch.linalg.svd(torch.ones(300, 300))
    return group.fate.missing
