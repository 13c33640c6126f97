"""One path to a result, gone whole or with a kill, and looked at afterwards."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kills import differ, forked
from kills import result as digests

INFER = "infer IN/few.gctx IN/model OUT --block 8 --resume"
SHARDS = (f"{INFER} --shard 1/2", f"{INFER} --shard 2/2", "seal OUT")
PATHS = {
    "full.gctx": (INFER,),
    "full.h5ad": (INFER,),
    "full.zarr": (INFER,),
    "parts": SHARDS,
    "parts.zarr": SHARDS,
}
MOMENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "os.rmdir")


class Case:
    """One path to a result: where it lies, how it is gone, what it gives."""

    def __init__(self, name: str, folder: Path, inputs: Path, lines: Sequence[str] = ()) -> None:
        self.name, self.inputs, self.home = name, inputs, folder / f"of-{name}"
        self.lines = lines or PATHS[name]
        self.out, self.said = self.home / name, folder / "said"
        self.home.mkdir()
        self.moments = mmap.mmap(-1, 8)  # counted by the child, read by its parent
        began = time.monotonic()
        steps = [self.go(line, self._at(0, signal.SIGKILL)) for line in self.lines]
        if any(steps):
            raise SystemExit(f"{name} failed without any fault: {self.said.read_text()}")
        self.seconds, self.truth = time.monotonic() - began, self.result()
        self.count = int.from_bytes(self.moments[:], "little")

    def go(self, line: str, prepare: Callable[[], None] = lambda: None) -> int:
        """Run a command line to its end."""
        child = forked(self.words(line), self.said, prepare)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def words(self, line: str) -> list[str]:
        return line.replace("OUT", str(self.out)).replace("IN/", f"{self.inputs}/").split()

    def anew(self) -> None:
        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def result(self) -> dict[str, str]:
        """Digests of what lies under final names; blocks to go on with are compared when they are used."""
        found = digests(self.out) if self.out.exists() else {}
        return {name: found[name] for name in found if ".parts/" not in name and ".dgex-" not in name}

    def _at(self, moment: int, number: signal.Signals) -> Callable[[], None]:
        """What kills the process at a moment, over all its commands; 0 only counts."""

        def prepare() -> None:
            def look(event: str, _: object) -> None:
                if event in MOMENTS:
                    count = int.from_bytes(self.moments[:], "little") + 1
                    self.moments[:] = count.to_bytes(8, "little")
                    if count == moment:
                        os.kill(os.getpid(), number)

            sys.addaudithook(look)

        return prepare

    def killed_at(self, moment: int, number: signal.Signals) -> None:
        """Go until a moment."""
        self.moments[:] = bytes(8)
        for line in self.lines:
            if self.go(line, self._at(moment, number)) != 0:
                return

    def killed_after(self, seconds: float, number: signal.Signals) -> None:
        """Go for some time."""
        until = time.monotonic() + seconds
        for line in self.lines:
            child, alive = forked(self.words(line), self.said), True
            while alive and time.monotonic() < until:
                time.sleep(0.002)
                alive = os.waitpid(child, os.WNOHANG)[0] == 0
            if alive:
                os.kill(child, number)
                os.waitpid(child, 0)
                return

    def looked_at(self) -> list[str]:
        """What is wrong under final names."""
        found = self.result()
        done = (self.out / "manifest.json").is_file() or (self.out.exists() and not self.name.startswith("parts"))
        if done and found != self.truth:
            return [f"something else under the final name: {differ(found, self.truth)}"]
        wrong = [name for name, digest in found.items() if digest != self.truth.get(name)]
        unsealed = self.name.startswith("parts") and not done
        if unsealed and self.go(f"convert OUT {self.home / 'read.h5ad'}") == 0:
            wrong.append("read without being sealed")
        return [f"wrong parts: {', '.join(wrong)}"] if wrong else []

    def finished(self) -> list[str]:
        """Go again, to the end this time."""
        parts = self.name.startswith("parts")
        sealed = parts and (self.out / "manifest.json").is_file()
        more = " --overwrite" if self.out.exists() and not parts else ""  # the next run removes what the dead one left
        for line in self.lines[: 1 if sealed else None]:
            if self.go(f"{line}{more}") != 0:
                return [f"the next run failed at {line}: {self.said.read_text()[-300:]}"]
        if self.result() != self.truth:
            return [f"the next run gave something else: {differ(self.result(), self.truth)}"]
        left = sorted({*os.listdir(self.home)} - {self.name}) + [str(path) for path in self.home.rglob(".dgex-*-*")]
        return [f"left behind: {', '.join(left)}"] if left else []
