"""Pieces of work in a queue, done one after the other by one process beside the server."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dgex.web.rules import Rules

__all__ = ["ENDED", "Queue", "Task"]

#: Which kinds of work come first: what takes a moment.
_ORDER = {"look": 0, "infer": 1, "make": 2}
_LINE = 4 << 20  # bytes of a message of the worker
ENDED = (
    "the process that did the work ended before it was done, as when the machine has too little memory for it; "
    "try again, or with fewer profiles"
)
_counter = itertools.count()


@dataclass(eq=False)
class Task:
    """A piece of work.

    Attributes
    ----------
    kind : {"look", "infer", "make"}
    asked : dict
        What the worker is told.
    state : {"waiting", "running", "done", "failed"}
    share : float
        Of the work that is done.
    text : str
        What is being done, or what went wrong.
    found : dict
        What became known.
    """

    kind: str
    asked: dict[str, Any]
    state: str = "waiting"
    share: float = 0.0
    text: str = ""
    found: dict[str, Any] = field(default_factory=dict)
    number: int = field(default_factory=lambda: next(_counter))
    finished: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    dropped: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it."""
        return not self.dropped.is_set()

    @property
    def over(self) -> bool:
        """Whether it is done or failed."""
        return self.state in ("done", "failed")

    def end(self, state: str, text: str = "") -> None:
        """Let it be done or failed."""
        self.state, self.text = state, text
        self.share = 1.0 if state == "done" else self.share
        self.finished.set()

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self.dropped.set()
        if self.state == "waiting":
            self.end("failed", "it was removed")


class Queue:
    """Work that waits, and the process that does it.

    Parameters
    ----------
    root : Path
        Where the worker may write temporary files.
    rules : Rules
    """

    def __init__(self, root: Path, rules: Rules) -> None:
        self._root, self._rules = root, rules
        self._waiting: list[Task] = []
        self._came = asyncio.Event()
        self._running: Task | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def worker(self) -> int | None:
        """Process id of the worker, where one lives."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process is not None else None

    def put(self, task: Task) -> Task:
        """Add work; what takes a moment is done before what takes longer, else first come, first served."""
        self._waiting.append(task)
        self._waiting.sort(key=lambda one: (_ORDER[one.kind], one.number))
        self._came.set()
        return task

    def before(self, task: Task) -> int:
        """How many pieces of work are done before this one."""
        if task not in self._waiting:
            return 0
        return self._waiting.index(task) + (self._running is not None)

    async def work(self) -> None:
        """Give work to the process, for ever; a process that died is replaced."""
        try:
            while True:
                await self._started()  # before anybody waits for it
                while not self._waiting:
                    self._came.clear()
                    await self._came.wait()
                task = self._waiting.pop(0)
                if task.wanted:
                    self._running = task
                    await self._do(task)
                    self._running = None
        finally:
            await self._stop()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        environment = os.environ | {"TMPDIR": str(self._root)}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "dgex.web.worker"),  # no module of the folder one stands in
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            limit=_LINE,
            start_new_session=True,  # Ctrl-C is for the server, which ends it
        )
        return self._process

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _do(self, task: Task) -> None:
        """One piece of work, to its end, whatever becomes of the process."""
        task.state = "running"
        ends = {asyncio.create_task(self._followed(task)), asyncio.create_task(task.dropped.wait())}
        try:
            ended, _ = await asyncio.wait(ends, timeout=self._rules.work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in ends:
                one.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        if task.over:
            return
        await self._stop()
        over = f"the work took longer than {self._rules.work:.0f} seconds, the most given to one piece here"
        task.end("failed", "it was removed" if not task.wanted else ENDED if ended else over)

    async def _followed(self, task: Task) -> None:
        """Until it is over, or the process ended; a pipe that broke or a message cut short is an exception."""
        process = await self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"kind": task.kind, **task.asked}).encode() + b"\n")
        await process.stdin.drain()
        while not task.over and (line := await process.stdout.readline()):
            said = json.loads(line)
            task.share, task.text = float(said.get("share", task.share)), str(said.get("text", task.text))
            task.found |= said.get("found", {})
            if "end" in said:
                task.end(said["end"], said.get("text", ""))
