"""Which networks a grid holds: every combination of the values on its axes, each under a readable name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from dgex.errors import SettingsError, first
from dgex.models.catalogue import METHODS, defaults, method
from dgex.models.network.epochs import Extent, Network

__all__ = ["NETWORK", "Member", "cost", "deal", "describe", "network", "plan"]

NETWORK = "dgex"  # what a grid is of unless told
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
        What its method is given.
    kind : str
        Its method: "dgex" or "residual".
    """

    name: str
    axes: dict[str, Any]
    settings: dict[str, Any]
    kind: str = NETWORK

    def model(self) -> Network:
        """The network, not fitted."""
        return network(self.kind)(**self.settings)

    def extent(self, profiles: int, landmarks: int, targets: int) -> Extent:
        """How much there is to train."""
        return self.model().extent(profiles, landmarks, targets)

    def alone(self, device: str) -> bool:
        """Whether it is trained with no other beside it: it turns PyTorch's one switch of TF32 for all threads."""
        return self.settings.get("precision") == "tf32" or (device == "cuda" and self.kind == "residual")


def network(kind: str) -> type[Network]:
    """The class of a method of which there are grids.

    Raises
    ------
    SettingsError
        It is no network of ours.
    """
    loaded = method(kind).load()
    if kind not in METHODS or not issubclass(loaded, Network):
        raise SettingsError("a grid is of networks: method", found=kind, accepted="dgex or residual")
    return loaded


def cost(extent: Extent) -> float:
    """Estimated time to train a network, in units that are the same for all of a grid.

    A step moves the bytes of the weights and multiplies each with the batch; near 200 profiles a batch both take about
    as long.
    """
    return extent.epochs * extent.networks * (1 + 200 / extent.batch_size) * extent.weights


def plan(axes: Mapping[str, Sequence[Any]], settings: Mapping[str, Any], kind: str = NETWORK) -> list[Member]:
    """List the networks of a grid, the last axis moving fastest.

    Parameters
    ----------
    axes : dict of name to values
        Settings of the method. `hidden` holds numbers of units; with the axis `layers` (numbers of hidden layers, or
        blocks, of that width) they are the width of every layer, without it of the only one.
    settings : dict
        Settings that all networks share.
    kind : str
        The method: "dgex" or "residual".

    Raises
    ------
    SettingsError
        Says which axis or value is not accepted.
    """
    made = network(kind)
    known = [name for name in defaults(kind) if name not in _NO_AXES]
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
    return [_member(dict(zip(axes, values)), settings, made) for values in product(*axes.values())]


def _member(axes: dict[str, Any], settings: Mapping[str, Any], made: type[Network]) -> Member:
    own = {**settings, **{name: value for name, value in axes.items() if name not in ("hidden", "layers")}}
    words = sorted(f"{name}{_word(value)}" for name, value in axes.items() if name not in ("hidden", "layers"))
    if "hidden" in axes or "layers" in axes:
        width = axes.get("hidden") or _width(settings.get("hidden", defaults(made.kind)["hidden"]))
        layers = int(axes.get("layers", 1))
        own["hidden"] = (int(width),) * layers
        words.insert(0, f"{width}x{layers}")
    member = Member("-".join(words), axes, own, made.kind)
    try:
        member.model().check_settings()
    except TypeError as error:
        raise SettingsError(f"{member.name}: found a value of a wrong kind ({error}), see {made.__name__}") from error
    return member


def _word(value: Any) -> str:
    if isinstance(value, str):
        return f"-{value}"
    return str(value).removesuffix(".0").lower()


def _width(hidden: Any) -> int:
    """The width that the axis `layers` multiplies where `hidden` is no axis."""
    if hidden is None:
        raise SettingsError("the axis layers needs a width: hidden", found="none", accepted="an axis, or a setting")
    widths = {hidden} if isinstance(hidden, int | np.integer) else set(hidden)
    if len(widths) != 1:
        raise SettingsError(f"hidden: found {hidden} with the axis layers, accepted one width for all layers")
    return int(next(iter(widths)))


def describe(
    axes: Mapping[str, Sequence[Any]], model: Network, members: Sequence[Member], validation: Sequence[str]
) -> dict[str, Any]:
    """What a grid is of, but for its data: what must be the same when it goes on."""
    shared = model.get_params(deep=False)
    varied = {*model.elsewhere, *axes, *(["hidden"] if "layers" in axes else [])}
    shared = {name: value for name, value in shared.items() if name not in varied}
    if "layers" in axes and "hidden" not in axes:
        shared["hidden"] = members[0].settings["hidden"][0]
    described = {"axes": {k: list(v) for k, v in axes.items()}, "settings": shared, "validation": list(validation)}
    described |= {"method": model.kind}
    return dict(json.loads(json.dumps(described, default=lambda value: value.item())))  # as it will be read back


def deal(costs: Sequence[float], hands: int) -> list[list[int]]:
    """Deal pieces of work to `hands`, the largest first and each to who has least; every hand largest first."""
    dealt: list[list[int]] = [[] for _ in range(hands)]
    loads = [0.0] * hands
    for at in sorted(range(len(costs)), key=lambda at: -costs[at]):
        least = loads.index(min(loads))
        dealt[least].append(at)
        loads[least] += costs[at]
    return dealt
