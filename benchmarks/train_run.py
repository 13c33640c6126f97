"""Whole training runs on a GPU at the paper's size, on the simulated compendium; needs CUDA.

    python benchmarks/train_run.py run            # 200 epochs of 943 -> 9000 x 3 -> 9520, four evaluation sets
    python benchmarks/train_run.py faithful       # bfloat16 beside the plain eager float32 loop, 20 epochs
    python benchmarks/train_run.py grid           # the paper's 27 networks by their steady epochs

Prints a line of JSON for each. `run` checkpoints as `dgex train` does. `faithful` gives both the same data, starting
weights, order of batches and dropout masks. `grid` measures some epochs of every network and extrapolates to 200; the
first epoch, which compiles, is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from gpu import SIZES, ceilings, compendium, weights

from dgex.fitting.grid import SIDE_BY_SIDE
from dgex.training.batches.shared import one_copy
from dgex.training.learners.learner import Learner, make_learner
from dgex.training.machine.device import own_stream
from dgex.training.run.checkpoint import Checkpoints
from dgex.training.run.loop import train
from dgex.training.run.settings import TrainingSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "training"))
CUDA = torch.device("cuda")


def settings(sizes: list[int], epochs: int) -> TrainingSettings:
    return TrainingSettings(5e-4 if len(sizes) == 3 else 3e-4, epochs=epochs)


def one_run(options: argparse.Namespace, data: Any) -> dict[str, Any]:
    (X, Y), sets = data
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(folder, {}, "data") if options.checkpoint else None
        learner = make_learner(options.sizes, device=CUDA, precision=options.precision, dropout=0.1)
        result = train(learner, X, Y, sets, settings(options.sizes, options.epochs), checkpoints=checkpoints)
    seconds = time.perf_counter() - began
    held = 4 * (X.size + Y.size + sum(x.size + y.size for x, y in sets.values())) + 12 * weights(options.sizes)
    steady = sorted(row["seconds"] for row in result.history[1:])
    return {
        "epochs": len(result.history),
        "seconds": round(seconds, 1),
        "seconds_an_epoch": {"median": round(steady[len(steady) // 2], 4), "max": round(steady[-1], 4)},
        "learning_seconds_an_epoch": round(len(X) / result.history[-1]["profiles_per_s"], 4),
        "errors": {name: [round(kept.error, 4), kept.epoch] for name, kept in result.best.items()},
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        "beyond_data_weights_gradients_momentum": round(torch.cuda.max_memory_allocated() / held - 1, 3),
    }


def faithful(options: argparse.Namespace, data: Any) -> dict[str, Any]:
    from masks import FusedMasks
    from plain import PlainLearner

    from dgex.training.learners.perceptron import Perceptron

    (X, Y), sets = data
    sets = {"GEO-va": sets["GEO-va"], "1000G-va": sets["1000G-va"]}
    learners: dict[str, Callable[[], Learner]] = {
        "bf16": lambda: make_learner(options.sizes, device=CUDA, precision="bf16", dropout=0.1),
        "plain": lambda: PlainLearner(Perceptron(options.sizes, 0).to(CUDA), dropout=0.1, masks=FusedMasks(0.1)),
    }
    curves: dict[str, dict[str, list[float]]] = {}
    seconds = {}
    for kind, make in learners.items():
        learner = make()
        result = train(learner, X, Y, sets, settings(options.sizes, options.epochs))
        curves[kind] = {name: [row[f"{name}.error"] for row in result.history] for name in sets}
        seconds[kind] = round(sum(row["seconds"] for row in result.history), 1)
    every = range(min(9, options.epochs - 1), options.epochs, 10)
    return {
        "seconds": seconds,
        "curves": {
            kind: {name: [round(e, 5) for e in c] for name, c in found.items()} for kind, found in curves.items()
        },
        "every_tenth_epoch": {
            name: [[round(curves[k][name][e], 5) for k in ("bf16", "plain")] for e in every] for name in sets
        },
        "largest_difference": {
            name: max(abs(a / b - 1) for a, b in zip(curves["bf16"][name], curves["plain"][name])) for name in sets
        },
    }


def grid(options: argparse.Namespace, data: Any) -> dict[str, Any]:
    (X, Y), sets = data
    members: dict[str, dict[str, float]] = {}
    total, saved = 0.0, 0.0
    for layers in (1, 2, 3):
        for units in (3000, 6000, 9000):
            for dropout in options.dropouts:
                sizes = [SIZES[0], *[units] * layers, SIZES[-1]]
                learner = make_learner(sizes, device=CUDA, precision="bf16", dropout=dropout)
                began = time.perf_counter()
                history = train(learner, X, Y, sets, settings(sizes, options.epochs)).history
                start = time.perf_counter() - began - sum(row["seconds"] for row in history)
                steady = sorted(row["seconds"] for row in history[1:])
                seconds = start + history[0]["seconds"] + 199 * steady[len(steady) // 2]
                members[f"{units}x{layers}-dropout{dropout}"] = {
                    "steady_epoch": round(steady[len(steady) // 2], 4),
                    "200_epochs": round(seconds, 1),
                    "GEO-va": round(history[-1]["GEO-va.error"], 4),
                }
                total += seconds
                del learner
            if weights(sizes) > SIDE_BY_SIDE:
                continue
            three = [f"{units}x{layers}-dropout{dropout}" for dropout in options.dropouts]
            together = side_by_side(sizes, options, data)
            alone = sum(members[name]["steady_epoch"] for name in three)
            for name in three:
                members[name]["all_dropouts_side_by_side"] = round(together, 4)
            saved += 199 * max(0.0, alone - together)
    minutes = {"one_after_the_other": round(total / 60, 2), "side_by_side_where_faster": round((total - saved) / 60, 2)}
    return {"members": members, "minutes": minutes, "networks": len(members)}


def side_by_side(sizes: list[int], options: argparse.Namespace, data: Any) -> float:
    """Seconds of an epoch of a network with each dropout, all at once, as `dgex train --grid` trains small ones."""
    (X, Y), sets = data

    def one(dropout: float) -> list[float]:
        learner = make_learner(sizes, device=CUDA, precision="bf16", dropout=dropout)
        with own_stream(CUDA):
            return [row["seconds"] for row in train(learner, X, Y, sets, settings(sizes, options.epochs)).history[1:]]

    with ThreadPoolExecutor(len(options.dropouts)) as pool:
        found = list(pool.map(one, options.dropouts))
    return max(sorted(seconds)[len(seconds) // 2] for seconds in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["run", "faithful", "grid"])
    parser.add_argument("--hidden", type=lambda text: [int(n) for n in text.split(",")], default=SIZES[1:-1])
    for what, epochs in (("run", 200), ("faithful", 20), ("grid", 4)):
        parser.add_argument(f"--{what}-epochs", type=int, default=epochs)
    parser.add_argument("--dropouts", type=lambda t: [float(n) for n in t.split(",")], default=[0.0, 0.1, 0.25])
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--checkpoint", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--profiles", type=int, default=88807)
    options = parser.parse_args()
    options.sizes = [SIZES[0], *options.hidden, SIZES[-1]]
    began = time.perf_counter()
    data = compendium(options.profiles)
    about = {
        "sizes": options.sizes,
        "profiles": len(data[0][0]),
        "sets": {name: len(x) for name, (x, _) in data[1].items()},
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "simulating_seconds": round(time.perf_counter() - began, 1),
        "ceilings": ceilings(),
    }
    for what in options.what:
        torch.cuda.empty_cache()
        options.epochs = vars(options)[f"{what}_epochs"]
        matrices = [*data[0], *(matrix for pair in data[1].values() for matrix in pair)]
        with one_copy(matrices) if what == "grid" else nullcontext():  # as `dgex train --grid` does
            found = {"run": one_run, "faithful": faithful, "grid": grid}[what](options, data)
        print(json.dumps({"what": what, **about, **found}), flush=True)


if __name__ == "__main__":
    main()
