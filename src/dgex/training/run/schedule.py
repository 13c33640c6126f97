"""How the learning rate goes through a run: the share of its highest value at every step."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["SCHEDULES", "share"]

_RISE = 0.3  # share of the steps in which the one-cycle rate rises
_START, _END = 1 / 25, 1 / 25e4  # of the highest rate
_DROPS = (2 / 3, 19 / 24, 11 / 12, 23 / 24)  # epochs 400, 475, 550 and 575 of 600
_DROP = 0.2


def _constant(done: int, total: int) -> float:
    return 1.0


def _one_cycle(done: int, total: int) -> float:
    top, last = _RISE * total - 1, total - 1
    if top > 0 and done <= top:
        return _cosine(_START, 1.0, done / top)
    return _cosine(1.0, _END, (done - max(0.0, top)) / max(1.0, last - max(0.0, top)))


def _steps(done: int, total: int) -> float:
    return _DROP ** sum(done >= drop * total - 1e-9 * total for drop in _DROPS)


def _cosine(first: float, last: float, way: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * way)) / 2


#: By name: constant; up and down along half waves of a cosine; falling to a fifth four times near the end.
SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": _constant,
    "one-cycle": _one_cycle,
    "steps": _steps,
}


def share(schedule: str, done: int, total: int) -> float:
    """Share of the highest rate that the next step takes, after `done` of `total` steps.

    Parameters
    ----------
    schedule : str
        "constant"; "one-cycle" (Smith 2018, as `torch.optim.lr_scheduler.OneCycleLR`: from 1/25 up to 1 in the first
        three tenths of the steps, then down to 1/250,000); or "steps" (a fifth, four times, at 2/3, 19/24, 11/12 and
        23/24 of the run: epochs 400, 475, 550 and 575 of 600).
    done, total : int
        Steps, 0 <= done < total.

    Examples
    --------
    >>> [round(share("one-cycle", done, 100), 3) for done in (0, 29, 99)]
    [0.04, 1.0, 0.0]
    >>> share("steps", 66, 100), share("steps", 67, 100)
    (1.0, 0.2)
    """
    return SCHEDULES[schedule](done, total)
