"""Which profiles of two blocks are closer than a distance, by products of float32 with the exactness of float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dgex.errors import DataError

__all__ = ["Block", "below", "direction", "with_norms"]


def direction(fetch: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean profile and every sample's place along a direction of large spread.

    Any unit vector serves (projections are never further apart than the samples), so the direction is taken from a
    few hundred samples.
    """
    sample = fetch(rows[:: max(1, len(rows) // 400)]).astype(np.float64)
    if not np.isfinite(sample).all():
        raise DataError("profiles hold NaN or infinity; near-duplicates need complete profiles")
    centre = sample.mean(axis=0)
    sample -= centre
    direction = np.linspace(1.0, 2.0, len(sample)) @ sample
    for _ in range(8):  # power iteration
        norm = np.linalg.norm(direction)
        if norm == 0:
            direction = np.ones_like(centre)
            norm = np.linalg.norm(direction)
        direction = direction / norm
        direction = (sample @ direction) @ sample
    norm = np.linalg.norm(direction)
    unit = (direction / norm if norm > 0 else direction).astype(np.float32)
    centre = centre.astype(np.float32)
    along = np.concatenate([(fetch(rows[at : at + block]) - centre) @ unit for at in range(0, len(rows), block)])
    if not np.isfinite(along).all():
        raise DataError("profiles hold NaN or infinity; near-duplicates need complete profiles")
    return centre, along


@dataclass(frozen=True)
class Block:
    """Profiles to be compared with those of another block."""

    values: np.ndarray  # centred, [rows, genes]
    half: np.ndarray  # half the squared norms, float32


def with_norms(values: np.ndarray, centre: np.ndarray) -> Block:
    """Profiles centred, with half their squared norms."""
    values = values - centre
    return Block(values, np.einsum("ij,ij->i", values, values, dtype=np.float64) / 2)


def below(
    left: Block,
    right: Block,
    distance: float,
    fetch: Callable[[np.ndarray], np.ndarray],
    mine: np.ndarray,
    theirs: np.ndarray,
    same: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (i in left, j in right) of the pairs closer than `distance`; i < j where both are the same block."""
    products = left.values @ right.values.T
    # d**2 = 2 (half_i + half_j - product): close means product - half_j > half_i - d**2 / 2.
    products -= right.half.astype(np.float32)
    error = (left.values.shape[1] + 8) * 2.0**-23
    threshold = distance**2 / 2
    slack = error * (left.half + right.half.max(initial=0) + np.sqrt(left.half * right.half.max(initial=0)) * 2)
    if same:
        np.fill_diagonal(products, -np.inf)
    candidate_rows = np.flatnonzero(products.max(axis=1) > left.half - threshold - slack)
    if not len(candidate_rows):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    part = products[candidate_rows]
    at, j = np.nonzero(part > (left.half - threshold - slack)[candidate_rows, None])
    i = candidate_rows[at]
    if same:
        at, i, j = at[i < j], i[i < j], j[i < j]
    half_squared = left.half[i] - part[at, j]
    slack_pair = error * (np.sqrt(left.half[i]) + np.sqrt(right.half[j])) ** 2
    sure = half_squared < threshold - slack_pair
    doubt = np.flatnonzero(~sure & (half_squared < threshold + slack_pair))
    step = max(1, 2**21 // left.values.shape[1])
    for start in range(0, len(doubt), step):
        pairs = doubt[start : start + step]
        difference = fetch(mine[i[pairs]]).astype(np.float64) - fetch(theirs[j[pairs]])
        sure[pairs] = np.einsum("ij,ij->i", difference, difference) < distance**2
    return i[sure], j[sure]
