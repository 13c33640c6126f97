"""Several processes for a test, as torchrun starts them: each calls a function with its `Group`."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch.distributed as dist

from dgex.errors import DgexError
from dgex.training.processes.join import join

# The server imports once what each process would import: they then start in milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["dgex.models.network.dgex"])
DEADLINE = 60


@dataclass
class Ended:
    """How a process ended: what its function returned, or the error or signal that ended it."""

    value: Any = None
    error: BaseException | None = None
    exitcode: int = 0


def together(size: int, function: Callable[..., Any], *args: Any, device: str = "cpu") -> list[Ended]:
    """Call `function(group, *args)` in `size` processes and tell how each of them ended."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    processes, ends = [], []
    for rank in range(size):
        end, theirs = CONTEXT.Pipe(duplex=False)
        told = (theirs, device, store.port, rank, size, function, args)
        process = CONTEXT.Process(target=_process, args=told, daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        ends.append(end)
    ended = []
    try:
        for process, end in zip(processes, ends):
            found = Ended()
            try:
                assert end.poll(DEADLINE), f"no answer from {process} in {DEADLINE} s"
                found = pickle.loads(end.recv_bytes())
            except EOFError:  # killed before it could tell
                pass
            process.join(DEADLINE)
            assert process.exitcode is not None, f"{process} does not end"
            found.exitcode = process.exitcode
            ended.append(found)
    finally:
        for process in processes:
            process.kill()
    return ended


def values(size: int, function: Callable[..., Any], *args: Any, **options: Any) -> list[Any]:
    """What `function` returned in each process, none of which may fail."""
    ended = together(size, function, *args, **options)
    for one in ended:
        if one.error is not None:
            raise one.error
        assert one.exitcode == 0
    return [one.value for one in ended]


def _process(
    end: Connection, device: str, port: int, rank: int, size: int, function: Callable[..., Any], args: tuple
) -> None:
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    told |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_USE_AGENT_STORE": True}  # the store is not rank 0's to open
    os.environ.update({name: str(value) for name, value in told.items()})
    found = Ended()
    try:
        with join(device) as group:
            found.value = function(group, *args)
    except (DgexError, KeyboardInterrupt) as error:
        found.error = error
    end.send_bytes(pickle.dumps(found))  # by value: `send` would share tensors, which end with this process
