"""Notes and progress bars on stderr: on for the command line and in notebooks, off in scripts (`dgex.settings`)."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, Protocol

from dgex import settings
from dgex.errors import printable

__all__ = ["Bar", "Together", "bar", "by_itself", "enable", "hint", "is_single", "note", "processes", "speaks", "warn"]

_log = logging.getLogger("dgex")
_console: Any = None  # of the command line
_in_words: Callable[[str], str] = str
_LINES = "\n"  # what a note may hold beside printable text
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
        self._progress.update(self._task, text=printable(message))


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
        line = f"{self._label}: {share:.0%}"
        if not self._text.endswith(" left"):  # whoever gave the text knows better
            line += f", about {timedelta(seconds=round((now - self._began) * (1 - share) / share))} left"
        note(f"{line}  {self._text}".rstrip())

    def text(self, message: str) -> None:
        self._text = message


class Together:
    """One bar for pieces of work that run side by side, each in a thread of its own.

    Inside `piece` the bars of that thread move this one, its notes go to the log only, and its warnings are told
    with the name of the piece.
    """

    def __init__(self, whole: Bar) -> None:
        self._whole, self._texts = whole, dict[str, str]()

    @contextmanager
    def piece(self, name: str, units: float, bars: int = 1) -> Iterator[None]:
        """Do a piece of the work that moves the bar by `units`, in `bars` stages of equal length."""
        share = _Share(self, name, units, bars)
        token = _piece.set(share)
        try:
            yield
        finally:
            _piece.reset(token)
            self._whole.advance(share.left)
            self._texts.pop(name, None)

    def _tell(self, name: str, message: str) -> None:
        self._texts[name] = message
        texts = dict(self._texts)  # other threads change it
        if len(texts) > 1:
            message = " | ".join(f"{piece} {text.split('  ')[0]}" for piece, text in texts.items())
        else:
            message = f"{name} {message.rpartition(', ')[0] or message}"  # the time left is that of the whole
        self._whole.text(message)


class _Share:
    """The bar of one piece of `Together`."""

    def __init__(self, together: Together, name: str, units: float, bars: int) -> None:
        self.together, self.name, self.units, self.bars, self.left = together, name, units, bars, units
        self.total = 1.0

    def advance(self, units: float = 1) -> None:
        done = min(self.left, units * self.units / (self.bars * self.total))
        self.left -= done
        self.together._whole.advance(done)

    def text(self, message: str) -> None:
        self.together._tell(self.name, message)


_piece: ContextVar[_Share | None] = ContextVar("piece", default=None)


def enable(on: bool = True, in_words: Callable[[str], str] = str) -> None:
    """Show notes and bars on stderr from now on, notes as `in_words` puts them (the command line does this once).

    Off, it is left to `dgex.settings.verbosity`.
    """
    global _console, _in_words
    _in_words = in_words
    _console = _new_console() if on else None


def _new_console() -> Any:
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True, force_jupyter=False)


def _asked(level: int) -> Any:
    """Where to tell what is of a level, None where nobody asked for it."""
    if _console is not None:
        return _console
    return _new_console() if settings.shows(level) and speaks() else None


def speaks() -> bool:
    """Whether this process tells the user of the work: of several that torchrun started, the first alone does."""
    return _single or "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0") == "0"


_single = False  # whether this process works as if there were no others
_TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # by torchrun, to each process


def processes() -> int:
    """How many processes torchrun started for this run; 1 without it, and within `by_itself`."""
    launched = not _single and all(name in os.environ for name in _TOLD)
    return int(os.environ["WORLD_SIZE"]) if launched else 1


@contextmanager
def by_itself() -> Iterator[None]:
    """Let what runs in the block take this process for the only one, whatever torchrun started beside it."""
    global _single
    before, _single = _single, True
    try:
        yield
    finally:
        _single = before


def is_single() -> bool:
    """Whether this process works as if there were no others."""
    return _single


def note(message: str) -> None:
    """Tell the user one thing that was done or decided; goes to the `dgex` logger where nobody asked for notes."""
    _say(message, 2, logging.INFO)


def hint(message: str) -> None:
    """Tell how something is computed, for who wants to know it."""
    _say(message, 3, logging.DEBUG)


def _say(message: str, level: int, severity: int) -> None:
    console = None if _piece.get() is not None or _logs(severity) else _asked(level)
    if console is None:
        _log.log(severity, message)
    else:
        console.print(printable(_in_words(message), keep=_LINES), markup=False)


def _logs(severity: int) -> bool:
    """Whether a program has set up logging for what is so severe: told there, it is not told again."""
    return _console is None and _log.isEnabledFor(severity) and _log.hasHandlers()


def warn(message: str) -> None:
    """Tell the user one thing to look at."""
    piece = _piece.get()
    message = message if piece is None else f"{piece.name}: {message}"
    console = None if _logs(logging.WARNING) else _asked(2)
    if console is not None:
        console.print(f"warning: {printable(_in_words(message), keep=_LINES)}", markup=False, style="yellow")
    elif _log.hasHandlers() or settings.shows(1):  # without handlers logging writes to stderr
        _log.warning(message)


@contextmanager
def bar(total: float, label: str) -> Iterator[Bar]:
    """Show progress over `total` units while the block runs: a bar, lines in a log, nothing in the library."""
    label, piece = printable(label), _piece.get()
    if piece is not None:
        piece.total = total
        yield piece
        return
    console = _asked(2)
    if console is None:
        yield _Silent()
        return
    drawn = _has_widgets()
    if drawn:
        from rich.console import Console

        console = Console()
    elif not sys.stderr.isatty():
        yield _Lines(total, label)
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class TwoLines(Progress):
        """A bar and, below it, its text in full, however narrow the terminal is."""

        def get_renderables(self) -> Iterator[Any]:
            yield from super().get_renderables()
            yield from (Text(task.fields["text"]) for task in self.tasks if task.fields["text"])

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with TwoLines(
        *columns, console=console, transient=True, redirect_stdout=not drawn, redirect_stderr=not drawn
    ) as progress:
        yield _Rich(progress, progress.add_task(label, total=total, text=""))


def _has_widgets() -> bool:
    """Whether this is a notebook that can draw a bar; without ipywidgets rich only complains."""
    if _console is not None or not settings.interactive() or find_spec("ipywidgets") is None:
        return False
    from rich.console import Console

    return Console().is_jupyter
