"""One case: a seed, damaged, given to dgex in a folder of its own, and what is wrong with what came of it."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from mutate import mutate
from targets import TARGETS

from dgex.errors import DgexError

__all__ = ["KINDS", "Outcome", "damaged", "run_case"]

KINDS = tuple(TARGETS)
LONGEST = 2000  # characters of a message: one line, not a page
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_MOVES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}
_NEVER = {"pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "socket.connect"}


@dataclass
class Outcome:
    """What came of a case."""

    kind: str
    seed: int
    result: str = "accepted"  # accepted, refused or finding
    cause: str = ""  # groups findings that are alike
    detail: str = ""
    source: str = ""
    damage: list[str] = field(default_factory=list)

    def found(self, cause: str, detail: str = "") -> None:
        """Make it a finding."""
        self.result, self.cause, self.detail = "finding", cause, detail

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self)


def damaged(kind: str, seed: int, seeds: Path, folder: Path) -> tuple[Path, Random, Outcome]:
    """Put the damaged input of a case into `folder`; the same numbers give the same input."""
    rng = Random(f"{kind} {seed}")
    files = sorted(item for item in (seeds / kind).iterdir() if item.name != "panel.gct" or kind == "panel")
    source = rng.choice(files)
    target = folder / source.name
    shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    outcome = Outcome(kind, seed, source=source.name)
    outcome.damage = mutate(target, files, rng)
    return target, rng, outcome


def run_case(kind: str, seed: int, seeds: Path, folder: Path) -> Outcome:
    """Run a case in the empty `folder`, which then holds its input under `in`."""
    places = {name: folder / name for name in ("in", "out", "cwd", "tmp")}
    for place in places.values():
        place.mkdir(parents=True)
    (places["cwd"] / "victim").write_text("not to be touched")
    (folder / "damaging").touch()
    path, rng, outcome = damaged(kind, seed, seeds, places["in"])
    (folder / "damaging").unlink()
    print(outcome.source, outcome.damage, file=sys.stderr)  # of a crash, this is what is left
    before = _listing(folder)
    with _inside(places), _watched(folder) as seen, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            TARGETS[kind](path, rng, seeds)
        except DgexError as error:
            outcome.result = "refused"
            outcome.detail = str(error)
            wrong = _unfit(outcome.detail)
            if wrong:
                outcome.found(f"{wrong}: {_place(error)}", _trace(error))
        except Exception as error:
            kind_of = f"{type(error).__module__}.{type(error).__name__}".removeprefix("builtins.")
            outcome.found(f"{kind_of}: {_place(error)}", _trace(error))
    if seen and outcome.result != "finding":
        outcome.found(f"reaches out: {seen[0].split(' ')[0]}", "\n".join(seen))
    changed = [name for name, what in _listing(folder).items() ^ before.items() if not name.startswith("out")]
    if changed and outcome.result != "finding":
        outcome.found("files outside the output", "\n".join(sorted(set(changed))))
    return outcome


def _unfit(message: str) -> str:
    """What is wrong with a message, if anything."""
    if not message.strip():
        return "empty message"
    if len(message.splitlines()) > 1:
        return "message of several lines"
    if len(message) > LONGEST:
        return "endless message"
    return "unprintable message" if re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", message) else ""


def _place(error: BaseException) -> str:
    """Where an error was raised: the innermost frame, and the innermost of dgex."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/dgex/" in frame.filename]
    named = [f"{Path(frame.filename).name} {frame.name}" for frame in (*ours[-1:], *frames[-1:])]
    return " < ".join(dict.fromkeys(named))


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, limit=-12))[-6000:]


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time."""
    listed = {}
    for item in folder.rglob("*"):
        found = item.lstat()
        listed[str(item.relative_to(folder))] = (found.st_size, found.st_mtime_ns if item.is_file() else 0)
    return listed


@contextmanager
def _inside(places: dict[str, Path]) -> Iterator[None]:
    """Work in a folder with a victim in it; temporary files go beside it."""
    old, temporary = Path.cwd(), tempfile.tempdir
    os.chdir(places["cwd"])
    tempfile.tempdir = str(places["tmp"])
    try:
        yield
    finally:
        tempfile.tempdir = temporary
        os.chdir(old)


_hooked = False
_allowed: str | None = None  # where writing is allowed, while a case runs
_seen: list[str] = []


@contextmanager
def _watched(folder: Path) -> Iterator[list[str]]:
    """Note what Python is told to write elsewhere, to run or to unpickle; C libraries do not tell."""
    global _hooked, _allowed
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    _seen.clear()
    _allowed = str(folder.resolve())
    try:
        yield _seen
    finally:
        _allowed = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _allowed is None:
        return
    if event in _NEVER:
        _seen.append(f"{event} {arguments!r:.200}")
    elif (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES) or event in _MOVES:
        place = arguments[0]
        if not isinstance(place, str | bytes):
            return
        whole = os.path.abspath(os.fsdecode(place))
        if not whole.startswith((_allowed, "/dev/", "/proc/")):
            _seen.append(f"{event} {whole}")
