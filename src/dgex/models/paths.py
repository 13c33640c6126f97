"""Integrals of gradients along the straight way from one profile to another, in closed form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["rational_path", "swaps"]

# Places on the way at which the nearest profiles are looked up.
STEPS = 512


def rational_path(
    start: np.ndarray, end: np.ndarray, centers: np.ndarray, weights: np.ndarray, gamma: float
) -> np.ndarray:
    r"""What each coordinate adds to :math:`\sum_c w_c / (1 + \gamma \lVert x - c \rVert^2)` from start to end.

    On the way, with d = end - start, the denominator is a quadratic q of the place a from 0 to 1, and the gradient by
    coordinate j is :math:`-2 \gamma (start_j + a d_j - c_j) / q(a)^2`; the integrals of 1/q² and a/q² are known.

    Parameters
    ----------
    start, end : ndarray, shape (landmarks,)
    centers : ndarray, shape (centers, landmarks)
    weights : ndarray, shape (centers, targets)
    gamma : float
        Above 0.

    Returns
    -------
    ndarray of float64, shape (targets, landmarks)

    References
    ----------
    M. Sundararajan, A. Taly, Q. Yan. Axiomatic attribution for deep networks. ICML 2017: integrated gradients.

    Examples
    --------
    >>> start, end, centers = np.zeros(2), np.array([1.0, 2.0]), np.array([[1.0, 0.0]])
    >>> added = rational_path(start, end, centers, np.ones((1, 1)), 0.5)
    >>> bool(np.isclose(added.sum(), 1 / (1 + 0.5 * 4) - 1 / (1 + 0.5)))
    True
    """
    start, end = start.astype(np.float64), end.astype(np.float64)
    away, total = end - start, np.zeros((weights.shape[1], len(start)))
    square = gamma * float(away @ away)
    if square == 0:
        return total
    for at in range(0, len(centers), 4096):
        c, w = centers[at : at + 4096].astype(np.float64), weights[at : at + 4096].astype(np.float64)
        apart = start - c
        first, slope = 1 + gamma * (apart * apart).sum(axis=1), 2 * gamma * apart @ away
        plain, moment = _integrals(first, slope, square)
        u, v = w * plain[:, None], w * moment[:, None]
        total += (u.sum(axis=0)[:, None] * start - u.T @ c) + v.sum(axis=0)[:, None] * away
    return np.asarray(-2 * gamma * away * total)


def _integrals(a: np.ndarray, b: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray]:
    """Integrals from 0 to 1 of 1/q² and of x/q² for q = a + b x + c x², which is positive everywhere."""
    inner = 4 * a * c - b * b
    root = np.sqrt(inner)
    once = 2 / root * (np.arctan((2 * c + b) / root) - np.arctan(b / root))
    end = a + b + c
    plain = ((2 * c + b) / end - b / a + 2 * c * once) / inner
    moment = (-(b + 2 * a) / end + 2 - b * once) / inner
    return plain, moment


def swaps(start: np.ndarray, end: np.ndarray, profiles: np.ndarray, count: int) -> Iterator[tuple[int, int]]:
    """Which of the `count` nearest profiles gives way to which other on the way, one pair at a time.

    Squared distances to profiles, less what is common to all, are linear in the place on the way: of a pair that has
    changed sides the newcomer became nearer at one place, and what a coordinate did to bring that about is its share of
    (end - start) · (newcomer - old).
    """
    profiles = profiles.astype(np.float64)
    level = (profiles * profiles).sum(axis=1) - 2 * profiles @ start.astype(np.float64)
    slope = -2 * profiles @ (end.astype(np.float64) - start)
    before: set[int] | None = None
    for place in np.linspace(0, 1, STEPS + 1):
        far = level + place * slope
        now = set(np.argpartition(far, count - 1)[:count].tolist()) if count < len(far) else set(range(len(far)))
        if before is not None and now != before:
            leave = sorted(before - now, key=lambda one: -far[one])
            enter = sorted(now - before, key=lambda one: far[one])
            yield from zip(leave, enter)
        before = now
