"""Faults over streamed and sharded inference: nothing wrong under a final name, and what follows equal byte for byte.

    python fuzz/faults.py --kills 100 [--faults 20] [--seed 0] [--json]

Each path to a result (one GCTX, h5ad or zarr, resumed; parts or one zarr store from two shards, sealed) is gone once to
its end, then again and again with a fault: SIGKILL, SIGTERM or SIGINT after a random part of that time, or at a random
one of the moments when a file is opened, renamed or removed; a file that may grow no further (short writes); a full
disk (a small tmpfs; root only); a read that fails (strace only); a shard lost; a bit flipped in a part. After each,
what lies under the final name is the whole result, or is refused on reading; then the same commands again, or those
that `dgex seal` names, give the same bytes, touch no part that was whole, and leave nothing behind. Linux only.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from fault_case import PATHS, SHARDS, Case
from kills import SIGNALS, differ, make_inputs
from kills import result as digests

from dgex import io

CRASHED = ", HDF5 crashed"
LONGEST = 60.0  # seconds that a command may take


def kill(case: Case, rng: random.Random) -> tuple[str, list[str]]:
    """A kill at a random moment, one time by the clock, the other by what is done to files."""
    number = rng.choice(SIGNALS)
    if rng.random() < 0.5:
        moment = rng.randrange(1, case.count + 1)
        case.killed_at(moment, number)
        what = f"{number.name} at moment {moment:,} of {case.count:,}"
    else:
        seconds = case.seconds * rng.random()
        case.killed_after(seconds, number)
        what = f"{number.name} after {seconds:.3f} s"
    return what, case.looked_at() + case.finished()


def short_write(case: Case, rng: random.Random) -> tuple[str, list[str]]:
    """No file may grow beyond a size: the last write is cut short, those after it fail."""
    sizes = [path.stat().st_size for path in ([case.out] if case.out.is_file() else case.out.rglob("*"))]
    most = rng.randrange(64, max(sizes))
    case.anew()
    code = 0
    for line in case.lines:
        code = code or limited(case, line, most)
    crashed = code == -signal.SIGSEGV  # in HDF5, which cannot close what it cannot write
    wrong = [] if crashed else told(case, code)
    return f"no file beyond {most:,} bytes{CRASHED if crashed else ''}", wrong + case.looked_at() + case.finished()


def limited(case: Case, line: str, most: int) -> int:
    """Run a command that may make no file larger; what it says comes through a pipe, which has no size."""
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 1 << 20)

    def prepare() -> None:
        os.dup2(theirs, 1)
        os.dup2(theirs, 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    code = case.go(line, prepare)
    os.close(theirs)
    with os.fdopen(ours, "rb") as said:
        case.said.write_bytes(said.read())
    return code


def full_disk(case: Case, rng: random.Random) -> tuple[str, list[str]]:
    """The result lies on a disk that is too small for it; then the disk grows."""
    size = sum(path.stat().st_blocks * 512 for path in case.home.rglob("*"))
    most = 4096 * rng.randrange(4, max(6, size // 4096 + 4))
    case.anew()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={most}", "none", str(case.home)], check=True)
    try:
        code = 0
        for line in case.lines:
            code = code or case.go(line)  # what failed is what was said
        wrong = told(case, code) + case.looked_at()
        subprocess.run(["mount", "-o", "remount,size=64m", str(case.home)], check=True)
        wrong += case.finished()
    finally:
        subprocess.run(["umount", str(case.home)], check=True)
    return f"a disk of {most:,} bytes", wrong


def read_error(case: Case, rng: random.Random) -> tuple[str, list[str]]:
    """A read of the input fails, as of a bad disk; a moment later it would not."""
    case.anew()
    which, code = rng.randrange(1, 60), 0
    for line in case.lines:
        inject = ["-e", "trace=read,pread64", "-e", f"inject=read,pread64:error=EIO:when={which}"]
        traced = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-P", str(case.inputs / "few.gctx"), *inject]
        command = [*traced, sys.executable, "-m", "dgex", "--quiet", *case.words(line)]
        with case.said.open("w") as said:
            code = code or subprocess.run(command, stdout=said, stderr=said, timeout=LONGEST).returncode
        if code:
            break
    wrong = told(case, code) + case.looked_at() + case.finished()
    return f"read {which} of the input fails", wrong


def lost(case: Case, rng: random.Random) -> tuple[str, list[str]]:
    """A part, or what is told of it, is gone when all is to be sealed."""
    sealed = rng.random() < 0.5
    case.anew()
    for line in case.lines[: None if sealed else -1]:
        case.go(line)
    parts = files_of_parts(case)
    victims = list(case.home.rglob("profiles-*.json")) if not sealed and rng.random() < 0.3 else parts
    victim = rng.choice(sorted(victims))
    victim.unlink()
    return f"{victim.name} lost {'after' if sealed else 'before'} sealing", mended(case, victim, sealed)


def flipped(case: Case, rng: random.Random) -> tuple[str, list[str]]:
    """A bit of a part is another one."""
    sealed = rng.random() < 0.5
    case.anew()
    for line in case.lines[: None if sealed else -1]:
        case.go(line)
    victim = rng.choice(sorted(files_of_parts(case)))
    content = bytearray(victim.read_bytes())
    bit = rng.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    victim.write_bytes(bytes(content))
    what = f"bit {bit:,} of {victim.name} flipped {'after' if sealed else 'before'} sealing"
    return what, mended(case, victim, sealed)


def files_of_parts(case: Case) -> list[Path]:
    return [path for path in case.home.rglob("*") if re.fullmatch(r"profiles.*\.(h5ad|gctx)|\d+\.\d+", path.name)]


def mended(case: Case, victim: Path, sealed: bool) -> list[str]:
    """It is found, and the command that is named makes just that again."""
    before = {path: path.stat().st_mtime_ns for path in files_of_parts(case)}
    if case.go("info OUT --verify" if sealed else "seal OUT") != 1:
        return [f"not found: {case.said.read_text()}"]
    said = case.said.read_text()
    command = re.search("`(dgex infer .*)`", said)
    if command is None or said.count("\n") != 1:
        return [f"no command in one line: {said}"]
    if case.go(" ".join(shlex.split(command[1])[1:])) != 0 or case.go("seal OUT") != 0:
        return [f"not mended by {command[1]}: {case.said.read_text()}"]
    after = {path.name: path.stat().st_mtime_ns for path in files_of_parts(case)}
    changed = [path.name for path, time_ in before.items() if after.get(path.name) != time_]
    other = [name for name in changed if part_of(name) != part_of(victim.name)]
    wrong = [f"done again without need: {', '.join(other)}"] if other else []
    if case.result() != case.truth:
        wrong.append(f"mended to something else: {differ(case.result(), case.truth)}")
    return wrong


def part_of(name: str) -> int:
    """The first profile of a file, which is its part's: parts and chunks have a block each."""
    return int(name.split("-")[1]) if name.startswith("profiles") else 8 * int(name.split(".")[0])


def told(case: Case, code: int) -> list[str]:
    """A fault ends in one line and exit code 1, unless nothing came of it."""
    said = case.said.read_text(errors="replace")
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    return [] if code == 0 or (code == 1 and len(lines) == 1) else [f"exit code {code}: {said[-400:]}"]


FAULTS = {
    "short write": short_write,
    "full disk": full_disk,
    "read error": read_error,
    "lost": lost,
    "flipped": flipped,
}


def possible(fault: str, name: str) -> bool:
    """Whether this machine can make a fault, and a path can meet it."""
    if fault in ("lost", "flipped"):
        return name.startswith("parts")
    if fault == "full disk":
        return os.geteuid() == 0 and shutil.which("mount") is not None
    return fault != "read error" or shutil.which("strace") is not None


def few(inputs: Path, profiles: int) -> None:
    """A panel so small that it is a part a block."""
    with io.open(inputs / "panel.gctx") as panel:
        io.write(panel.to_adata(samples=slice(0, profiles)), inputs / "few.gctx")


def quick(folder: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """A few faults over parts, none by the clock: for the tests. The inputs are made here, without torch."""
    import dgex

    inputs = folder / "inputs"
    inputs.mkdir()
    raw = dgex.simulate(samples=120, landmarks=12, targets=20, seed=1)
    dgex.train(dgex.prepare(raw.copy(), seed=0), "ridge", alpha=1.0).save(inputs / "model")
    io.write(raw[:16, (raw.var["role"] == "landmark").to_numpy()], inputs / "few.gctx")
    lines = [line if "seal" in line else f"{line} --parts gctx" for line in SHARDS]
    case, rng, findings = Case("parts", folder, inputs, lines), random.Random(0), []
    case.anew()
    case.killed_at(case.count // 2, signal.SIGKILL)
    findings += [f"SIGKILL: {wrong}" for wrong in case.looked_at() + case.finished()]
    for fault in ("short write", "flipped"):
        what, wrong = FAULTS[fault](case, rng)
        findings += [f"{what}: {one}" for one in wrong]
    return {"parts": Counter({"kill": 1, "short write": 1, "flipped": 1})}, findings


def campaign(
    folder: Path, kills: int, faults: int, seed: int, minutes: float
) -> tuple[dict[str, Counter[str]], list[str]]:
    """All faults over all paths, dealt evenly, in a random order; none is begun when the time is over."""
    until = time.monotonic() + 60 * minutes
    inputs, rng = folder / "inputs", random.Random(seed)
    make_inputs(inputs)
    few(inputs, 64)
    counts: dict[str, Counter[str]] = {}
    findings: list[str] = []
    cases = {name: Case(name, folder, inputs) for name in PATHS}
    before = digests(inputs)
    plan = [("kill", name) for number in range(kills) for name in [list(PATHS)[number % len(PATHS)]]]
    for fault in FAULTS:
        names = [name for name in PATHS if possible(fault, name)]
        plan += [(fault, names[number % len(names)]) for number in range(faults if names else 0)]
        if not names:
            print(f"{fault}: not possible here, left out", file=sys.stderr, flush=True)
    rng.shuffle(plan)
    for fault, name in plan:
        if time.monotonic() > until:
            break
        case = cases[name]
        if fault == "kill":
            case.anew()
        elif not case.out.exists():
            for line in case.lines:
                case.go(line)
        what, wrong = (kill if fault == "kill" else FAULTS[fault])(case, rng)
        if digests(inputs) != before:
            wrong.append("inputs changed")
        counts.setdefault(name, Counter())[fault] += 1
        if CRASHED in what:
            counts[name][f"{fault}{CRASHED}"] += 1
        findings += [f"{name}, {what}: {finding}" for finding in wrong]
        if wrong:
            print(findings[-1], file=sys.stderr, flush=True)
    return counts, findings


def main() -> int:
    """Parse, break, count."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--faults", type=int, default=20, help="of each further kind")
    options.add_argument("--minutes", type=float, default=600.0, help="after which no fault is begun")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--quick", action="store_true", help="a few, the same every time")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="dgex-faults-") as folder:
        if given.quick:
            counts, findings = quick(Path(folder))
        else:
            counts, findings = campaign(Path(folder), given.kills, given.faults, given.seed, given.minutes)
    if given.json:
        print(json.dumps({"counts": counts, "findings": findings}, indent=2))
        return bool(findings)
    for name, count in counts.items():
        print(f"{name:<12} {', '.join(f'{what} {number}' for what, number in count.items())}")
    total = sum((Counter(count) for count in counts.values()), Counter[str]())
    print(f"{', '.join(f'{what} {n}' for what, n in total.items())}; {len(findings)} findings", *findings, sep="\n")
    return bool(findings)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
