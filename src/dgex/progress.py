"""Notes and progress bars on stderr: silent in the library, switched on by the command line."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

__all__ = ["Bar", "bar", "enable", "note", "speaks", "warn"]

_log = logging.getLogger("dgex")
_console: Any = None
LINE_EVERY = 30.0  # seconds between two lines of progress in a log


class Bar(Protocol):
    """What `bar` yields: `advance` by finished units, `text` replaces the trailing text."""

    def advance(self, units: float = 1) -> None: ...

    def text(self, message: str) -> None: ...


class _Silent:
    def advance(self, units: float = 1) -> None:
        pass

    def text(self, message: str) -> None:
        pass


class _Rich:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, units: float = 1) -> None:
        self._progress.advance(self._task, units)

    def text(self, message: str) -> None:
        self._progress.update(self._task, text=message)


class _Lines:
    """For logs: a line now and then, so that long work shows that it lives."""

    def __init__(self, total: float, label: str) -> None:
        self._total, self._label, self._text = total, label, ""
        self._done, self._said, self._began = 0.0, time.monotonic(), time.monotonic()

    def advance(self, units: float = 1) -> None:
        self._done += units
        now = time.monotonic()
        if now - self._said < LINE_EVERY or not self._total:
            return
        self._said = now
        share = min(1.0, self._done / self._total)
        left = (now - self._began) * (1 - share) / share
        note(f"{self._label}: {share:.0%}, about {timedelta(seconds=round(left))} left  {self._text}".rstrip())

    def text(self, message: str) -> None:
        self._text = message


def enable(on: bool = True) -> None:
    """Show notes and bars on stderr from now on (the command line does this once)."""
    global _console
    if not on:
        _console = None
        return
    from rich.console import Console

    _console = Console(stderr=True, highlight=False, soft_wrap=True)


def speaks() -> bool:
    """Whether this process tells the user of the work: of several that torchrun started, the first alone does."""
    return "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0") == "0"


def note(message: str) -> None:
    """Tell the user one thing that was done or decided; goes to the `dgex` logger when no command runs."""
    if _console is None:
        _log.info(message)
    else:
        _console.print(message, markup=False)


def warn(message: str) -> None:
    """Tell the user one thing to look at."""
    if _console is None:
        _log.warning(message)
    else:
        _console.print(f"warning: {message}", markup=False, style="yellow")


@contextmanager
def bar(total: float, label: str) -> Iterator[Bar]:
    """Show progress over `total` units while the block runs: a bar, lines in a log, nothing in the library."""
    if _console is None:
        yield _Silent()
        return
    if not sys.stderr.isatty():
        yield _Lines(total, label)
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=_console, transient=True) as progress:
        yield _Rich(progress, progress.add_task(label, total=total, text=""))
