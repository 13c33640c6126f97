"""Every method in one table: what it is called, where its class is, what it takes.

A new method is one file and one entry. Nothing is imported before it is asked for. Other packages add methods by entry
points of the group `dgex.methods`, whose names are the kinds and whose values are `module:Class`, a subclass of
`dgex.Estimator`; see docs/write-a-method.md.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from dgex.errors import ModelError, SettingsError, first

if TYPE_CHECKING:
    from dgex.models.base import Estimator

__all__ = [
    "DERIVED",
    "GROUP",
    "METHODS",
    "Method",
    "Setting",
    "check_settings",
    "defaults",
    "known",
    "method",
    "methods",
    "new",
    "usual",
]

#: Group of the entry points by which other packages bring methods.
GROUP = "dgex.methods"


@dataclass(frozen=True)
class Setting:
    """A setting as the command line offers it.

    Attributes
    ----------
    type : type
        Of its value; `tuple` for whole numbers separated by commas.
    help : str
        One line.
    choices : tuple of str
        The values that are accepted, where they are words.
    """

    type: type
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes
    ----------
    kind : str
        Its name in `model.json`, in `method=` and on the command line.
    home : str
        Where its class is, `module:Class`.
    title : str
        What it is, in words.
    label : str
        What the paper's tables, and ours, call it.
    panel : str
        Heading of its settings in the help of `dgex train`.
    settings : dict of name to Setting
        Settings with a flag of their own; `--set NAME=VALUE` reaches all.
    package : str
        The package that brings it, with its version; empty for our own.
    """

    kind: str
    home: str
    title: str
    label: str
    panel: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    package: str = ""

    def load(self) -> type[Estimator]:
        """Import the class.

        Raises
        ------
        ModelError
            It cannot be imported, or is no `dgex.Estimator`.
        """
        module, _, name = self.home.partition(":")
        brought = f" of the package {self.package}" if self.package else ""
        try:
            loaded = getattr(importlib.import_module(module), name)
        except Exception as error:  # a package of somebody else may raise anything
            if not self.package:
                raise
            raise ModelError(
                f"the method {self.kind}{brought} cannot be loaded from {self.home} ({type(error).__name__}: {error})"
            ) from error
        if not any(base.__module__ == "dgex.models.base" for base in getattr(loaded, "__mro__", ())):
            raise ModelError(f"the method {self.kind}{brought}: {self.home} is no subclass of dgex.Estimator")
        if loaded.kind != self.kind:
            raise ModelError(f"the method {self.kind}{brought}: its class calls itself {loaded.kind!r}")
        return loaded  # type: ignore[no-any-return]


_ALPHA = Setting(float, "The penalty; chosen on validation unless told.")
_NEIGHBOURS = Setting(int, "Number of neighbours; chosen on validation unless told.")
_PENALTY_PANEL, _NEIGHBOURS_PANEL = "Penalty (ridge, lasso, kernel, sample-lasso)", "Neighbours (knn-ge, knn)"
_NETWORK = {
    "hidden": Setting(tuple, "Units of each hidden layer: 9000,9000,9000."),
    "dropout": Setting(float, "Share of hidden units dropped."),
    "epochs": Setting(int, "Passes over the profiles."),
    "batch_size": Setting(int, "Profiles a step."),
    "learning_rate": Setting(float, "First learning rate; the paper's rule unless told."),
    "momentum": Setting(float, "Momentum."),
    "patience": Setting(int, "Stop after so many epochs without a better validation error."),
    "seed": Setting(int, "Seed of the weights and batches."),
    "device": Setting(str, "cpu, cuda, cuda:N or auto."),
    "shard": Setting(bool, "Under torchrun: divide the layers, not the batches; by what fits unless told."),
    "placement": Setting(str, "Where the profiles are: device, memory, disk or auto."),
    "precision": Setting(str, "Matrix products: float32, tf32, bf16 or auto."),
    "target_parts": Setting(int, "Networks that share the target genes; 1 for all jointly."),
    "partition": Setting(str, "Parts drawn at random, or of similar genes.", ("random", "cluster")),
}

_RESIDUAL = {
    "preset": Setting(str, "What settings are that are not told.", ("residual", "taaf")),
    "units": Setting(str, "Hidden units; silu unless told.", ("silu", "tanh", "adaptive")),
    "noise": Setting(
        float, "Normal noise on the landmark genes while training; by the number of profiles unless told."
    ),
    "landmark_dropout": Setting(float, "Share of landmark genes hidden while training; by size unless told."),
    "ensemble": Setting(int, "Networks of different seeds whose mean predicts."),
}

#: Our own methods by kind, in the order of tables.
METHODS: dict[str, Method] = {
    entry.kind: entry
    for entry in (
        Method(
            "auto",
            "dgex.models.stack.auto:Auto",
            "the best of several methods, weighed gene by gene",
            "auto",
            "The best of several (auto)",
            {
                "members": Setting(str, "Methods to choose from, comma separated; those that suit unless told."),
                "budget": Setting(str, "About how long it may take: 90s, 10m, 2h."),
                "refit": Setting(bool, "Fit once more on training and validation profiles together."),
            },
        ),
        Method("ols", "dgex.models.linear.regression:OLS", "linear regression (ordinary least squares)", "LR"),
        Method(
            "ridge",
            "dgex.models.linear.regression:Ridge",
            "ridge regression (L2 penalty)",
            "LR-L2",
            _PENALTY_PANEL,
            {"alpha": _ALPHA},
        ),
        Method(
            "lasso",
            "dgex.models.linear.lasso:Lasso",
            "lasso regression (L1 penalty)",
            "LR-L1",
            _PENALTY_PANEL,
            {"alpha": _ALPHA},
        ),
        Method(
            "kernel",
            "dgex.models.kernel.ridge:KernelRidge",
            "kernel ridge regression (rational quadratic kernel)",
            "kernel ridge",
            "Kernel (kernel)",
            {
                "gamma": Setting(float, "How fast likeness falls with distance; chosen unless told."),
                "linear": Setting(float, "Share of the linear kernel, 0 to 1; chosen unless told."),
                "centers": Setting(int, "Training profiles that carry weights; all that fit the memory unless told."),
            },
        ),
        Method(
            "knn-ge",
            "dgex.models.neighbours:KNNGE",
            "gene-based nearest neighbours (KNN-GE)",
            "KNN-GE",
            _NEIGHBOURS_PANEL,
            {"n_neighbors": _NEIGHBOURS},
        ),
        Method(
            "knn",
            "dgex.models.neighbours:SampleKNN",
            "nearest training profiles (sample-KNN)",
            "sample-KNN",
            _NEIGHBOURS_PANEL,
            {"n_neighbors": _NEIGHBOURS},
        ),
        Method(
            "sample-lasso",
            "dgex.models.sample_lasso:SampleLasso",
            "each profile as a sparse mixture of training profiles (SampleLASSO)",
            "sample-lasso",
            _PENALTY_PANEL,
            {"alpha": _ALPHA},
        ),
        Method(
            "dgex",
            "dgex.models.network.dgex:DGEX",
            "multi-task neural network (D-GEX)",
            "D-GEX",
            "Network (dgex, residual)",
            _NETWORK,
        ),
        Method(
            "residual",
            "dgex.models.network.residual:Residual",
            "residual network, trained on the overall error",
            "residual network",
            "Network (residual)",
            _RESIDUAL,
        ),
    )
}


#: Kinds of models that are made of other models, and never trained on a dataset by their name.
DERIVED: dict[str, Method] = {
    "adapted": Method(
        "adapted", "dgex.models.adapted:Adapted", "an older model adapted to another platform", "adapted"
    ),
}


def known(kind: str) -> Method | None:
    """The entry of a kind of model, a method that can be trained or what is made of other models; None of no such."""
    return METHODS.get(kind) or DERIVED.get(kind) or methods().get(kind)


def methods() -> dict[str, Method]:
    """Every method that can be trained here: our own, then those of other packages by name."""
    brought = [_brought(point) for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)]
    return METHODS | {entry.kind: entry for entry in brought if entry.kind not in METHODS}


def _brought(point: EntryPoint) -> Method:
    package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.module
    return Method(point.name, point.value, f"{point.name} (of {package})", point.name, package=package)


def method(kind: str) -> Method:
    """The entry of a method.

    Raises
    ------
    SettingsError
        There is no such method.

    Examples
    --------
    >>> method("ridge").label
    'LR-L2'
    """
    if not isinstance(kind, str):
        raise SettingsError("method", found=type(kind).__name__, accepted=f"a name: {', '.join(methods())}")
    entry = METHODS.get(kind) or methods().get(kind)
    if entry is None:
        raise SettingsError(f"unknown method {kind!r}", accepted=f"{', '.join(methods())}")
    return entry


def defaults(kind: str) -> dict[str, Any]:
    """Names and defaults of all settings of a method, as its class takes them."""
    signature = inspect.signature(method(kind).load().__init__)
    named = {name: p for name, p in signature.parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    return {name: p.default for name, p in named.items() if name != "self"}


def usual(names: Iterable[str]) -> str:
    """The method of these settings where none is named: `auto`, or the paper's network where only that takes them."""
    beyond = set(names) - set(defaults("auto"))
    return "dgex" if beyond and beyond <= set(defaults("dgex")) else "auto"


def check_settings(kind: str, settings: Iterable[str]) -> None:
    """Refuse settings that a method does not take.

    Raises
    ------
    SettingsError
        Names the settings that are unknown and those that are accepted.
    """
    known = defaults(kind)
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise SettingsError(f"{kind} does not take {first(unknown)}", accepted=f"{', '.join(known) or 'no settings'}")


def new(kind: str, settings: Mapping[str, Any]) -> Estimator:
    """An estimator of a method that is not fitted, with settings that data could make right.

    Raises
    ------
    SettingsError
        An unknown method, a setting that it does not take, or a value outside what is accepted.
    """
    check_settings(kind, settings)
    made = method(kind).load()(**settings)
    made.check_settings()
    return made
