"""One network for all targets, or one for each part of them: trained one after the other or spread over ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dgex.aliases import PathLike, Sets
from dgex.atomic import json_dump
from dgex.digests import of_sets
from dgex.errors import DgexError, ModelError, RankError, SettingsError
from dgex.progress import note
from dgex.records import read_json
from dgex.training.batches.streams import order_words
from dgex.training.learners.learner import Learner, make_learner
from dgex.training.learners.sharded import divided
from dgex.training.learners.standard import Standard, StandardStep
from dgex.training.learners.tuning import Arithmetic, using_threads
from dgex.training.machine.ceiling import floor_seconds, measured_ceiling, worth_measuring
from dgex.training.machine.device import on_device
from dgex.training.machine.memory import Footprint, choose_placement
from dgex.training.processes.group import ALONE, Group
from dgex.training.run.checkpoint import DESCRIPTION, PARTITION, Checkpoints, refuse_existing
from dgex.training.run.loop import Result, train
from dgex.training.run.partition import split_targets
from dgex.training.run.settings import TrainingSettings
from dgex.work import differences

__all__ = ["Part", "Recipe", "RunFiles", "train_one", "train_parts"]


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
        What `make_learner` takes besides sizes, device, precision and group.
    identity : dict
        Settings that a checkpoint must share to be continued.
    precision, placement, shard
        As `dgex.DGEX` takes them.
    parts, partition
        Number of parts and how targets are shared out, see `split_targets`.
    build : function
        Makes the learner, called as `make_learner` is.
    footprint : function of sizes, batch size and parts
        What training takes of a device.
    measured : bool
        Whether the shortest possible time of a step is known for this kind of learner.
    statistics : mapping of name to ndarray, optional
        Of all genes, as `Standard` takes them: the learner is then given genes that these standardise. None where they
        are standardised already, or the learner sees to it.
    """

    hidden: list[int]
    settings: TrainingSettings
    device: torch.device
    learner: dict[str, Any]
    identity: dict[str, Any]
    precision: str = "auto"
    placement: str = "auto"
    shard: bool | None = None
    parts: int = 1
    partition: str = "random"
    build: Callable[..., Learner] = make_learner
    footprint: Callable[..., Footprint] = Footprint
    measured: bool = True
    statistics: Mapping[str, np.ndarray] | None = None


@dataclass(frozen=True)
class RunFiles:
    """Where a run keeps its state; the fit options of `dgex.DGEX` tell more."""

    checkpoint_dir: PathLike | None = None
    checkpoint_every: int = 1
    resume: bool = False
    history_path: PathLike | None = None
    tensorboard_dir: PathLike | None = None

    def of_part(self, number: int) -> RunFiles:
        """Those of one part among several: folders and a learning curve of its own."""
        folder, board = (
            None if path is None else Path(path) / f"part-{number}"
            for path in (self.checkpoint_dir, self.tensorboard_dir)
        )
        path = None if self.history_path is None else Path(self.history_path)
        curve = None if path is None else path.with_name(f"{path.stem}-part-{number}{path.suffix}")
        return RunFiles(folder, self.checkpoint_every, self.resume, curve, board)

    def to_collect(self) -> RunFiles:
        """Those of a part that another process has trained."""
        return RunFiles(self.checkpoint_dir, self.checkpoint_every, resume=True)


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
    precision : str
        What it was trained with.
    """

    targets: np.ndarray
    best: dict[str, dict[str, Any]]
    weights: dict[int, dict[str, np.ndarray]] = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    stopped: str
    precision: str = "float32"

    @property
    def default_epoch(self) -> int:
        """Epoch kept for the first evaluation set."""
        return int(next(iter(self.best.values()))["epoch"])

    @classmethod
    def of(cls, result: Result, targets: np.ndarray, precision: str) -> Part:
        """Take a result over as numpy arrays on the CPU."""
        best_epochs = result.best or {"last": result.last}
        measured = bool(result.best)
        best = {
            name: {"epoch": k.epoch, "error": k.error if measured else None, "sd": k.sd if measured else None}
            for name, k in best_epochs.items()
        }
        weights = {k.epoch: {n: value.cpu().numpy() for n, value in k.weights.items()} for k in best_epochs.values()}
        return cls(targets, best, weights, result.history, result.stopped, precision)


def train_parts(
    recipe: Recipe, X: np.ndarray, Y: np.ndarray, sets: Sets, files: RunFiles, group: Group = ALONE
) -> list[Part]:
    """Train one network for all targets, or one a part of them as if its targets were all there are.

    One network is trained by all processes of `group` together. Several are dealt to them: rank r of n trains parts
    r, r + n, … alone and takes the others' from the folder of checkpoints, which all ranks must see.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C before the last part, or in any part that processes share out; checkpoints are kept.
    SettingsError, DataError, ModelError, OutputExistsError, RankError
        As `dgex.DGEX.fit`.
    """
    group.from_first(lambda: _refuse_other_kind(recipe.parts, files))
    if recipe.parts == 1:
        return [train_one(recipe, X, Y, sets, files, np.arange(Y.shape[1]), group)]
    if group.size == 1:
        return _train_several(recipe, X, Y, sets, files)
    return _train_spread(replace(recipe, device=group.device or recipe.device), X, Y, sets, files, group)


def _train_several(recipe: Recipe, X: np.ndarray, Y: np.ndarray, sets: Sets, files: RunFiles) -> list[Part]:
    """Train the parts one after the other."""
    shares = _shares(recipe, Y, files)
    parts = []
    for at in range(len(shares)):
        parts.append(_of_share(recipe, X, Y, sets, files, shares, at))
        if parts[at].stopped == "interrupted" and at + 1 < len(shares):
            raise KeyboardInterrupt
    return parts


def _train_spread(
    recipe: Recipe, X: np.ndarray, Y: np.ndarray, sets: Sets, files: RunFiles, group: Group
) -> list[Part]:
    """Train this rank's parts, and take the others' when all are done."""
    if files.checkpoint_dir is None:
        raise SettingsError("target_parts over several processes need checkpoint_dir, a folder that all of them see")
    advice = f"finished epochs of every part are in {files.checkpoint_dir}; resume=True goes on from there"
    group = group.patient(f"while parts of the targets were trained; {advice}")
    facts = {"target_parts": recipe.parts, "partition": recipe.partition, "epochs": recipe.settings.epochs}
    group.agree({"the data": of_sets({"": (X, Y), **sets})[:12], **recipe.identity, **facts, "resume": files.resume})
    shares = group.from_first(lambda: _shares(recipe, Y, files))
    parts: dict[int, Part] = {}
    failed: str | None = None
    try:
        for at in range(group.rank, len(shares), group.size):
            parts[at] = _of_share(recipe, X, Y, sets, files, shares, at)
            if parts[at].stopped == "interrupted" and at + group.size < len(shares):
                raise KeyboardInterrupt
    except RankError:  # told to stop
        raise
    except DgexError as error:
        failed = str(error)
    group.all_well(failed, advice)
    if group.any(any(part.stopped == "interrupted" for part in parts.values())):
        raise KeyboardInterrupt  # to collect a part that is not finished would train it
    for at in range(len(shares)):
        if at not in parts:
            parts[at] = _of_share(recipe, X, Y, sets, files.to_collect(), shares, at)
    group.gather(None)  # whoever goes on may remove the checkpoints: not before all have read them
    return [parts[at] for at in range(len(shares))]


def _of_share(
    recipe: Recipe, X: np.ndarray, Y: np.ndarray, sets: Sets, files: RunFiles, shares: Sequence[np.ndarray], at: int
) -> Part:
    targets = shares[at]
    note(f"part {at + 1} of {len(shares)}: {len(targets):,} target genes")
    own = {name: (x, np.ascontiguousarray(y[:, targets])) for name, (x, y) in sets.items()}
    return train_one(recipe, X, np.ascontiguousarray(Y[:, targets]), own, files.of_part(at + 1), targets, ALONE)


def train_one(
    recipe: Recipe, X: np.ndarray, Y: np.ndarray, sets: Sets, files: RunFiles, targets: np.ndarray, group: Group
) -> Part:
    """Train one network for `targets`, the columns of Y: check that it fits, choose its arithmetic, run the loop.

    Raises
    ------
    SettingsError
        A CUDA device that has no room for it.
    DivergedError, KeyboardInterrupt, ModelError, OutputExistsError, RankError
        As `dgex.training.run.loop.train`.
    """
    settings, identity = recipe.settings, dict(recipe.identity)
    digest = of_sets({"": (X, Y), **sets}) if files.checkpoint_dir is not None or group.size > 1 else ""
    checkpointing = {"checkpoints": files.checkpoint_dir is not None and files.checkpoint_every, "resume": files.resume}
    how = {"epochs": settings.epochs, "patience": settings.patience, "shard": recipe.shard, **checkpointing}
    group.agree({"the data": digest[:12], **identity, **how})
    device = group.device or recipe.device
    sizes = [X.shape[1], *recipe.hidden, Y.shape[1]]
    group = divided(group, sizes, settings.batch_size, recipe.shard)
    needs = recipe.footprint(tuple(sizes), min(settings.batch_size, len(X)), recipe.parts)
    if group.divides == "profiles":
        needs.require(device)
    matrices = [X, Y, *(matrix for pair in sets.values() for matrix in pair)]
    placement = choose_placement(recipe.placement, matrices, device, needs)
    identity["order"] = order_words(placement)
    checkpoints = None
    if files.checkpoint_dir is not None:
        checkpoints = Checkpoints(files.checkpoint_dir, identity, digest, files.checkpoint_every, group)
    chosen = group.from_first(lambda: _arithmetic(recipe, device, sizes, checkpoints if files.resume else None))
    if checkpoints is not None:
        checkpoints.arithmetic = chosen.record()
    options: dict[str, Any] = {"history_path": files.history_path, "tensorboard_dir": files.tensorboard_dir}
    options |= {"checkpoints": checkpoints, "resume": files.resume, "placement": placement, "group": group}
    with on_device(device), needs.watched(device), using_threads(chosen.threads):
        learner = recipe.build(sizes, device=device, precision=chosen.precision, group=group, **recipe.learner)
        if recipe.statistics is not None:
            learner = StandardStep(learner, _standard(recipe.statistics, targets, group, learner.device))
        floor = _floor(needs, chosen.precision, learner.device) if recipe.measured else None
        result = train(learner, X, Y, sets, settings, floor=floor, **options)
    return Part.of(result, targets, chosen.precision)


def _standard(
    statistics: Mapping[str, np.ndarray], targets: np.ndarray, group: Group, device: torch.device
) -> Standard:
    """Statistics of the landmark genes, and of those among `targets` that this process learns."""
    own = {name: group.targets(value[None, targets])[0] for name, value in statistics.items() if name[0] == "y"}
    return Standard.on(device, {**statistics, **own})


def _arithmetic(recipe: Recipe, device: torch.device, sizes: list[int], resumed: Checkpoints | None) -> Arithmetic:
    """What to compute with: as the checkpoint that the run goes on from, or as suits the machine."""
    recorded = None if resumed is None else resumed.recorded_arithmetic()
    return Arithmetic.choose(recipe.precision, device, sizes, recipe.settings.batch_size, recorded)


def _floor(needs: Footprint, precision: str, device: torch.device) -> float | None:
    """Shortest possible seconds a step on this device, where a step is long enough to ask."""
    if not worth_measuring(needs.sizes, needs.batch_size):
        return None
    try:
        ceiling = measured_ceiling(device, precision, torch.get_num_threads())
    except torch.cuda.OutOfMemoryError:  # a GPU that has just room for the network
        return None
    return floor_seconds(needs.sizes, needs.batch_size, precision, ceiling, device.type)


def _refuse_other_kind(parts: int, files: RunFiles) -> None:
    """Refuse the folder of a joint network for parts, and the other way round."""
    if files.checkpoint_dir is None:
        return
    folder = Path(files.checkpoint_dir)
    if not files.resume:
        refuse_existing(folder)
    elif (folder / (PARTITION if parts == 1 else DESCRIPTION)).exists():
        before = "several" if parts == 1 else "1"
        raise ModelError(f"the checkpoint in {folder} is of other settings (target_parts: there {before}, now {parts})")


def _shares(recipe: Recipe, Y: np.ndarray, files: RunFiles) -> list[np.ndarray]:
    """The parts; those of a run that goes on are read from its folder, for clusters could move with the machine."""
    path = None if files.checkpoint_dir is None else Path(files.checkpoint_dir) / PARTITION
    if path is not None and path.exists():
        return _read_shares(path, recipe, Y.shape[1])
    shares = split_targets(Y, recipe.parts, recipe.partition, recipe.settings.seed)
    if path is not None:
        asked = {"target_parts": recipe.parts, "partition": recipe.partition}
        json_dump(asked | {"targets": [part.tolist() for part in shares]}, path)
    return shares


def _read_shares(path: Path, recipe: Recipe, genes: int) -> list[np.ndarray]:
    try:
        stored = read_json(path)
        shares = [np.array(part, dtype=np.int64) for part in stored["targets"]]
        before = {name: stored[name] for name in ("target_parts", "partition")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}, a part of the checkpoint, is damaged ({type(error).__name__}: {error})") from error
    now = {"target_parts": recipe.parts, "partition": recipe.partition}
    differ = differences(before, now)
    if differ:
        raise ModelError(f"the checkpoint in {path.parent} is of other settings ({'; '.join(differ)})")
    if not np.array_equal(np.sort(np.concatenate(shares)), np.arange(genes)):
        raise ModelError(f"the checkpoint in {path.parent} is of other data: its parts do not hold {genes:,} targets")
    return shares
