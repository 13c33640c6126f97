"""The residual network at full size on a GPU beside a compiled plain PyTorch loop of the same network; needs CUDA.

    python benchmarks/residual_run.py step run plain     # all in one run
    python benchmarks/residual_run.py run --profiles 20000 --epochs 10

Prints a line of JSON for each. `step` times one update of each, in turns. `run` fits `dgex.Residual` on the simulated
compendium from arrays in the host's memory: statistics, copies to the device, four evaluation sets an epoch, best
epochs. `plain` is what a careful user of PyTorch writes: the same layers, settings and numbers of steps, compiled, with
fused AdamW, evaluated once at its end; its seconds are told with and without the compiling.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gpu import ceilings, compendium, milliseconds, summary
from torch import Tensor, nn
from torch.nn import functional

from dgex.models.network.residual import Residual
from dgex.training.batches.statistics import gene_statistics
from dgex.training.learners.descent import Descent
from dgex.training.learners.descent_step import make_descent
from dgex.training.learners.residual import Shape
from dgex.training.processes.group import ALONE

CUDA = torch.device("cuda")


class Plain(nn.Module):
    """The network with the layers of PyTorch."""

    def __init__(self, landmarks: int, width: int, blocks: int, targets: int) -> None:
        super().__init__()
        self.stem = nn.Linear(landmarks, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU()) for _ in range(blocks)
        )
        self.output = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, targets))

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for block in self.blocks:
            h = h + block(h)
        predicted: Tensor = self.output(h)
        return predicted


def plain_step(
    options: argparse.Namespace, genes: tuple[int, int], total: int
) -> tuple[Plain, Callable[[Tensor, Tensor], Tensor]]:
    network = Plain(genes[0], options.width, options.blocks, genes[1]).to(CUDA)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=total, cycle_momentum=False)
    torch.backends.cuda.matmul.allow_tf32 = False

    @torch.compile
    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        x = functional.dropout(x + options.noise * torch.randn_like(x), options.landmark_dropout)
        return functional.l1_loss(network(x).float(), y)

    def step(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        return loss.detach()

    return network, step


def step(options: argparse.Namespace, data: Any) -> dict[str, Any]:
    (X, Y), _ = data
    genes = X.shape[1], Y.shape[1]
    x, y = (torch.from_numpy(m[: options.batch]).to(CUDA) for m in (X, Y))
    _, plain = plain_step(options, genes, 10**6)
    shape = Shape(genes[0], (options.width,) * options.blocks, genes[1])
    held = {f"{k}_{n}": v for k, m in (("x", X), ("y", Y)) for n, v in zip(("mean", "scale"), gene_statistics(m, CUDA))}
    how = Descent(weight_decay=0.05, noise=options.noise, landmark_dropout=options.landmark_dropout, total=10**6)
    ours = make_descent(
        shape.chain, device=CUDA, precision="bf16", group=ALONE, shape=shape, statistics=held, seed=0, how=how
    )
    times: dict[str, list[float]] = {"ours": [], "compiled": []}
    for _ in range(3):  # in turns: clocks fall as a card warms up
        times["ours"] += milliseconds(lambda: ours.step(x, y, 1e-4), rounds=3)
        times["compiled"] += milliseconds(lambda: plain(x, y), rounds=3)
    medians = {name: statistics.median(found) for name, found in times.items()}
    return {
        "milliseconds": {name: summary(sorted(found)) for name, found in times.items()},
        "compiled_over_ours": round(medians["compiled"] / medians["ours"], 3),
        "captured": ours._graph is not None,
    }


def errors(predict: Callable[[np.ndarray], np.ndarray], sets: Any) -> dict[str, float]:
    return {name: round(float(np.abs(predict(x) - y).mean(dtype=np.float64)), 4) for name, (x, y) in sets.items()}


def run(options: argparse.Namespace, data: Any) -> dict[str, Any]:
    (X, Y), sets = data
    torch.cuda.reset_peak_memory_stats()
    asked: dict[str, Any] = {
        "hidden": (options.width,) * options.blocks,
        "noise": options.noise,
        "landmark_dropout": options.landmark_dropout,
    }
    settings = asked | {"epochs": options.epochs, "batch_size": options.batch, "dropout": 0.0, "skip": False}
    began = time.perf_counter()
    model = Residual(**settings, device="cuda").fit(X, Y, sets)
    seconds = time.perf_counter() - began
    steady = sorted(model.history_["seconds"].iloc[1:])
    began = time.perf_counter()
    found = {
        name: errors(lambda x, name=name: model.predict(x, best=name), {name: pair}) for name, pair in sets.items()
    }
    return {
        "seconds": round(seconds, 2),
        "epochs_seconds": round(float(model.history_["seconds"].sum()), 2),
        "first_epoch_seconds": round(float(model.history_["seconds"].iloc[0]), 2),
        "seconds_an_epoch": round(steady[len(steady) // 2], 4),
        "ms_a_step": round(1e3 * options.batch / float(model.history_["profiles_per_s"].median()), 3),
        "precision": model.precision_,
        "best": {name: [round(kept["error"], 4), kept["epoch"]] for name, kept in model.best_.items()},
        "predicted_in_float32": {name: value for entry in found.values() for name, value in entry.items()},
        "predicting_seconds": round(time.perf_counter() - began, 2),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def plain(options: argparse.Namespace, data: Any) -> dict[str, Any]:
    (X, Y), sets = data
    began = time.perf_counter()
    x, y = torch.from_numpy(X).to(CUDA), torch.from_numpy(Y).to(CUDA)
    steps = len(x) // options.batch  # whole batches: another shape would be compiled anew
    network, update = plain_step(options, (X.shape[1], Y.shape[1]), steps * options.epochs + 1)
    update(x[: options.batch], y[: options.batch])
    torch.cuda.synchronize()
    compiled = time.perf_counter()
    for _ in range(options.epochs):
        order = torch.randperm(len(x), device=CUDA)
        for at in range(0, steps * options.batch, options.batch):
            rows = order[at : at + options.batch]
            update(x[rows], y[rows])
    torch.cuda.synchronize()
    ended = time.perf_counter()

    @torch.inference_mode()
    def predict(block: np.ndarray) -> np.ndarray:
        parts = [network(torch.from_numpy(block[at : at + 4096]).to(CUDA)).cpu() for at in range(0, len(block), 4096)]
        return torch.cat(parts).numpy()

    return {
        "seconds": round(ended - began, 2),
        "seconds_without_compiling": round(ended - compiled, 2),
        "ms_a_step": round(1e3 * (ended - compiled) / (steps * options.epochs), 3),
        "predicted_in_float32": errors(predict, sets),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["step", "run", "plain"])
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--landmark-dropout", type=float, default=0.1)
    parser.add_argument("--profiles", type=int, default=88807)
    options = parser.parse_args()
    began = time.perf_counter()
    data = compendium(options.profiles)
    about = {
        "profiles": len(data[0][0]),
        "sets": {name: len(x) for name, (x, _) in data[1].items()},
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "simulating_seconds": round(time.perf_counter() - began, 1),
        "ceilings": ceilings(),
    }
    for what in options.what:
        torch.cuda.empty_cache()
        found = {"step": step, "run": run, "plain": plain}[what](options, data)
        print(json.dumps({"what": what, **about, **found}), flush=True)


if __name__ == "__main__":
    main()
