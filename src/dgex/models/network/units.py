"""Whether the genes that a network is given are in standard units, and what brings them there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from dgex.errors import ModelError
from dgex.progress import hint, warn
from dgex.training.batches.statistics import gene_statistics
from dgex.training.machine.device import on_device

__all__ = ["STATISTICS", "raw", "statistics_for", "statistics_from", "statistics_of"]

Arrays = dict[str, np.ndarray]
STATISTICS = ("x_mean", "x_scale", "y_mean", "y_scale")
# Standardised genes of part of a compendium stay well within these; values of 4 to 15, counts and shares do not.
_FAR, _WIDE, _NARROW = 1.5, 5.0, 0.2
_PROFILES = 512  # that are looked at


def raw(genes: np.ndarray) -> str:
    """How far genes are from a mean of 0 and a deviation of 1, in words; empty where they are near enough.

    Near enough are means that are on average within 1.5 of 0, and deviations that are on average from .2 to 5; a gene
    that is the same in all profiles has none. Of many profiles 512 to 1,023 are looked at, evenly spaced.

    Examples
    --------
    >>> raw(np.array([[4, 15], [6, 9]], dtype=np.float32))
    'means of 8.5, deviations of 2'
    >>> raw(np.array([[-1, 1], [1, -1]], dtype=np.float32))
    ''
    """
    few = genes[:: max(1, len(genes) // _PROFILES)]
    mean, deviations = float(np.abs(few.mean(axis=0, dtype=np.float64)).mean()), few.std(axis=0, dtype=np.float64)
    deviation = float(deviations[deviations > 0].mean()) if deviations.any() else 1.0
    near = mean <= _FAR and _NARROW <= deviation <= _WIDE
    return "" if near else f"means of {mean:.3g}, deviations of {deviation:.3g}"


def statistics_for(asked: bool | None, X: np.ndarray, Y: np.ndarray, device: torch.device) -> Arrays | None:
    """Statistics by which a network is to standardise genes, as `Standard` takes them; None where it is not to.

    Parameters
    ----------
    asked : bool, optional
        Whether to. None leaves it to the genes: where landmark or target genes are not in standard units, all are
        standardised, and it is said.
    X, Y : ndarray of float32
        Profiles x landmarks and profiles x targets.
    device : torch.device
        Where sums are taken.
    """
    found = {"landmark": raw(X), "target": raw(Y)}
    told = "; ".join(f"{role} genes are not standardised ({how})" for role, how in found.items() if how)
    if asked is False and told:
        warn(f"dgex: {told}: the paper's learning rates are for means of 0 and deviations of 1")
    if asked is False or (asked is None and not told):
        return None
    if told:
        hint(f"dgex: {told}: the network standardises all genes inside, and predicts target genes in their own units")
    return statistics_of(X, Y, device)


def statistics_of(X: np.ndarray, Y: np.ndarray, device: torch.device) -> Arrays:
    """Mean and deviation of every gene over the training profiles, as `Standard` takes them."""
    statistics = {}
    with on_device(device):
        for name, matrix in (("x", X), ("y", Y)):
            statistics[f"{name}_mean"], statistics[f"{name}_scale"] = gene_statistics(matrix, device)
    return statistics


def statistics_from(arrays: Arrays, state: Mapping[str, Any], genes: Mapping[str, int]) -> Arrays | None:
    """Take statistics out of a model folder; None of a network that was given standardised genes.

    Parameters
    ----------
    arrays, state
        Of the model.
    genes : dict
        Numbers of landmark genes (`x`) and target genes (`y`).

    Raises
    ------
    ModelError
        The model says that it standardises genes and does not say how, or the other way round.
    """
    held = [name for name in STATISTICS if name in arrays]
    if not state.get("standardized", False):  # not recorded while no network did
        if held:
            raise ModelError(f"the model holds arrays that its settings do not tell of: {held[0]}")
        return None
    for name in STATISTICS:
        size = (genes[name[0]],)
        if name not in arrays or arrays[name].shape != size:
            shape = arrays[name].shape if name in arrays else "none"
            raise ModelError(f"{name} holds an array of shape {shape}, accepted {size}")
    return {name: arrays[name] for name in STATISTICS}
