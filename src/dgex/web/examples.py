"""A panel to try a model with, made of what the model itself knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from anndata import AnnData

from dgex import io
from dgex.arrays.index import evenly
from dgex.errors import ModelError
from dgex.models.base import Estimator

__all__ = ["write_example"]

_PROFILES = 12


def write_example(model: Estimator, path: Path) -> None:
    """Write made-up profiles of the model's landmark genes.

    Each lies half-way between two training profiles that the model's index knows, along its main directions.

    Raises
    ------
    ModelError
        The model keeps no index of its training profiles.
    """
    index, ours = model.training_index_, model.normalization_
    if index is None:
        raise ModelError("this model keeps no index of its training profiles, so no example can be made of it")
    first = evenly(len(index.names), _PROFILES)
    one, other = (index.coordinates[at].astype(np.float32) for at in (first, np.roll(first, 1)))
    spread = np.where(np.isfinite(index.deviation), index.deviation, 0)
    x = index.mean + spread * (0.5 * (one + other) @ index.directions.T)
    values = x if ours is None else ours.invert_landmarks(x.astype(np.float32))
    panel = AnnData(np.round(values, 4).astype(np.float32))
    panel.obs_names = [f"example {at + 1}" for at in range(len(first))]
    panel.var_names = list(model.landmarks_)
    io.write(panel, path)
