"""How a network is fitted: epochs of mini-batches, errors after each, the best epoch kept for every set."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgex.aliases import PathLike, Sets
from dgex.errors import DivergedError, SettingsError
from dgex.metrics import GeneErrors
from dgex.progress import Bar, bar, note, warn
from dgex.training.batches.loader import Batches, Rows
from dgex.training.batches.streams import make_batches
from dgex.training.learners.learner import Learner
from dgex.training.processes.group import ALONE, Group
from dgex.training.run.checkpoint import Checkpoints
from dgex.training.run.history import HistoryLog, epoch_text
from dgex.training.run.interrupt import StopRequest
from dgex.training.run.settings import TrainingSettings
from dgex.training.run.snapshots import Snapshots
from dgex.training.run.state import BestEpoch, Run
from dgex.training.run.tensorboard import ScalarBoard

__all__ = ["Result", "gene_errors", "train"]

_ASK_EVERY = 16  # steps between two questions to the other processes whether one of them was told to stop
PlacedSets = Mapping[str, tuple[Tensor | Rows, Tensor | Rows]]  # where the learner takes them from


@dataclass
class Result:
    """What a run left.

    Attributes
    ----------
    best : dict of name to BestEpoch
        Weights of the best epoch of every evaluation set; sets with the same best epoch share them.
    last : BestEpoch
        Weights as the run ended (of a cut-short epoch too); its errors are NaN.
    history : list of dict
        One row an epoch.
    stopped : str
        Why the run ended: "finished", "patience", "interrupted" or "diverged".
    """

    best: dict[str, BestEpoch]
    last: BestEpoch
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
    eval_sets: Sets,
    settings: TrainingSettings,
    *,
    placement: str = "device",
    floor: float | None = None,
    history_path: PathLike | None = None,
    tensorboard_dir: PathLike | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    group: Group = ALONE,
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
    placement : str
        Where the matrices are: on the "device", in "memory" or on "disk"; see `dgex.training.machine.memory`.
    floor : float, optional
        Shortest possible seconds a step; its share of the time that steps take is told and logged.
    history_path : path, optional
        JSON lines, one an epoch, each on disk as soon as its epoch is done.
    tensorboard_dir : path, optional
        The same as TensorBoard scalars.
    checkpoints : Checkpoints, optional
        Where the whole state goes after an epoch.
    resume : bool
        Continue from the checkpoint if there is one.
    group : Group
        The processes that train together, all of which call this with the same arguments. Rank 0 writes the files,
        and weights are in its result alone.

    Returns
    -------
    Result
        Also when the user pressed Ctrl-C after the first epoch: the step under way is finished (over several
        processes, a few more) and the best epochs so far are returned.

    Raises
    ------
    DivergedError
        The loss became NaN or infinite before any epoch was better than predicting each gene's mean (0 where genes
        are standardised already); otherwise that is a warning and the best so far is returned.
    KeyboardInterrupt
        Ctrl-C before the first epoch was done.
    ModelError
        The checkpoint is of other data, settings or version, or damaged.
    OutputExistsError
        A checkpoint or a history is there already and `resume` is False.
    RankError
        Another process of the group was lost.
    """
    if settings.patience is not None and not eval_sets:
        raise SettingsError(f"patience: found {settings.patience} without an evaluation set to look at")
    group.agree({"the order of batches": "blocks, from disk" if placement == "disk" else "whole"})
    data = make_batches(X, group.targets(Y), settings.batch_size, settings.seed, learner.device, placement, group)
    monitor = data.sample(settings.monitor_samples)
    monitor = monitor[group.share(len(monitor))]
    sets = {}
    for name, (x, y) in eval_sets.items():
        share = group.share(len(x))
        sets[name] = data.place(x[share]), data.place(group.targets(y[share]))
    run, snapshots = Run(rate=settings.learning_rate), Snapshots(learner.device)
    if checkpoints is not None:
        run = checkpoints.start(run, learner, resume)
    saved, stopped = run.epoch, "finished"
    with (
        HistoryLog(history_path if group.leads else None, run.history, overwrite=resume) as log,
        ScalarBoard(tensorboard_dir if group.leads else None, run.epoch + 1) as board,
        bar(settings.epochs, "training") as progress,
        StopRequest(patient=group.size > 1) as stop,
    ):
        progress.advance(run.epoch)
        try:
            while run.epoch < settings.epochs and not _out_of_patience(run, sets, settings):
                group.fate.moment = _moment(run.epoch + 1, saved, checkpoints)
                row = _one_epoch(learner, data, monitor, sets, run, settings, floor, snapshots, stop, progress, group)
                log.append(row)
                board.append(row)
                ends = run.epoch == settings.epochs or _out_of_patience(run, sets, settings)
                if checkpoints is not None and checkpoints.due(run, ends):
                    with stop.deferred():
                        checkpoints.save(run, learner, snapshots)
                    saved = run.epoch
                best = {name: kept.error for name, kept in run.best.items()}
                progress.text(epoch_text(run.history, best, settings.epochs))
        except KeyboardInterrupt:
            if run.epoch == 0:
                raise
            stopped = "interrupted"
        except _Diverged as error:
            if not _worth_keeping(learner, run, sets, group):
                none = "no epoch before it did better than predicting the mean"
                reason = none if sets else "no evaluation set chose an epoch"
                raise DivergedError(f"{error}; {reason}; try a smaller learning_rate") from None
            stopped = "diverged"
            warn(f"{error}; training stops, the best epochs so far are kept")
        finally:
            if checkpoints is not None:
                with stop.deferred():
                    checkpoints.finish()
    if stopped == "finished" and run.epoch < settings.epochs:
        stopped = "patience"
    _tell(stopped, run, settings)
    snapshots.wait()
    return Result(run.best, BestEpoch(run.epoch, math.nan, math.nan, learner.weights()), run.history, stopped)


def _one_epoch(
    learner: Learner,
    data: Batches,
    monitor: Tensor,
    sets: PlacedSets,
    run: Run,
    settings: TrainingSettings,
    floor: float | None,
    snapshots: Snapshots,
    stop: StopRequest,
    progress: Bar,
    group: Group,
) -> dict[str, Any]:
    """Learn for one epoch, measure, keep what is best, and set the rate of the next."""
    epoch, began = run.epoch + 1, time.perf_counter()
    rates = settings.rates(run.rate, epoch, len(data))
    loss = _learn(learner, data, epoch, rates, stop, progress, group)
    trained = time.perf_counter()
    errors = _pooled([gene_errors(learner, *pair) for pair in (data.rows(monitor), *sets.values())], group)
    row = {"epoch": epoch, "learning_rate": rates[0], "loss": loss} | group.from_first(lambda: _measured(errors, sets))
    for name, value in row.items():
        if not math.isfinite(value):
            raise _Diverged(f"{name} became {value} in epoch {epoch} with learning rate {rates[-1]:g}")
    row["seconds"] = time.perf_counter() - began
    row["profiles_per_s"] = data.profiles / (trained - began)
    if floor is not None:  # of full batches, a shorter one counted as a part of one
        row["share_of_ceiling"] = floor * data.profiles / min(data.batch_size, data.profiles) / (trained - began)
    with stop.deferred():  # what belongs to one epoch changes together
        better = [name for name in sets if name not in run.best or row[f"{name}.error"] < run.best[name].error]
        if better:
            weights_now = learner.weights()  # by all ranks, for the first
            weights = snapshots.take(weights_now, learner.live_weights) if group.leads else {}
            for name in better:
                run.best[name] = BestEpoch(epoch, row[f"{name}.error"], row[f"{name}.sd"], weights)
        if row["train.error"] > run.train_error:  # against the epoch before, not against the best
            run.rate = max(run.rate * settings.rate_decay, min(settings.min_rate, run.rate))
        run.epoch, run.train_error = epoch, row["train.error"]
        run.history.append(row)
    return row


def _measured(errors: Sequence[GeneErrors], sets: Iterable[str]) -> dict[str, float]:
    """What the row of an epoch tells of the errors on the fixed training samples and on each set."""
    measured = {"train.error": errors[0].overall}
    for name, found in zip(sets, errors[1:]):
        measured |= {f"{name}.error": found.overall, f"{name}.sd": found.overall_std}
    return measured


def _pooled(errors: Sequence[GeneErrors], group: Group) -> Sequence[GeneErrors]:
    """Errors over the profiles, or the genes, of all processes: sums and counts are joined before they are divided."""
    if group.size == 1:
        return errors
    pooled = []
    for parts in zip(*group.gather([(found.n, found.sums()) for found in errors])):
        counts, sums = zip(*parts)
        if group.divides == "units":
            pooled.append(GeneErrors.of_sums(counts[0], np.concatenate(sums, axis=1)))
        else:
            pooled.append(GeneErrors.of_sums(sum(counts), np.sum(sums, axis=0)))
    return pooled


def _learn(
    learner: Learner,
    data: Batches,
    epoch: int,
    rates: Sequence[float],
    stop: StopRequest,
    progress: Bar,
    group: Group,
) -> float:
    """Take every step of an epoch, each at its rate; return the mean over profiles of the loss summed over targets."""
    learner.begin_epoch(epoch)
    steps = len(data)
    losses = torch.zeros(steps, dtype=torch.float64, device=learner.device)
    # Looking at a loss would make a GPU or the other processes wait: there, once an epoch.
    waits = learner.device.type != "cpu" or group.size > 1
    with closing(data.epoch(epoch)) as batches:  # a thread that reads ahead ends here, whatever happens
        for step, (x, y) in enumerate(batches):
            losses[step] = learner.step(x, y, rates[step], data.size(step))
            if not waits:
                _check(losses[: step + 1], step, steps, epoch, rates)
            progress.advance(1 / steps)
            asked = group.size == 1 or (step + 1) % _ASK_EVERY == 0 or step + 1 == steps
            if asked and group.any(stop.requested):
                raise KeyboardInterrupt
    group.sum_(losses)
    _check(losses, 0, steps, epoch, rates)
    return float(losses.sum()) / data.profiles


def _check(losses: Tensor, first: int, steps: int, epoch: int, rates: Sequence[float]) -> None:
    bad = (~torch.isfinite(losses[first:])).nonzero()
    if len(bad):
        step = first + int(bad[0])
        raise _Diverged(
            f"training diverged: the loss became {float(losses[step])} at step {step + 1} of {steps} in epoch "
            f"{epoch} with learning rate {rates[step]:g}"
        )


def gene_errors(learner: Learner, X: Tensor | Rows, Y: Tensor | Rows) -> GeneErrors:
    """Measure the errors of `learner` on X and Y, block by block."""
    errors = GeneErrors(Y.shape[1], correlation=False)
    for start in range(0, len(X), learner.block):
        block = slice(start, start + learner.block)
        errors.update(Y[block], learner.predict(X[block]))
    return errors


def _out_of_patience(run: Run, sets: Iterable[str], settings: TrainingSettings) -> bool:
    if settings.patience is None or run.epoch == 0:
        return False
    return run.epoch - run.best[next(iter(sets))].epoch >= settings.patience


def _worth_keeping(learner: Learner, run: Run, sets: PlacedSets, group: Group) -> bool:
    """Whether a run that diverged had learned anything: a rate far too high passes through absurd epochs first."""
    if not run.best:
        return False
    name, (_, y) = next(iter(sets.items()))
    blocks = (y[start : start + 1024] - learner.center for start in range(0, len(y), 1024))
    totals = group.gather((sum(float(block.abs().sum(dtype=torch.float64)) for block in blocks), len(y) * y.shape[1]))
    total, count = (sum(part) for part in zip(*totals))
    return bool(run.best[name].error < total / count)


def _moment(epoch: int, saved: int, checkpoints: Checkpoints | None) -> str:
    """Where a run stands, for the error that ends it when a process is lost."""
    if checkpoints is None:
        return f"in epoch {epoch}; without checkpoints the run starts anew"
    if not saved:
        return f"in epoch {epoch}; no checkpoint was due yet: the run starts anew"
    return f"in epoch {epoch}; the checkpoint in {checkpoints.folder} is whole: resume=True goes on from it"


def _tell(stopped: str, run: Run, settings: TrainingSettings) -> None:
    epochs = ", ".join(f"{name} epoch {best.epoch}" for name, best in run.best.items())
    best = f"; best epochs kept: {epochs}" if epochs else ""
    if stopped == "interrupted":
        note(f"interrupted after {run.epoch} of {settings.epochs} epochs{best}")
    elif stopped == "patience":
        note(f"stopped after {run.epoch} epochs: no better error for {settings.patience}{best}")
