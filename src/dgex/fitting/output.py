"""The model folder that training writes: who may, going on with what is there, and what is kept to be trained on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from dgex.aliases import PathLike
from dgex.errors import DataError, FileError, ModelError, OutputExistsError, os_error
from dgex.locks import clear_dead
from dgex.models.base import Estimator
from dgex.models.folder import describe, place, save
from dgex.models.record import TrainingRecord
from dgex.ownership import PARTIAL, put_list, refuse_others, remove
from dgex.places import check_inputs, claim
from dgex.progress import note
from dgex.records import read_json
from dgex.work import as_json

__all__ = ["KEPT", "Output", "checkpoint_folder", "clear_checkpoint", "copied", "holds_checkpoint"]

KEPT = "checkpoint"  # folder in a finished model, from which it can be trained on
# What a run writes into its folder of checkpoints (`dgex.training.run`), parts of the targets in folders of their own.
CHECKPOINT, PARTITION = "checkpoint.json", "partition.json"
_OWN = (CHECKPOINT, PARTITION, "state-*.safetensors", "best-*.safetensors", "member-*.safetensors", "history*.jsonl")
_LISTED = (*_OWN, *(f"part-*/{name}" for name in _OWN), "rows/rows.json", "rows/*.f32", "part-*/", "rows/")
# Settings that say when to stop: more may be asked for later.
_LENGTH = ("epochs", "patience")
_ADVICE = "give another name, or overwrite=True to begin anew"


class Output:
    """Where one model is trained into.

    Parameters
    ----------
    path : path
        The model folder to write.
    model : Estimator
        Not fitted yet; its settings are those that are asked for.
    validation : list of str
        Sets that are watched, in order.
    checkpoint_every : int
        Epochs between two checkpoints.
    overwrite, resume : bool
        Replace what is there, or go on with it.
    """

    def __init__(
        self,
        path: PathLike,
        model: Estimator,
        validation: list[str],
        checkpoint_every: int = 1,
        overwrite: bool = False,
        resume: bool = False,
    ) -> None:
        self.path, self.model, self.validation, self.every = Path(path), model, validation, checkpoint_every
        self.checkpoint = checkpoint_folder(path) if model.trains_in_epochs or model.keeps_progress else None
        self._overwrite, self._resume = overwrite, resume
        self._done = self._new = False
        self._before: dict[str, Any] | None = None  # the model that is there and is gone on with

    @property
    def spool(self) -> Path | None:
        """Where rows that memory does not hold may stay until the run ends."""
        return None if self.checkpoint is None else self.checkpoint / "rows"

    @property
    def goes_on(self) -> bool:
        """Whether a model is there already whose data are compared."""
        return self._before is not None

    def claim(self, stack: ExitStack, inputs: Sequence[PathLike]) -> None:
        """Make sure that the output may be written, by this process alone, and find out what to go on with.

        Raises
        ------
        OutputExistsError
            Something is there already.
        ModelError
            What is there is no work of the same method and settings.
        FileError
            Another process trains there, or an input lies there.
        """
        check_inputs(self.path, inputs)
        place(self.path).refuse_other()
        stack.enter_context(
            claim(self.path, "dgex train", overwrite=self._overwrite or self._resume, inputs=inputs, folder=True)
        )
        if self.checkpoint is not None:
            check_inputs(self.checkpoint, inputs)
            self._refuse_others()
        if self._resume:
            self._go_on()
        elif self.checkpoint is not None and self._overwrite:
            clear_checkpoint(self.checkpoint)
        elif holds_checkpoint(self.path):
            raise OutputExistsError(
                f"{self.checkpoint} holds a checkpoint; give another name, resume=True to continue it or "
                "overwrite=True to begin anew"
            )
        self._new = self.checkpoint is not None and not self.checkpoint.exists()

    def _refuse_others(self) -> None:
        """Refuse a folder in the place of the checkpoint that is not one, or has more in it."""
        assert self.checkpoint is not None
        if self.checkpoint.is_symlink() or (self.checkpoint.exists() and not self.checkpoint.is_dir()):
            raise FileError(f"{self.checkpoint}, where checkpoints go, is no folder; give another name")
        if self.checkpoint.is_dir() and not (self._resume and holds_checkpoint(self.path)):
            refuse_others(self.checkpoint)

    def _go_on(self) -> None:
        if not place(self.path).begun:
            if self.checkpoint is None:
                note(f"{self.model.kind} is fitted in one pass, and none is there yet: there is nothing to go on with")
            return
        self._before = describe(self.path)
        was, now = _compared(self._before), self._asked()
        length = {name: (was.pop(name, None), now.pop(name, None)) for name in _LENGTH}
        place(self.path).compare(was, now, _ADVICE)
        self._overwrite = True  # what is there is the best so far of the same run
        if self._before["state"].get("stopped") == "interrupted" or holds_checkpoint(self.path):
            self._refuse_shorter()
            return
        if all(before == asked for before, asked in length.values()):
            self._done = True
            return
        if not _longer(length):
            place(self.path).compare(
                {name: pair[0] for name, pair in length.items()}, {name: pair[1] for name, pair in length.items()}
            )
        self._take_out()

    def _asked(self) -> dict[str, Any]:
        settings = self.model.get_params(deep=False)
        shaping = {name: value for name, value in settings.items() if name not in self.model.elsewhere}
        return as_json({"method": self.model.kind, **shaping, "validation": self.validation})

    def _refuse_shorter(self) -> None:
        """Refuse fewer epochs than the run has gone through already."""
        asked = getattr(self.model, "epochs", None)
        epoch = 0
        with suppress(OSError, ValueError, KeyError, TypeError):  # damaged: whoever reads it next says so
            epoch = int(read_json(checkpoint_folder(self.path) / CHECKPOINT)["epoch"])
        if asked is not None and epoch > asked:
            raise ModelError(f"{self.path} has been trained for {epoch} epochs already: found epochs={asked}")

    def _take_out(self) -> None:
        """Lay the checkpoint that was kept in a finished model where a run goes on from."""
        assert self.checkpoint is not None
        if not (self.path / KEPT).is_dir():
            note(f"{self.path} kept no checkpoint to be trained on from: training starts from the beginning")
            return
        copied(self.path / KEPT, self.checkpoint)

    def finished(self, record: TrainingRecord) -> bool:
        """Whether there is nothing left to do; `record` is what would be trained on.

        Raises
        ------
        ModelError
            What is there was trained on other data.
        """
        if self._before is not None:
            before = self._before.get("training") or {}
            place(self.path).compare(
                {"data": before.get("data")},
                {"data": record.data},
                "give another name, or overwrite=True to begin anew",
            )
        return self._done

    def fit_options(self) -> dict[str, Any]:
        """What `fit` is told of checkpoints and the learning curve."""
        if self.checkpoint is None or self._done:
            return {}
        try:
            self.checkpoint.mkdir(parents=True, exist_ok=True)
            put_list(self.checkpoint, [], _LISTED)
        except OSError as error:
            raise os_error(self.checkpoint, error) from error
        options = {
            "checkpoint_dir": self.checkpoint,
            "checkpoint_every": self.every,
            "resume": self._resume,
            "history_path": self.checkpoint / "history.jsonl",
        }
        return {name: value for name, value in options.items() if name in self.model.fit_options}

    def abandon(self, error: BaseException) -> None:
        """Remove what this run alone made and nobody can go on from: no whole epoch, or numbers that diverged."""
        if self._new and (isinstance(error, DataError) or not holds_checkpoint(self.path)):
            assert self.checkpoint is not None
            clear_checkpoint(self.checkpoint)

    def save(self, model: Estimator, keep: bool) -> None:
        """Write the model; the checkpoint of a run that reached its end goes into it, where that is to be kept."""
        ended = not getattr(model, "interrupted_", False)

        def keep_checkpoint(folder: Path) -> None:
            if (
                keep
                and ended
                and model.trains_in_epochs
                and self.checkpoint is not None
                and holds_checkpoint(self.path)
            ):
                copied(self.checkpoint, folder / KEPT)

        save(model, self.path, overwrite=self._overwrite, beside=keep_checkpoint)
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        if ended:
            clear_checkpoint(self.checkpoint)
            return
        there = holds_checkpoint(self.path)
        rest = f"{self.checkpoint} holds the run for resume=True" if there else "no checkpoint was due yet"
        note(f"interrupted: the best epochs so far are saved; {rest}")


def _compared(description: dict[str, Any]) -> dict[str, Any]:
    """What a model folder says of what shaped it, in the words of `Output._asked`."""
    from dgex.models.catalogue import method

    elsewhere = method(description["kind"]).load().elsewhere
    settings = {name: value for name, value in description["settings"].items() if name not in elsewhere}
    record = description.get("training") or {}
    return as_json({"method": description["kind"], **settings, "validation": record.get("validation")})


def _longer(length: dict[str, tuple[Any, Any]]) -> bool:
    """Whether no limit is below what it was."""
    return all(
        asked is None or (before is not None and asked >= before)
        for before, asked in length.values()
        if before != asked
    )


def checkpoint_folder(output: PathLike) -> Path:
    """Where a network that is trained into `output` keeps what is needed to go on."""
    return Path(f"{os.fspath(output).rstrip('/')}.checkpoint")


def holds_checkpoint(output: PathLike) -> bool:
    """Whether there is something to go on from, also while another thread removes the folder."""
    folder = checkpoint_folder(output)
    try:
        return (folder / CHECKPOINT).exists() or any(folder.glob(f"part-*/{CHECKPOINT}"))
    except FileNotFoundError:
        return False


def clear_checkpoint(folder: Path) -> None:
    """Remove what a run wrote into its folder of checkpoints; what else lies there stays."""
    if folder.is_dir():
        put_list(folder, [], _LISTED)
        clear_dead(folder)
        remove(folder)


def copied(source: Path, target: Path) -> None:
    """Copy a folder of checkpoints, whose files are replaced and never changed: links to the same files do."""
    ignored = shutil.ignore_patterns("rows", "history*", f"{PARTIAL}*")  # a learning curve is written on
    shutil.copytree(source, target, copy_function=_linked, ignore=ignored, dirs_exist_ok=True)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
