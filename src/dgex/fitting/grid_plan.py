"""Which networks a grid holds: every combination of the values on its axes, each under a readable name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from dgex.errors import SettingsError, first
from dgex.models.catalogue import defaults
from dgex.models.network.dgex import DGEX
from dgex.training.machine.architecture import Architecture

__all__ = ["Member", "deal", "plan"]

_NO_AXES = ("device", "placement", "shard")  # where a network is trained is no property of it


@dataclass(frozen=True)
class Member:
    """One network of a grid.

    Attributes
    ----------
    name : str
        Its folder, for example `3000x2-dropout0.1`.
    axes : dict
        Its value on every axis.
    settings : dict
        What `dgex.DGEX` is given.
    """

    name: str
    axes: dict[str, Any]
    settings: dict[str, Any]

    def model(self) -> DGEX:
        """The network, not fitted."""
        return DGEX(**self.settings)

    def weights(self, landmarks: int, targets: int) -> int:
        """Number of weights and biases of its largest network."""
        model = self.model()
        hidden = [model.hidden] if isinstance(model.hidden, int | np.integer) else list(model.hidden)
        sizes = [landmarks, *hidden, -(-targets // model.target_parts)]
        return Architecture.chain(sizes).parameters

    def cost(self, landmarks: int, targets: int) -> float:
        """Estimated time to train it, in units that are the same for all members.

        A step moves the bytes of the weights and multiplies each with the batch; near 200 profiles a batch both take
        about as long.
        """
        model = self.model()
        passes = model.epochs * model.target_parts * (1 + 200 / model.batch_size)
        return passes * self.weights(landmarks, targets)


def plan(axes: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> list[Member]:
    """List the networks of a grid, the last axis moving fastest.

    Parameters
    ----------
    axes : dict of name to values
        Settings of `dgex.DGEX`. `hidden` holds numbers of units; with the axis `layers` (numbers of hidden layers of
        that width) they are the width of every layer.
    settings : dict
        Settings that all networks share.

    Raises
    ------
    SettingsError
        Says which axis or value is not accepted.
    """
    known = [name for name in defaults(DGEX.kind) if name not in _NO_AXES]
    if not axes:
        raise SettingsError("a grid needs an axis", accepted=f"layers, {', '.join(known)}")
    for name, values in axes.items():
        if name != "layers" and name not in known:
            raise SettingsError(f"a grid has no axis {name!r}", accepted=f"layers, {', '.join(known)}")
        if isinstance(values, str) or not isinstance(values, Sequence) or not len(values):
            raise SettingsError(f"axis {name}", found=values, accepted="one or more values")
        repeated = [value for at, value in enumerate(values) if value in values[:at]]
        if repeated:
            raise SettingsError(f"axis {name}: found {first(repeated)} twice, accepted different values")
        if name in settings:
            raise SettingsError(f"{name} is an axis of the grid and a setting at once", accepted="one of the two")
    for name in ("hidden", "layers"):
        for value in axes.get(name, []):
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise SettingsError(f"axis {name}", found=value, accepted="whole numbers, 1 or more")
    return [_member(dict(zip(axes, values)), settings) for values in product(*axes.values())]


def _member(axes: dict[str, Any], settings: Mapping[str, Any]) -> Member:
    own = {**settings, **{name: value for name, value in axes.items() if name not in ("hidden", "layers")}}
    words = sorted(f"{name}{_word(value)}" for name, value in axes.items() if name not in ("hidden", "layers"))
    if "hidden" in axes or "layers" in axes:
        width = axes.get("hidden") or _width(settings.get("hidden", DGEX().hidden))
        layers = int(axes.get("layers", 1))
        own["hidden"] = (int(width),) * layers
        words.insert(0, f"{width}x{layers}")
    member = Member("-".join(words), axes, own)
    try:
        member.model().check_settings()
    except TypeError as error:
        raise SettingsError(f"{member.name}: found a value of a wrong kind ({error}), see dgex.DGEX") from error
    return member


def _word(value: Any) -> str:
    if isinstance(value, str):
        return f"-{value}"
    return str(value).removesuffix(".0").lower()


def _width(hidden: Any) -> int:
    """The width that the axis `layers` multiplies where `hidden` is no axis."""
    widths = {hidden} if isinstance(hidden, int | np.integer) else set(hidden)
    if len(widths) != 1:
        raise SettingsError(f"hidden: found {hidden} with the axis layers, accepted one width for all layers")
    return int(next(iter(widths)))


def deal(costs: Sequence[float], hands: int) -> list[list[int]]:
    """Deal pieces of work to `hands`, the largest first and each to who has least; every hand largest first."""
    dealt: list[list[int]] = [[] for _ in range(hands)]
    loads = [0.0] * hands
    for at in sorted(range(len(costs)), key=lambda at: -costs[at]):
        least = loads.index(min(loads))
        dealt[least].append(at)
        loads[least] += costs[at]
    return dealt
