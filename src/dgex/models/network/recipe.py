"""From the settings of a network to what training takes: refused where no data could make them right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from dgex.errors import SettingsError
from dgex.training.batches.streams import PLACEMENTS
from dgex.training.learners.tuning import check_precision
from dgex.training.machine.device import pick_device
from dgex.training.run.partition import PARTITIONS
from dgex.training.run.parts import Recipe
from dgex.training.run.settings import TrainingSettings

if TYPE_CHECKING:
    from dgex.models.network.dgex import DGEX

__all__ = ["recipe_of"]

# What may change when a run is resumed (how long and where, not what is learned), what its folder tells itself, and
# whether to standardise, of which not what was asked for counts but what was done.
_NOT_IDENTITY = {"standardize", "epochs", "device", "patience", "placement", "shard", "target_parts", "partition"}
_NOT_OURS = {"learning_rate", "schedule"}  # of the schedule's settings: chosen below; the paper's rate falls by itself


def recipe_of(model: DGEX) -> Recipe:
    """Check the settings of a network and lay them out for training.

    Raises
    ------
    SettingsError
        A setting outside what is accepted.
    """
    hidden = _layers(model.hidden)
    for name, value in {"dropout": model.dropout, "momentum": model.momentum}.items():
        if not _is_number(value) or not 0 <= value < 1:
            raise SettingsError(name, found=value, accepted="0 or more, below 1")
    if not _is_number(model.rate_scale) or not model.rate_scale > 0:
        raise SettingsError("rate_scale", found=model.rate_scale, accepted="a number above 0")
    check_precision(model.precision)
    if model.placement not in ("auto", *PLACEMENTS):
        raise SettingsError("placement", found=model.placement, accepted=f"auto, {', '.join(PLACEMENTS)}")
    parts = model.target_parts
    if not isinstance(parts, int | np.integer) or isinstance(parts, bool) or parts < 1:
        raise SettingsError("target_parts", found=parts, accepted="a whole number, 1 or more")
    if not isinstance(model.standardize, bool | None):
        raise SettingsError("standardize", found=model.standardize, accepted="True, False or None")
    if model.partition not in PARTITIONS:
        raise SettingsError("partition", found=model.partition, accepted=" or ".join(map(repr, PARTITIONS)))
    rate = model.learning_rate
    settings = TrainingSettings(
        learning_rate=(5e-4 if len(hidden) == 1 else 3e-4) if rate is None else rate,
        **{f.name: getattr(model, f.name) for f in fields(TrainingSettings) if f.name not in _NOT_OURS},
    )
    identity = {k: v for k, v in model.get_params(deep=False).items() if k not in _NOT_IDENTITY}
    identity |= {"hidden": hidden, "learning_rate": settings.learning_rate}
    own = {name: getattr(model, name) for name in ("momentum", "dropout", "rate_scale", "seed")}
    return Recipe(
        hidden,
        settings,
        pick_device(model.device),
        own,
        identity,
        precision=model.precision,
        placement=model.placement,
        shard=model.shard,
        parts=int(parts),
        partition=model.partition,
    )


def _layers(hidden: Sequence[int] | int) -> list[int]:
    layers = list(hidden) if isinstance(hidden, Iterable) else [hidden]
    if not layers or not all(isinstance(n, int | np.integer) and n >= 1 for n in layers):
        raise SettingsError("hidden", found=hidden, accepted="one or more numbers of units, each 1 or more")
    return [int(n) for n in layers]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
