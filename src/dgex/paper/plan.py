"""What a study does: its data, sizes, networks and seeds, as they are recorded beside the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from dgex.errors import SettingsError
from dgex.fitting.grid_plan import Member, plan
from dgex.models import catalogue

__all__ = [
    "BUDGET",
    "METHODS",
    "NETWORK",
    "NEWER",
    "PATHS",
    "SCALES",
    "SOURCES",
    "Plan",
    "labels",
    "resolve",
    "usual_standardize",
]

SOURCES = "simulated", "gse92743", "paper"  # what is no path
PATHS = "data", "raw", "rnaseq", "cmap", "l1000"  # settings that may name files

NETWORK = "dgex"  # what the grid trains
METHODS = "ols", "lasso", "ridge", "knn-ge", "knn"  # in the order of the paper's tables; sample-KNN it mentions only
NEWER = "kernel", "auto", "residual"  # what came after the paper: rows beside its own, in none of its figures
BUDGET = {"demo": "1m", "paper": "10m"}  # of auto, on each platform


def labels() -> dict[str, str]:
    """Every method that can stand beside the networks, also of other packages, with what tables call it."""
    known = catalogue.methods()
    return {kind: known[kind].label for kind in [*METHODS, *NEWER, *known] if kind != NETWORK}


def usual_standardize(group: str) -> str:
    """How profiles are standardised where it is not said: as published, but not where whole groups test.

    By the paper's rule the profiles of groups that test enter the mean and standard deviation of every gene.
    """
    return "inductive" if group else "paper"


@dataclass(frozen=True)
class Plan:
    """Resolved settings of a study.

    Attributes
    ----------
    scale : str
        `demo` or `paper`.
    data : str
        `simulated`, `gse92743`, `paper`, or the path of a dataset or a raw matrix.
    raw : str
        Folder of the raw files of `gse92743` and `paper`; empty where there is none.
    rnaseq : str
        A raw matrix of a second platform; empty where there is none.
    platforms : tuple of (name, validation set, test set)
        Of a dataset that is given; empty where they follow from the data.
    group : str
        Column of `obs` whose groups stay on one side of the split.
    standardize : str
        `paper` or `inductive`, see `dgex.prepare`; unless told `inductive` where there is a `group`.
    ties : str
        `published` or `average`, see `dgex.prepare`.
    samples, rnaseq_samples, landmarks, targets, duplicates
        Sizes of the simulated compendium: arrays, RNA-Seq profiles, genes, share of near-duplicates.
    hidden, layers, dropout : tuple
        Axes of the grid of networks.
    epochs, batch_size, learning_rate
        Of every network; the learning rate is the paper's rule where it is None.
    methods : tuple of str
        What else is trained: the paper's methods, and at the scale `demo` kernel ridge regression and
        the best of several (`auto`, given a minute).
    cmap : str
        CMap's published weights (GCTX) or a model folder made of them; empty where there are none.
    l1000 : str
        Profiles of landmark genes to infer; empty for those of the arrays themselves, where they are simulated.
    halves : bool
        Whether the selected networks are trained again as two networks of half the target genes.
    attributed : int
        Target genes whose attributions are computed.
    seed : int
    device : str
    """

    scale: str = "demo"
    data: str = "simulated"
    raw: str = ""
    rnaseq: str = ""
    platforms: tuple[tuple[str, str, str], ...] = ()
    group: str = ""
    standardize: str = "paper"
    ties: str = "published"
    samples: int = 6000
    rnaseq_samples: int = 400
    landmarks: int = 120
    targets: int = 480
    duplicates: float = 0.02
    hidden: tuple[int, ...] = (100, 200, 300)
    layers: tuple[int, ...] = (1, 2, 3)
    dropout: tuple[float, ...] = (0.0, 0.1, 0.25)
    epochs: int = 20
    batch_size: int = 50
    learning_rate: float | None = 2e-3
    methods: tuple[str, ...] = METHODS + NEWER[:2]
    cmap: str = ""
    l1000: str = ""
    halves: bool = True
    attributed: int = 100
    seed: int = 0
    device: str = "auto"

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Axes of the grid as `dgex.train_grid` takes them."""
        return {"hidden": list(self.hidden), "layers": list(self.layers), "dropout": list(self.dropout)}

    @property
    def network(self) -> dict[str, Any]:
        """Settings that all networks share."""
        shared = {name: getattr(self, name) for name in ("epochs", "batch_size", "learning_rate", "seed", "device")}
        return {name: value for name, value in shared.items() if value is not None}

    def paths(self) -> dict[str, Path]:
        """Files and folders that the settings name, by setting."""
        named = {name: getattr(self, name) for name in PATHS}
        return {
            name: Path(value) for name, value in named.items() if value and (name != "data" or value not in SOURCES)
        }

    def members(self) -> list[Member]:
        """The networks of the grid."""
        return plan(self.axes, self.network)

    def state(self) -> dict[str, Any]:
        """Plain values, as JSON gives them back; where a network is trained is no part of what it is."""
        state = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        state["platforms"] = [list(platform) for platform in self.platforms]
        del state["device"]
        return state


SCALES = {
    "demo": Plan(),
    "paper": Plan(
        scale="paper",
        samples=129158,
        rnaseq_samples=3383,
        landmarks=943,
        targets=9520,
        duplicates=18149 / 129158,
        hidden=(3000, 6000, 9000),
        epochs=200,
        batch_size=200,
        learning_rate=None,
        methods=METHODS,
    ),
}

_SIMULATED = "samples", "rnaseq_samples", "landmarks", "targets", "duplicates"
# What a demonstration on other than simulated data changes: with thousands of target genes the paper's rates hold.
_REAL: dict[str, Any] = {
    "hidden": (500, 1000),
    "layers": (1, 2),
    "epochs": 60,
    "batch_size": 200,
    "learning_rate": None,
    **dict.fromkeys(_SIMULATED, 0),
}


def resolve(scale: str, changes: dict[str, Any]) -> Plan:
    """The plan of a scale with changes; None leaves a setting as the scale has it.

    Raises
    ------
    SettingsError
        An unknown scale or setting, a method that is unknown, or values that no grid takes.
    """
    if scale not in SCALES:
        raise SettingsError(f"scale is {scale!r}", accepted=SCALES)
    known = {field.name for field in fields(Plan)} - {"scale"}
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise SettingsError(f"a study does not take {', '.join(unknown)}", accepted=f"{', '.join(sorted(known))}")
    given = {name: _checked(name, _plain(value)) for name, value in changes.items() if value is not None}
    base = SCALES[scale]
    if given.get("data", base.data) != "simulated":
        base = replace(base, **(_REAL if scale == "demo" else {name: _REAL[name] for name in _SIMULATED}))
    resolved = replace(base, **{"standardize": usual_standardize(given.get("group", "")), **given})
    wrong = [name for name in resolved.methods if name not in labels()]
    if wrong:
        raise SettingsError(f"unknown method {', '.join(wrong)}", accepted=f"{', '.join(labels())}")
    if "ols" not in resolved.methods:
        raise SettingsError("every table compares with linear regression: ols must be among the methods")
    resolved.members()  # refuses axes that no grid takes, before any work
    return resolved


def _checked(name: str, value: Any) -> Any:
    """Refuse a value of another kind than the setting's."""
    usual = getattr(SCALES["demo"], name)
    kinds = {"learning_rate": (float, int), "duplicates": (float, int)}.get(name, (type(usual),))
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise SettingsError(name, found=value, accepted=f"a value such as {usual!r}")
    if name in ("attributed", "epochs", "batch_size") and value < 1:
        raise SettingsError(name, found=value, accepted="1 or more")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_plain(item) for item in value)
    return value
