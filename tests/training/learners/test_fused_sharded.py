"""The fused step with units divided: the weights and masks of one GPU, whatever the number of parts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from together import values
from torch import Tensor

from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.processes.group import Group, Handle

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.xdist_group("ranks"),
]
BF16 = 2.0**-7
SIZES = [(37, 130, 75, 91), (943, 1001, 500, 1234)]


class Threads(Group):
    """Ranks that are threads of this process and share a GPU: what they exchange goes through its memory."""

    def __init__(self, rank: int, size: int, board: dict[int, Any], barrier: threading.Barrier) -> None:
        super().__init__(rank, size, torch.device("cuda", 0), "units")
        self._board, self._barrier = board, barrier

    @property
    def backend(self) -> str:
        return "threads"

    def _all(self, mine: Any) -> list[Any]:
        self._barrier.wait(60)
        self._board[self.rank] = mine
        self._barrier.wait(60)
        return [self._board[rank] for rank in range(self.size)]

    def join_into(self, joined: Tensor, own: Tensor) -> Tensor:
        joined.copy_(torch.stack(self._all(own)))
        self._barrier.wait(60)
        return joined

    def sum_parts_async(self, own: Tensor, parts: Tensor) -> Handle:
        own.copy_(sum(other[self.rank] for other in self._all(parts)))
        self._barrier.wait(60)
        return Handle(self, None)

    def broadcast_(self, tensor: Tensor, rank: int = 0) -> Tensor:
        given = self._all(tensor)[rank]
        if self.rank != rank:
            tensor.copy_(given)
        self._barrier.wait(60)
        return tensor


def in_threads(size: int, work: Callable[[Group], Any]) -> list[Any]:
    board: dict[int, Any] = {}
    barrier, found = threading.Barrier(size), [None] * size

    def run(rank: int) -> None:
        try:
            found[rank] = work(Threads(rank, size, board, barrier))
        except BaseException as error:
            found[rank] = error
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in found:
        if isinstance(result, BaseException):
            raise result
    return found


def starting(sizes: Sequence[int]) -> dict[str, Tensor]:
    """Weights whose output layer is no longer within 1e-4, so that errors reach the layers below."""
    network = Perceptron(sizes, 1)
    with torch.no_grad():
        network.weight(-1).mul_(300)
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def batches(sizes: Sequence[int], rows: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(n, sizes[0], generator=generator), torch.randn(n, sizes[-1], generator=generator))
            for n in (rows, rows, rows // 3, rows)]  # fmt: skip


def taken(ours: Any, sizes: Sequence[int], rows: int, part: slice) -> dict[str, Any]:
    """What some steps of a learner made, which learns the target genes of `part`."""
    x = torch.zeros(rows, sizes[0], device=ours.device)
    y = torch.zeros(rows, part.stop - part.start, device=ours.device)
    ours.begin_epoch(2)
    losses, silenced = [], []
    for given, wanted in batches(sizes, rows):
        n = len(given)
        x[:n], y[:n] = given.to(ours.device), wanted[:, part].to(ours.device)
        losses.append(float(ours.step(x[:n], y[:n], 1e-3)))
        kept = zip(ours._buffers.slopes, ours._layers)
        silenced.append([(slope[:n, : layer.outputs] == 0).cpu() for slope, layer in kept])
    named = {"weights": ours.weights(), "velocity": ours.velocity()}
    found = {key: {name: value.cpu() for name, value in tensors.items()} for key, tensors in named.items()}
    return {"losses": losses, "silenced": silenced, "predicted": ours.predict(x).cpu(), **found}


def steps(group: Group, sizes: Sequence[int], rows: int, dropout: float) -> dict[str, Any]:
    from dgex.training.learners.fused_sharded import FusedShardedStep

    device, group = group.device or torch.device("cuda", 0), group.dividing("units")
    ours = FusedShardedStep(sizes, device, group=group, dropout=dropout, seed=3)
    ours.load(starting(sizes), {name: torch.zeros_like(value) for name, value in starting(sizes).items()})
    return taken(ours, sizes, rows, group.part(sizes[-1]))


def alone(sizes: Sequence[int], rows: int, dropout: float) -> dict[str, Any]:
    from dgex.training.learners.fused import FusedStep

    network = Perceptron(sizes, 1)
    network.load_state_dict(starting(sizes))
    ours = FusedStep(network, torch.device("cuda", 0), dropout=dropout, seed=3)
    return taken(ours, sizes, rows, slice(0, sizes[-1]))


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


def check(ranks: list[dict[str, Any]], whole: Mapping[str, Any], sizes: Sequence[int]) -> None:
    before = starting(sizes)
    for losses in zip(whole["losses"], *(rank["losses"] for rank in ranks)):
        assert sum(losses[1:]) == pytest.approx(losses[0], rel=BF16)
    for step, masks in enumerate(whole["silenced"]):
        for depth, mask in enumerate(masks):
            assert torch.equal(torch.cat([rank["silenced"][step][depth] for rank in ranks], 1), mask)
    for name, value in whole["weights"].items():
        assert relative(ranks[0]["weights"][name] - before[name], value - before[name]) < 2 * BF16, name
        assert relative(ranks[0]["velocity"][name], whole["velocity"][name]) < 2 * BF16, name
    assert relative(torch.cat([rank["predicted"] for rank in ranks], 1), whole["predicted"]) < 2 * BF16
    assert all(not rank["weights"] for rank in ranks[1:])


@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(("sizes", "rows"), [(SIZES[0], 23), (SIZES[1], 200), (SIZES[0], 1500)])
def test_parts_take_the_steps_of_one_gpu(sizes: Sequence[int], rows: int, size: int, dropout: float) -> None:
    check(in_threads(size, lambda group: steps(group, sizes, rows, dropout)), alone(sizes, rows, dropout), sizes)


def test_parts_follow_float64() -> None:
    sizes, rows = SIZES[1], 200
    network = Perceptron(sizes, 1)
    network.load_state_dict(starting(sizes))
    reference = MomentumStep(network.double())
    before = starting(sizes)
    for x, y in batches(sizes, rows):
        reference.step(x.double(), y.double(), 1e-3)
    found = in_threads(2, lambda group: steps(group, sizes, rows, 0.0))[0]["weights"]
    for name, value in reference.weights().items():
        assert relative(found[name] - before[name], value - before[name]) < 2 * BF16, name


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_two_gpus_take_the_steps_of_one(dropout: float) -> None:
    """Exchanges of NCCL, captured with the step."""
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    for sizes, rows in ((SIZES[0], 23), (SIZES[1], 200)):
        check(values(2, steps, sizes, rows, dropout, device="cuda"), alone(sizes, rows, dropout), sizes)
