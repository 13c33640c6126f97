"""Choose one setting of a path by the overall error on held-out profiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dgex.aliases import Sets
from dgex.dataset.split import dealt
from dgex.errors import SettingsError
from dgex.metrics import in_blocks, measured
from dgex.progress import bar, hint

__all__ = ["BLOCK", "check_penalty", "climb", "folds_of", "held_out", "mean_error", "penalty_path", "spread"]

# Profiles predicted at once.
BLOCK = 1024
# A path is first walked on this many validation profiles; with thousands of targets the ranking is already steady.
SCREEN = 512
# A neighbour on the path must be better by this fraction: plateaus are not worth wandering over.
BETTER = 1e-5
# A path of L1 penalties falls from the one at which every coefficient is zero.
PENALTIES = np.logspace(0, -3, 16)
# So many more follow while the end of the path is its best.
MORE_PENALTIES = 5
# It ends where the error exceeds the best so far by this fraction: smaller penalties overfit and take longest.
RISE = 0.01


def held_out(eval_sets: Sets | None, kind: str, setting: str) -> tuple[np.ndarray, np.ndarray]:
    """The first evaluation set: the one that chooses.

    Raises
    ------
    SettingsError
        There is none.
    """
    if not eval_sets:
        raise SettingsError(
            f"{kind}: {setting} is not set and there is no evaluation set to choose it on; "
            f"accepted: {setting}=a number, or eval_sets={{name: (X, Y)}}"
        )
    return next(iter(eval_sets.values()))


def check_penalty(kind: str, alpha: Any) -> None:
    """Refuse a penalty that is neither None nor a number above 0.

    Raises
    ------
    SettingsError
    """
    if alpha is None:
        return
    if not isinstance(alpha, int | float | np.number) or isinstance(alpha, bool) or not 0 < alpha < np.inf:
        raise SettingsError(f"{kind} alpha", found=alpha, accepted="a number above 0 (OLS has no penalty)")


def spread(n: int, most: int = SCREEN) -> np.ndarray:
    """Indices of at most `most` profiles out of n, evenly spaced: neighbouring profiles are often of one study."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)


def mean_error(X: np.ndarray, Y: np.ndarray, predict: Callable[[np.ndarray], np.ndarray]) -> float:
    """Overall error of `predict` on held-out profiles, in blocks."""
    return measured(in_blocks(predict, X, Y, BLOCK), Y.shape[1], correlation=False).overall


def penalty_path(top: float, error: Callable[[float], float], kind: str) -> tuple[list[float], list[float]]:
    """Walk down a path of L1 penalties until the error rises.

    Parameters
    ----------
    top
        The penalty at which every coefficient is zero.
    error : function of a penalty
        Error on held-out profiles; called in order, so that each solution can start from the one before.
    kind
        Name of the method, for what is said.

    Returns
    -------
    alphas, errors
        What was tried, in order.
    """
    alphas = (PENALTIES * top).tolist()
    errors: list[float] = []
    with bar(len(alphas), f"{kind} path") as progress:
        while len(errors) < len(alphas):
            errors.append(error(alphas[len(errors)]))
            progress.advance()
            if errors[-1] > min(errors) * (1 + RISE):
                break
            at_end = len(errors) == len(alphas) and errors[-1] == min(errors)
            if at_end and len(alphas) < len(PENALTIES) + MORE_PENALTIES:
                alphas.append(alphas[-1] * float(PENALTIES[1]))
                hint(f"{kind}: the best penalty lay at the end of the path; trying {alphas[-1]:.3g} as well")
    return alphas[: len(errors)], errors


def climb(
    values: Sequence[float],
    screened: Sequence[float] | np.ndarray,
    exact: Callable[[float], float] | None,
    name: str,
    screen: int,
    n: int,
) -> tuple[float, float, list[dict[str, Any]]]:
    """Take the best of a screened path, then walk to the best neighbour by the exact error.

    Parameters
    ----------
    values, screened
        Settings in order and their errors on `screen` profiles.
    exact : function of a setting, or None
        Error on all `n` profiles; None where the screen has already seen them all.
    name
        Name of the setting in the returned path.

    Returns
    -------
    best, error, path
        The chosen setting, its error, and what was tried: setting, error and number of profiles of each.
    """
    path = [{name: value, "error": error, "profiles": screen} for value, error in zip(values, screened)]
    at = int(np.argmin(screened))
    if exact is None:
        return values[at], float(screened[at]), path
    known: dict[int, float] = {}

    def error(i: int) -> float:
        if i not in known:
            known[i] = exact(values[i])
            path.append({name: values[i], "error": known[i], "profiles": n})
        return known[i]

    while True:
        near = [i for i in (at, at - 1, at + 1) if 0 <= i < len(values)]
        best = min(near, key=error)
        if error(best) >= error(at) * (1 - BETTER):
            return values[best], error(best), path
        at = best


def folds_of(n: int, count: int, labels: np.ndarray | None, generator: np.random.Generator) -> list[np.ndarray]:
    """Rows in parts of about one size; a group is never in two of them."""
    if labels is None:
        return [np.sort(part) for part in np.array_split(generator.permutation(n), count)]
    names, index = np.unique(labels, return_inverse=True)
    count = min(count, len(names))
    part_of = dealt(np.bincount(index), count, generator.permutation(len(names)))
    return [np.flatnonzero(part_of[index] == part) for part in range(count)]
