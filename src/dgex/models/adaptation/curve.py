"""What more profiles would bring: errors with fewer of them, and the law they follow."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgex.models.adaptation.choice import GENES, PROFILES, Folds, Problem, errors
from dgex.models.selection import spread

__all__ = ["expected_with", "further", "in_words", "learning_curve", "told"]

SHARES_OF_PROFILES = (0.25, 0.5, 0.75)
# Fewer profiles than these give no point of the curve.
LEAST = 3


def learning_curve(
    problem: Problem, shape: int, folds: Folds, generator: np.random.Generator, error: float
) -> list[dict[str, float]]:
    """Errors on what the folds hold out when a share of their training profiles is used, drawn anew in each fold.

    Penalty and share of the old model are chosen for every point, as they would be with so few profiles. The last point
    is of all profiles, whose `error` is known already.

    Returns
    -------
    list of dict
        `profiles` (the mean number trained on) and `error` (standard deviations of the new platform), ascending.
    """
    genes = spread(problem.wanted.shape[1], GENES)
    few = Problem([], problem.wanted[:, genes], problem.prior[:, genes])
    points: list[dict[str, float]] = []
    for share in SHARES_OF_PROFILES:
        drawn = [(generator.permutation(train)[: max(LEAST, round(share * len(train)))], held) for train, held in folds]
        size = float(np.mean([len(train) for train, _ in drawn]))
        if (
            min(len(train) for train, _ in drawn) >= LEAST
            and size <= PROFILES
            and (not points or size > points[-1]["profiles"])
        ):
            found = float(errors(problem.kernels[shape], few, drawn).min())
            points.append({"profiles": round(size, 1), "error": found})
    size = float(np.mean([len(train) for train, _ in folds]))
    return [*[point for point in points if point["profiles"] < size], {"profiles": round(size, 1), "error": error}]


def expected_with(points: list[dict[str, float]], profiles: float) -> float | None:
    """The error with so many profiles, by the law `error = a * profiles^-b`; None where there is no such law.

    Errors of models fall as a power of the number of profiles until what cannot be learned is left, which no few
    profiles tell: beyond about three times as many it says too little. b is zero or more.
    """
    if len(points) < 2:
        return None
    sizes, found = (np.log([point[name] for point in points]) for name in ("profiles", "error"))
    slope = min(float(np.polyfit(sizes, found, 1)[0]), 0.0)
    return float(np.exp(found[-1] + slope * (np.log(profiles) - sizes[-1])))


def told(points: list[dict[str, float]], profiles: int) -> dict[str, Any]:
    """The curve, and what as many profiles again would bring: for the model's state."""
    curve = {name: [round(point[name], 4) for point in points] for name in ("profiles", "error")}
    if len(points) < 2:
        return curve
    more = 10 * round(profiles / 10) if profiles >= 10 else profiles
    now = expected_with(points, profiles)
    return {**curve, "now": now, "more": more, "then": expected_with(points, profiles + more)}


def in_words(expected: dict[str, Any]) -> list[str]:
    """What an adapted model expects of itself, line by line."""
    members, curve = expected["members"], expected["curve"]
    width = max(map(len, members))
    lines = [f"overall error on profiles held out ({expected['judged']}), standard deviations of the new platform:"]
    lines += [f"  {name.ljust(width)}  {error:.4f}" for name, error in members.items()]
    lines.append(f"chosen: {expected['rule']}")
    points = ", ".join(f"{n:g} {error:.3f}" for n, error in zip(curve["profiles"], curve["error"]))
    lines.append(f"with fewer profiles to learn from: {points}")
    return [*lines, expected["further"]] if expected["further"] else lines


def further(curve: dict[str, Any]) -> str:
    """What more profiles would bring, in words; empty where the curve does not tell."""
    if curve.get("then") is None:
        return ""
    return (
        f"{curve['more']:,} more profiles would bring about {curve['then']:.3f} ({curve['now']:.3f} with those there)"
    )
