"""The models of a study, trained and measured one by one; what is measured is never trained again."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from dgex.dataset.platforms import Platform
from dgex.errors import DivergedError
from dgex.fitting.grid import train_grid
from dgex.fitting.grid_result import diverged_file
from dgex.fitting.splits import Splits, read_splits
from dgex.fitting.train import train
from dgex.models.base import Estimator
from dgex.models.catalogue import defaults
from dgex.models.catalogue import method as catalogued
from dgex.models.folder import load
from dgex.paper.data import Described
from dgex.paper.folder import MEASURED, MODELS, NETWORKS, place
from dgex.paper.measured import Measured, errors_of, read_measured
from dgex.paper.plan import BUDGET, NETWORK, Plan
from dgex.progress import bar, note, warn

__all__ = [
    "MEAN",
    "baseline_names",
    "fit_baselines",
    "fit_halves",
    "fit_networks",
    "halves_name",
]

MEAN = "mean"
ONCE = "ols", "residual"  # nothing to choose on validation but an epoch for each: one model serves all platforms


def baseline_names(plan: Plan, data: Described) -> dict[str, tuple[str, list[Platform]]]:
    """Name of every linear and neighbour model to its method and the platforms it is selected for."""
    named: dict[str, tuple[str, list[Platform]]] = {}
    for method in plan.methods:
        if method in ONCE:
            named[method] = method, data.platforms
        else:
            named |= {f"{platform.name}/{method}": (method, [platform]) for platform in data.platforms}
    return named


def fit_baselines(folder: Path, plan: Plan, data: Described) -> None:
    """Train and measure what stands beside the grid, each method selected on the validation set of its platform."""
    names = baseline_names(plan, data)
    # The model of sample-KNN is the training profiles themselves: only its errors are kept.
    outputs = {name: None if method == "knn" else folder / MODELS / name for name, (method, _) in names.items()}
    waiting = {name: what for name, what in names.items() if not _done(folder, name, data, outputs[name] or data.path)}
    trivial = not _done(folder, MEAN, data, data.path)
    if not waiting and not trivial:
        note(f"{len(names)} methods beside the networks: done before")
        return
    with ExitStack() as stack:
        read = read_splits(data.path, data.sets, stack)
        if trivial:
            _measure_mean(folder, read, data)
        for name, (method, platforms) in waiting.items():
            seen = _seen(read, [platform.validation for platform in platforms])
            try:
                model = _fitted(folder, name, method, outputs[name], seen, plan)
            except DivergedError as error:
                warn(f"{name} diverged and has no row: {error}")
                Measured(name, {"method": method, "diverged": True}, {}).save(folder / MEASURED)
                continue
            seconds = model.metrics_["seconds"]  # of training, also where it was trained before a kill
            facts = {"method": method, "settings": chosen_settings(model), "seconds": seconds, **_kept(model)}
            errors, profiles = measure(model, read, platforms)
            Measured(name, facts, errors, profiles).save(folder / MEASURED)
            tell(name, errors)


def _done(folder: Path, name: str, data: Described, model: Path) -> bool:
    """Whether a model was measured, by profile too where it and the data are still there to measure that."""
    measured = read_measured(folder / MEASURED, name)
    if measured is None or not measured.errors or measured.profiles:
        return measured is not None
    return not (model.exists() and data.path.exists())


def _fitted(folder: Path, name: str, method: str, output: Path | None, seen: Splits, plan: Plan) -> Estimator:
    """The model that is there, or one that is trained now, going on where a kill or Ctrl-C cut it short."""
    kind = catalogued(method).load()
    goes_on = kind.trains_in_epochs or kind.keeps_progress
    whole: dict[str, Any] = {"resume": goes_on and output is not None}
    if output is not None:
        ends = ("", ".checkpoint") if goes_on else ("",)
        place(folder).own(*(f"{MODELS}/{name}{end}/" for end in ends), f"{MODELS}/{name.rpartition('/')[0] or name}/")
        if output.exists():
            model = load(output)
            if not _cut_short(model):
                return model
            whole = {"resume": True} if model.trains_in_epochs else {"overwrite": True}
    known = defaults(method)
    settings: dict[str, Any] = {setting: getattr(plan, setting) for setting in ("seed", "device") if setting in known}
    if method == "auto":
        settings["budget"] = BUDGET[plan.scale]
    model = train(seen, method, output, validation=list(seen.matrices)[1:], **whole, **settings)
    if _cut_short(model):
        raise KeyboardInterrupt
    return model


def _cut_short(model: Estimator) -> bool:
    """Whether Ctrl-C ended its training; what is there by then is no row of a study."""
    if model.trains_in_epochs:
        return getattr(model, "stopped_", "") == "interrupted"
    return model.kind == "auto" and "interrupted" in model.expected_["left_out"].values()  # type: ignore[attr-defined]


def _kept(model: Estimator) -> dict[str, Any]:
    """What else a page tells of a model: its best epochs, or the members that have weight and how much."""
    if model.trains_in_epochs:
        return {"best": getattr(model, "best_", {})}
    if model.kind != "auto":
        return {}
    share = model.weights_.mean(axis=0)  # type: ignore[attr-defined]
    members = {one.kind: float(weight) for one, weight in zip(model.members_, share)}  # type: ignore[attr-defined]
    return {"members": members, "refitted": list(model.seen_)}


def _seen(read: Splits, validation: list[str]) -> Splits:
    """What a model may see while it is trained: the training profiles and its validation sets."""
    return read._replace(matrices={name: read.matrices[name] for name in ("train", *validation)})


def _measure_mean(folder: Path, read: Splits, data: Described) -> None:
    """The trivial predictor: each gene's mean over the training profiles."""
    mean = np.asarray(read.matrices["train"][1].X).mean(axis=0, dtype=np.float64).astype(np.float32)
    errors, profiles = {}, {}
    for name in data.sets:
        x, y = (np.asarray(part.X) for part in read.matrices[name])
        errors[name], profiles[name] = errors_of(lambda block: np.broadcast_to(mean, (len(block), len(mean))), x, y)
    Measured(MEAN, {"method": MEAN}, errors, profiles).save(folder / MEASURED)
    tell(MEAN, errors)


def fit_networks(folder: Path, plan: Plan, data: Described) -> None:
    """Train and measure the grid of networks; every network keeps its best epoch for each platform."""
    names = [member.name for member in plan.members()]
    waiting = [name for name in names if not _done(folder, name, data, folder / NETWORKS / name)]
    if not waiting:
        note(f"{len(names)} networks: done before")
        return
    grid = folder / NETWORKS
    if any(read_measured(folder / MEASURED, name) is None for name in waiting):
        began = time.perf_counter()
        train_grid(data.path, grid, plan.axes, validation=data.validation, resume=True, **plan.network)
        note(f"{len(names)} networks are trained ({time.perf_counter() - began:,.0f} s)")
    with ExitStack() as stack, bar(len(waiting), "measuring networks") as progress:
        read = read_splits(data.path, data.sets, stack)
        for name in waiting:
            if diverged_file(grid, name).exists():
                warn(f"{name} diverged and has no row: {diverged_file(grid, name).read_text('utf-8').strip()}")
                Measured(name, {"method": NETWORK, "diverged": True}, {}).save(folder / MEASURED)
            else:
                _measure_network(load(grid / name), name, folder, read, data)
            progress.advance()


def halves_name(name: str) -> str:
    """What the network `name` is called where the target genes are shared between two networks."""
    return f"halves/{name}"


def fit_halves(folder: Path, plan: Plan, data: Described, selected: list[str]) -> None:
    """Train the selected networks again as the paper did: two networks of half the target genes each."""
    settings = {member.name: member.settings for member in plan.members()}
    models = {name: folder / MODELS / halves_name(name) for name in selected}
    waiting = [name for name in selected if not _done(folder, halves_name(name), data, models[name])]
    for name in selected:
        if name not in waiting:
            note(f"{name} in halves: done before")
    if not waiting:
        return
    with ExitStack() as stack:
        read = read_splits(data.path, data.sets, stack)
        for name in waiting:
            place(folder).own(*(f"{MODELS}/{halves_name(name)}{end}/" for end in ("", ".checkpoint")))
            try:
                seen = _seen(read, data.validation)
                model = train(
                    seen,
                    NETWORK,
                    models[name],
                    validation=data.validation,
                    resume=True,
                    target_parts=2,
                    **settings[name],
                )
            except DivergedError as error:
                warn(f"{name} in halves diverged and has no row: {error}")
                Measured(halves_name(name), {"method": NETWORK, "diverged": True}, {}).save(folder / MEASURED)
            else:
                if _cut_short(model):
                    raise KeyboardInterrupt
                _measure_network(model, halves_name(name), folder, read, data)


def _measure_network(model: Any, name: str, folder: Path, read: Splits, data: Described) -> None:
    facts = {
        "method": NETWORK,
        "settings": model.get_params(deep=False),
        "best": model.best_,
        "stopped": model.stopped_,
        "precision": model.precision_,
        "seconds": float(model.history_["seconds"].sum()),
    }
    errors, profiles = measure(model, read, data.platforms)
    Measured(name, facts, errors, profiles, model.history_).save(folder / MEASURED)
    tell(name, errors)


def measure(
    model: Estimator, read: Splits, platforms: list[Platform]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Errors by gene and by profile on both sets of every platform; a network predicts with the platform's epoch.

    A set that a model was fitted on in the end has none: what it was expected to reach is over other profiles too.
    """
    errors, profiles = {}, {}
    for platform in platforms:
        options = {"best": platform.validation} if model.trains_in_epochs else {}
        for name in (platform.validation, platform.test):
            if name in model.seen_:
                continue
            x, y = read.matrices[name]
            errors[name], profiles[name] = errors_of(
                lambda block, options=options: model.predict(block, **options), np.asarray(x.X), np.asarray(y.X)
            )
    return errors, profiles


def chosen_settings(model: Estimator) -> dict[str, Any]:
    """The settings of a model, with what validation chose in the place of what was left open."""
    settings = model.get_params(deep=False)
    found = {name: getattr(model, f"{name}_", None) for name, value in settings.items() if value is None}
    plain = int | float | str | np.generic  # what is fitted may have the name of a setting too
    return settings | {name: value for name, value in found.items() if isinstance(value, plain)}


def tell(name: str, errors: dict[str, np.ndarray]) -> None:
    """Say what a model reached."""
    note(f"{name}: " + ", ".join(f"{key} {np.nanmean(values):.4f}" for key, values in errors.items()))
