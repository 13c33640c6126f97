"""The process that does the work: reads what to do from its input, one line each, and tells how far it is.

It alone loads PyTorch and opens what visitors bring. It ends when the server ends, and the server outlives it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

from dgex.arrays.host import host_memory
from dgex.errors import DgexError, printable
from dgex.progress import Together

__all__ = ["Told", "main"]

_EVERY = 0.2  # seconds between two messages of progress
_MEMORY = 0.75  # share of the memory there is that the process may take


class Told:
    """What the server, and through it the visitor, is told while work goes on; a bar as `dgex.progress` knows them."""

    def __init__(self, say: Callable[..., None]) -> None:
        self.say = say
        self._share, self._last = 0.0, 0.0

    def advance(self, units: float = 1) -> None:
        self._share = min(1.0, self._share + units)
        if time.monotonic() - self._last > _EVERY:
            self._last = time.monotonic()
            self.say(share=round(self._share, 4))

    def text(self, message: str) -> None:
        """What a bar says beside it is for terminals."""

    def stage(self, name: str, units: float, bars: int = 1) -> Any:
        """A part of the work, which the bars of the library move by `units` in all."""
        self.say(text=name)
        return Together(self).piece("", units, bars)


def main() -> None:
    """Do what is asked until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no message
    _limit_memory()
    logger = logging.getLogger("dgex")
    logger.propagate = False  # what visitors are told of their files is not for the log of the server
    logger.addHandler(faults := logging.StreamHandler())
    faults.setLevel(logging.ERROR)
    orders: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    with suppress(ImportError):
        import dgex.inference.infer
        import dgex.io.annotated
        import dgex.web.looking  # noqa: F401 (before anybody waits)
    while True:
        _do(json.loads(orders.get()), out)


def _listen(orders: SimpleQueue[str]) -> None:
    """Take orders; when the server is gone, so is the worker, in the middle of whatever it does."""
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


def _do(order: dict[str, Any], out: TextIO) -> None:
    def say(**message: Any) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    folder = Path(order["folder"])
    try:
        found = _work(order, Told(say))
        say(end="done", found=found or {})
    except DgexError as error:
        say(end="failed", text=for_visitors(str(error), folder, order))
    except MemoryError:
        say(end="failed", text="there is too little memory here for so many profiles; try with fewer")
    except Exception as error:
        logging.getLogger("dgex").exception("work failed")
        say(end="failed", text=f"something went wrong that should not have ({type(error).__name__})")


def _work(order: dict[str, Any], told: Told) -> dict[str, Any] | None:
    if order["kind"] == "look":
        from dgex.web.looking import look

        return look(order, told)
    if order["kind"] == "infer":
        from dgex.web.inferring import infer_job

        return infer_job(order, told)
    from dgex.web.making import make

    return make(order, told)


def for_visitors(text: str, folder: Path, order: dict[str, Any]) -> str:
    """A message without places on this machine, and without what only its owner could do.

    >>> for_visitors("/tmp/a/x.csv is empty", Path("/tmp/a"), {})
    'x.csv is empty'
    """
    for place in (*map(str, order.get("files", ())), str(folder)):
        parent = place if place == str(folder) else str(Path(place).parent)
        text = text.replace(f"{parent}/", "")
    for hint in ("; if you trust it", ": pip install", "; format='tsv'"):
        text = text.partition(hint)[0]
    return printable(text)


def _limit_memory() -> None:
    """Let an allocation that is too large fail here, rather than the machine end some other process."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (int(_MEMORY * host_memory()),) * 2)


if __name__ == "__main__":
    main()
