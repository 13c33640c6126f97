"""Batches from memory and from disk: the same as those on the device, or every profile once in an order of blocks."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex.errors import FileError
from dgex.training.batches.loader import Batches
from dgex.training.batches.streams import PLACEMENTS, FromDisk, FromMemory, make_batches
from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.run.loop import Result, train
from dgex.training.run.settings import TrainingSettings


def matrices(profiles: int) -> tuple[np.ndarray, np.ndarray]:
    X = np.arange(profiles * 2, dtype=np.float32).reshape(profiles, 2)
    return X, -X[:, :1].copy()


def maps(folder: Path, *arrays: np.ndarray) -> list[np.memmap]:
    found = []
    for number, array in enumerate(arrays):
        array.tofile(folder / f"{number}.f32")
        found.append(np.memmap(folder / f"{number}.f32", np.float32, "r", shape=array.shape))
    return found


def epoch_of(data: Batches, epoch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(x.cpu().clone(), y.cpu().clone()) for x, y in data.epoch(epoch)]


def reading() -> bool:
    return any(thread.name == "dgex-ahead" for thread in threading.enumerate())


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 3), st.integers(1, 3))
def test_from_memory_come_the_batches_of_the_device(profiles: int, batch_size: int, seed: int, epoch: int) -> None:
    X, Y = matrices(profiles)
    one, other = (epoch_of(kind(X, Y, batch_size, seed), epoch) for kind in (Batches, FromMemory))
    assert len(one) == len(other)
    for (x, y), (x2, y2) in zip(one, other):
        assert torch.equal(x, x2)
        assert torch.equal(y, y2)


@settings(deadline=None)
@given(st.integers(1, 150), st.integers(1, 160), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))
def test_from_disk_every_profile_comes_once_with_its_own_targets(
    profiles: int, batch_size: int, block: int, seed: int, epoch: int
) -> None:
    X, Y = matrices(profiles)
    data = FromDisk(X, Y, batch_size, seed, block=block, group_bytes=0)  # groups of 16 blocks
    seen = epoch_of(data, epoch)
    assert len(seen) == len(data)
    assert all(len(x) == min(batch_size, profiles) for x, _ in seen[:-1])
    x, y = torch.cat([x for x, _ in seen]), torch.cat([y for _, y in seen])
    assert torch.equal(x[:, :1], -y)
    assert torch.equal(x, torch.from_numpy(X[data.order(epoch)]))
    assert sorted(data.order(epoch)) == list(range(profiles))


def test_a_group_is_many_blocks_from_all_over_in_mixed_order() -> None:
    data = FromDisk(*matrices(1000), 7, 3, block=10, group_bytes=0)
    order = data.order(1)
    assert len(data._buffers) == 2
    sizes = [len(mixed) for _, mixed in data._plan(1)]
    assert sum(sizes) == 1000
    assert all(len(buffer[0]) == max(sizes) <= 16 * 10 for buffer in data._buffers)
    first = np.sort(order[: sizes[0]])
    assert (first[::10] % 10 == 0).all()  # whole blocks ...
    assert (first.reshape(-1, 10) - first[::10, None] == np.arange(10)).all()
    assert first.max() - first.min() > 500  # ... that are far apart ...
    assert (np.diff(order[: sizes[0]]) == 1).mean() < 0.1  # ... and do not stay together
    assert (order == FromDisk(*matrices(1000), 9, 3, block=10, group_bytes=0).order(1)).all()
    assert (order != data.order(2)).any()
    assert (order != FromDisk(*matrices(1000), 7, 4, block=10, group_bytes=0).order(1)).any()


def test_a_file_gives_what_the_array_gives_and_so_does_a_part_of_it(tmp_path: Path) -> None:
    X, Y = matrices(100)
    mapped = maps(tmp_path, X, Y)
    for rows in (slice(None), slice(13, 90)):
        one = epoch_of(FromDisk(X[rows], Y[rows], 8, block=3, group_bytes=0), 1)
        other = epoch_of(FromDisk(mapped[0][rows], mapped[1][rows], 8, block=3, group_bytes=0), 1)
        assert all(torch.equal(a, b) for pair, twin in zip(one, other) for a, b in zip(pair, twin))


def test_a_file_behind_a_header_is_read_where_it_begins(tmp_path: Path) -> None:
    X, Y = matrices(64)
    (tmp_path / "x").write_bytes(bytes(5000) + X.tobytes())
    mapped = np.memmap(tmp_path / "x", np.float32, "r", offset=5000, shape=X.shape)
    x = torch.cat([x for x, _ in epoch_of(FromDisk(mapped, Y, 8, block=3), 1)])
    assert torch.equal(x, torch.from_numpy(X[FromDisk(X, Y, 8, block=3).order(1)]))


def test_a_file_cut_short_while_it_is_used_is_an_error_in_the_training_thread(tmp_path: Path) -> None:
    X, Y = maps(tmp_path, *matrices(100))
    data = FromDisk(X, Y, 8, block=3, group_bytes=0)
    with (tmp_path / "1.f32").open("r+b") as file:
        file.truncate(40)
    with pytest.raises(FileError, match=r"1\.f32 ends before row .* cut short"):
        epoch_of(data, 1)
    assert not reading()
    (tmp_path / "0.f32").unlink()
    with pytest.raises(FileError, match=r"cannot read .*0\.f32"):
        epoch_of(data, 2)
    assert not reading()


@pytest.mark.parametrize("placement", sorted(PLACEMENTS))
def test_all_kinds_share_the_face(placement: str) -> None:
    X, Y = matrices(50)
    data, plain = make_batches(X, Y, 7, 1, torch.device("cpu"), placement), Batches(X, Y, 7, 1)
    assert (data.profiles, len(data)) == (50, 8)
    addresses = {(x.data_ptr(), y.data_ptr()) for epoch in (1, 2) for x, y in data.epoch(epoch)}
    assert len(addresses) == 1
    for count in (20, 20, 11, 50):
        rows = data.sample(count)
        assert torch.equal(rows, plain.sample(count))
        for found, expected in zip(data.rows(rows), plain.rows(rows)):
            assert len(found) == len(expected)
            assert torch.equal(found[3:9], expected[3:9])
    placed = data.place(Y)
    assert placed.shape == Y.shape
    assert torch.equal(placed[5:60], torch.from_numpy(Y[5:60]))


def problem(profiles: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, 4)).astype(np.float32)
    return X, np.sin(2 * X[:, :3]).astype(np.float32)


def run(placement: str, X: np.ndarray, Y: np.ndarray, device: str = "cpu") -> Result:
    learner = MomentumStep(Perceptron([4, 8, 3], seed=1).to(device), dropout=0.3, seed=1)
    schedule = TrainingSettings(0.02, epochs=3, batch_size=9, monitor_samples=30)
    return train(learner, X, Y, {"a": problem(15, seed=1)}, schedule, placement=placement)


def errors(result: Result) -> list[list[float]]:
    return [[row["loss"], row["train.error"], row["a.error"]] for row in result.history]


def test_training_from_memory_is_training_on_the_device_bit_for_bit() -> None:
    one, other = (run(placement, *problem(100)) for placement in ("device", "memory"))
    assert errors(one) == errors(other)
    assert all(torch.equal(one.last.weights[name], other.last.weights[name]) for name in one.last.weights)
    assert not reading()


def test_training_from_disk_is_the_plain_loop_over_its_order(tmp_path: Path) -> None:
    X, Y = problem(600)
    result = run("disk", *maps(tmp_path, X, Y))
    data = FromDisk(X, Y, 9)
    learner = MomentumStep(Perceptron([4, 8, 3], seed=1), dropout=0.3, seed=1)
    for epoch, row in enumerate(result.history, start=1):
        learner.begin_epoch(epoch)
        order = data.order(epoch)
        for start in range(0, 600, 9):
            rows = order[start : start + 9]
            learner.step(torch.from_numpy(X[rows]), torch.from_numpy(Y[rows]), row["learning_rate"])
    assert all(torch.equal(value, result.last.weights[name]) for name, value in learner.weights().items())


def test_a_run_that_fails_leaves_no_thread() -> None:
    class Failing(MomentumStep):
        def step(self, *args: Any) -> torch.Tensor:
            raise RuntimeError("the step failed")

    for placement in ("memory", "disk"):
        with pytest.raises(RuntimeError, match="the step failed"):
            train(Failing(Perceptron([4, 8, 3])), *problem(50), {}, TrainingSettings(0.1), placement=placement)
        assert not reading()


@pytest.mark.gpu
@pytest.mark.parametrize("placement", ["memory", "disk"])
def test_a_gpu_gets_the_batches_of_the_cpu(placement: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    rng = np.random.default_rng(0)
    X, Y = (rng.normal(size=(3000, n)).astype(np.float32) for n in (50, 2000))
    cpu, gpu = (PLACEMENTS[placement](X, Y, 70, 1, device) for device in ("cpu", "cuda"))
    busy = torch.rand(2000, 2000, device="cuda")
    for epoch in (1, 2, 3):
        expected, addresses = epoch_of(cpu, epoch), set()
        found = []
        for x, y in gpu.epoch(epoch):
            for _ in range(5):
                busy = (busy @ busy).sigmoid_()  # the stream is behind the host
            found.append((x.clone(), y.clone()))
            addresses.add((x.data_ptr(), y.data_ptr()))
        assert len(addresses) == 1
        assert all(torch.equal(a.cpu(), b) for pair, twin in zip(found, expected) for a, b in zip(pair, twin))
    rows = gpu.sample(100)
    assert all(torch.equal(a[:50].cpu(), b[:50]) for a, b in zip(gpu.rows(rows), cpu.rows(rows.cpu())))


@pytest.mark.gpu
def test_a_gpu_learns_the_same_from_memory_as_from_its_own() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    one, other = (run(placement, *problem(100), device="cuda") for placement in ("device", "memory"))
    assert errors(one) == errors(other)
