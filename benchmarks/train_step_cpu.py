"""Milliseconds of one training step on the CPU: ours beside plain eager PyTorch, taken in turns in one run.

    python benchmarks/train_step_cpu.py                       # 943 -> 3000 -> 9520, batches of 200
    python benchmarks/train_step_cpu.py --hidden 500 --targets 2000 --rounds 5

Prints JSON. The plain side is what a careful reader would write: nn.Linear, tanh, nn.Dropout, the summed
squared error, autograd and torch.optim.SGD with momentum and two groups of rates, in its default and its fused form.
Rounds alternate between the sides, so that a machine that is busy or throttled slows them alike. `wall_ms` is the
fastest and the median round; `cpu_ms` is processor time over all threads, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from dgex.training.perceptron import MomentumStep, Perceptron


def ours(sizes: list[int], dropout: float, x: torch.Tensor, y: torch.Tensor) -> Callable[[], float]:
    learner = MomentumStep(Perceptron(sizes), dropout=dropout)
    return lambda: float(learner.step(x, y, 5e-4))


def plain(sizes: list[int], dropout: float, x: torch.Tensor, y: torch.Tensor, **kind: bool) -> Callable[[], float]:
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        parts += [nn.Linear(inputs, outputs), nn.Tanh(), nn.Dropout(dropout)]
    network = nn.Sequential(*parts, nn.Linear(sizes[-2], sizes[-1]))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--hidden", type=lambda text: [int(n) for n in text.split(",")], default=[3000])
    parser.add_argument("--targets", type=int, default=9520)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    torch.manual_seed(0)
    sizes = [options.landmarks, *options.hidden, options.targets]
    x, y = torch.randn(options.batch, sizes[0]), torch.randn(options.batch, sizes[-1])
    sides = {
        "dgex": ours(sizes, options.dropout, x, y),
        "plain": plain(sizes, options.dropout, x, y),
        "plain_fused_sgd": plain(sizes, options.dropout, x, y, fused=True),
    }
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for step in sides.values():  # warm up: buffers, threads
        step()
        step()
    for _ in range(options.rounds):
        for name, step in sides.items():
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            step()
            wall[name].append(1e3 * (time.perf_counter() - wall_start))
            cpu[name].append(1e3 * (time.process_time() - cpu_start))
    found = {
        name: {
            "wall_ms": {"min": round(min(wall[name]), 1), "median": round(statistics.median(wall[name]), 1)},
            "cpu_ms": {"min": round(min(cpu[name]), 1), "median": round(statistics.median(cpu[name]), 1)},
        }
        for name in sides
    }
    products = 2 * options.batch * (3 * sum(a * b for a, b in pairwise(sizes)) - sizes[0] * sizes[1])
    report = {
        "what": f"training step {' -> '.join(map(str, sizes))}, batch {options.batch}, dropout {options.dropout}",
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rounds": options.rounds,
        "sides": found,
        "dgex_gflop_per_s": round(products / min(wall["dgex"]) / 1e6, 1),
        "speedup": {
            f"{name}_{clock}_{form}": round(found[name][clock][form] / found["dgex"][clock][form], 2)
            for name in ("plain", "plain_fused_sgd")
            for clock in ("wall_ms", "cpu_ms")
            for form in ("min", "median")
        },
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
