"""What is chosen, and when nothing is measured. Trials are replaced by invented timings: no test depends on a clock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import pytest
import torch

from dgex.errors import SettingsError
from dgex.training.learners import tuning
from dgex.training.learners.perceptron import Perceptron
from dgex.training.learners.tuning import Arithmetic, pick_threads, resolve, using_threads

LARGE, SMALL = [943, 3000, 9520], [20, 30, 40]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def no_trial_and_no_choice_of_another_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: Any) -> None:
        raise AssertionError("a trial was run")

    monkeypatch.setattr(tuning, "_seconds", refuse)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for choice in (tuning._pays, tuning._fastest):
        choice.cache_clear()
    yield
    for choice in (tuning._pays, tuning._fastest):
        choice.cache_clear()


def times(
    monkeypatch: pytest.MonkeyPatch, seconds: Callable[[Sequence[Any], Sequence[int]], list[list[float]]]
) -> None:
    monkeypatch.setattr(tuning, "_trial", lambda *shape: shape)
    monkeypatch.setattr(tuning, "_seconds", seconds)


def bf16_takes(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.setattr(tuning, "bf16_instructions", lambda: True)
    times(monkeypatch, lambda trials, _: [[share if trial[2] == "bf16" else 1.0] for trial in trials])


def test_what_is_asked_for_is_taken_unmeasured() -> None:
    for precision in ("float32", "tf32", "bf16"):
        assert resolve(precision, CPU, LARGE, 200) == precision
    with pytest.raises(SettingsError, match="precision: found 'half', accepted 'auto', 'float32', 'tf32' or 'bf16'"):
        resolve("half", CPU, LARGE, 200)


def test_small_networks_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("auto", CPU, SMALL, 200) == "float32"
    assert resolve("auto", CUDA, SMALL, 200) == "float32"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tuning.torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(tuning, "_usual_threads", lambda: {4})
    monkeypatch.setattr(tuning, "_fastest", cache(lambda *_: pytest.fail("a small network was measured")))
    assert pick_threads([200, 600, 1000], 200, "float32") == 4


def test_the_smallest_networks_take_one_thread_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tuning.torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(tuning, "_usual_threads", lambda: {4})
    assert pick_threads(SMALL, 200, "float32") == 1
    monkeypatch.setattr(tuning, "_usual_threads", lambda: {8})  # 4 is what the user asked for
    assert pick_threads(SMALL, 200, "float32") == 4


def test_a_gpu_takes_bf16_for_a_large_network() -> None:
    assert resolve("auto", CUDA, LARGE, 200) == "bf16"


def test_a_processor_without_bfloat16_takes_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "bf16_instructions", lambda: False)
    assert resolve("auto", CPU, LARGE, 200) == "float32"


@pytest.mark.parametrize(("share", "expected"), [(0.3, "bf16"), (0.95, "float32"), (2.0, "float32")])
def test_bf16_must_be_faster(monkeypatch: pytest.MonkeyPatch, share: float, expected: str) -> None:
    bf16_takes(monkeypatch, share)
    assert resolve("auto", CPU, LARGE, 200) == expected


def test_bf16_must_be_as_accurate(monkeypatch: pytest.MonkeyPatch) -> None:
    bf16_takes(monkeypatch, 0.3)
    monkeypatch.setattr(tuning, "TOLERANCE", 1e-6)
    deep = [*LARGE[:-1], LARGE[-2], LARGE[-1]]  # between two layers of float32, which predict
    assert resolve("auto", CPU, deep, 200) == "float32"


def test_a_shape_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bf16_takes(monkeypatch, 0.3)
    resolve("auto", CPU, LARGE, 200)
    bf16_takes(monkeypatch, 3.0)
    assert resolve("auto", CPU, LARGE, 200) == "bf16"
    assert resolve("auto", CPU, LARGE, 200, predicting=True) == "float32"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({8: 1.0, 4: 1.9, 2: 3.6, 1: 7.0}, 8),  # a machine of its own
        ({8: 9.0, 4: 1.9, 2: 3.6, 1: 7.0}, 4),  # one core is taken: eight threads wait for each other
        ({8: 9.0, 4: 5.0, 2: 2.0, 1: 1.0}, 1),
        ({8: 1.2, 4: 1.0, 2: 0.1, 1: 0.1}, 8),  # not clearly faster: the usual number stays
    ],
)
def test_fewer_threads_where_they_are_faster(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float], expected: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(tuning, "_usual_threads", lambda: {8, 16})
    times(monkeypatch, lambda _, threads: [[seconds[count]] for count in threads])
    assert pick_threads(LARGE, 200, "bf16") == expected


def test_threads_the_user_set_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(tuning, "_usual_threads", lambda: {8, 16})  # torch.set_num_threads(3)
    assert pick_threads(LARGE, 200, "float32") == 3
    monkeypatch.setattr(tuning, "_usual_threads", lambda: {3})
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert pick_threads(LARGE, 200, "float32") == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the number of cores is read from Linux")
def test_the_usual_number_of_threads_is_not_taken_for_a_wish() -> None:
    code = (
        "import torch; from dgex.training.learners import tuning as t; print(torch.get_num_threads(), t._set_by_user())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    count, wish = told.split()
    assert wish == "False", f"torch starts with {count} threads, expected one of {tuning._usual_threads()}"


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with using_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with using_threads(None):
        assert torch.get_num_threads() == before


def test_a_record_wins_over_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "bf16_instructions", lambda: True)
    monkeypatch.setattr(tuning, "_cpus", lambda: list(range(8)))
    monkeypatch.setattr(tuning, "_set_by_user", lambda: False)
    for precision, threads in (("bf16", 4), ("float32", 1)):
        record = {"precision": precision, "device": "cpu", "threads": threads}
        assert Arithmetic.choose("auto", CPU, LARGE, 200, record).record() == record


def test_a_record_this_machine_cannot_follow_is_replaced_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tuning, "bf16_instructions", lambda: False)
    monkeypatch.setattr(tuning, "_cpus", lambda: [0])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    caplog.set_level("INFO", logger="dgex")
    chosen = Arithmetic.choose("auto", CPU, LARGE, 200, {"precision": "bf16", "device": "cpu", "threads": 64})
    assert chosen == Arithmetic("float32", "cpu", 1)
    assert "computed with precision bf16, device cpu, threads 64; here it goes on with precision float32" in caplog.text
    caplog.clear()
    chosen = Arithmetic.choose("auto", CPU, LARGE, 200, {"precision": "bf16", "device": "cuda", "threads": None})
    assert chosen == Arithmetic("float32", "cpu", 1)
    assert "precision bf16, device cuda; here" in caplog.text


def test_another_device_or_an_old_checkpoint_has_no_record() -> None:
    assert Arithmetic.choose("auto", CUDA, LARGE, 200, {}) == Arithmetic("bf16", "cuda", None)
    assert Arithmetic.choose("float32", CPU, SMALL, 200, {}).precision == "float32"


def test_agreement_is_measured_on_the_weights() -> None:
    network = Perceptron([*SMALL[:-1], SMALL[-2], SMALL[-1]]).requires_grad_(False)
    assert tuning.agrees(network)
    network.weight(1)[1::2] = network.weight(1)[::2] * 1.0005  # differences of near equals drown in rounding
    network.weight(2)[:, 1::2] = -network.weight(2)[:, ::2]
    assert not tuning.agrees(network)


def test_trials_take_turns_in_their_threads_and_leave_the_number_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    before, seen = torch.get_num_threads(), []
    trials = [tuning._trial((8, 6, 5), 4, "bf16", predicting) for predicting in (False, True)]
    spent = tuning._seconds([*trials, lambda: seen.append(torch.get_num_threads())], (1, 1, before + 1))
    assert [len(taken) for taken in spent] == [tuning._ROUNDS] * 3
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before
