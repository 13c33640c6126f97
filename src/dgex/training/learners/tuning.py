"""Arithmetic that suits the machine: precision of the matrix products and number of threads, chosen by measurement.

Both change results by rounding. So a choice is made once, holds for a whole run or a whole model, and a run's
checkpoint remembers it: a resumed run goes on with the arithmetic it was started with.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch

from dgex.errors import SettingsError
from dgex.progress import hint, note
from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.learners.products import PRECISIONS, make_products
from dgex.training.machine.architecture import Architecture

__all__ = ["Arithmetic", "agrees", "bf16_instructions", "check_precision", "pick_threads", "resolve", "using_threads"]

GAIN = 1.1  # bf16 must be so many times as fast as float32
STALL = 1.5  # and fewer threads as fast as all: those that wait for a core lose far more, and a run keeps its choice
TOLERANCE = 0.02  # root mean square of what bf16 changes, relative to the predictions; 0.003 to 0.006 is usual
RENEWED = 60.0
_LARGE = 1 << 20  # weights; the products of smaller networks take no time worth a measurement
_SHARED = 1e8  # operations of a step; fewer are not worth sharing: threads would wait for each other most of the time
_WIDTH, _ROWS, _ROUNDS = 1024, 200, 3  # of the network, the batch and the rounds that are measured: about 0.1 s


@dataclass(frozen=True)
class Arithmetic:
    """What a run computes with.

    Attributes
    ----------
    precision : str
        "float32", "tf32" or "bf16".
    device : str
        Kind of device.
    threads : int or None
        Threads of torch on the CPU; None on other devices.
    """

    precision: str
    device: str
    threads: int | None

    @classmethod
    def choose(
        cls,
        precision: str,
        device: torch.device,
        sizes: Sequence[int],
        batch: int,
        recorded: Mapping[str, Any] | None = None,
    ) -> Arithmetic:
        """Choose for a run, or go on with what its checkpoint recorded wherever this machine can.

        Parameters
        ----------
        precision, device, sizes, batch
            As `resolve` takes them.
        recorded : mapping, optional
            What `record` returned when the run was started.
        """
        before = {} if recorded is None or recorded.get("device") != device.type else recorded
        able = device.type != "cpu" or before.get("precision") != "bf16" or bf16_instructions()
        if before.get("precision") in PRECISIONS and (able or precision != "auto"):
            found = str(before["precision"])
        else:
            found = resolve(precision, device, sizes, batch)
        threads = before.get("threads")
        possible = isinstance(threads, int) and 1 <= threads <= len(_cpus()) and not _set_by_user()
        if device.type == "cpu" and not possible:
            threads = pick_threads(sizes, batch, found)
        chosen = cls(found, device.type, threads)
        if recorded and chosen.record() != dict(recorded):
            note(f"the checkpoint was computed with {_text(recorded)}; here it goes on with {_text(chosen.record())}")
        elif not recorded and _is_large(sizes):
            hint(f"computing with {_text(chosen.record())}")
        return chosen

    def record(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return asdict(self)


def _text(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in record.items() if value is not None)


def check_precision(precision: object) -> None:
    """Raise SettingsError where `precision` is neither "auto" nor one of `PRECISIONS`."""
    if precision not in ("auto", *PRECISIONS):
        raise SettingsError("precision", found=precision, accepted="'auto', 'float32', 'tf32' or 'bf16'")


def resolve(
    precision: str, device: torch.device, sizes: Sequence[int], batch: int = 512, predicting: bool = False
) -> str:
    """Turn "auto" into a precision; any other is returned as it is.

    A small network gets float32, a large one bf16 on a CUDA device. On the CPU it gets bf16 where the processor has
    instructions for it and a trial says that it is worth it: at least `GAIN` times as fast as float32, and
    predictions that differ by no more than `TOLERANCE`. The trial takes about a tenth of a second, once for each shape
    in a process.

    Parameters
    ----------
    precision : str
        "auto", "float32", "tf32" or "bf16".
    device : torch.device
        Where the network will be.
    sizes : sequence of int
        Landmark genes, units of each hidden layer, target genes.
    batch : int
        Profiles at once.
    predicting : bool
        Whether predictions are what shall be fast, or training steps.

    Raises
    ------
    SettingsError
        Another precision.
    """
    check_precision(precision)
    if precision != "auto":
        return precision
    if not _is_large(sizes):
        return "float32"
    if device.type == "cuda":
        return "bf16"
    if device.type != "cpu" or not bf16_instructions():
        return "float32"
    return "bf16" if _pays(*_small(sizes, batch), predicting) else "float32"


def agrees(network: Perceptron) -> bool:
    """Whether bf16 products change predictions of 16 standard normal profiles by no more than `TOLERANCE`."""
    x = _normal(16, network.weight(0).shape[1]).to(network.weight(0).device)
    with torch.inference_mode():
        exact, rounded = (make_products(network, p).predict(x) for p in ("float32", "bf16"))
    return bool((rounded - exact).norm() <= TOLERANCE * exact.norm())


@cache
def bf16_instructions() -> bool:
    """Whether the processor multiplies bfloat16 itself (AMX or AVX512-BF16)."""
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # not in every version of PyTorch
    asked = [getattr(torch.cpu, name) for name in names if hasattr(torch.cpu, name)]
    if len(asked) == len(names):
        return any(ask() for ask in asked)
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8").split("flags", 1)[-1].split("\n", 1)[0].split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def pick_threads(sizes: Sequence[int], batch: int, precision: str) -> int:
    """Number of threads that serves such a network best on the CPU as it is now.

    A thread that must share its core with another program makes all others wait. So half as many are tried, a
    quarter and so on, as long as fewer are `STALL` times as fast. What the user set (`OMP_NUM_THREADS`,
    `MKL_NUM_THREADS`, `torch.set_num_threads`) is kept. Small networks are not measured; the smallest, with less than
    `_SHARED` operations a step, take one thread. The machine is looked at again after `RENEWED` seconds.
    """
    if not _set_by_user() and 6 * batch * Architecture.chain(sizes).weights < _SHARED:
        return 1
    if not _is_large(sizes) or torch.get_num_threads() == 1 or _set_by_user():
        return torch.get_num_threads()
    return _fastest(*_small(sizes, batch), precision, torch.get_num_threads(), int(time.monotonic() / RENEWED))


@contextmanager
def using_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads while the block runs; None leaves their number as it is."""
    before = torch.get_num_threads()
    if count in (None, before):
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ---- trials


def _is_large(sizes: Sequence[int]) -> bool:
    return Architecture.chain(sizes).weights >= _LARGE


def _small(sizes: Sequence[int], batch: int) -> tuple[tuple[int, ...], int]:
    """The shape that is measured instead of the whole: two hidden layers and limited widths are enough."""
    return tuple(min(size, _WIDTH) for size in (*sizes[:-1][:3], sizes[-1])), min(batch, _ROWS)


def _normal(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))


def _trial(sizes: tuple[int, ...], batch: int, precision: str, predicting: bool) -> Callable[[], Any]:
    learner = MomentumStep(Perceptron(sizes), precision=precision)
    x, y = _normal(batch, sizes[0]), _normal(batch, sizes[-1])
    return (lambda: learner.predict(x)) if predicting else (lambda: learner.step(x, y, 1e-6))


def _seconds(trials: Sequence[Callable[[], Any]], threads: Sequence[int]) -> list[list[float]]:
    """Seconds of each round of each trial in so many threads, in turns, after a first round that does not count."""
    spent: list[list[float]] = [[] for _ in trials]
    for _ in range(_ROUNDS + 1):
        for trial, count, taken in zip(trials, threads, spent):
            with using_threads(count):
                began = time.perf_counter()
                trial()
                taken.append(time.perf_counter() - began)
    return [taken[1:] for taken in spent]


@cache
def _pays(sizes: tuple[int, ...], batch: int, predicting: bool) -> bool:
    # The fastest round of one thread: other programs on the machine hardly change it, and so not the choice.
    trials = [_trial(sizes, batch, precision, predicting) for precision in ("float32", "bf16")]
    plain, rounded = map(min, _seconds(trials, (1, 1)))
    return rounded * GAIN <= plain and agrees(Perceptron(sizes).requires_grad_(False))


@cache
def _fastest(sizes: tuple[int, ...], batch: int, precision: str, most: int, period: int) -> int:
    trial, best = _trial(sizes, batch, precision, False), most
    while best > 1:  # the median: what matters here is how the machine is, other programs included
        all_, half = map(median, _seconds((trial, trial), (best, best // 2)))
        if half * STALL > all_:
            break
        best //= 2
    return best


# ---- what the machine offers and the user asked for


def _cpus() -> list[int]:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@cache
def _usual_threads() -> set[int]:
    """Numbers of threads that torch starts with by itself: one a processor, or one a core."""
    folder = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        cores = {Path(folder.format(cpu)).read_text("utf-8") for cpu in _cpus()}
    except OSError:
        return {len(_cpus())}
    return {len(_cpus()), len(cores)}


def _set_by_user() -> bool:
    if any(os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")):
        return True
    return torch.get_num_threads() not in _usual_threads()
