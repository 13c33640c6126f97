"""Integrated gradients of a few target genes of a network, in one profile."""

from __future__ import annotations

import numpy as np
import torch

from dgex.interpretation.attribution import path_gradient
from dgex.interpretation.layers import layers_of
from dgex.models.base import Estimator
from dgex.models.explaining import adds_up
from dgex.training.machine.device import pick_device
from dgex.training.machine.memory import predicting

__all__ = ["integrated"]


@torch.inference_mode()
def integrated(
    model: Estimator,
    start: np.ndarray,
    end: np.ndarray,
    targets: np.ndarray,
    points: tuple[int, int],
) -> np.ndarray:
    """What each landmark gene adds to target genes, by `dgex.interpretation.attribution.path_gradient`.

    Parameters
    ----------
    model : Estimator
        With layers.
    start, end : ndarray of float32, shape (landmarks,)
    targets : ndarray of int
    points : tuple of int
        Of the way, for networks of several hidden layers: at first, and at most. They are doubled until contributions
        add up.

    Returns
    -------
    ndarray of float64, shape (targets, landmarks)
    """
    device = pick_device(str(getattr(model, "device", "cpu")))
    values = np.zeros((len(targets), len(start)))
    with predicting(device):
        x, baseline = (torch.from_numpy(np.ascontiguousarray(v)).to(device) for v in (end, start))
        for network in layers_of(model, None, device):
            own = network.only(targets).in_units()
            if not len(own.targets):
                continue
            moved = (own.forward(x[None]) - own.forward(baseline[None]))[0].double()
            count = points[0]
            while True:
                found = (path_gradient(own, x, baseline, count) * (x - baseline)).double()
                sums = (part.cpu().numpy() for part in (found.sum(dim=1), moved, found.abs().sum(dim=1)))
                if len(own.hidden) < 2 or count >= points[1] or adds_up(*sums):
                    break
                count *= 2
            place = {int(target): row for row, target in enumerate(own.targets)}
            for row, target in enumerate(targets):
                if int(target) in place:
                    values[row] = found[place[int(target)]].cpu().numpy()
    return values
