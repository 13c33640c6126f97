"""What the benchmarks on a GPU share: ceilings, timing, the plain alternatives, the simulated compendium."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn

SIZES = [943, 9000, 9000, 9000, 9520]
Pair = tuple[np.ndarray, np.ndarray]


def milliseconds(work: Callable[[], object], repeats: int = 20, rounds: int = 5, warm: int = 5) -> list[float]:
    """Times of one call, by device events around `repeats` calls, ascending."""
    for _ in range(warm):
        work()
    times = []
    for _ in range(rounds):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        for _ in range(repeats):
            work()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / repeats)
    return sorted(times)


def summary(times: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(times), 3), "min": round(times[0], 3), "max": round(times[-1], 3)}


def ceilings() -> dict[str, float]:
    """Bandwidth of a copy (TB/s, read and written) and rate of a bfloat16 product of random matrices (TFLOP/s)."""
    source = torch.randn(1 << 30, device="cuda")
    target = torch.empty_like(source)
    copy = statistics.median(milliseconds(lambda: target.copy_(source), 5))
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    product = statistics.median(milliseconds(lambda: a @ b, 10))
    return {
        "copy_tb_per_s": round(8 * 2**30 / copy / 1e9, 3),
        "gemm_tflop_per_s": round(2 * 8192**3 / product / 1e9, 1),
    }


def weights(sizes: list[int]) -> int:
    return sum(a * b for a, b in pairwise(sizes))


def operations(sizes: list[int], batch: int) -> int:
    """Multiplications and additions of a step: forward, gradients, the error signal of all layers but the first."""
    return 2 * batch * (3 * weights(sizes) - sizes[0] * sizes[1])


def plain(sizes: list[int], batch: int, dropout: float, kind: str) -> Callable[[], object]:
    """A training step as a careful user of PyTorch writes it: "eager", "tf32", "autocast" or "compiled"."""
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        parts += [nn.Linear(inputs, outputs), nn.Tanh(), nn.Dropout(dropout)]
    network = nn.Sequential(*parts, nn.Linear(sizes[-2], sizes[-1])).cuda()
    later = [m.weight for m in network[1:] if isinstance(m, nn.Linear)]
    others = [p for p in network.parameters() if all(p is not w for w in later)]
    groups = [{"params": others, "lr": 1e-5}, {"params": later, "lr": 3e-5}]
    optimizer = torch.optim.SGD(groups, lr=1e-5, momentum=0.5, fused=True)
    x, y = torch.randn(batch, sizes[0], device="cuda"), torch.randn(batch, sizes[-1], device="cuda")

    def step() -> None:
        torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"
        with torch.autocast("cuda", torch.bfloat16, enabled=kind in ("autocast", "compiled")):
            loss = (network(x).float() - y).square().sum(1).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    if kind != "compiled":
        return step
    forward = torch.compile(lambda: (network(x).float() - y).square().sum(1).mean())
    torch.backends.cuda.matmul.allow_tf32 = False

    def compiled() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = forward()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)  # gradients lie in the graph's own memory

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            compiled()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        compiled()
    return graph.replay


def compendium(profiles: int = 88807, held_out: int = 11101, rnaseq: int = 3383) -> tuple[Pair, dict[str, Pair]]:
    """The simulated compendium, standardised by its training profiles, with four evaluation sets as in the paper."""
    from dgex.datasets.simulated.simulate import simulate

    landmarks, targets = SIZES[0], SIZES[-1]
    data = simulate(samples=profiles + 2 * held_out, landmarks=landmarks, targets=targets, rnaseq=rnaseq, seed=0)
    values = np.asarray(data.X)
    cuts = {"train": profiles, "GEO-va": held_out, "GEO-te": held_out, "1000G-va": 462, "GTEx-te": rnaseq - 462}
    order = np.concatenate(
        [
            np.random.default_rng(0).permutation(profiles + 2 * held_out),
            np.arange(profiles + 2 * held_out, len(values)),
        ]
    )
    sets, at = {}, 0
    mean, spread = values[order[:profiles:8]].mean(0), values[order[:profiles:8]].std(0) + 1e-3
    for name, count in cuts.items():
        part = (values[order[at : at + count]] - mean) / spread
        if name in ("1000G-va", "GTEx-te"):  # the paper's rule for another platform: its own statistics
            part = (part - part.mean(0)) / (part.std(0) + 1e-3)
        sets[name] = np.ascontiguousarray(part[:, :landmarks]), np.ascontiguousarray(part[:, landmarks:])
        at += count
    return sets.pop("train"), sets
