"""Networks of parts of the targets as one model: what they tell of the whole, and how the folder holds them."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd

from dgex.errors import ModelError
from dgex.training.run.parts import Part

__all__ = ["arrays_of", "best_of", "history_of", "measured", "overall", "parts_from", "rows_of"]

Arrays = dict[str, np.ndarray]


def overall(sizes: Sequence[int], errors: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Overall error and its standard deviation over all genes, from those of parts of `sizes` genes."""
    weights = np.array(sizes, dtype=np.float64) / sum(sizes)
    means, deviations = np.array(errors, dtype=np.float64).T
    mean = float(weights @ means)
    return mean, sqrt(weights @ (deviations**2 + (means - mean) ** 2))


def best_of(parts: Sequence[Part]) -> dict[str, dict[str, Any]]:
    """Epoch, error and sd of the weights kept for each set; of several parts their epochs, errors over all."""
    if len(parts) == 1:
        return parts[0].best
    best = {}
    for name in parts[0].best:
        entries = [part.best[name] for part in parts]
        error, sd = None, None
        if entries[0]["error"] is not None:
            error, sd = overall([len(part.targets) for part in parts], [(k["error"], k["sd"]) for k in entries])
        best[name] = {"epoch": [k["epoch"] for k in entries], "error": error, "sd": sd}
    return best


def history_of(parts: Sequence[Part]) -> pd.DataFrame:
    """The learning curve; of several parts one below the other, told apart by a first column `part`."""
    if len(parts) == 1:
        return pd.DataFrame(parts[0].history)
    rows = [{"part": number, **row} for number, part in enumerate(parts, start=1) for row in part.history]
    return pd.DataFrame(rows)


def measured(parts: Sequence[Part], name: str) -> dict[str, float]:
    """Overall error on an evaluation set of the weights that predict by default."""
    rows = [part.history[part.default_epoch - 1] for part in parts]
    errors = [(row[f"{name}.error"], row[f"{name}.sd"]) for row in rows]
    error, sd = errors[0] if len(parts) == 1 else overall([len(part.targets) for part in parts], errors)
    return {"overall": error, "sd": sd}


def arrays_of(parts: Sequence[Part]) -> Arrays:
    """Arrays of the model folder: `layers.0.weight`, `epoch-7.layers.0.weight`; of several parts behind `part-2.`"""
    arrays: Arrays = {}
    for prefix, part in zip(_prefixes(len(parts)), parts):
        if prefix:
            arrays[f"{prefix}targets"] = part.targets
        for epoch, weights in part.weights.items():
            inner = prefix if epoch == part.default_epoch else f"{prefix}epoch-{epoch}."
            arrays |= {f"{inner}{name}": value for name, value in weights.items()}
    return arrays


def parts_from(arrays: Arrays, state: dict[str, Any], landmarks: int, targets: int) -> list[Part]:
    """Take the networks out of a model folder.

    Raises
    ------
    ModelError
        Layers do not fit together, or the parts do not hold every target once.
    KeyError
        Something is missing.
    """
    several = state.get("parts", [state])
    parts = []
    for number, (prefix, told) in enumerate(zip(_prefixes(len(several)), several), start=1):
        own = arrays[f"{prefix}targets"] if prefix else np.arange(targets)
        precision = told.get("precision", "float32")  # not recorded before there was a choice
        part = Part(own, told["best"], {}, rows_of(state["history"], number), told["stopped"], precision)
        for epoch in {entry["epoch"] for entry in part.best.values()}:
            inner = prefix if epoch == part.default_epoch else f"{prefix}epoch-{epoch}."
            names = [name for name in arrays if name.startswith(f"{inner}layers.")]
            part.weights[epoch] = {name.removeprefix(inner): arrays[name] for name in names}
            _check_shapes(part.weights[epoch], landmarks, len(own))
        parts.append(part)
    if not np.array_equal(np.sort(np.concatenate([part.targets for part in parts])), np.arange(targets)):
        raise ModelError(f"the parts of the model do not hold each of its {targets:,} target genes once")
    return parts


def _prefixes(parts: int) -> list[str]:
    return [""] if parts == 1 else [f"part-{number}." for number in range(1, parts + 1)]


def rows_of(history: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The learning curve of the part of this number, of a stored one."""
    own = [row for row in history if row.get("part", 1) == number]
    return [{name: value for name, value in row.items() if name != "part"} for row in own]


def _check_shapes(weights: Arrays, landmarks: int, targets: int) -> None:
    """Refuse a stored network whose layers do not fit together."""
    width = landmarks
    for depth in range(len(weights) // 2):
        weight, bias = weights[f"layers.{depth}.weight"], weights[f"layers.{depth}.bias"]
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise ModelError(f"layer {depth} holds weights of shape {weight.shape}, accepted (units, {width})")
        width = len(weight)
    if width != targets or not weights:
        raise ModelError(f"the network ends in {width} units, accepted {targets} target genes")
