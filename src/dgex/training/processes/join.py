"""How the processes that `torchrun` started find each other, and how their group ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta

import torch
import torch.distributed as dist

from dgex.errors import RankError, SettingsError
from dgex.progress import is_single, note, processes
from dgex.training.machine.device import pick_device
from dgex.training.processes.group import ALONE, Group
from dgex.training.processes.termination import Termination
from dgex.training.processes.watch import PeerWatch

__all__ = ["check_devices", "join"]

# How long a rank waits for the others. A process that dies is noticed at once, by its closed connections; only a host
# that vanishes takes this long. Reading the data and writing a checkpoint of gigabytes must fit.
TIMEOUT = timedelta(minutes=5)


@contextmanager
def join(device: str) -> Iterator[Group]:
    """Make one group of the processes that torchrun started; without torchrun, `ALONE`.

    Parameters
    ----------
    device : str
        As `pick_device` takes it. Each process of a host takes the CUDA device of its local rank.

    Raises
    ------
    SettingsError
        More processes on this host than it has CUDA devices, two of them on one, or a PyTorch without NCCL.
    RankError
        The processes do not find each other, or their port is taken; while the block runs, also on SIGTERM.
    """
    if is_single():
        yield ALONE
        return
    if dist.is_available() and dist.is_initialized():  # by the caller, who also ends it
        own = _own_device(device)
        channel = dist.new_group(backend=_backends(own), timeout=TIMEOUT)
        yield Group(dist.get_rank(), dist.get_world_size(), own, channel=channel)
        return
    if processes() == 1:
        yield ALONE
        return
    own = _own_device(device)
    group = Group(int(os.environ["RANK"]), processes(), own)
    with Termination(group):
        _begin(group, own)
        try:
            if own.type == "cuda":
                differ = check_devices(group.gather(_described(own)))
                if differ is not None and group.leads:
                    note(differ)
            with PeerWatch(group, _abort) if group.backend == "nccl" else nullcontext():
                yield group
        except (RuntimeError, ValueError) as error:
            if group.fate.missing:  # what a product that was aborted left behind
                raise group.lost(error) from error
            raise
        finally:
            with suppress(Exception):  # of a broken group; threads of a group not destroyed would abort the process
                # A GPU that waits for a lost rank keeps a group from being destroyed, whoever noticed the loss.
                _abort() if group.fate.missing and group.backend == "nccl" else dist.destroy_process_group()


def _begin(group: Group, own: torch.device) -> None:
    try:
        group.guarded(dist.init_process_group, _backends(own), timeout=TIMEOUT)
    except RankError as error:
        if "EADDRINUSE" not in str(error):
            raise
        raise RankError(
            f"port {os.environ.get('MASTER_PORT', '')}, at which the processes would meet, is in use by another "
            "program; accepted: a free one (torchrun --master-port, or --standalone, which finds one)"
        ) from error


def _described(device: torch.device) -> tuple[str, str, int]:
    """Host, what tells a GPU from every other, and its memory."""
    properties = torch.cuda.get_device_properties(device)
    return socket.gethostname(), str(getattr(properties, "uuid", "") or device), properties.total_memory


def check_devices(found: Sequence[tuple[str, str, int]]) -> str | None:
    """Refuse two processes on one GPU, and tell where GPUs differ in memory.

    Parameters
    ----------
    found : sequence of (host, GPU, bytes of memory)
        Of every rank.

    Returns
    -------
    str or None
        What is to be said.

    Raises
    ------
    SettingsError
        NCCL cannot serve two processes on one GPU.
    """
    for rank, one in enumerate(found):
        before = found[:rank].index(one) if one in found[:rank] else None
        if before is not None:
            raise SettingsError(
                f"processes {before} and {rank} of this run are on the same GPU of {one[0]}",
                accepted="one process a GPU (torchrun --nproc-per-node and CUDA_VISIBLE_DEVICES)",
            )
    sizes = [size / 2**30 for *_, size in found]
    if max(sizes) <= 1.05 * min(sizes):
        return None
    least = f"{min(sizes):.0f} of rank {sizes.index(min(sizes))}"
    return f"the GPUs differ in memory: {max(sizes):.0f} GiB, and {least}, which decides what fits"


def _abort() -> None:
    """End the products that wait for a process that is gone: kernels of NCCL look whether they are to."""
    with suppress(Exception):
        dist.distributed_c10d._abort_process_group()


def _backends(device: torch.device) -> str:
    """Objects and decisions always go over gloo: asking for them makes no GPU wait."""
    return "cpu:gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"


def _own_device(name: str) -> torch.device:
    device = pick_device(name)
    if device.type != "cuda":
        return device
    if not dist.is_nccl_available():
        raise SettingsError(
            "this PyTorch was built without NCCL, which exchanges between GPUs",
            accepted="a build with it, one process, or --device cpu",
        )
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= there:
        raise SettingsError(
            f"process {local} of this host finds {there} CUDA devices",
            accepted=f"torchrun --nproc-per-node {there} or less, or --device cpu",
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)
