"""`dgex infer` on files of any size: wall time beside pure computation and pure writing, and peak memory. Prints JSON.

    python benchmarks/inference_scale.py                        # 20,000 x 978 -> 12,320, ridge, GCTX to GCTX

The sides take turns, each in a process of its own, and the smallest time of `--repeats` counts: the model's `predict`
on blocks that are in memory; the same number of bytes through the same writer; the whole command from its first import
to its end; the same command on ten profiles, which is what starting takes. `--folder` keeps model and inputs; `--other`
is the source of another version, whose command takes turns too. Wall times of a busy machine say little: seconds of
the processor are told beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import dgex
from dgex import io

BLOCK = 1024
FEW = 10
COMMAND = """
import sys
from pathlib import Path
from dgex.cli.app import run
sys.argv = ["dgex", *sys.argv[1:]]
try:
    run()
finally:
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(peak.split()[1])
"""


def main() -> None:
    """Parse, make what is missing, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--landmarks", type=int, default=978)
    parser.add_argument("--targets", type=int, default=12_320)
    parser.add_argument("--memory", type=lambda text: [int(n) for n in text.split(",")], default=[5_000, 20_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--other", help="the src folder of another version")
    parser.add_argument("--parts", action="store_true", help="write parts too, seal them and verify them")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(STEPS[options.step](options)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = options.folder or Path(temporary)
        make(options, folder)
        best: dict[str, float] = {}
        for _ in range(options.repeats):
            found = {step: apart(step, folder) for step in STEPS}
            for name, profiles in (("whole", options.profiles), ("start", FEW)):
                found[name], found[f"{name}_processor"], _ = command(folder, profiles)
            if options.parts:
                found |= in_parts(folder, options.profiles)
            if options.other:
                found["other_whole"], found["other_whole_processor"], _ = command(
                    folder, options.profiles, options.other
                )
            best = {name: min(best.get(name, np.inf), value) for name, value in found.items()}
        slower = max(best["computation"], best["writing"])
        peak = {f"{n:,}": [command(folder, n)[2]] for n in options.memory}
        for n in options.memory if options.other else ():
            peak[f"{n:,}"].append(command(folder, n, options.other)[2])
        report = {
            "what": f"{options.profiles:,} x {options.landmarks:,} -> {options.targets:,}, ridge, GCTX",
            "threads": os.environ.get("OMP_NUM_THREADS", f"{os.cpu_count()} (all)"),
            "seconds": {name: round(value, 2) for name, value in best.items()},
            "whole_over_slower": round(best["whole"] / slower, 3),
            "whole_but_start_over_slower": round((best["whole"] - best["start"]) / slower, 3),
            "other_whole_over_slower": round(best.get("other_whole", np.nan) / slower, 3),
            "parts_over_whole": round(best.get("parts_processor", np.nan) / best["whole_processor"], 3),
            "peak_GiB": {n: [round(value / 2**20, 3) for value in values] for n, values in peak.items()},
        }
    print(json.dumps(report, indent=2))


def make(options: argparse.Namespace, folder: Path) -> None:
    """A ridge model of simulated profiles, and panels of any number of profiles like them, where they are not there."""
    model = folder / f"ridge-{options.landmarks}-{options.targets}"
    raw = dgex.simulate(samples=1_600, landmarks=options.landmarks, targets=options.targets, seed=0)
    if not model.exists():
        dgex.train(dgex.prepare(raw.copy(), group="study", seed=0), "ridge", alpha=100.0, output=model)
    (folder / "model").unlink(missing_ok=True)
    (folder / "model").symlink_to(model.name)
    panel = raw[:, (raw.var["role"] == "landmark").to_numpy()]
    values = np.asarray(panel.X, dtype=np.float32)
    for profiles in {options.profiles, FEW, *options.memory}:
        source = folder / f"{profiles}.gctx"
        if source.exists():
            continue
        random = np.random.default_rng(profiles)
        with io.create(source, names(profiles), panel.var[[]]) as writer:
            for start in range(0, profiles, BLOCK):
                count = min(BLOCK, profiles - start)
                noise = np.float32(0.1) * random.standard_normal((count, values.shape[1]), dtype=np.float32)
                writer.append(values[random.integers(0, len(values), count)] + noise)


def names(profiles: int) -> pd.DataFrame:
    """Metadata of so many profiles: their names."""
    return pd.DataFrame(index=[f"P{number}" for number in range(profiles)])


def computation(options: argparse.Namespace) -> float:
    """Seconds of `predict` on all blocks, which lie in memory; results are dropped."""
    model = dgex.load(options.folder / "model")
    X = np.random.default_rng(0).standard_normal((options.profiles, options.landmarks), dtype=np.float32)
    model.predict(X[:FEW])
    began = time.perf_counter()
    for start in range(0, options.profiles, BLOCK):
        model.predict(X[start : start + BLOCK])
    return time.perf_counter() - began


def writing(options: argparse.Namespace) -> float:
    """Seconds of the writer on a result of the same shape."""
    genes = pd.DataFrame(index=[f"G{number}" for number in range(options.landmarks + options.targets)])
    block = np.random.default_rng(0).standard_normal((BLOCK, len(genes)), dtype=np.float32)
    obs, output = names(options.profiles), options.folder / "written.gctx"
    began = time.perf_counter()
    with io.create(output, obs, genes) as writer:
        for start in range(0, options.profiles, BLOCK):
            writer.append(block[: min(BLOCK, options.profiles - start)])
    took = time.perf_counter() - began
    output.unlink()
    return took


STEPS = {"computation": computation, "writing": writing}


def apart(step: str, folder: Path) -> float:
    """Run a step in a process of its own."""
    given = [*sys.argv[1:], "--folder", str(folder), "--step", step]
    done = subprocess.run([sys.executable, __file__, *given], check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


def in_parts(folder: Path, profiles: int) -> dict[str, float]:
    """Wall seconds and seconds of the processor of the same in parts of a folder, of sealing it and of verifying it."""
    output, found = folder / "parts", {}
    for name, words in (
        ("parts", ["infer", str(folder / f"{profiles}.gctx"), str(folder / "model"), str(output)]),
        ("seal", ["seal", str(output)]),
        ("verify", ["info", str(output), "--verify"]),
    ):
        found[name], found[f"{name}_processor"], _ = timed(words)
    shutil.rmtree(output)
    return found


def command(folder: Path, profiles: int, source: str | None = None) -> tuple[float, float, int]:
    """Wall seconds, seconds of the processor and peak KiB of `dgex infer`."""
    output = folder / "full.gctx"
    found = timed(["infer", str(folder / f"{profiles}.gctx"), str(folder / "model"), str(output)], source)
    output.unlink()
    return found


def timed(words: list[str], source: str | None = None) -> tuple[float, float, int]:
    """Wall seconds, seconds of the processor and peak KiB of a command."""
    before, began = os.times(), time.perf_counter()
    environment = os.environ | ({} if source is None else {"PYTHONPATH": source})
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words], check=True, capture_output=True, text=True, env=environment
    )
    took, after = time.perf_counter() - began, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return took, used, int(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
