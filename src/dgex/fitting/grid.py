"""A grid of networks as one job that can be killed and resumed: the paper's 27 with one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import torch

from dgex._version import __version__
from dgex.aliases import PathLike
from dgex.digests import of_file, of_sets
from dgex.errors import DgexError, DivergedError, ModelError, OutputExistsError, RankError, SettingsError
from dgex.fitting.grid_plan import NETWORK, Member, cost, deal, describe, network, plan
from dgex.fitting.grid_result import DONE, GRID, TABLE, Grid, diverged_file, open_grid, status_of
from dgex.fitting.output import checkpoint_folder, clear_checkpoint
from dgex.fitting.splits import Splits, read_splits
from dgex.fitting.train import train
from dgex.locks import alone
from dgex.models.catalogue import check_settings
from dgex.ownership import safe_name
from dgex.places import check_inputs
from dgex.progress import Together, bar, note
from dgex.records import read_json
from dgex.training.batches.shared import one_copy
from dgex.training.machine.device import own_stream, pick_device
from dgex.training.processes.group import ALONE, Group
from dgex.training.processes.join import join
from dgex.training.run.interrupt import StopRequest
from dgex.training.run.tensorboard import check_tensorboard
from dgex.work import Work, differences

__all__ = ["train_grid"]

# Weights of the networks that are trained at once on a GPU where `jobs` is not told: one step of so many keeps it busy.
SIDE_BY_SIDE = 100_000_000
_MOST_JOBS = 8


def train_grid(
    data: PathLike | ad.AnnData,
    output: PathLike,
    axes: Mapping[str, Sequence[Any]],
    *,
    method: str = NETWORK,
    validation: Sequence[str] = ("validation",),
    jobs: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: int = 1,
    index: bool = True,
    tensorboard: PathLike | None = None,
    **settings: Any,
) -> Grid:
    """Train a network for every combination of settings, each as `dgex.train` would.

    Parameters
    ----------
    data : path or AnnData
        A dataset made by `dgex.prepare`. It is read once, and lies on a GPU once, for all networks.
    output : path
        A folder for the model folders, named after what differs (`3000x2-dropout0.1`), with `grid.json` and
        `grid.tsv`, which are brought up to date whenever a network is finished.
    axes : dict of name to values
        `hidden` (units), `layers` (hidden layers, or blocks, of that many units) and any other setting of the method.
    method : str
        "dgex", the paper's network, or "residual".
    validation : sequence of str
        Sets that are watched; every network keeps its best epoch for each, and the grid its best network.
    jobs : int, optional
        Networks trained at once, each in a thread and on a CUDA stream of its own. None: one on the CPU; on a GPU
        as many of the paper's as together hold up to 100 million weights, the largest first. Residual networks on a
        GPU, and any in TF32, are trained one after the other.
    overwrite : bool
        Replace a grid that exists; what else is in its folder stays.
    resume : bool
        Go on with a grid of the same axes, settings and data: finished networks are kept, others go on from their
        checkpoints. A finished grid is returned as it is.
    checkpoint_every : int
        Epochs between two checkpoints of a network.
    index : bool
        As for `dgex.train`.
    tensorboard : path, optional
        Folder of the learning curves as TensorBoard scalars, one in it for each network.
    **settings
        Settings that all networks share.

    Returns
    -------
    Grid
        A table of the networks, and the best for each set.

    Raises
    ------
    SettingsError
        An axis, a value or a setting that is not accepted.
    ModelError
        The folder holds a grid of other axes, settings or data, or something else.
    OutputExistsError
        It holds a grid, and neither `resume` nor `overwrite` was asked for.
    DataError, GeneError
        As `dgex.train`. A network that diverges is recorded and does not stop the others.
    RankError
        Another rank failed or was lost: under torchrun the networks are dealt to the ranks by their estimated cost, and
        each is trained by one rank alone.
    KeyboardInterrupt
        Ctrl-C; finished networks and the checkpoints of the others are kept.

    Examples
    --------
    >>> import dgex
    >>> data = dgex.prepare(dgex.simulate(samples=200, landmarks=20, targets=30, seed=0), group="study", seed=0)
    >>> grid = dgex.train_grid(data, "grid", {"hidden": [4, 8], "layers": [1, 2]}, epochs=1)
    >>> grid.members["name"].tolist(), sorted(grid.best)
    (['4x1', '4x2', '8x1', '8x2'], ['validation'])
    """
    made = network(method)
    check_settings(method, settings)
    if jobs is not None and (not isinstance(jobs, int | np.integer) or jobs < 1):
        raise SettingsError("jobs", found=jobs, accepted="a whole number, 1 or more")
    members = plan(axes, settings, method)
    folder = Path(output)
    described = describe(axes, made(**settings), members, validation)
    if tensorboard is not None:
        check_tensorboard()
    with join(settings.get("device", "auto")) as joined, ExitStack() as stack:
        group = joined.patient(f"while the grid was trained; {_ADVICE.format(folder=folder)}")
        before = group.from_first(lambda: _claimed(stack, folder, data, described, overwrite, resume))
        if before is not None and before["finished"] and before["file"] and before["file"] == _file_digest(data):
            note(f"{folder} is finished already; nothing to do")
            return open_grid(folder, members, before["sets"])
        read = read_splits(data, validation, stack, settings.get("placement", "auto"))
        options = {"validation": list(validation), "checkpoint_every": checkpoint_every, "index": index}
        options["tensorboard"] = tensorboard
        return _Job(folder, members, described, read, _file_digest(data), jobs, options, group).run(before)


_ADVICE = "finished networks and checkpoints are in {folder}; resume=True goes on from there"


def _file_digest(data: PathLike | ad.AnnData) -> str | None:
    """Digest of a file, which spares a finished grid the reading of it; None of data in memory."""
    return None if isinstance(data, ad.AnnData) else of_file(data)


def _place(folder: Path) -> Work:
    """The folder of a grid, as a place that may be gone on in and emptied."""
    return Work(folder, GRID, "a grid")


def _claimed(stack: ExitStack, folder: Path, *asked: Any) -> dict[str, Any] | None:
    """Keep other processes out of the grid, then look at what is there."""
    stack.enter_context(alone(folder, "dgex train"))
    return _opened(folder, *asked)


def _opened(
    folder: Path, data: Any, described: Mapping[str, Any], overwrite: bool, resume: bool
) -> dict[str, Any] | None:
    """What is known of the grid in `folder`: None where it is to be begun."""
    work = _place(folder)
    work.refuse_other()
    check_inputs(folder, [data])
    if not (folder / GRID).exists():
        if resume:
            note(f"no grid in {folder} yet: training starts from the beginning")
        return None
    if not resume and not overwrite:
        raise OutputExistsError(
            f"{folder} holds a grid; give another folder, resume=True to continue it or overwrite=True to replace it"
        )
    try:
        stored = read_json(folder / GRID)
        names = [safe_name(row["name"], f"{folder / GRID}: the name of a network") for row in stored["members"]]
        known = {name: stored["data"].get(name) for name in ("name", "file", "digest", "sets")}
        before = {**stored["axes"], **stored["settings"], "validation": stored["validation"]}
        kind = {"method": stored.get("method", NETWORK)}  # not recorded while there was one
        axes = stored["axes"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / GRID} is damaged ({type(error).__name__}: {error})") from error
    if not resume:
        work.clear()
        return None
    now = {**described["axes"], **described["settings"], "validation": described["validation"]}
    differ = differences(kind, {"method": described["method"]}) or differences(  # of another method all settings differ
        before, now, lambda name, there, here: there == here and (name in axes) == (name in described["axes"])
    )
    if differ:
        raise ModelError(f"{folder} holds a grid of other axes or settings ({'; '.join(differ)})")
    return known | {"finished": all(status_of(folder, name) in DONE for name in names)}


class _Job:
    """The training of a grid, as one process sees it."""

    def __init__(
        self,
        folder: Path,
        members: list[Member],
        described: dict[str, Any],
        read: Splits,
        file: str | None,
        jobs: int | None,
        options: dict[str, Any],
        group: Group,
    ) -> None:
        self.folder, self.members, self.read, self.options, self.group = folder, members, read, options, group
        self.matrices = {name: (np.asarray(x.X), np.asarray(y.X)) for name, (x, y) in read.matrices.items()}
        self.sets = [name for name in self.matrices if name != "train"]
        x, y = self.matrices["train"]
        self.extents = {m.name: m.extent(len(x), x.shape[1], y.shape[1]) for m in members}
        self.costs = {name: cost(extent) for name, extent in self.extents.items()}
        self.device = group.device or pick_device(str(members[0].settings.get("device", "auto")))
        self.jobs = 1 if any(member.alone(self.device.type) for member in members) else jobs
        if self.device == torch.device("cuda"):  # threads start on the first GPU, whichever this process has taken
            self.device = torch.device("cuda", torch.cuda.current_device())
        held_out = {name: self.matrices[name] for name in self.sets}
        digest = of_sets({"": self.matrices["train"], **held_out})
        self.described = {
            "dgex": __version__,
            "data": {"name": read.name, "file": file, "digest": digest, "sets": self.sets},
            **described,
        }

    def run(self, before: Mapping[str, Any] | None) -> Grid:
        """Train what is not finished, then tell what all have come to."""
        if before is not None and before["digest"] != self.described["data"]["digest"]:
            raise ModelError(
                f"{self.folder} holds a grid of other data: the training or evaluation matrices of {self.read.name} "
                f"are not those of {before['name']}"
            )
        if before is not None and before["finished"]:
            note(f"{self.folder} is finished already; nothing to do")
            return open_grid(self.folder, self.members, self.sets)
        self.group.agree({"the data": self.described["data"]["digest"]})
        left = self.group.from_first(self._begin)
        mine = deal([self.costs[name] for name in left], self.group.size)[self.group.rank]
        by_name = {member.name: member for member in self.members}
        failed: str | None = None
        try:
            with one_copy(matrix for pair in self.matrices.values() for matrix in pair):
                self._train([by_name[left[at]] for at in mine])
        except RankError:  # told to stop
            raise
        except DgexError as error:
            if self.group.size == 1:
                raise
            failed = str(error)
        self.group.all_well(failed, _ADVICE.format(folder=self.folder))
        return self._summary()

    def _begin(self) -> list[str]:
        """Make the folder, and list what is left to train."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ends = ("/", ".checkpoint/", ".diverged.txt")
        files = [GRID, TABLE, *(f"{member.name}{end}" for member in self.members for end in ends)]
        _place(self.folder).own(*files)
        grid = self._summary()
        left = grid.members.loc[~grid.members["status"].isin(DONE), "name"].tolist()
        count, done = len(self.members), len(self.members) - len(left)
        note(f"grid of {count} networks{f', {done} of them finished already' if done else ''}")
        return left

    def _summary(self) -> Grid:
        grid = open_grid(self.folder, self.members, self.sets)
        grid.write(self.described)  # by any rank: what it says is read from the folder of all
        return grid

    def _train(self, waiting: list[Member]) -> None:
        """Train `waiting`, the largest first, as many at once as there is room for."""
        total = sum(self.costs[member.name] for member in waiting)
        running: dict[Future[None], Member] = {}
        failure: BaseException | None = None
        with (
            bar(total, f"grid of {len(waiting)}") as whole,
            StopRequest(patient=self.group.size > 1) as stop,
            ThreadPoolExecutor(self.jobs or _MOST_JOBS) as pool,
        ):
            together = Together(whole)
            try:
                while running or (waiting and not stop.requested):
                    while waiting and not stop.requested and (member := self._next(waiting, list(running.values()))):
                        waiting.remove(member)
                        running[pool.submit(self._member, member, together)] = member
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        member = running.pop(future)
                        future.result()
                        self._tell(member)
            except BaseException as error:
                failure = error
                stop.requested = True  # the others end after their step, with a checkpoint, before the pool closes
        if failure is not None and not isinstance(failure, KeyboardInterrupt):
            raise failure
        if stop.requested:
            note(f"interrupted: {_ADVICE.format(folder=self.folder)}")
            raise KeyboardInterrupt

    def _next(self, waiting: Sequence[Member], running: Sequence[Member]) -> Member | None:
        """The largest network that there is room for; None until another one is finished."""
        if not running:
            return waiting[0]
        if self.jobs is not None:
            return waiting[0] if len(running) < self.jobs else None
        if self.device.type != "cuda" or len(running) == _MOST_JOBS:
            return None
        room = SIDE_BY_SIDE - sum(self.extents[member.name].weights for member in running)
        return next((member for member in waiting if self.extents[member.name].weights <= room), None)

    def _member(self, member: Member, together: Together) -> None:
        """Train one network by the ordinary path, in a thread."""
        output = self.folder / member.name
        resume = checkpoint_folder(output).exists() or output.exists()
        networks = self.extents[member.name].networks
        with together.piece(member.name, self.costs[member.name], networks), own_stream(self.device):
            try:
                train(
                    self.read,
                    member.kind,
                    output,
                    resume=resume,
                    keep_checkpoint=False,
                    group=ALONE,
                    **self.options,
                    **member.settings,
                )
            except DivergedError as error:
                clear_checkpoint(checkpoint_folder(output))
                diverged_file(self.folder, member.name).write_text(f"{error}\n", "utf-8")

    def _tell(self, member: Member) -> None:
        row = self._summary().members.set_index("name").loc[member.name]
        errors = [f"overall error {row[f'{name}.error']:.4f} on {name}" for name in self.sets]
        what = "no model" if np.isnan(row["seconds"]) else f"{', '.join([*errors, ''])}{row['seconds']:,.1f} s"
        note(f"{member.name} {row['status']}: {what}")
