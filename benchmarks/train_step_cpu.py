"""A training step and inference of a network on the CPU: ours beside plain eager PyTorch, taken in turns in one run.

    python benchmarks/train_step_cpu.py                       # 943 -> 3000 -> 9520, batches of 200
    python benchmarks/train_step_cpu.py --hidden 9000,9000,9000 --rounds 5
    python benchmarks/train_step_cpu.py --hidden 500 --targets 2000

Prints JSON. The plain side is what a careful reader would write: nn.Linear, tanh, nn.Dropout, the summed
squared error, autograd and torch.optim.SGD with momentum and two groups of rates, in its default and its fused form;
its inference is the network in eval mode under inference_mode. All plain sides are float32.
Rounds alternate between the sides, so that a machine that is busy or throttled slows them alike. `wall_ms` is the
fastest and the median round; `cpu_ms` is processor time over all threads, which other programs disturb less.
`speedup` is plain over ours, by the fastest and the median round. `auto` is what precision="auto" takes here, with the
time that its trial took, and the number of threads that it chooses, which our training steps use; the plain sides
use torch's own number.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.learners.prediction import Predictor
from dgex.training.learners.tuning import pick_threads, resolve, using_threads

CPU = torch.device("cpu")
Side = Callable[[], object]


def ours(
    sizes: list[int], dropout: float, x: torch.Tensor, y: torch.Tensor, precision: str, threads: int | None = None
) -> Side:
    learner = MomentumStep(Perceptron(sizes), dropout=dropout, precision=precision)

    def step() -> float:
        with using_threads(threads):
            return float(learner.step(x, y, 5e-4))

    return step


def sequential(sizes: list[int], dropout: float) -> nn.Sequential:
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        parts += [nn.Linear(inputs, outputs), nn.Tanh(), nn.Dropout(dropout)]
    return nn.Sequential(*parts, nn.Linear(sizes[-2], sizes[-1]))


def plain(sizes: list[int], dropout: float, x: torch.Tensor, y: torch.Tensor, **kind: bool) -> Side:
    network = sequential(sizes, dropout)
    later = [m.weight for m in network[1:] if isinstance(m, nn.Linear)]
    others = [p for p in network.parameters() if all(p is not w for w in later)]
    groups = [{"params": others, "lr": 5e-4}, {"params": later, "lr": 1.5e-3}]
    optimizer = torch.optim.SGD(groups, lr=5e-4, momentum=0.5, **kind)

    def step() -> float:
        optimizer.zero_grad()
        loss = (network(x) - y).square().sum(1).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def our_inference(sizes: list[int], x: np.ndarray, precision: str) -> Side:
    weights = {name: value.numpy() for name, value in Perceptron(sizes).state_dict().items()}
    predictor = Predictor(weights, CPU, precision)
    return lambda: predictor(x)


def plain_inference(sizes: list[int], x: np.ndarray) -> Side:
    network = sequential(sizes, 0.0).eval()

    @torch.inference_mode()
    def predict() -> np.ndarray:
        return network(torch.from_numpy(x)).numpy()

    return predict


def in_turns(sides: Mapping[str, Side], rounds: int) -> dict[str, Any]:
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():  # warm up: buffers, threads
        side()
    for _ in range(rounds):
        for name, side in sides.items():
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            side()
            wall[name].append(1e3 * (time.perf_counter() - wall_start))
            cpu[name].append(1e3 * (time.process_time() - cpu_start))
    clocks = {"wall_ms": wall, "cpu_ms": cpu}
    found = {
        name: {
            clock: {"min": round(min(taken[name]), 1), "median": round(statistics.median(taken[name]), 1)}
            for clock, taken in clocks.items()
        }
        for name in sides
    }
    return {
        "sides": found,
        "speedup": {
            f"{own}_over_{other}": {
                f"{clock}_{form}": round(found[other][clock][form] / found[own][clock][form], 2)
                for clock in clocks
                for form in ("min", "median")
            }
            for own in sides
            for other in sides
            if own.startswith("dgex") and other.startswith("plain")
        },
    }


def auto(sizes: list[int], batch: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, predicting in (("training", False), ("inference", True)):
        began = time.perf_counter()
        found[name] = resolve("auto", CPU, sizes, batch, predicting)
        found[f"{name}_trial_ms"] = round(1e3 * (time.perf_counter() - began))
    began = time.perf_counter()
    found["threads"] = pick_threads(sizes, batch, found["training"])
    found["threads_trial_ms"] = round(1e3 * (time.perf_counter() - began))
    return found


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--hidden", type=lambda text: [int(n) for n in text.split(",")], default=[3000])
    parser.add_argument("--targets", type=int, default=9520)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--profiles", type=int, default=1024, help="profiles inferred in a round")
    options = parser.parse_args()
    torch.manual_seed(0)
    sizes = [options.landmarks, *options.hidden, options.targets]
    x, y = torch.randn(options.batch, sizes[0]), torch.randn(options.batch, sizes[-1])
    report: dict[str, Any] = {
        "network": " -> ".join(map(str, sizes)),
        "machine": processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rounds": options.rounds,
        "auto": auto(sizes, options.batch),
    }
    threads = report["auto"]["threads"]
    steps = {
        "dgex_bf16": ours(sizes, options.dropout, x, y, "bf16", threads),
        "dgex_float32": ours(sizes, options.dropout, x, y, "float32", threads),
        "plain": plain(sizes, options.dropout, x, y),
        "plain_fused_sgd": plain(sizes, options.dropout, x, y, fused=True),
    }
    products = 2 * options.batch * (3 * sum(a * b for a, b in pairwise(sizes)) - sizes[0] * sizes[1])
    report["training_step"] = {"batch": options.batch, "dropout": options.dropout, "gflop": round(products / 1e9, 1)}
    report["training_step"] |= in_turns(steps, options.rounds)
    steps.clear()  # their weights, before those of the other sides
    profiles = np.random.default_rng(0).normal(size=(options.profiles, sizes[0])).astype(np.float32)
    inference = {
        "dgex_bf16": our_inference(sizes, profiles, "bf16"),
        "dgex_float32": our_inference(sizes, profiles, "float32"),
        "plain": plain_inference(sizes, profiles),
    }
    report["inference"] = {"profiles": options.profiles} | in_turns(inference, options.rounds)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
