"""Profiles a second of a training step over several processes: run once for each number of them, and divide.

    torchrun --nproc-per-node 1 benchmarks/scaling.py --hidden 9000,9000,9000 --batch 4096
    torchrun --nproc-per-node 4 benchmarks/scaling.py --hidden 9000,9000,9000 --batch 4096
    torchrun --nproc-per-node 4 benchmarks/scaling.py --hidden 9000,9000,9000 --global-batch 200 --divide units

Prints JSON. `--batch` is what each process takes (weak scaling: the whole batch grows with the processes, 4 GPUs at
85 % do 3.4 times the profiles of one), `--global-batch` what all take together (strong scaling, the paper's recipe).
A round is over when the slowest process is. Batches are fixed on the device: what is measured is the step alone, with
what it exchanges.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import torch

from dgex.training.learners.learner import make_learner
from dgex.training.machine.device import pick_device
from dgex.training.processes.group import Group
from dgex.training.processes.join import join


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--hidden", type=lambda text: [int(n) for n in text.split(",")], default=[3000])
    parser.add_argument("--targets", type=int, default=9520)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--batch", type=int, default=200, help="profiles a step and process")
    size.add_argument("--global-batch", type=int, help="profiles a step, all processes together")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--divide", choices=["profiles", "units"], default="profiles")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=20, help="steps a round")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def seconds(learner: Any, batch: tuple[torch.Tensor, torch.Tensor, int], steps: int, group: Group) -> float:
    """Time of `steps` steps on the slowest process."""
    x, y, rows = batch
    group.any(False)  # all begin together
    began = time.perf_counter()
    for _ in range(steps):
        learner.step(x, y, 5e-4, rows)
    if learner.device.type == "cuda":
        torch.cuda.synchronize(learner.device)
    return max(group.gather(time.perf_counter() - began))


def measure(group: Group, told: argparse.Namespace) -> dict[str, Any]:
    device = group.device or pick_device(told.device)
    sizes = [told.landmarks, *told.hidden, told.targets]
    rows = told.global_batch or told.batch * group.size
    learner = make_learner(sizes, device=device, precision=told.precision, dropout=told.dropout, group=group)
    generator = torch.Generator(device).manual_seed(group.rank)
    share = group.share(rows)
    mine = group.part(told.targets) if group.divides == "units" else slice(0, told.targets)
    x, y = (
        torch.randn(share.stop - share.start, width, device=device, generator=generator)
        for width in (told.landmarks, mine.stop - mine.start)
    )
    learner.begin_epoch(1)
    seconds(learner, (x, y, rows), 5, group)  # warm up: buffers, connections, graphs
    rounds = [seconds(learner, (x, y, rows), told.steps, group) / told.steps for _ in range(told.rounds)]
    cuda = device.type == "cuda"
    return {
        "what": f"training step {' -> '.join(map(str, sizes))}, dropout {told.dropout}, {told.precision}",
        "processes": group.size,
        "hosts": group.hosts,
        "backend": group.backend,
        "divide": group.divides,
        "learner": type(learner).__name__,
        "device": torch.cuda.get_device_name(device) if cuda else f"cpu, {torch.get_num_threads()} threads a process",
        "torch": torch.__version__,
        "batch": rows,
        "ms_a_step": {
            name: round(1e3 * of(rounds), 3) for name, of in (("min", min), ("median", statistics.median), ("max", max))
        },
        "profiles_per_s": round(rows / statistics.median(rounds)),
        "peak_gib": round(torch.cuda.max_memory_allocated(device) / 2**30, 2) if cuda else None,
    }


def main() -> None:
    told = options()
    with join(told.device) as joined:
        found = measure(joined.dividing(told.divide), told)
        if joined.leads:
            print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
