"""Checkpoints: the whole state of a run on disk after an epoch, so that a killed run loses no finished epoch.

The folder holds `checkpoint.json` (progress, history, what the run is of) and the safetensors files that it
names: the current weights with their momentum, and the weights of each best epoch, written once. The JSON file
is replaced last and atomically: until then the one before it and all its files are in place. Random streams
follow from the seed and the epoch (see `dgex.seeds`), so the seed is their whole state.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dgex._version import __version__
from dgex.aliases import PathLike
from dgex.atomic import atomic_file, json_dump, writing
from dgex.errors import ModelError, OutputExistsError, SettingsError, os_error
from dgex.ownership import PARTIAL, safe_name
from dgex.progress import note
from dgex.records import read_json
from dgex.training.learners.learner import Learner
from dgex.training.processes.group import ALONE, Group
from dgex.training.run.snapshots import Snapshots
from dgex.training.run.state import BestEpoch, Run
from dgex.work import as_json, differences

__all__ = ["Checkpoints", "refuse_existing"]

FORMAT = 1
DESCRIPTION = "checkpoint.json"
PARTITION = "partition.json"  # of a run in parts, each of which has a folder of its own


class Checkpoints:
    """A folder of checkpoints of one run.

    Parameters
    ----------
    folder : path
        Made when missing. Only the latest checkpoint is kept in it.
    settings : dict
        What decides the weights: everything but the number of epochs, which may be raised on resuming.
    data : str
        What `dgex.digests.of_sets` says of the training and evaluation matrices.
    every : int
        Epochs from one checkpoint to the next.
    group : Group
        The processes of the run. Rank 0 alone reads and writes, so that the others need not see the folder, and
        what is kept is whole, so that a run may go on with another number of ranks.

    Attributes
    ----------
    arithmetic : dict
        What the run computes with, see `dgex.training.learners.tuning.Arithmetic`; recorded but not compared.

    Raises
    ------
    SettingsError
        `every` is below 1.
    """

    def __init__(
        self,
        folder: PathLike,
        settings: Mapping[str, Any],
        data: str,
        every: int = 1,
        group: Group = ALONE,
    ) -> None:
        if every < 1:
            raise SettingsError("checkpoint_every", found=every, accepted="1 or more")
        self.folder, self.data, self.every, self.group = Path(folder), data, every, group
        self.settings = as_json(settings)
        self.arithmetic: dict[str, Any] = {}
        self._files: set[str] = set()
        self._writer: Thread | None = None
        self._failure: BaseException | None = None

    def recorded_arithmetic(self) -> dict[str, Any]:
        """What the run in the folder was computed with; empty where there is none, or none was recorded.

        Raises
        ------
        ModelError
            The checkpoint is damaged or of another version.
        """
        return self._read().get("arithmetic", {}) if (self.folder / DESCRIPTION).exists() else {}

    def start(self, run: Run, learner: Learner, resume: bool) -> Run:
        """Return the run to go on with: `run` as it is, or the one of the checkpoint, loaded into `learner`.

        Raises
        ------
        OutputExistsError
            There is a checkpoint and `resume` is False.
        ModelError
            The checkpoint is of other data, settings or version, or damaged.
        """
        described = self.group.from_first(lambda: self._found(resume))
        if described is None:
            return run
        loaded = self._load(described, learner)
        note(f"resumed from {self.folder} after epoch {loaded.epoch}")
        return loaded

    def due(self, run: Run, last: bool) -> bool:
        """Whether the state after this epoch is to be written.

        On a GPU a checkpoint is written beside the training. Where the disk is slower than the epochs, those that
        end while one is being written are left out.
        """
        if last or run.epoch % self.every:
            return last
        return self.group.from_first(lambda: self._writer is None or not self._writer.is_alive())

    def save(self, run: Run, learner: Learner, snapshots: Snapshots) -> None:
        """Write the state after an epoch, then remove the one before it; `finish` waits for what goes on beside.

        Raises
        ------
        FileError
            The folder cannot be written; the checkpoint before stays.
        """
        self.finish()
        copied = [kept.weights for kept in run.best.values() if kept.epoch == run.epoch]
        weights, velocity = copied[0] if copied else learner.weights(), learner.velocity()
        self.group.check()
        if not self.group.leads:  # which has helped rank 0 to the whole tensors
            return
        described = {
            "format": FORMAT,
            "dgex": __version__,
            "torch": torch.__version__,
            "settings": self.settings,
            "arithmetic": self.arithmetic,
            "data": self.data,
            "epoch": run.epoch,
            "rate": run.rate,
            "train_error": run.train_error,
            "history": list(run.history),
        }
        best = dict(run.best)
        if learner.device.type == "cpu":
            self._put(described, _joined(weights, velocity), best)
            return
        weights = weights if copied else snapshots.take(weights, learner.live_weights)
        tensors = _joined(weights, snapshots.take(velocity, live=True))

        def work() -> None:
            try:
                snapshots.wait()
                self._put(described, tensors, best)
            except BaseException as error:  # raised again where somebody hears of it
                self._failure = error

        self._writer = Thread(target=work, name="checkpoint")
        self._writer.start()

    def finish(self) -> None:
        """Wait for a checkpoint under way; raises what `save` could not."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _put(self, described: dict[str, Any], tensors: Mapping[str, Tensor], best: Mapping[str, BestEpoch]) -> None:
        state = f"state-{described['epoch']:05d}.safetensors"
        self._write(state, tensors)
        entries: dict[str, dict[str, Any]] = {}
        for name, kept in best.items():
            file = f"best-{kept.epoch:05d}.safetensors"
            if file not in self._files:
                self._write(file, kept.weights)
            entries[name] = {"epoch": kept.epoch, "error": kept.error, "sd": kept.sd, "file": file}
        json_dump(described | {"state": state, "best": entries}, self.folder / DESCRIPTION)
        self._files = {state, *(entry["file"] for entry in entries.values())}
        self._clean()

    def _write(self, file: str, tensors: Mapping[str, Tensor]) -> None:
        with atomic_file(self.folder / file, overwrite=True) as temporary, writing(self.folder / file):
            save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)
        self._files.add(file)

    def _clean(self) -> None:
        """Remove what no checkpoint names: the state before this one, and what a killed run left."""
        for pattern in ("state-*.safetensors", "best-*.safetensors", f"{PARTIAL}*"):
            for path in self.folder.glob(pattern):
                if path.name not in self._files:
                    try:
                        path.unlink()
                    except OSError as error:
                        raise os_error(path, error) from error

    def _found(self, resume: bool) -> dict[str, Any] | None:
        """What the folder's checkpoint says of itself, if there is one and it may be continued."""
        if not (self.folder / DESCRIPTION).exists():
            if resume:
                note(f"no checkpoint in {self.folder} yet: training starts from the beginning")
            return None
        if not resume:
            refuse_existing(self.folder)
        described = self._read()
        self._compare(described)
        return described

    def _read(self) -> dict[str, Any]:
        path = self.folder / DESCRIPTION
        try:
            described = read_json(path)
            version = int(described["format"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path} is damaged or no checkpoint ({type(error).__name__}: {error})") from error
        if version != FORMAT:
            raise ModelError(
                f"{self.folder} holds a checkpoint of format {version}, written by dgex {described.get('dgex')}; "
                f"this dgex {__version__} continues format {FORMAT}"
            )
        return dict(described)

    def _compare(self, described: Mapping[str, Any]) -> None:
        differ = differences(described.get("settings", {}), self.settings)
        if differ:
            raise ModelError(f"the checkpoint in {self.folder} is of other settings ({'; '.join(differ)})")
        if described.get("data") != self.data:
            raise ModelError(
                f"the checkpoint in {self.folder} is of other data: the training or evaluation matrices "
                "(values, shapes, order or names of the sets) are not those it was made with"
            )

    def _load(self, described: Mapping[str, Any], learner: Learner) -> Run:
        try:
            state = self._tensors(described["state"])
            learner.load(_part(state, "weights."), _part(state, "velocity."))
            files = {entry["file"] for entry in described["best"].values()}
            weights = {file: self._tensors(file) for file in files}
            best = {
                name: BestEpoch(entry["epoch"], entry["error"], entry["sd"], weights[entry["file"]])
                for name, entry in described["best"].items()
            }
            run = Run(
                described["rate"],
                described["epoch"],
                described["train_error"],
                list(described["history"]),
                best,
            )
        except (KeyError, TypeError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ModelError(f"the checkpoint in {self.folder} is damaged ({reason})") from error
        self._files = {described["state"], *files}
        return run

    def _tensors(self, file: str) -> dict[str, Tensor]:
        if not self.group.leads:
            return {}
        try:
            return load_file(self.folder / safe_name(file, f"{self.folder / DESCRIPTION}: the name of a file"))
        except (OSError, SafetensorError) as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
            raise ModelError(f"{self.folder / file}, a part of the checkpoint, {reason}") from error


def _joined(weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> dict[str, Tensor]:
    joined = {f"weights.{name}": value for name, value in weights.items()}
    return joined | {f"velocity.{name}": value for name, value in velocity.items()}


def _part(joined: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in joined.items() if name.startswith(prefix)}


def refuse_existing(folder: Path) -> None:
    """Refuse a folder that holds a checkpoint already.

    Raises
    ------
    OutputExistsError
        Says how to go on with it.
    """
    if (folder / DESCRIPTION).exists() or (folder / PARTITION).exists():
        raise OutputExistsError(f"{folder} holds a checkpoint; give another folder, or resume=True to continue it")
