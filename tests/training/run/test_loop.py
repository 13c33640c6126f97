"""The loop: the paper's rate rule, best epochs for every set, Ctrl-C, divergence, what is written."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dgex.errors import DataError, SettingsError
from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.run.history import read_history
from dgex.training.run.loop import Result, gene_errors, train
from dgex.training.run.settings import TrainingSettings

Pair = tuple[np.ndarray, np.ndarray]


def problem(profiles: int = 60, seed: int = 0) -> Pair:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, 4)).astype(np.float32)
    return X, np.tanh(X @ rng.normal(size=(4, 3)).astype(np.float32))


class Scripted:
    """A learner without learning: in epoch e it predicts `offsets[e - 1]` for every gene, however it is trained."""

    block = 1024
    live_weights = True
    center = 0.0

    def __init__(self, offsets: list[float], losses: dict[int, float] | None = None) -> None:
        self.offsets, self.losses, self.steps = offsets, losses or {}, 0
        self.offset = torch.zeros(1)
        self.device = torch.device("cpu")
        self.rates: list[float] = []

    def begin_epoch(self, epoch: int) -> None:
        self.offset.fill_(self.offsets[epoch - 1])

    def step(self, x: Tensor, y: Tensor, rate: float, rows: int | None = None) -> Tensor:
        self.steps += 1
        self.rates.append(rate)
        return torch.tensor(self.losses.get(self.steps, 1.0))

    def predict(self, x: Tensor) -> Tensor:
        return self.offset.expand(len(x), 1)

    def weights(self) -> dict[str, Tensor]:
        return {"offset": self.offset}

    def velocity(self) -> dict[str, Tensor]:
        return {"offset": torch.zeros(1)}

    def load(self, weights: dict[str, Tensor], velocity: dict[str, Tensor]) -> None:
        self.offset.copy_(weights["offset"])


def run_script(learner: Scripted, sets: dict[str, float] | None = None, **settings: Any) -> Result:
    """Train on targets of zero; an evaluation set given by its constant target."""
    X = np.zeros((10, 2), dtype=np.float32)
    pairs = {name: (X[:3], np.full((3, 1), y, dtype=np.float32)) for name, y in (sets or {}).items()}
    settings = {"learning_rate": 1.0, "batch_size": 5, "epochs": len(learner.offsets), **settings}
    return train(learner, X, X[:, :1].copy(), pairs, TrainingSettings(**settings))


def test_rate_falls_when_the_training_error_rises_from_one_epoch_to_the_next() -> None:
    """Errors 5 3 4 3.5 3.5 9 1: higher than the epoch before at the third and the sixth only."""
    learner = Scripted([5, 3, 4, 3.5, 3.5, 9, 1, 0])
    result = run_script(learner)
    expected = [1, 1, 1, 0.9, 0.9, 0.9, 0.81, 0.81]
    assert [row["learning_rate"] for row in result.history] == pytest.approx(expected)
    assert learner.rates == pytest.approx(np.repeat(expected, 2))  # two steps an epoch, at the rate that is told
    assert [row["train.error"] for row in result.history] == pytest.approx([5, 3, 4, 3.5, 3.5, 9, 1, 0])


def test_rate_stays_above_its_floor_and_never_rises() -> None:
    rising = [float(n) for n in range(1, 8)]
    found = [row["learning_rate"] for row in run_script(Scripted(rising), rate_decay=0.5, min_rate=0.2).history]
    assert found == pytest.approx([1, 1, 0.5, 0.25, 0.2, 0.2, 0.2])
    low = run_script(Scripted(rising), learning_rate=0.1, min_rate=0.2).history
    assert {row["learning_rate"] for row in low} == {0.1}


def test_best_epoch_is_kept_for_every_set_apart() -> None:
    result = run_script(Scripted([5, 3, 4, 3, 6]), {"a": 0.0, "b": 4.5, "c": 6.0})
    assert {name: kept.epoch for name, kept in result.best.items()} == {"a": 2, "b": 1, "c": 5}  # a tie: the earlier
    assert {name: float(kept.weights["offset"]) for name, kept in result.best.items()} == {"a": 3, "b": 5, "c": 6}
    for name, kept in result.best.items():
        errors = [row[f"{name}.error"] for row in result.history]
        assert kept.error == min(errors)
    assert float(result.last.weights["offset"]) == 6
    assert result.stopped == "finished"


def test_sets_with_the_same_best_epoch_share_its_weights() -> None:
    result = run_script(Scripted([5, 3]), {"a": 0.0, "b": 1.0})
    assert result.best["a"].weights is result.best["b"].weights


def test_patience_looks_at_the_first_set() -> None:
    result = run_script(Scripted([5, 3, 4, 3.5, 1, 1]), {"a": 0.0, "b": 5.0}, patience=2)
    assert (len(result.history), result.stopped) == (4, "patience")
    with pytest.raises(SettingsError, match="patience"):
        run_script(Scripted([1.0]), patience=2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_keeps_the_best_and_says_where(bad: float, caplog: pytest.LogCaptureFixture) -> None:
    result = run_script(Scripted([5, 3, 4], losses={6: bad}), {"a": 2.0})
    assert (result.stopped, result.best["a"].epoch, len(result.history)) == ("diverged", 2, 2)
    assert f"the loss became {bad} at step 2 of 2 in epoch 3 with learning rate 1" in caplog.text


def test_divergence_before_anything_could_be_kept_is_an_error() -> None:
    with pytest.raises(DataError, match="step 1 of 2 in epoch 1 with learning rate 1"):
        run_script(Scripted([5, 3], losses={1: math.nan}), {"a": 2.0})
    with pytest.raises(DataError, match=r"train\.error became nan in epoch 1"):
        run_script(Scripted([math.nan, 3]), {"a": 2.0})
    with pytest.raises(DataError, match="no epoch before it did better than predicting the mean"):
        run_script(Scripted([500, 70, 3], losses={5: math.inf}), {"a": 2.0})
    with pytest.raises(DataError, match="step 1 of 2 in epoch 2"):  # without a set nothing is kept on the way
        run_script(Scripted([1, 1], losses={3: math.inf}))


class Interrupted(Scripted):
    """Presses Ctrl-C during step `at`, `times` times."""

    def __init__(self, offsets: list[float], at: int, times: int = 1) -> None:
        super().__init__(offsets)
        self.at, self.times, self.ended = at, times, 0

    def step(self, x: Tensor, y: Tensor, rate: float, rows: int | None = None) -> Tensor:
        loss = super().step(x, y, rate)
        if self.steps == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)
        self.ended += 1
        return loss


def test_ctrl_c_ends_the_step_and_keeps_the_best(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="dgex")
    learner = Interrupted([5, 3, 4, 1], at=7)
    result = run_script(learner, {"a": 0.0})
    assert result.interrupted
    assert (learner.ended, result.best["a"].epoch, len(result.history)) == (7, 2, 3)
    assert "interrupted after 3 of 4 epochs; best epochs kept: a epoch 2" in caplog.text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait_for_the_step() -> None:
    learner = Interrupted([5, 3, 4, 1], at=7, times=2)
    result = run_script(learner, {"a": 0.0})
    assert result.interrupted
    assert (learner.ended, result.best["a"].epoch) == (6, 2)


def test_ctrl_c_in_the_first_epoch_has_nothing_to_keep() -> None:
    with pytest.raises(KeyboardInterrupt):
        run_script(Interrupted([5, 3], at=1), {"a": 0.0})
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_history_on_disk_is_the_history_returned(tmp_path: Path) -> None:
    X, Y = problem()
    learner = MomentumStep(Perceptron([4, 8, 3]))
    sets = {"GEO-va": problem(20, seed=1)}
    path = tmp_path / "history.jsonl"
    result = train(learner, X, Y, sets, TrainingSettings(0.01, epochs=3, batch_size=16), history_path=path)
    assert read_history(path) == result.history
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    keys = ["epoch", "learning_rate", "loss", "train.error", "GEO-va.error", "GEO-va.sd", "seconds", "profiles_per_s"]
    assert list(result.history[0]) == keys
    timed = train(learner, X, Y, sets, TrainingSettings(0.01, epochs=1, batch_size=16), floor=1e-9)
    assert list(timed.history[0]) == [*keys, "share_of_ceiling"]


@pytest.mark.parametrize("batch_size", [20, 30, 200])
def test_the_share_of_the_ceiling_is_the_floor_of_all_steps_over_the_time_of_learning(batch_size: int) -> None:
    X, Y = problem(60)
    learner = MomentumStep(Perceptron([4, 8, 3]))
    row = train(learner, X, Y, {}, TrainingSettings(0.01, epochs=1, batch_size=batch_size), floor=1e-5).history[0]
    seconds = 60 / row["profiles_per_s"]
    assert row["share_of_ceiling"] == pytest.approx(1e-5 * math.ceil(60 / batch_size) / seconds)


def test_loss_is_a_mean_over_profiles_whatever_the_last_batch() -> None:
    """At rate (almost) zero the weights stay, so the loss is that of the whole matrix for any size of batch."""
    X, Y = problem(50)
    losses = []
    for batch_size in (7, 50):
        learner = MomentumStep(Perceptron([4, 8, 3], seed=1))
        result = train(learner, X, Y, {}, TrainingSettings(1e-30, epochs=1, batch_size=batch_size))
        losses.append(result.history[0]["loss"])
    predicted = Perceptron([4, 8, 3], seed=1)(torch.from_numpy(X)).detach().numpy()
    assert losses == pytest.approx([np.square(predicted - Y).sum(1).mean()] * 2, rel=1e-5)


def test_errors_are_those_of_the_rows_asked_for() -> None:
    X, Y = problem(50)
    learner = MomentumStep(Perceptron([4, 8, 3], seed=1))
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    rows = torch.tensor([3, 10, 49])
    found = gene_errors(learner, x[rows], y[rows]).mae
    np.testing.assert_allclose(found, (learner.predict(x)[rows] - y[rows]).abs().double().mean(0), rtol=1e-6)


@pytest.mark.parametrize(
    "setting",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"monitor_samples": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"rate_decay": 0.0},
        {"rate_decay": 1.1},
        {"min_rate": -1.0},
        {"patience": 0},
        {"seed": -1},
    ],
)
def test_settings_outside_what_is_accepted(setting: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=rf"^{next(iter(setting))}: found .*, accepted "):
        TrainingSettings(**{"learning_rate": 0.1, **setting})


@pytest.mark.gpu
def test_a_gpu_learns_what_the_cpu_learns() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    X, Y = problem(200)
    errors = []
    for device in ("cpu", "cuda"):
        learner = MomentumStep(Perceptron([4, 16, 8, 3], seed=1).to(device))
        result = train(learner, X, Y, {"a": problem(50, seed=1)}, TrainingSettings(0.01, epochs=5, batch_size=20))
        errors.append([row["a.error"] for row in result.history])
    np.testing.assert_allclose(errors[1], errors[0], rtol=1e-4)
