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
from dgex.models.folder import load
from dgex.paper.data import Described
from dgex.paper.folder import MEASURED, MODELS, NETWORKS, place
from dgex.paper.measured import Measured, gene_errors, read_measured
from dgex.paper.plan import NETWORK, Plan
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
ONCE = ("ols",)  # has nothing to choose on validation: one model serves all platforms


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
    """Train and measure the linear and neighbour methods, each selected on the validation set of its platform."""
    names = baseline_names(plan, data)
    waiting = {name: what for name, what in names.items() if read_measured(folder / MEASURED, name) is None}
    trivial = read_measured(folder / MEASURED, MEAN) is None
    if not waiting and not trivial:
        note(f"{len(names)} linear and neighbour models: done before")
        return
    with ExitStack() as stack:
        read = read_splits(data.path, data.sets, stack)
        if trivial:
            _measure_mean(folder, read, data)
        for name, (method, platforms) in waiting.items():
            # The model of sample-KNN is the training profiles themselves: only its errors are kept.
            output = None if method == "knn" else folder / MODELS / name
            if output is not None:
                place(folder).own(f"{MODELS}/{name}/", f"{MODELS}/{name.rpartition('/')[0] or name}/")
            model = (
                load(output)
                if output is not None and output.exists()
                else train(_seen(read, [platform.validation for platform in platforms]), method, output)
            )
            seconds = model.metrics_["seconds"]  # of training, also where it was trained before a kill
            facts = {"method": method, "settings": chosen_settings(model), "seconds": seconds}
            errors = measure(model, read, platforms)
            Measured(name, facts, errors).save(folder / MEASURED)
            tell(name, errors)


def _seen(read: Splits, validation: list[str]) -> Splits:
    """What a model may see while it is trained: the training profiles and its validation sets."""
    return read._replace(matrices={name: read.matrices[name] for name in ("train", *validation)})


def _measure_mean(folder: Path, read: Splits, data: Described) -> None:
    """The trivial predictor: each gene's mean over the training profiles."""
    mean = np.asarray(read.matrices["train"][1].X).mean(axis=0, dtype=np.float64).astype(np.float32)
    errors = {}
    for name in data.sets:
        x, y = (np.asarray(part.X) for part in read.matrices[name])
        errors[name] = gene_errors(lambda block: np.broadcast_to(mean, (len(block), len(mean))), x, y)
    Measured(MEAN, {"method": MEAN}, errors).save(folder / MEASURED)
    tell(MEAN, errors)


def fit_networks(folder: Path, plan: Plan, data: Described) -> None:
    """Train and measure the grid of networks; every network keeps its best epoch for each platform."""
    names = [member.name for member in plan.members()]
    waiting = [name for name in names if read_measured(folder / MEASURED, name) is None]
    if not waiting:
        note(f"{len(names)} networks: done before")
        return
    began = time.perf_counter()
    grid = train_grid(data.path, folder / NETWORKS, plan.axes, validation=data.validation, resume=True, **plan.network)
    note(f"{len(names)} networks are trained ({time.perf_counter() - began:,.0f} s)")
    with ExitStack() as stack, bar(len(waiting), "measuring networks") as progress:
        read = read_splits(data.path, data.sets, stack)
        for name in waiting:
            if diverged_file(grid.folder, name).exists():
                warn(f"{name} diverged and has no row: {diverged_file(grid.folder, name).read_text('utf-8').strip()}")
                Measured(name, {"method": NETWORK, "diverged": True}, {}).save(folder / MEASURED)
            else:
                _measure_network(load(grid.folder / name), name, folder, read, data)
            progress.advance()


def halves_name(name: str) -> str:
    """What the network `name` is called where the target genes are shared between two networks."""
    return f"halves/{name}"


def fit_halves(folder: Path, plan: Plan, data: Described, selected: list[str]) -> None:
    """Train the selected networks again as the paper did: two networks of half the target genes each."""
    settings = {member.name: member.settings for member in plan.members()}
    waiting = [name for name in selected if read_measured(folder / MEASURED, halves_name(name)) is None]
    for name in selected:
        if name not in waiting:
            note(f"{name} in halves: done before")
    if not waiting:
        return
    with ExitStack() as stack:
        read = read_splits(data.path, data.sets, stack)
        for name in waiting:
            output = folder / MODELS / halves_name(name)
            place(folder).own(*(f"{MODELS}/{halves_name(name)}{end}/" for end in ("", ".checkpoint")))
            try:
                seen = _seen(read, data.validation)
                model = train(seen, NETWORK, output, resume=True, target_parts=2, **settings[name])
            except DivergedError as error:
                warn(f"{name} in halves diverged and has no row: {error}")
                Measured(halves_name(name), {"method": NETWORK, "diverged": True}, {}).save(folder / MEASURED)
            else:
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
    errors = measure(model, read, data.platforms)
    Measured(name, facts, errors, model.history_).save(folder / MEASURED)
    tell(name, errors)


def measure(model: Estimator, read: Splits, platforms: list[Platform]) -> dict[str, np.ndarray]:
    """Errors on both sets of every platform; a network predicts with the epoch selected for the platform."""
    errors = {}
    for platform in platforms:
        options = {"best": platform.validation} if model.trains_in_epochs else {}
        for name in (platform.validation, platform.test):
            x, y = read.matrices[name]
            errors[name] = gene_errors(
                lambda block, options=options: model.predict(block, **options), np.asarray(x.X), np.asarray(y.X)
            )
    return errors


def chosen_settings(model: Estimator) -> dict[str, Any]:
    """The settings of a model, with what validation chose in the place of what was left open."""
    settings = model.get_params(deep=False)
    return {name: getattr(model, f"{name}_", value) if value is None else value for name, value in settings.items()}


def tell(name: str, errors: dict[str, np.ndarray]) -> None:
    """Say what a model reached."""
    note(f"{name}: " + ", ".join(f"{key} {np.nanmean(values):.4f}" for key, values in errors.items()))
