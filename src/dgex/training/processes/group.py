"""Several processes that train one network together, over torch.distributed: what they exchange and how they end.

`torchrun` starts the processes and tells each its rank; `dgex.training.processes.join` makes them a `Group`. A single
process is a group of one whose calls do nothing. The group divides either the profiles of every batch (data-parallel)
or the units of every layer (sharded, see `dgex.training.learners.sharded`).
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from dgex.errors import DgexError, RankError, first

__all__ = ["ALONE", "Group", "Handle"]

# How long a rank waits for the others while each works by itself.
PATIENCE = timedelta(days=30)
Divides = Literal["profiles", "units"]
T = TypeVar("T")

# The names that PyTorch 2.13 deprecates are the only ones that 2.6 knows.
_gather_into = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_scatter_sum = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


class Handle:
    """A sum under way."""

    def __init__(self, group: Group, work: Any) -> None:
        self._group, self._work = group, work

    def wait(self) -> None:
        """Let what follows see the sum: on the CPU it is there, on a GPU the current stream waits for it."""
        if self._work is not None:
            self._group.guarded(self._work.wait)


@dataclass
class Fate:
    """How a run of several processes stands.

    Attributes
    ----------
    moment : str
        Where it is and how to go on, for the message when a rank is lost.
    ending : bool
        An error ends this rank already: a SIGTERM that follows tells nothing new.
    missing : bool
        Another rank is gone: nothing can be exchanged any more.
    graphs : set
        CUDA graphs that hold exchanges: until they are given up, NCCL ends none of its connections.
    """

    moment: str = "before the first epoch"
    ending: bool = False
    missing: bool = False
    graphs: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)

    def give_up_graphs(self) -> None:
        """Once nothing more is exchanged."""
        while self.graphs:
            self.graphs.pop().reset()


class Group:
    """The processes of one run, as one of them sees them.

    Every call but `share` and `part` is collective: all ranks make it, in the same order. Tensors may be on the CPU
    or on `device`.

    Parameters
    ----------
    rank, size : int
        Which process this is, and how many there are.
    device : torch.device, optional
        Where this process computes; None is for the caller to choose.
    divides : str
        "profiles": each rank takes a share of every batch. "units": each rank holds a part of every layer.
    channel : optional
        The process group of torch.distributed; None is the default one.

    Attributes
    ----------
    fate : Fate
        How the run stands, shared with every group that was made of this one.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        device: torch.device | None = None,
        divides: Divides = "profiles",
        channel: Any = None,
        fate: Fate | None = None,
    ) -> None:
        self.rank, self.size, self.device, self.divides, self.channel = rank, size, device, divides, channel
        self.fate = Fate() if fate is None else fate

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes and speaks: rank 0."""
        return self.rank == 0

    @property
    def hosts(self) -> int:
        """How many machines the processes are on, as torchrun tells."""
        return max(1, self.size // int(os.environ.get("LOCAL_WORLD_SIZE", self.size)))

    @property
    def backend(self) -> str:
        """What carries the tensors: "nccl" between GPUs, "gloo" between CPUs."""
        return "nccl" if self.device is not None and self.device.type == "cuda" else "gloo"

    def dividing(self, divides: Divides) -> Group:
        """The same processes with another division of the work."""
        return (
            Group(self.rank, self.size, self.device, divides, self.channel, self.fate)
            if divides != self.divides
            else self
        )

    def patient(self, moment: str) -> Group:
        """The same processes on a channel that waits for the slowest however long, while each works by itself.

        A process that dies is noticed at once all the same. `moment` is told when one is lost.
        """
        self.fate.moment = moment
        if self.size == 1:
            return self
        channel = self.guarded(dist.new_group, backend="gloo", timeout=PATIENCE)
        group = Group(self.rank, self.size, self.device, self.divides, channel, self.fate)
        group.gather(None)  # connects them: from now on the end of one is seen
        return group

    # ---- who takes what

    def share(self, rows: int) -> slice:
        """This rank's rows among the `rows` profiles of a batch or a set; all of them where units are divided."""
        if self.divides == "units":
            return slice(0, rows)
        return slice(self.rank * rows // self.size, (self.rank + 1) * rows // self.size)

    def targets(self, Y: np.ndarray) -> np.ndarray:
        """The columns of Y that this rank learns: a copy of its part where units are divided, else Y itself."""
        return np.ascontiguousarray(Y[:, self.part(Y.shape[1])]) if self.divides == "units" else Y

    def part(self, units: int, rank: int | None = None) -> slice:
        """The units of a layer of `units` that `rank` (this one) holds: equal parts, the last ones shorter or empty."""
        width, rank = self.width(units), self.rank if rank is None else rank
        return slice(min(rank * width, units), min((rank + 1) * width, units))

    def width(self, units: int) -> int:
        """The largest part of a layer."""
        return -(-units // self.size)

    # ---- tensors

    def sum_(self, tensor: Tensor) -> Tensor:
        """Add `tensor` up over the ranks, in place."""
        self.sum_async(tensor).wait()
        return tensor

    def sum_async(self, tensor: Tensor) -> Handle:
        """Begin `sum_`; the tensor may be used after `wait` of what is returned."""
        if self.size == 1:
            return Handle(self, None)
        return Handle(self, self.guarded(dist.all_reduce, tensor, group=self.channel, async_op=True))

    def broadcast_(self, tensor: Tensor, rank: int = 0) -> Tensor:
        """Fill `tensor` with what it is on `rank`."""
        if self.size > 1 and tensor.numel():
            self.guarded(dist.broadcast, tensor, src=rank, group=self.channel)
        return tensor

    def gather_units(self, own: Tensor, units: int) -> Tensor:
        """Join the parts [rows, part] of all ranks to [rows, units]."""
        if self.size == 1:
            return own
        width, rows = self.width(units), len(own)
        padded = own.new_zeros(width, rows)
        padded[: own.shape[1]] = own.t()
        joined = own.new_empty(self.size * width, rows)  # parts are short at the end only: no gap between them
        self.guarded(_gather_into, joined, padded, group=self.channel)
        return joined[:units].t()

    def sum_units(self, whole: Tensor) -> Tensor:
        """Add [rows, units] up over the ranks and return this rank's part, [rows, part]; `whole` is used up."""
        part = self.part(whole.shape[1])
        if self.size == 1:
            return whole
        if self.backend == "gloo":  # its sum-and-scatter came late and is no faster
            return self.sum_(whole)[:, part]
        width = self.width(whole.shape[1])
        padded = whole.new_zeros(self.size * width, len(whole))
        padded[: whole.shape[1]] = whole.t()
        own = whole.new_empty(width, len(whole))
        self.guarded(_scatter_sum, own, padded, group=self.channel)
        return own[: part.stop - part.start].t()

    def join_into(self, joined: Tensor, own: Tensor) -> Tensor:
        """Fill `joined` [ranks, ...] with what each rank has as `own` [...], both contiguous."""
        if self.size == 1:
            return joined.copy_(own[None])
        self.guarded(_gather_into, joined.view(-1), own.view(-1), group=self.channel)
        return joined

    def sum_parts_async(self, own: Tensor, parts: Tensor) -> Handle:
        """Begin to add `parts` [ranks, ...] up over the ranks, each of which gets its own part; both contiguous."""
        if self.size == 1:
            own.copy_(parts[0])
            return Handle(self, None)
        return Handle(self, self.guarded(_scatter_sum, own.view(-1), parts.view(-1), group=self.channel, async_op=True))

    # ---- objects and decisions

    def gather(self, value: T) -> list[T]:
        """What every rank gave, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        self.guarded(dist.all_gather_object, values, value, group=self.channel)
        return values

    def from_first(self, make: Callable[[], T]) -> T:
        """Let rank 0 alone call `make`; every rank returns its result, or raises its DgexError."""
        if self.size == 1:
            return make()
        outcome: list[Any] = [None, None]
        if self.leads:
            try:
                outcome = [make(), None]
            except DgexError as error:
                outcome = [None, error]
        self.guarded(dist.broadcast_object_list, outcome, src=0, group=self.channel)
        value: T = outcome[0]
        refused = outcome[1]
        if refused is not None:
            self.fate.ending = True
            raise refused
        return value

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        if self.size == 1:
            return flag
        return bool(self.sum_(torch.tensor([int(flag)])))

    def agree(self, facts: Mapping[str, object]) -> None:
        """Make sure that all ranks know the same.

        Raises
        ------
        RankError
            Names what differs and on which ranks.
        """
        known_by_rank = self.gather(dict(facts))
        for name in facts:
            other = [rank for rank, known in enumerate(known_by_rank) if known.get(name) != known_by_rank[0].get(name)]
            if other:
                self.fate.ending = True
                raise RankError(
                    f"the processes of this run disagree on {name}: rank {first(other)} of {self.size} "
                    f"{'differs' if len(other) == 1 else 'differ'} from rank 0 "
                    f"(found {known_by_rank[other[0]].get(name)} and {known_by_rank[0].get(name)}); "
                    "accepted: the same data and settings for every process"
                )

    # ---- failures

    def all_well(self, failed: str | None, advice: str) -> None:
        """Wait for all ranks to have done work of their own.

        Raises
        ------
        RankError
            One of them says how it failed, and `advice` how to go on.
        """
        for rank, reason in enumerate(self.gather(failed)):
            if reason:
                self.fate.ending = True
                raise RankError(f"rank {rank} of {self.size} failed: {reason}; {advice}")

    def lost(self, reason: object) -> RankError:
        """The error that ends this rank because another one no longer answers."""
        self.fate.missing = True
        self.fate.ending = True
        line = str(reason).strip().splitlines()[0][:200] if str(reason).strip() else type(reason).__name__
        return RankError(f"another rank of the {self.size} was lost {self.fate.moment} [rank {self.rank}: {line}]")

    def told_to_stop(self) -> RankError:
        """The error that ends this rank on SIGTERM, which torchrun sends when another rank has failed."""
        self.fate.ending = True
        return RankError(f"another rank of the {self.size} was lost, or the run was told to stop, {self.fate.moment}")

    def check(self) -> None:
        """Raise the error of a lost rank: what an aborted exchange has left in a tensor is not to be kept."""
        if self.fate.missing:
            raise self.lost("its connection was closed")

    def guarded(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Make a collective call of torch.distributed; what it raises is the error of a lost rank."""
        self.check()
        try:
            return call(*args, **options)
        except (RuntimeError, ValueError) as error:
            raise self.lost(error) from error


ALONE = Group()
