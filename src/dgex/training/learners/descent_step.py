"""How a residual network takes a step: gradients by autograd, noise, an optimiser, the mean of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgex.progress import hint
from dgex.seeds import torch_stream
from dgex.training.learners.descent import LOSSES, Descent
from dgex.training.learners.products import tf32_allowed
from dgex.training.learners.residual import ResidualNetwork, Shape
from dgex.training.learners.standard import Standard
from dgex.training.processes.group import ALONE, Group

__all__ = ["DescentStep", "make_descent"]

_MOMENTUM = 0.9  # of sgd
_UPDATES = 1000  # of the mean of weights in a run: more would only take time
_MEMORY = 0.05  # of a run: how far back the exponential mean reaches
_LAST = 0.75  # of a run, after which the equal mean begins
_WARM = 3  # steps before one is captured


class DescentStep:
    """One update of a `ResidualNetwork` on a batch: the `Learner` of the training loop.

    The loss of a batch is the mean over its profiles and target genes, in standard units. What predicts, and is kept
    as the best epoch, are the weights, or their mean where there is averaging.

    Random numbers of a step come in one draw, from a stream of the seed and the epoch. On a CUDA device the step is
    captured once as a graph, for batches that come in the same place, and replayed.

    Parameters
    ----------
    network : ResidualNetwork
        Trained in place; its device is where steps run.
    standard : Standard
        Statistics of the genes, on the same device.
    how : Descent
    precision : str
        Of the matrix products: "float32" (the network's own type), "tf32" or "bf16" (autocast). Weights, the state of
        the optimiser and what blocks add to stay float32, and so does the output where errors are measured.
    group : Group
        Processes that share each batch: gradients are added up, and random numbers are those of the whole batch, of
        which each process takes its rows. All start with the weights of this process's seed.
    """

    live_weights = True

    def __init__(
        self,
        network: ResidualNetwork,
        standard: Standard,
        how: Descent,
        precision: str = "float32",
        group: Group = ALONE,
    ) -> None:
        self.network, self.how, self.precision, self.group = network.requires_grad_(True), how, precision, group
        self._standard = standard
        self._parameters = dict(network.named_parameters())
        self._cuda = self.device.type == "cuda"
        self._rate = torch.zeros((), device=self.device)
        self._optimiser = self._make_optimiser()
        self._mean = deepcopy(network).requires_grad_(False) if how.averaging != "off" else None
        self._averaged = 0
        self._draws: tuple[Tensor, Tensor] | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._of: tuple[int, ...] = ()  # where the batches lie that the graph is of
        self._captured: Tensor | None = None
        # Steps before a graph; none where it is below zero, as where processes add up: their steps are long.
        self._waited = 0 if self._cuda and group.size == 1 else -1
        self.begin_epoch(1)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.network.stem.weight.device

    @property
    def block(self) -> int:
        """Profiles predicted at once when errors are measured."""
        return 8192 if self._cuda else 1024

    @property
    def center(self) -> Tensor:
        """What a network that has learned nothing predicts: the means."""
        return self._standard.y_mean

    def _make_optimiser(self) -> torch.optim.Optimizer:
        matrices = [p for p in self._parameters.values() if p.ndim > 1]
        others = [p for p in self._parameters.values() if p.ndim < 2]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": self.how.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        rate = self._rate if self._cuda else 0.0  # a tensor: a captured step reads it anew
        if self.how.optimiser == "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=_MOMENTUM, nesterov=True, fused=True)
        if self.how.optimiser == "nadam":
            return torch.optim.NAdam(
                groups, lr=rate, decoupled_weight_decay=True, foreach=self._cuda, capturable=self._cuda
            )
        return torch.optim.AdamW(groups, lr=rate, fused=True, capturable=self._cuda)

    # ---- the state

    def weights(self) -> dict[str, Tensor]:
        """Weights that predict, by name: not copies."""
        return dict((self._mean if self._averages else self.network).state_dict())  # type: ignore[union-attr]

    def velocity(self) -> dict[str, Tensor]:
        """What else the next step depends on: the optimiser's tensors, and the weights themselves under a mean."""
        found = {
            f"{name}.{key}": value
            for name, parameter in self._parameters.items()
            for key, value in self._optimiser.state[parameter].items()
            if isinstance(value, Tensor)
        }
        if self._mean is not None:
            found |= {f"raw.{name}": parameter.detach() for name, parameter in self._parameters.items()}
            found["averaged"] = torch.tensor(self._averaged)
        return found

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor], velocity: Mapping[str, Tensor]) -> None:
        """Go on from this state, of rank 0; raises KeyError or RuntimeError where names or shapes do not fit."""
        weights, velocity = self.group.from_first(lambda: (_held(weights), _held(velocity)))
        self._graph, self._waited = None, min(self._waited, 0)
        for name, parameter in self._parameters.items():
            parameter.copy_(weights[name] if self._mean is None else velocity[f"raw.{name}"])
            keys = [key.removeprefix(f"{name}.") for key in velocity if key.startswith(f"{name}.")]
            own = {key: velocity[f"{name}.{key}"] for key in keys}
            for key, value in own.items():
                if value.shape not in ((), parameter.shape):
                    raise RuntimeError(f"{name}.{key} has the shape {tuple(value.shape)}")
            self._optimiser.state[parameter] = {
                key: value.to(self.device if value.ndim or self._cuda else "cpu", copy=True)
                for key, value in own.items()
            }
        if self._mean is not None:
            for name, mean in self._mean.named_parameters():
                mean.copy_(weights[name])
            self._averaged = int(velocity["averaged"])

    def begin_epoch(self, epoch: int) -> None:
        """Turn to the random numbers of `epoch`."""
        self._generator = torch_stream(self.how.seed, "dropout", epoch, self.device)
        self._done = (epoch - 1) * self.how.steps

    # ---- at work

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Tensor:
        """Predict targets in their own units, without noise; the output layer is not rounded to bfloat16."""
        with self._arithmetic():
            network = self._mean if self._averages else self.network
            return self._standard.back(network(self._standard.landmarks(x), exact=True))  # type: ignore[misc]

    def step(self, x: Tensor, y: Tensor, rate: float, rows: int | None = None) -> Tensor:
        """Update the weights on a batch.

        Parameters
        ----------
        x, y : Tensor, shape (profiles, landmarks) and (profiles, targets)
            The batch, in the data's units.
        rate : float
            Learning rate.
        rows : int, optional
            Profiles of the whole batch, of which x and y are this process's share; all of x unless told.

        Returns
        -------
        Tensor
            The loss summed over x and y, before the update.
        """
        rows = len(x) if rows is None else rows
        if self._cuda:
            self._rate.fill_(rate)
        else:
            for group in self._optimiser.param_groups:
                group["lr"] = rate
        self._draw(rows)
        loss = self._launch(x, y, rows)
        self._done += 1
        if self._mean is not None and self._done % max(1, self.how.total // _UPDATES) == 0:
            self._average()
        return loss * (rows * y.shape[1])

    def _draw(self, rows: int) -> None:
        """Draw what a step needs of uniform and of normal numbers, into memory that stays where it is."""
        how = self.how
        uniform = (self.network.shape.landmarks if how.landmark_dropout else 0) + (
            self.network.dropped if how.dropout else 0
        )
        normal = self.network.shape.landmarks if how.noise else 0
        if self._draws is None or len(self._draws[0]) < rows:
            own = self._rate.new_empty
            self._draws = own(rows, uniform), own(rows, normal)
            self._graph = None
        for drawn, draw in zip(self._draws, (torch.rand, torch.randn)):
            if drawn.shape[1]:
                draw(rows, drawn.shape[1], generator=self._generator, out=drawn[:rows])

    def _launch(self, x: Tensor, y: Tensor, rows: int) -> Tensor:
        """Run a step, or replay it where it was captured for batches in this place."""
        place = (x.data_ptr(), y.data_ptr(), len(x), rows)
        if self._waited < 0 or (self._graph is not None and place != self._of):
            return self._run(x, y, rows)
        if self._graph is None:
            if self._waited < _WARM:
                self._waited += 1
                return self._run(x, y, rows)
            try:
                self._capture(x, y, place)
            except RuntimeError as error:
                self._graph, self._waited = None, -1
                reason = str(error).splitlines()[0]
                hint(f"a training step could not be captured as a CUDA graph ({reason}): each is launched by itself")
                return self._run(x, y, rows)
        assert self._graph is not None
        assert self._captured is not None
        self._graph.replay()
        return self._captured

    def _capture(self, x: Tensor, y: Tensor, place: tuple[int, ...]) -> None:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(self.device)
        torch.cuda.synchronize(self.device)
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            self._captured = self._run(x, y, place[-1])
        self._graph, self._of = graph, place

    def _run(self, x: Tensor, y: Tensor, rows: int) -> Tensor:
        """Loss, gradients and update; the loss is this process's share of the mean over `rows` profiles."""
        assert self._draws is not None
        own = self.group.share(rows)
        uniform, normal = (drawn[own] for drawn in self._draws)
        how, masks = self.how, None
        with torch.no_grad():
            z, wanted = self._standard.landmarks(x), self._standard.targets(y)
            if how.noise:
                z = z + how.noise * normal
            if how.landmark_dropout:
                z = z * _kept(uniform[:, : z.shape[1]], how.landmark_dropout)
            if how.dropout:
                masks = _kept(uniform[:, -self.network.dropped :], how.dropout)
        with self._arithmetic():
            if self.group.size == 1:
                loss = LOSSES[how.loss](self.network(z, masks), wanted)
            else:  # a share may be empty, and has no mean
                total = LOSSES[how.loss](self.network(z, masks), wanted, reduction="sum")
                loss = total / (rows * y.shape[1])
            gradients = torch.autograd.grad(loss, list(self._parameters.values()))
        for handle in [self.group.sum_async(gradient) for gradient in gradients]:
            handle.wait()
        for parameter, gradient in zip(self._parameters.values(), gradients):
            parameter.grad = gradient
        self._optimiser.step()
        for parameter in self._parameters.values():
            parameter.grad = None
        return loss.detach()

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        """What surrounds the products: factors of 10 bits in float32 ones, of 8 where autocast sees to it."""
        rounded = self.precision != "float32"
        # A cache of rounded weights would outlive the step that a graph is of.
        cast = torch.autocast(self.device.type, torch.bfloat16, self.precision == "bf16", cache_enabled=False)
        with tf32_allowed() if rounded and self._cuda else nullcontext(), cast:
            yield

    @property
    def _averages(self) -> bool:
        return self._averaged > 0

    @torch.no_grad()
    def _average(self) -> None:
        """Take the weights as they are now into their mean."""
        assert self._mean is not None
        equal, every = self.how.averaging == "equal", max(1, self.how.total // _UPDATES)
        if equal and self._done <= _LAST * self.how.total:
            return
        least = 0.0 if equal else min(1.0, every / (_MEMORY * self.how.total))
        weight = max(1.0 / (self._averaged + 1), least)
        for mean, now in zip(self._mean.parameters(), self.network.parameters()):
            mean.lerp_(now, weight)
        self._averaged += 1


def make_descent(
    sizes: Sequence[int],
    *,
    device: torch.device,
    precision: str,
    group: Group,
    shape: Shape,
    statistics: Mapping[str, np.ndarray],
    seed: int,
    how: Descent,
) -> DescentStep:
    """Build a new network and the learner that trains it, as `make_learner` does for the paper's.

    Parameters
    ----------
    sizes, device, precision, group
        As `make_learner` takes them; `shape` says more than `sizes`, and processes divide profiles.
    shape : Shape
    statistics : mapping of name to ndarray
        As `Standard` takes them.
    seed : int
        Of the starting weights.
    how : Descent
    """
    return DescentStep(ResidualNetwork(shape, seed).to(device), Standard.on(device, statistics), how, precision, group)


def _held(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as they travel between processes."""
    return {name: value.cpu() for name, value in tensors.items()}


def _kept(uniform: Tensor, dropout: float) -> Tensor:
    """Inverted dropout by uniform numbers: 0 with probability `dropout`, else 1 / (1 - dropout)."""
    return (uniform < 1.0 - dropout) * (1.0 / (1.0 - dropout))
