"""Integrated gradients of target genes with respect to landmark genes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dgex.interpretation.layers import Layers

__all__ = ["Attributions", "Gap", "attribute", "path_gradient"]

# Values of a batch of Jacobians at points of one path: bounds memory to a few times 256 MiB.
_VALUES = 1 << 26
# Profiles summed in float32 before the sums go to float64: few enough to lose no digit that matters.
_FLUSH = 64
# Below this difference of a unit's input its mean slope is taken at the middle (error of order difference^2).
_NARROW = 1e-4


@dataclass
class Gap:
    """How far attributions are from adding up to f(x) - f(baseline), over profiles and targets.

    Attributes
    ----------
    largest : float
        Largest absolute difference, in the units of the target genes.
    share : float
        Mean absolute difference over the mean absolute f(x) - f(baseline); 0 where that is 0.
    """

    largest: float = 0.0
    _missed: float = 0.0
    _moved: float = 0.0

    def update(self, sums: Tensor, moved: Tensor) -> None:
        """Take in the sums of a profile's attributions and what its targets moved by."""
        missed = (sums - moved).abs()
        self.largest = max(self.largest, float(missed.max()))
        self._missed += float(missed.sum(dtype=torch.float64))
        self._moved += float(moved.abs().sum(dtype=torch.float64))

    @property
    def share(self) -> float:
        return self._missed / self._moved if self._moved else 0.0


@dataclass(frozen=True)
class Attributions:
    """Attributions of a network's targets to landmark genes, averaged over profiles.

    Attributes
    ----------
    mean, mean_absolute, effect : ndarray of float64, shape (targets, landmarks)
        Mean of the signed and of the absolute attribution, and of the attribution signed by the side of the baseline
        the landmark gene is on: positive where more of the landmark gene means more of the target gene.
    """

    mean: np.ndarray
    mean_absolute: np.ndarray
    effect: np.ndarray


def attribute(
    network: Layers, profiles: Iterable[np.ndarray], baseline: np.ndarray, steps: int, gap: Gap
) -> Attributions:
    r"""Average integrated gradients over profiles.

    The attribution of target t to landmark gene l in profile x with baseline b is

    .. math:: (x_l - b_l) \int_0^1 \frac{\partial f_t}{\partial x_l}(b + \alpha (x - b)) \, d\alpha

    Parameters
    ----------
    network : Layers
        Its targets are attributed.
    profiles : iterable of ndarray, each of shape (landmarks,)
        At least one.
    baseline : ndarray, shape (landmarks,)
    steps : int
        Points of the path for networks of several hidden layers; see `path_gradient`.
    gap : Gap
        Updated with every profile.

    References
    ----------
    M. Sundararajan, A. Taly, Q. Yan. Axiomatic attribution for deep networks. ICML 2017.
    """
    weight = network.weights[0]
    start = torch.from_numpy(np.asarray(baseline)).to(weight)
    before = network.forward(start[None])[0]
    shape = (3, len(network.targets), weight.shape[1])  # mean, mean absolute, effect
    total, partial, count = np.zeros(shape), torch.zeros(shape, dtype=weight.dtype, device=weight.device), 0
    for profile in profiles:
        x = torch.from_numpy(np.asarray(profile)).to(weight)
        away = x - start
        own = path_gradient(network, x, start, steps) * away
        gap.update(own.sum(1), network.forward(x[None])[0] - before)
        partial[0] += own
        partial[2].addcmul_(own, away.sign())
        partial[1] += own.abs_()
        count += 1
        if count % _FLUSH == 0:
            total += partial.cpu().numpy()
            partial.zero_()
    total += partial.cpu().numpy()
    return Attributions(*(total / count))


def path_gradient(network: Layers, x: Tensor, baseline: Tensor, steps: int) -> Tensor:
    """Mean gradient of every target [targets, landmarks] along the straight line from baseline to x.

    Without hidden layers it is the weights. With one hidden layer the mean slope of a unit is exact:
    (tanh z(x) - tanh z(b)) / (z(x) - z(b)). With more, the path is integrated by Gauss and Legendre's rule at `steps`
    points. The products of weights and slopes are taken from whichever end has fewer rows, targets or landmark genes.
    """
    if not network.hidden:
        return network.weights[0]
    slopes, shares = _slopes(network, x, baseline, steps)
    first, *between, last = network.weights
    if len(last) < first.shape[1]:
        return _chain(last, between[::-1], slopes[::-1], shares) @ first
    return last @ _chain(first.T, [weight.T for weight in between], slopes, shares).T


def _slopes(network: Layers, x: Tensor, baseline: Tensor, steps: int) -> tuple[list[Tensor], list[float]]:
    """Slopes of the units of every hidden layer [points, units], and the share of the path each point stands for."""
    if len(network.hidden) == 1:
        ends = torch.addmm(network.biases[0], torch.stack([baseline, x]), network.weights[0].T).double()
        low, high = ends
        narrow = (high - low).abs() < _NARROW
        wide = torch.where(narrow, 1.0, high - low)
        middle = 1.0 - ((low + high) / 2).tanh() ** 2
        slope = torch.where(narrow, middle, (high.tanh() - low.tanh()) / wide)
        return [slope.to(x)[None]], [1.0]
    points, shares = np.polynomial.legendre.leggauss(steps)
    places = torch.from_numpy((points + 1) / 2).to(x)
    units = network.units(baseline + places[:, None] * (x - baseline))
    return [1.0 - unit * unit for unit in units], (shares / 2).tolist()


def _chain(start: Tensor, between: Sequence[Tensor], slopes: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Mean over the path of start * slope @ weights * slope ...: [rows of start, units of the layer it ends in]."""
    total = torch.zeros(len(start), slopes[-1].shape[1], dtype=start.dtype, device=start.device)
    weights = torch.tensor(shares, dtype=start.dtype, device=start.device)
    size = max(1, _VALUES // (len(start) * max(slope.shape[1] for slope in slopes)))
    for at in range(0, len(shares), size):
        part = slice(at, at + size)
        value = start * slopes[0][part, None]
        for weight, slope in zip(between, slopes[1:]):
            value = (value @ weight).mul_(slope[part, None])
        total += torch.tensordot(weights[part], value, 1)
    return total
