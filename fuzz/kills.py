"""Kill commands at any moment: nothing wrong under a final name, the next run equal, and nothing left after it.

    python fuzz/kills.py --kills 200 [--seed 0] [--json]

Every command that writes is run once to its end, then again and again with SIGKILL, SIGTERM or SIGINT after a random
part of that time. Each time: what lies under the final name is the whole result or nothing; the same command once more
(going on, where it can) gives the same result; beside it lies nothing. Commands run in forks of a process that has
imported everything, so that kills fall into their work and not into imports. Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
NET = "--hidden 16,8 --epochs 12 --batch-size 20"


@dataclass(frozen=True)
class Command:
    """A command line; OUT is what it writes, IN the folder of inputs."""

    words: str
    goes_on: str = ""  # the flag that goes on; "same" where the same command does
    share: float = 1.0  # of the kills


COMMANDS = {
    "out.h5ad": Command("convert IN/raw.gctx OUT --block 16"),
    "out.zarr": Command("convert IN/raw.gctx OUT --block 16"),
    "made.gctx": Command("simulate OUT --samples 400 --landmarks 20 --targets 60"),
    "data.h5ad": Command("prepare IN/raw.h5ad OUT --quantile --dedup 1"),
    "ridge": Command("train IN/data.h5ad OUT --method ridge"),
    "network": Command(f"train IN/data.h5ad OUT --method dgex {NET}", "--resume", 2),
    "grid": Command(f"train IN/data.h5ad OUT --grid layers=1,2 dropout=0,.1 {NET} --hidden 8", "--resume", 2),
    "weights": Command("convert-weights IN/weights.tsv OUT"),
    "evaluation": Command("evaluate IN/model IN/data.h5ad --out OUT"),
    "full.h5ad": Command("infer IN/panel.gctx IN/model OUT --block 8"),
    "full.gctx": Command("infer IN/panel.gctx IN/model OUT --block 8 --resume", "--resume", 2),
    "full.zarr": Command("infer IN/panel.gctx IN/model OUT --block 8"),
    "learned": Command("interpret IN/model IN/data.h5ad OUT --samples 8"),
    "demo": Command("demo OUT --scale tiny", "same", 0.3),
    "study": Command("reproduce OUT --hidden 4 --layers 1 --dropout .1 --epochs 2 --methods ols,ridge", "same", 0.3),
}
# What tells whether two results are the same: the rest of a folder holds seconds.
TELLING = ("*.h5ad", "*.gctx", "*.safetensors", "genes.csv", "attributions.csv", "*.npz", ".zarray", "X/[0-9]*.[0-9]*")


def main() -> int:
    """Parse, kill, count."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", default="", help="outputs to make, comma separated")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    chosen = {name: COMMANDS[name] for name in (given.only.split(",") if given.only else COMMANDS)}
    with tempfile.TemporaryDirectory(prefix="dgex-kills-") as folder:
        counts, findings = kill_all(Path(folder), chosen, given.kills, random.Random(given.seed))
    if given.json:
        print(json.dumps({"counts": counts, "findings": findings}, indent=2))
    else:
        for name, count in counts.items():
            print(f"{name:<12} {', '.join(f'{what} {number}' for what, number in count.items())}")
        print(
            f"{sum(count['kills'] for count in counts.values())} kills, {len(findings)} findings", *findings, sep="\n"
        )
    return bool(findings)


def kill_all(
    folder: Path, chosen: dict[str, Command], kills: int, rng: random.Random
) -> tuple[dict[str, Counter[str]], list[str]]:
    """Deal the kills to the commands by their shares."""
    inputs = folder / "inputs"
    make_inputs(inputs)
    total = sum(command.share for command in chosen.values())
    counts: dict[str, Counter[str]] = {}
    findings: list[str] = []
    for name, command in chosen.items():
        counts[name] = Counter(kills=0, before=0, after=0)
        print(name, file=sys.stderr, flush=True)
        home = folder / f"of-{name}"
        home.mkdir()
        began = time.monotonic()
        if run(command, home / name, inputs) != 0:
            raise SystemExit(f"{name}: {command.words} failed without any kill: {(folder / 'said').read_text()}")
        seconds, truth = time.monotonic() - began, result(home / name)
        for _ in range(max(1, round(kills * command.share / total))):
            findings += one_kill(
                name, command, home, inputs, seconds * rng.random(), rng.choice(SIGNALS), truth, counts
            )
    return counts, findings


def one_kill(
    name: str,
    command: Command,
    home: Path,
    inputs: Path,
    after: float,
    number: signal.Signals,
    truth: dict[str, str],
    counts: dict[str, Counter[str]],
) -> list[str]:
    """Run a command anew, kill it, look, run it again, look."""
    shutil.rmtree(home)
    home.mkdir()
    out, before = home / name, result(inputs)
    code = run(command, out, inputs, after, number)
    counts[name]["kills"] += 1
    counts[name]["after" if code == 0 else "before"] += 1
    where = f"{name}, {number.name} after {after:.3f} s"
    wrong = []
    filled = command.goes_on and out.is_dir()  # grids, studies: bit by bit, each bit whole
    if out.exists() and not filled and result(out) != truth:
        wrong.append(f"{where}: something else under the final name: {differ(result(out), truth)}")
    again = [command.goes_on] if command.goes_on not in ("", "same") else ["--overwrite"] if out.exists() else []
    if command.goes_on == "same" and (out / "report.html").exists() and name == "demo":
        again = ["--overwrite"]
    if "--resume" in again and name == "full.gctx" and out.exists():
        again = ["--overwrite"]
    if run(command, out, inputs, more=again) != 0:
        wrong.append(f"{where}: the next run failed: {(home.parent / 'said').read_text()[-300:]}")
    elif result(out) != truth:
        wrong.append(f"{where}: the next run gave something else: {differ(result(out), truth)}")
    left = sorted({*os.listdir(home)} - {name}) + [str(p) for p in home.rglob(".dgex-*-*")]
    if left and not wrong:
        wrong.append(f"{where}: left behind: {', '.join(left)}")
    if result(inputs) != before:
        wrong.append(f"{where}: inputs changed")
    return wrong


def run(
    command: Command,
    out: Path,
    inputs: Path,
    after: float | None = None,
    number: signal.Signals = signal.SIGKILL,
    more: list[str] | None = None,
) -> int:
    """Run a command in a fork, killed after `after` seconds; gives its exit code."""
    words = [word.replace("IN/", f"{inputs}/") for word in command.words.replace("OUT", str(out)).split()]
    words += [word for word in more or [] if word not in words]
    child = forked(words, inputs.parent / "said")
    if after is not None:
        time.sleep(after)
        os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def forked(words: list[str], said: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Begin a command in a fork, after `prepare` in it, and give its process; what it prints goes to a file."""
    child = os.fork()
    if child == 0:
        to = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(to, 1)
        os.dup2(to, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["dgex", "--quiet", *words]
        code = 70
        try:
            from dgex.cli.app import run as dgex

            prepare()
            dgex()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return child


def result(path: Path) -> dict[str, str]:
    """Digest of everything that does not hold the time."""
    if path.is_file():
        return {"": hashlib.sha256(path.read_bytes()).hexdigest()}
    files = {file for pattern in TELLING for file in path.rglob(pattern) if file.is_file()}
    files -= {file for file in files if ".checkpoint" in str(file.relative_to(path)) or "checkpoint" in file.parts}
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}


def differ(one: dict[str, str], other: dict[str, str]) -> str:
    """Names of what differs."""
    return ", ".join(sorted(name for name in {*one, *other} if one.get(name) != other.get(name)))[:300]


def make_inputs(inputs: Path) -> None:
    """All that the commands read, and all that they import."""
    inputs.mkdir()
    for line in (
        "simulate IN/raw.h5ad --samples 300 --landmarks 12 --targets 20 --seed 1",
        "convert IN/raw.h5ad IN/raw.gctx",
        "prepare IN/raw.h5ad IN/data.h5ad",
        "train IN/data.h5ad IN/model --method ridge",
    ):
        if run(Command(line), inputs / "none", inputs) != 0:
            raise SystemExit(f"{line}: {(inputs.parent / 'said').read_text()}")
    import anndata  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import torch

    from dgex import io

    torch.set_num_threads(1)  # threads do not survive a fork
    with io.open(inputs / "raw.h5ad") as raw:
        landmarks = raw.var.index[raw.var["role"] == "landmark"]
        io.write(raw.to_adata(genes=landmarks.tolist())[:200], inputs / "panel.gctx")
    text = re.sub(" ", "\t", "id OFFSET LM1 LM2\nTG1 1.0 2.0 0.5\nTG2 0.0 1.0 1.0\n")
    (inputs / "weights.tsv").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
