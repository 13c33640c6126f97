"""Where profiles lie among the training profiles: two main directions, and the nearest neighbour of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dgex.arrays.index import evenly
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator

__all__ = ["mapped"]

_DRAWN = 1500  # training profiles
_OWN = 1000  # profiles whose nearest neighbour is looked up
_BLOCK = 200
_NAMED = 10  # studies


def mapped(result: ExpressionFile, model: Estimator) -> dict[str, Any] | None:
    """Points of a map, as plain values; None of a model that keeps no index.

    Parameters
    ----------
    result : ExpressionFile
        Whole profiles in original units; their landmark genes say where they lie.
    model : Estimator
    """
    index = model.training_index_
    if index is None:
        return None
    rows = min(_OWN, result.shape[0])
    points, near, far = [], [], []
    landmarks = result.var.index.get_indexer(pd.Index(model.landmarks_))
    for start in range(0, rows, _BLOCK):
        values = result.read(genes=landmarks, samples=slice(start, min(start + _BLOCK, rows)))
        ours = model.normalization_
        x = values if ours is None else ours.standardize_landmarks(values)
        points.append(index.on_map(x))
        places, distance = index.nearest(x, 1)
        near.append(places[:, 0])
        far.append(distance[:, 0])
    own, nearest = np.concatenate(points), np.concatenate(near)
    theirs = index.coordinates[:, :2].astype(np.float32)
    drawn = evenly(len(theirs), _DRAWN)
    study = None if index.study is None else index.study.astype(str)
    return {
        "axes": _shares(index.coordinates.astype(np.float32), len(index.mean)),
        "training": np.round(theirs[drawn], 2).tolist(),
        "studies": [] if study is None else _studies(theirs, study),
        "column": index.column,
        "total": index.total,
        "own": np.round(own, 2).tolist(),
        "nearest": index.names[nearest].astype(str).tolist(),
        "nearest_study": [""] * rows if study is None else study[nearest].tolist(),
        "distance": np.round(np.concatenate(far), 3).tolist(),
    }


def _shares(coordinates: np.ndarray, genes: int) -> list[float]:
    """Share of the variance of the standardised landmark genes along each of the two directions."""
    return [float(np.square(coordinates[:, at]).mean() / genes) for at in range(min(2, coordinates.shape[1]))]


def _studies(points: np.ndarray, study: np.ndarray) -> list[dict[str, Any]]:
    """Middles of the largest studies, for labels."""
    names, counts = np.unique(study, return_counts=True)
    told = []
    for at in np.argsort(-counts, kind="stable")[:_NAMED]:
        x, y = np.median(points[study == names[at]], axis=0)
        told.append(
            {"name": str(names[at]), "profiles": int(counts[at]), "x": round(float(x), 2), "y": round(float(y), 2)}
        )
    return told
