"""One network for all targets, or one for each part of them: trained one after the other or spread over ranks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dgex.atomic import json_dump
from dgex.errors import DgexError, ModelError, OutputExistsError, SettingsError
from dgex.progress import note
from dgex.training.checkpoint import DESCRIPTION, Checkpoints, data_digest
from dgex.training.learner import make_learner
from dgex.training.loop import Result, TrainingSettings, train
from dgex.training.partition import split_targets
from dgex.training.ranks import from_first, share, world

__all__ = ["Files", "Part", "Recipe", "train_parts"]

PARTITION = "partition.json"
Sets = Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Recipe:
    """What is trained, but for the data: the same for every part.

    Attributes
    ----------
    hidden : list of int
        Units of each hidden layer.
    settings : TrainingSettings
        The schedule.
    device : torch.device
        Where.
    learner : dict
        What `make_learner` takes besides sizes and device.
    identity : dict
        Settings that a checkpoint must share to be continued.
    parts, partition
        Number of parts and how targets are shared out, see `split_targets`.
    """

    hidden: list[int]
    settings: TrainingSettings
    device: torch.device
    learner: dict[str, Any]
    identity: dict[str, Any]
    parts: int = 1
    partition: str = "random"


@dataclass(frozen=True)
class Files:
    """Where a run keeps its state; the fit options of `dgex.DGEX` tell more."""

    checkpoint_dir: str | os.PathLike[str] | None = None
    checkpoint_every: int = 1
    resume: bool = False
    history_path: str | os.PathLike[str] | None = None

    def of_part(self, number: int) -> Files:
        """Those of one part among several: a folder and a learning curve of its own."""
        folder = None if self.checkpoint_dir is None else Path(self.checkpoint_dir) / f"part-{number}"
        path = None if self.history_path is None else Path(self.history_path)
        curve = None if path is None else path.with_name(f"{path.stem}-part-{number}{path.suffix}")
        return Files(folder, self.checkpoint_every, self.resume, curve)


@dataclass
class Part:
    """A trained network and the targets it predicts.

    Attributes
    ----------
    targets : ndarray of int
        Ascending positions among the model's target genes.
    best : dict
        `epoch`, `error` and `sd` of the weights kept for each evaluation set; `last` without sets.
    weights : dict of epoch to dict of name to ndarray
        One copy of each distinct epoch.
    history : list of dict
        One row an epoch.
    stopped : str
        "finished", "patience", "interrupted" or "diverged".
    """

    targets: np.ndarray
    best: dict[str, dict[str, Any]]
    weights: dict[int, dict[str, np.ndarray]] = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    stopped: str

    @property
    def default_epoch(self) -> int:
        """Epoch kept for the first evaluation set."""
        return next(iter(self.best.values()))["epoch"]

    @classmethod
    def of(cls, result: Result, targets: np.ndarray) -> Part:
        """Take a result over as numpy arrays on the CPU."""
        kept = result.best or {"last": result.last}
        measured = bool(result.best)
        best = {
            name: {"epoch": k.epoch, "error": k.error if measured else None, "sd": k.sd if measured else None}
            for name, k in kept.items()
        }
        weights = {k.epoch: {n: value.cpu().numpy() for n, value in k.weights.items()} for k in kept.values()}
        return cls(targets, best, weights, result.history, result.stopped)


def train_parts(recipe: Recipe, X: np.ndarray, Y: np.ndarray, sets: Sets, files: Files) -> list[Part]:
    """Train one network a part of the targets, each exactly as if its targets were all there are.

    Under torchrun several parts are spread over the ranks: rank r of n trains parts r, r + n, … and takes the
    others' from the folder of checkpoints, which all ranks must see.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C before every part had an epoch to keep.
    SettingsError, DataError, ModelError, OutputExistsError
        As `dgex.DGEX.fit`.
    DgexError
        Another rank failed or is gone.
    """
    _refuse_other_kind(recipe.parts, files)
    if recipe.parts == 1:
        return [_train_one(recipe, X, Y, sets, files, np.arange(Y.shape[1]))]
    rank, size = world()
    if size > 1 and files.checkpoint_dir is None:
        raise SettingsError("target_parts over several processes need checkpoint_dir, a folder that all of them see")
    shares = _shares(recipe, Y, files)
    advice = f"finished epochs of every part are in {files.checkpoint_dir}; resume=True (--resume) goes on from there"
    parts: dict[int, Part] = {}
    failed: str | None = None
    try:
        for at in range(rank, len(shares), size):
            note(f"part {at + 1} of {len(shares)}: {len(shares[at]):,} target genes")
            parts[at] = _one_of(recipe, X, Y, sets, files, shares, at)
            if parts[at].stopped == "interrupted" and at + size < len(shares):
                raise KeyboardInterrupt
    except DgexError as error:
        if size == 1:
            raise
        failed = str(error)
    for other, reason in enumerate(share(failed, advice)):
        if reason:
            raise DgexError(f"rank {other} of {size} failed: {reason}; {advice}")
    collect = Files(files.checkpoint_dir, files.checkpoint_every, True, None)
    for at in range(len(shares)):
        if at not in parts:
            parts[at] = _one_of(recipe, X, Y, sets, collect, shares, at)
    share(None, advice)  # whoever goes on may remove the checkpoints: not before all have read them
    return [parts[at] for at in range(len(shares))]


def _one_of(
    recipe: Recipe, X: np.ndarray, Y: np.ndarray, sets: Sets, files: Files, shares: Sequence[np.ndarray], at: int
) -> Part:
    targets = shares[at]
    own = {name: (x, np.ascontiguousarray(y[:, targets])) for name, (x, y) in sets.items()}
    return _train_one(recipe, X, np.ascontiguousarray(Y[:, targets]), own, files.of_part(at + 1), targets)


def _train_one(recipe: Recipe, X: np.ndarray, Y: np.ndarray, sets: Sets, files: Files, targets: np.ndarray) -> Part:
    checkpoints = None
    if files.checkpoint_dir is not None:
        digest = data_digest(X, Y, sets)
        checkpoints = Checkpoints(files.checkpoint_dir, recipe.identity, digest, files.checkpoint_every)
    learner = make_learner([X.shape[1], *recipe.hidden, Y.shape[1]], device=recipe.device, **recipe.learner)
    options: dict[str, Any] = {"history_path": files.history_path, "checkpoints": checkpoints, "resume": files.resume}
    return Part.of(train(learner, X, Y, sets, recipe.settings, **options), targets)


def _refuse_other_kind(parts: int, files: Files) -> None:
    """Refuse the folder of a joint network for parts, and the other way round."""
    if files.checkpoint_dir is None:
        return
    folder = Path(files.checkpoint_dir)
    if not (folder / (PARTITION if parts == 1 else DESCRIPTION)).exists():
        return
    if not files.resume:
        raise _exists(folder)
    before = "several" if parts == 1 else "1"
    raise ModelError(
        f"the checkpoint in {folder} is of other settings (target_parts: checkpoint {before}, now {parts})"
    )


def _exists(folder: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{folder} holds a checkpoint; give another folder, or resume=True (--resume) to continue it"
    )


def _shares(recipe: Recipe, Y: np.ndarray, files: Files) -> list[np.ndarray]:
    """The parts; those of a run that goes on are read from its folder, for clusters could move with the machine."""

    def make() -> list[np.ndarray]:
        path = None if files.checkpoint_dir is None else Path(files.checkpoint_dir) / PARTITION
        if path is not None and path.exists():
            return _read_shares(path, recipe, Y.shape[1], files.resume)
        shares = split_targets(Y, recipe.parts, recipe.partition, recipe.settings.seed)
        if path is not None:
            asked = {"target_parts": recipe.parts, "partition": recipe.partition}
            json_dump(asked | {"targets": [part.tolist() for part in shares]}, path)
        return shares

    return from_first(make, "nothing was trained yet")


def _read_shares(path: Path, recipe: Recipe, genes: int, resume: bool) -> list[np.ndarray]:
    if not resume:
        raise _exists(path.parent)
    try:
        held = json.loads(path.read_text("utf-8"))
        shares = [np.array(part, dtype=np.int64) for part in held["targets"]]
        before = {name: held[name] for name in ("target_parts", "partition")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}, a part of the checkpoint, is damaged ({type(error).__name__}: {error})") from error
    now = {"target_parts": recipe.parts, "partition": recipe.partition}
    differ = [f"{name}: checkpoint {before[name]}, now {now[name]}" for name in now if before[name] != now[name]]
    if differ:
        raise ModelError(f"the checkpoint in {path.parent} is of other settings ({'; '.join(differ)})")
    if not np.array_equal(np.sort(np.concatenate(shares)), np.arange(genes)):
        raise ModelError(f"the checkpoint in {path.parent} is of other data: its parts do not hold {genes:,} targets")
    return shares
