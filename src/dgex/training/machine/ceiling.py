"""How fast a training step could be on a device: two rates measured on it, and the least work that a step is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch

from dgex.training.machine.architecture import Architecture

__all__ = ["Ceiling", "floor_seconds", "measured_ceiling", "worth_measuring"]

_SECONDS = {"cpu": 0.12, "cuda": 0.05}  # about this long for each of the two rates
_LARGEST = {"cpu": 2048, "cuda": 8192}  # rows of the largest matrix that is multiplied
_COPIED = {"cpu": 64 << 20, "cuda": 256 << 20}  # bytes: more than any cache
_LEAST = 1e9  # operations of a step below which what a step costs is not work


@dataclass(frozen=True)
class Ceiling:
    """Rates of a device.

    Attributes
    ----------
    operations_per_s : float
        Additions and multiplications of a large matrix product.
    bytes_per_s : float
        Bytes read and written by a large copy.
    """

    operations_per_s: float
    bytes_per_s: float


def worth_measuring(sizes: Sequence[int], batch_size: int) -> bool:
    """Tell whether a step is long enough for its share of the ceiling to mean something."""
    return Architecture.chain(sizes).step_operations(batch_size) >= _LEAST


def floor_seconds(sizes: Sequence[int], batch_size: int, precision: str, ceiling: Ceiling, device: str) -> float:
    """Shortest possible step: the longer of the time for its products and the time for its traffic.

    Parameters
    ----------
    sizes : sequence of int
        Landmark genes, units of each hidden layer, target genes.
    batch_size : int
        Profiles of the step.
    precision : str
        "float32", "tf32" or "bf16".
    ceiling : Ceiling
        Of the device and this precision.
    device : str
        "cpu" or "cuda".

    Notes
    -----
    Operations and bytes are those of `Architecture`. Activations and profiles are left out, so the floor is a little
    too low, and weights that stay in the cache of a CPU can beat it.
    """
    network = Architecture.chain(sizes)
    operations, moved = network.step_operations(batch_size), network.step_bytes(precision, device)
    return max(operations / ceiling.operations_per_s, moved / ceiling.bytes_per_s)


@lru_cache
def measured_ceiling(device: torch.device, precision: str, threads: int) -> Ceiling:
    """Measure `device` once: 0.3 s on a CPU, less on a GPU; no global generator is touched.

    Parameters
    ----------
    device : torch.device
        What to measure.
    precision : str
        "float32", "tf32" or "bf16", the arithmetic of the products.
    threads : int
        `torch.get_num_threads()`: another number is another ceiling.
    """
    kind = device.type
    with torch.inference_mode(), _tf32(precision):
        operations, size = 0.0, 512  # grows while there is time, so that a slow processor is measured as well
        while True:
            seconds = _product_seconds(size, precision, device)
            operations = max(operations, 2.0 * size**3 / seconds)
            if size >= _LARGEST[kind] or 8 * seconds > _SECONDS[kind] / 2:
                break
            size *= 2
        source = torch.zeros(_COPIED[kind], dtype=torch.uint8, device=device)
        target = torch.zeros_like(source)
        seconds = _fastest(lambda: target.copy_(source), device, _SECONDS[kind] / 2)
    return Ceiling(operations, 2.0 * source.numel() / seconds)


def _product_seconds(size: int, precision: str, device: torch.device) -> float:
    """Time of a product of random matrices (zeros are faster than real work on a GPU), from a generator of our own."""
    generator = torch.Generator(device=device).manual_seed(0)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    one = torch.rand(size, size, generator=generator, device=device).to(dtype)
    other, out = one.t().contiguous(), torch.empty_like(one)
    return _fastest(lambda: torch.mm(one, other, out=out), device, _SECONDS[device.type] / 4)


def _fastest(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Shortest time of `work`, which is repeated for about `seconds` after a first time that does not count."""
    work()
    best, began, repeats = float("inf"), time.perf_counter(), 0
    while repeats < 3 or time.perf_counter() - began < seconds:
        repeats += 1
        if device.type == "cuda":
            before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            with torch.cuda.device(device):
                before.record()
                work()
                after.record()
            after.synchronize()
            taken = before.elapsed_time(after) / 1e3
        else:
            start = time.perf_counter()
            work()
            taken = time.perf_counter() - start
        best = min(best, taken)
    return best


@contextmanager
def _tf32(precision: str) -> Iterator[None]:
    """Let float32 products of CUDA use tf32 inside the block where that is the precision."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
