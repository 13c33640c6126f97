"""Residual networks as one model: from settings to what training takes, and how the folder holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex.errors import ModelError, SettingsError, first
from dgex.models.network.choices import OPEN, check, choose
from dgex.models.network.parts import rows_of
from dgex.models.network.units import STATISTICS
from dgex.training.batches.streams import PLACEMENTS
from dgex.training.learners.descent import Descent
from dgex.training.learners.descent_step import make_descent
from dgex.training.learners.residual import ResidualNetwork, Shape
from dgex.training.learners.tuning import check_precision
from dgex.training.machine.device import pick_device
from dgex.training.machine.memory import DescentFootprint
from dgex.training.run.parts import Part, Recipe
from dgex.training.run.settings import TrainingSettings

if TYPE_CHECKING:
    from dgex.models.network.residual import Residual

__all__ = ["arrays_of", "members_from", "recipes_of", "restored_choice", "schedule_of", "shape_of"]

Arrays = dict[str, np.ndarray]


def schedule_of(model: Residual, chosen: Mapping[str, Any], seed: int | None = None) -> TrainingSettings:
    """The schedule of a run.

    Raises
    ------
    SettingsError
        A setting outside what is accepted.
    """
    check_precision(model.precision)
    if model.placement not in ("auto", *PLACEMENTS):
        raise SettingsError("placement", found=model.placement, accepted=f"auto, {', '.join(PLACEMENTS)}")
    shared = {name: chosen[name] for name in ("learning_rate", "epochs", "batch_size", "schedule")}
    own = model.seed if seed is None else seed
    return TrainingSettings(**shared, rate_decay=1.0, min_rate=0.0, patience=model.patience, seed=own)


def recipes_of(
    model: Residual, chosen: Mapping[str, Any], statistics: Arrays, profiles_landmarks: tuple[int, ...], targets: int
) -> list[Recipe]:
    """What training takes, for each network of the ensemble.

    Parameters
    ----------
    model : Residual
        Its settings were checked.
    chosen : mapping
        Of every setting in `OPEN`, see `choose`.
    statistics : dict of name to ndarray
        Of the genes, as `Standard` takes them.
    profiles_landmarks : tuple of int
        Training profiles and landmark genes.
    targets : int
        Target genes.
    """
    profiles, landmarks = profiles_landmarks
    shape = shape_of(chosen, landmarks, targets)
    taken = ("loss", "optimiser", "averaging", "weight_decay", "dropout", "noise", "landmark_dropout")
    device = pick_device(model.device)
    averaging = chosen["averaging"] != "off"
    footprint = partial(DescentFootprint, residual=shape.residual, skip=shape.skip, averaging=averaging)
    precision = "float32" if model.precision == "auto" and device.type == "cpu" else model.precision
    recipes = []
    for seed in range(model.seed, model.seed + int(model.ensemble)):
        settings = schedule_of(model, chosen, seed)
        steps = -(-profiles // settings.batch_size)
        total = steps * settings.epochs
        how = Descent(seed=seed, steps=steps, total=total, **{name: chosen[name] for name in taken})
        identity = {**chosen, "precision": model.precision, "seed": seed}
        if chosen["schedule"] == "constant" and not averaging:
            del identity["epochs"]  # a longer run is the same as far as it goes
        own = {"shape": shape, "statistics": statistics, "seed": seed, "how": how}
        recipes.append(
            Recipe(
                shape.chain[1:-1],
                settings,
                device,
                own,
                identity,
                precision=precision,
                placement=model.placement,
                build=make_descent,
                footprint=footprint,
                measured=False,
                shard=False,
            )
        )
    return recipes


def shape_of(chosen: Mapping[str, Any], landmarks: int, targets: int) -> Shape:
    """What each network is made of, from what `choose` gives and the numbers of genes."""
    built = {name: chosen[name] for name in ("hidden", "units", "norm", "skip", "residual")}
    return Shape(landmarks=landmarks, targets=targets, **built)


def restored_choice(model: Residual, stored: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen, as a model folder tells it.

    Raises
    ------
    ModelError
        It tells something that cannot have been chosen.
    """
    try:
        told = type(model)(**{name: stored[name] for name in OPEN})
        check(told)
        return choose(told, 2)
    except SettingsError as error:
        raise ModelError(f"the model was made with settings that are not accepted ({error})") from error


def arrays_of(members: Sequence[Part]) -> Arrays:
    """Arrays of the model folder: `stem.weight`, `epoch-7.stem.weight`; of several networks behind `part-2.`"""
    arrays: Arrays = {}
    for prefix, member in zip(_prefixes(len(members)), members):
        for epoch, weights in member.weights.items():
            inner = prefix if epoch == member.default_epoch else f"{prefix}epoch-{epoch}."
            arrays |= {f"{inner}{name}": value for name, value in weights.items()}
    return arrays


def members_from(arrays: Arrays, state: Mapping[str, Any], shape: Shape) -> tuple[Arrays, list[Part]]:
    """Take statistics and networks out of a model folder.

    Raises
    ------
    ModelError
        Arrays of another shape than the settings tell, or more of them, or networks kept for other sets.
    KeyError
        Something is missing.
    """
    genes = {"x": shape.landmarks, "y": shape.targets}
    statistics = {name: _sized(arrays, name, (genes[name[0]],)) for name in STATISTICS}
    if len(shape.hidden) > len(arrays):
        raise ModelError(f"the model holds {len(arrays)} arrays, fewer than its {len(shape.hidden)} layers")
    if max(shape.hidden) > sum(array.size for array in arrays.values()):  # before anything of that size is described
        raise ModelError(f"hidden: found {max(shape.hidden):,} units, more than the model's arrays hold numbers")
    sizes, members, left = ResidualNetwork.sizes(shape), [], arrays.keys() - statistics
    for number, (prefix, told) in enumerate(zip(_prefixes(len(state["members"])), state["members"]), start=1):
        rows = rows_of(state["history"], number)
        member = Part(np.arange(shape.targets), told["best"], {}, rows, told["stopped"], told["precision"])
        for epoch in {entry["epoch"] for entry in member.best.values()}:
            inner = prefix if epoch == member.default_epoch else f"{prefix}epoch-{epoch}."
            member.weights[epoch] = {name: _sized(arrays, f"{inner}{name}", size) for name, size in sizes.items()}
            left = left - {f"{inner}{name}" for name in sizes}
        if member.best.keys() != state["best"].keys():
            raise ModelError(
                f"network {number} was kept for {first(member.best)}, the model for {first(state['best'])}"
            )
        members.append(member)
    if left:
        raise ModelError(f"the model holds arrays that its settings do not tell of: {first(sorted(left))}")
    return statistics, members


def _sized(arrays: Arrays, name: str, size: tuple[int, ...]) -> np.ndarray:
    found = arrays[name]
    if found.shape != size:
        raise ModelError(f"{name} holds an array of shape {found.shape}, accepted {size}")
    return found


def _prefixes(members: int) -> list[str]:
    return [""] if members == 1 else [f"part-{number}." for number in range(1, members + 1)]
