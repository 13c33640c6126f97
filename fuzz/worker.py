"""A process that runs one case after another, watched from outside: time, memory, crashes. Linux only."""

from __future__ import annotations

import faulthandler
import importlib
import json
import logging
import multiprocessing
import os
import pkgutil
import resource
import shutil
import signal
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

__all__ = ["Worker", "preload"]

GIB = 1 << 30
ADDRESSES = 3 * GIB  # beyond what the process has reserved when it starts: what asks for more gets a MemoryError
PATIENCE = 6.0  # wall clock seconds for every second of the limit: other work may share the cores
HEAVY = ("anndata", "h5py", "pyarrow.csv", "pyarrow.parquet", "scipy.sparse", "sklearn.neighbors", "torch", "zarr")
_fork = multiprocessing.get_context("fork")


class Worker:
    """Runs cases in a forked process, which is started anew after a crash or a case that took too long."""

    _made = 0

    def __init__(self, place: Path, findings: Path, seconds: float) -> None:
        Worker._made += 1
        self._place, self._findings, self._seconds = place / f"worker-{Worker._made}", findings.resolve(), seconds
        self._seeds = place / "seeds"
        self._process: Any = None
        self._pipe: Connection | None = None
        self._case: tuple[str, int] = ("", 0)
        self._began, self._used = 0.0, 0.0

    def make_seeds(self) -> None:
        """Make the seeds in a process of its own: one that has run threads must not be forked."""
        process = _fork.Process(target=_make_seeds, args=(self._seeds,))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit("the seeds could not be made")

    def run(self, kind: str, seed: int) -> dict[str, Any]:
        """Run one case to its end."""
        self.start_case(kind, seed)
        while (outcome := self.poll(0.5)) is None:
            pass
        return outcome

    def start_case(self, kind: str, seed: int) -> None:
        """Begin a case, in a new process where there is none."""
        if self._process is None:
            self._pipe, theirs = _fork.Pipe()
            self._place.mkdir(exist_ok=True)
            self._process = _fork.Process(target=_serve, args=(theirs, self._place, self._seeds), daemon=True)
            self._process.start()
            theirs.close()
        assert self._pipe is not None
        self._case, self._began, self._used = (kind, seed), time.monotonic(), _processor_time(self._process.pid)
        self._pipe.send(self._case)

    def poll(self, seconds: float) -> dict[str, Any] | None:
        """The outcome of the case, when it has come or been cut off."""
        assert self._pipe is not None
        try:
            if self._pipe.poll(seconds):
                outcome: dict[str, Any] = self._pipe.recv()
                self._judge(outcome)
                return self._kept(outcome)
        except (EOFError, ConnectionError):
            self._process.join()
            if (self._place / "case" / "damaging").exists():  # HDF5's own code ended it, on the way to the damage
                self.stop()
                return {"kind": self._case[0], "seed": self._case[1], "result": "refused", "detail": "not damaged"}
            return self._cut_off(f"crash: signal {-self._process.exitcode}" if self._process.exitcode < 0 else "exit")
        used, waited = _processor_time(self._process.pid) - self._used, time.monotonic() - self._began
        if used > self._seconds or waited > PATIENCE * self._seconds:
            return self._cut_off("time: no end")
        return None

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _judge(self, outcome: dict[str, Any]) -> None:
        """Make a finding of an outcome that cost too much."""
        if outcome["result"] == "finding":
            return
        if outcome.pop("memory") > GIB:
            outcome |= {"result": "finding", "cause": "memory", "detail": "more than 1 GiB above the base"}
        elif outcome.pop("seconds") > self._seconds:
            outcome |= {"result": "finding", "cause": "time: slow"}

    def _cut_off(self, cause: str) -> dict[str, Any]:
        self.stop()
        said = self._place / "said"
        kind, seed = self._case
        detail = said.read_text(errors="replace").split("Extension modules:")[0][:6000] if said.is_file() else ""
        return self._kept({"kind": kind, "seed": seed, "result": "finding", "cause": cause, "detail": detail})

    def _kept(self, outcome: dict[str, Any]) -> dict[str, Any]:
        if outcome["result"] == "finding":
            target = self._findings / f"{outcome['kind']}-{outcome['seed']}"
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            shutil.copytree(self._place / "case" / "in", target / "in", symlinks=True)
            (target / "finding.json").write_text(json.dumps(outcome, indent=1))
        return outcome


def preload() -> None:
    """Import what cases need, once: workers are forks."""
    for package in ("io", "models", "inference"):
        for found in pkgutil.walk_packages(importlib.import_module(f"dgex.{package}").__path__, f"dgex.{package}."):
            importlib.import_module(found.name)
    for name in ("case", *HEAVY):
        importlib.import_module(name)


def _make_seeds(folder: Path) -> None:
    from seeds import make

    logging.disable()
    warnings.simplefilter("ignore")
    make(folder)


def _serve(pipe: Connection, place: Path, seeds: Path) -> None:
    """Run cases as they are asked for, until the pipe closes."""
    from case import run_case

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = os.open(place / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    faulthandler.enable(said)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + ADDRESSES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            kind, seed = pipe.recv()
        except EOFError:
            return
        shutil.rmtree(place / "case", ignore_errors=True)
        os.ftruncate(said, 0)
        os.lseek(said, 0, os.SEEK_SET)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        base, began = _status("VmRSS"), time.process_time()
        outcome = run_case(kind, seed, seeds, place / "case").as_dict()
        pipe.send(outcome | {"memory": _status("VmHWM") - base, "seconds": time.process_time() - began})


def _status(name: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0


def _processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
