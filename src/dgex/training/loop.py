"""How a network is fitted: epochs of mini-batches, errors after each, the best epoch kept for every set."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgex.errors import DivergedError, SettingsError
from dgex.metrics import GeneErrors
from dgex.progress import Bar, bar, note, warn
from dgex.training.checkpoint import Checkpoints
from dgex.training.history import HistoryLog
from dgex.training.interrupt import StopRequest
from dgex.training.learner import Learner
from dgex.training.loader import Batches, as_tensor
from dgex.training.run import Kept, Run

__all__ = ["Result", "TrainingSettings", "gene_errors", "train"]

_BLOCK = 1024  # profiles predicted at once when errors are measured
Sets = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class TrainingSettings:
    """Schedule of a run; the meaning of each setting is told by `dgex.DGEX`, which shares their defaults.

    Raises
    ------
    SettingsError
        A setting outside what is accepted.
    """

    learning_rate: float
    epochs: int = 200
    batch_size: int = 200
    rate_decay: float = 0.9
    min_rate: float = 1e-5
    monitor_samples: int = 5000
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "monitor_samples", "seed"):
            value = getattr(self, name)
            _accept(name, value, isinstance(value, int | np.integer) and not isinstance(value, bool), "a whole number")
        for name in ("learning_rate", "rate_decay", "min_rate"):
            value = getattr(self, name)
            _accept(name, value, isinstance(value, int | float | np.number), "a number")
        for name in ("epochs", "batch_size", "monitor_samples"):
            _accept(name, getattr(self, name), getattr(self, name) >= 1, "1 or more")
        rate = self.learning_rate
        _accept("learning_rate", rate, rate > 0 and math.isfinite(rate), "a number above 0")
        _accept("rate_decay", self.rate_decay, 0 < self.rate_decay <= 1, "above 0, at most 1")
        _accept("min_rate", self.min_rate, self.min_rate >= 0, "0 or more")
        _accept("patience", self.patience, self.patience is None or self.patience >= 1, "None, or 1 or more")
        _accept("seed", self.seed, self.seed >= 0, "0 or more")


def _accept(name: str, value: object, fits: bool, accepted: str) -> None:
    if not fits:
        raise SettingsError(f"{name}: found {value}, accepted {accepted}")


@dataclass
class Result:
    """What a run left.

    Attributes
    ----------
    best : dict of name to Kept
        Weights of the best epoch of every evaluation set; sets with the same best epoch share them.
    last : Kept
        Weights as the run ended (of a cut-short epoch too); its errors are NaN.
    history : list of dict
        One row an epoch.
    stopped : str
        Why the run ended: "finished", "patience", "interrupted" or "diverged".
    """

    best: dict[str, Kept]
    last: Kept
    history: list[dict[str, Any]] = field(repr=False)
    stopped: str

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped the run."""
        return self.stopped == "interrupted"


class _Diverged(Exception):
    """The loss or an error is no longer a number."""


def train(
    learner: Learner,
    X: np.ndarray,
    Y: np.ndarray,
    eval_sets: Mapping[str, tuple[np.ndarray, np.ndarray]],
    settings: TrainingSettings,
    *,
    history_path: str | os.PathLike[str] | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
) -> Result:
    """Train `learner` on X and Y, float32 matrices of profiles x landmarks and profiles x targets.

    Parameters
    ----------
    learner : Learner
        Trained in place.
    eval_sets : dict of name to (X, Y)
        The best epoch is kept for each; `settings.patience` looks at the first.
    settings : TrainingSettings
        The schedule.
    history_path : path, optional
        JSON lines, one an epoch, each on disk as soon as its epoch is done.
    checkpoints : Checkpoints, optional
        Where the whole state goes after an epoch.
    resume : bool
        Continue from the checkpoint if there is one.

    Returns
    -------
    Result
        Also when the user pressed Ctrl-C after the first epoch: the step under way is finished and the best
        epochs so far are returned.

    Raises
    ------
    DivergedError
        The loss became NaN or infinite before any epoch was better than predicting 0, the mean of a
        standardised gene; otherwise that is a warning and the best so far is returned.
    KeyboardInterrupt
        Ctrl-C before the first epoch was done.
    ModelError
        The checkpoint is of other data, settings or version, or damaged.
    OutputExistsError
        A checkpoint or a history is there already and `resume` is False.
    """
    if settings.patience is not None and not eval_sets:
        raise SettingsError(f"patience: found {settings.patience} without an evaluation set to look at")
    data = Batches(X, Y, settings.batch_size, settings.seed, learner.device)
    monitor = data.sample(settings.monitor_samples)
    sets = {n: (as_tensor(x, learner.device), as_tensor(y, learner.device)) for n, (x, y) in eval_sets.items()}
    run = Run(rate=settings.learning_rate)
    if checkpoints is not None:
        run = checkpoints.start(run, learner, resume)
    stopped = "finished"
    with (
        HistoryLog(history_path, run.history, overwrite=resume) as log,
        bar(settings.epochs, "training") as progress,
        StopRequest() as stop,
    ):
        progress.advance(run.epoch)
        try:
            while run.epoch < settings.epochs and not _out_of_patience(run, sets, settings):
                row = _one_epoch(learner, data, monitor, sets, run, settings, stop, progress)
                log.append(row)
                ends = run.epoch == settings.epochs or _out_of_patience(run, sets, settings)
                if checkpoints is not None and (ends or run.epoch % checkpoints.every == 0):
                    with stop.deferred():
                        checkpoints.save(run, learner)
                progress.text(_text(run, row, sets))
        except KeyboardInterrupt:
            if run.epoch == 0:
                raise
            stopped = "interrupted"
        except _Diverged as error:
            if not _worth_keeping(run, sets):
                raise DivergedError(
                    f"{error}; no epoch before it did better than predicting 0; try a smaller learning_rate"
                ) from None
            stopped = "diverged"
            warn(f"{error}; training stops, the best epochs so far are kept")
    if stopped == "finished" and run.epoch < settings.epochs:
        stopped = "patience"
    _tell(stopped, run, settings)
    return Result(run.best, Kept(run.epoch, math.nan, math.nan, learner.weights()), run.history, stopped)


def _one_epoch(
    learner: Learner,
    data: Batches,
    monitor: Tensor,
    sets: Sets,
    run: Run,
    settings: TrainingSettings,
    stop: StopRequest,
    progress: Bar,
) -> dict[str, Any]:
    """Learn for one epoch, measure, keep what is best, and set the rate of the next."""
    epoch, began = run.epoch + 1, time.perf_counter()
    loss = _learn(learner, data, epoch, run.rate, stop, progress)
    trained = time.perf_counter()
    train_error = gene_errors(learner, *data.rows(monitor)).overall
    errors = {name: gene_errors(learner, x, y) for name, (x, y) in sets.items()}
    row = {"epoch": epoch, "learning_rate": run.rate, "loss": loss, "train.error": train_error}
    for name, found in errors.items():
        row |= {f"{name}.error": found.overall, f"{name}.sd": found.overall_std}
    for name, value in row.items():
        if not math.isfinite(value):
            raise _Diverged(f"{name} became {value} in epoch {epoch} with learning rate {run.rate:g}")
    row["seconds"] = time.perf_counter() - began
    row["profiles_per_s"] = data.profiles / (trained - began)
    with stop.deferred():  # what belongs to one epoch changes together
        better = [n for n, found in errors.items() if n not in run.best or found.overall < run.best[n].error]
        if better:
            weights = {name: value.clone() for name, value in learner.weights().items()}
            for name in better:
                run.best[name] = Kept(epoch, errors[name].overall, errors[name].overall_std, weights)
        if train_error > run.train_error:  # against the epoch before, not against the best
            run.rate = max(run.rate * settings.rate_decay, min(settings.min_rate, run.rate))
        run.epoch, run.train_error = epoch, train_error
        run.history.append(row)
    return row


def _learn(learner: Learner, data: Batches, epoch: int, rate: float, stop: StopRequest, progress: Bar) -> float:
    """Take every step of an epoch; return the mean over profiles of the squared error summed over targets."""
    learner.begin_epoch(epoch)
    steps = len(data)
    losses = torch.zeros(steps, dtype=torch.float64, device=learner.device)
    waits = learner.device.type != "cpu"  # looking at a loss would make a GPU wait: there, once an epoch
    for step, (x, y) in enumerate(data.epoch(epoch)):
        losses[step] = learner.step(x, y, rate)
        if not waits:
            _check(losses[: step + 1], step, steps, epoch, rate)
        progress.advance(1 / steps)
        if stop.requested:
            raise KeyboardInterrupt
    _check(losses, 0, steps, epoch, rate)
    return float(losses.sum()) / data.profiles


def _check(losses: Tensor, first: int, steps: int, epoch: int, rate: float) -> None:
    bad = (~torch.isfinite(losses[first:])).nonzero()
    if len(bad):
        step = first + int(bad[0])
        raise _Diverged(
            f"training diverged: the loss became {float(losses[step])} at step {step + 1} of {steps} in epoch "
            f"{epoch} with learning rate {rate:g}"
        )


def gene_errors(learner: Learner, X: Tensor, Y: Tensor) -> GeneErrors:
    """Measure the errors of `learner` on X and Y, block by block."""
    errors = GeneErrors(Y.shape[1], correlation=False)
    for start in range(0, len(X), _BLOCK):
        block = slice(start, start + _BLOCK)
        errors.update(Y[block], learner.predict(X[block]))
    return errors


def _out_of_patience(run: Run, sets: Iterable[str], settings: TrainingSettings) -> bool:
    if settings.patience is None or run.epoch == 0:
        return False
    return run.epoch - run.best[next(iter(sets))].epoch >= settings.patience


def _worth_keeping(run: Run, sets: Sets) -> bool:
    """Whether a run that diverged had learned anything: a rate far too high passes through absurd epochs first."""
    if not run.best:
        return False
    name, (_, y) = next(iter(sets.items()))
    return run.best[name].error < float(y.abs().mean(dtype=torch.float64))


def _text(run: Run, row: dict[str, Any], sets: Iterable[str]) -> str:
    errors = [f"{name} {row[f'{name}.error']:.4f} (best {run.best[name].error:.4f})" for name in sets]
    return "  ".join([f"epoch {run.epoch}", f"train {row['train.error']:.4f}", *errors])


def _tell(stopped: str, run: Run, settings: TrainingSettings) -> None:
    kept = ", ".join(f"{name} epoch {best.epoch}" for name, best in run.best.items())
    best = f"; best epochs kept: {kept}" if kept else ""
    if stopped == "interrupted":
        note(f"interrupted after {run.epoch} of {settings.epochs} epochs{best}")
    elif stopped == "patience":
        note(f"stopped after {run.epoch} epochs: no better error for {settings.patience}{best}")
