"""Everything once, on simulated data: simulate, prepare, train every method, evaluate, infer, report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgex import io
from dgex.aliases import PathLike
from dgex.datasets.simulated.simulate import simulate
from dgex.errors import OutputExistsError, SettingsError
from dgex.evaluation.evaluate import evaluate
from dgex.evaluation.result import Evaluation
from dgex.fitting.train import train
from dgex.inference.infer import infer
from dgex.locks import alone
from dgex.models import catalogue
from dgex.models.folder import load
from dgex.prepare.pipeline import prepare
from dgex.progress import note
from dgex.report.inferred import InferredProfiles
from dgex.report.page.page import Page
from dgex.work import Work, differences

__all__ = ["SCALES", "demo"]

ARRAYS, RNASEQ = "arrays.h5ad", "rnaseq.h5ad"
NETWORK, BEST = "dgex", "auto"  # the paper's network; what infers the panel
# A lasso over ten thousand training profiles takes many minutes, and is meant for a tenth of them.
METHODS = tuple(kind for kind in catalogue.METHODS if kind != "sample-lasso")


@dataclass(frozen=True)
class Scale:
    """Sizes of one demonstration."""

    samples: int
    landmarks: int
    targets: int
    rnaseq: int
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float


SCALES = {
    "tiny": Scale(600, 60, 120, 60, (150,), 15, 50, 2e-3),
    "laptop": Scale(12000, 200, 1000, 300, (600,), 60, 100, 1e-3),
}


_FILES = (
    ARRAYS,
    RNASEQ,
    "data.h5ad",
    "panel.gctx",
    "full.gctx",
    "inferred/",
    "report.html",
    "models/",
    *(f"models/{method}/" for method in METHODS),
    *(f"models/{method}.checkpoint/" for method in METHODS),
    "evaluation/",
)


def demo(
    output: PathLike = "dgex-demo", *, scale: str = "laptop", seed: int = 0, overwrite: bool = False
) -> Evaluation:
    """Run everything once on a simulated compendium and leave one page that shows it.

    A run that was cut short goes on where it stopped: each step leaves its result in `output` and is not
    repeated when the same call comes again.

    Parameters
    ----------
    output : path
        Folder to fill: `arrays.h5ad`, `rnaseq.h5ad`, `data.h5ad`, `models/`, `evaluation/`, `panel.gctx`, `full.gctx`,
        `inferred/` (the page of that inference) and `report.html`.
    scale : {"tiny", "laptop"}
        Seconds or minutes on two cores.
    seed : int
        Seed of the compendium, the split and the weights.
    overwrite : bool
        Do a finished demonstration again.

    Returns
    -------
    Evaluation
        All methods on the test profiles and on the second platform.

    Raises
    ------
    SettingsError
        An unknown scale.
    OutputExistsError
        `output` holds a finished demonstration, one with other settings, or something else.

    Examples
    --------
    >>> import dgex
    >>> print(dgex.demo("demo", scale="tiny"))  # doctest: +SKIP
    """
    if scale not in SCALES:
        raise SettingsError(f"scale is {scale!r}", accepted=SCALES)
    for method in METHODS:
        catalogue.METHODS[method].load()  # what cannot be loaded here is told before anything is made
    folder, sizes = Path(output), SCALES[scale]
    settings = {"scale": scale, "seed": seed}
    with alone(folder, "dgex demo"):
        _claim(place(folder), settings, overwrite)
        return _run(folder, sizes, seed)


def place(folder: PathLike) -> Work:
    """The folder of a demonstration, as a place that may be gone on in and emptied."""
    return Work(folder, "demo.json", "a demonstration", _FILES)


def _run(folder: Path, sizes: Scale, seed: int) -> Evaluation:
    """Every step whose result is not there yet, and the page."""
    seconds: dict[str, float] = {}

    def step(name: str, made: Path, work: Callable[[], Any]) -> None:
        if made.exists():
            note(f"{name}: done before")
            return
        began = time.perf_counter()
        work()
        seconds[name] = round(time.perf_counter() - began, 1)

    arrays, rnaseq, data = folder / ARRAYS, folder / RNASEQ, folder / "data.h5ad"
    step("simulate", rnaseq, partial(_simulate, folder, sizes, seed))
    step(
        "prepare",
        data,
        partial(prepare, [arrays, f"RNA-Seq={rnaseq}"], data, dedup=1.0, quantile=True, group="study", seed=seed),
    )
    network = {name: getattr(sizes, name) for name in ("hidden", "epochs", "batch_size", "learning_rate")}
    size = {name: value for name, value in network.items() if name != "learning_rate"}
    own = {NETWORK: network, "residual": size, BEST: {"budget": "1m"}}
    for method in METHODS:
        extra: dict[str, Any] = {**own[method], "seed": seed, "resume": True} if method in own else {}
        model = folder / "models" / method
        step(f"train {method}", model, partial(train, data, method, model, **extra))
    models = {method: folder / "models" / method for method in METHODS}
    result = evaluate(models, data, split=["test", "RNA-Seq"])
    result.save(folder / "evaluation", overwrite=True)
    step("infer", folder / "inferred", lambda: _infer(folder))
    _page(folder, result, sizes, seconds).save(folder / "report.html", overwrite=True)
    return result


def _claim(work: Work, settings: dict[str, Any], overwrite: bool) -> None:
    """Make the folder ours: new, half-done with the same settings, or a finished one to be done again."""
    work.refuse_other()
    if work.begun:
        finished = (work.folder / "report.html").exists()
        if finished and not overwrite:
            raise OutputExistsError(f"{work.folder} holds a finished demonstration; overwrite=True does it again")
        if not overwrite:
            work.compare(work.read(), settings, "overwrite=True does it again")
        elif finished or differences(work.read(), settings):
            work.clear()
    work.begin(settings)


def _simulate(folder: Path, sizes: Scale, seed: int) -> None:
    """Draw one world; its two platforms become files of their own, as two laboratories would send them."""
    world = simulate(
        samples=sizes.samples,
        landmarks=sizes.landmarks,
        targets=sizes.targets,
        rnaseq=sizes.rnaseq,
        duplicates=0.02,
        seed=seed,
    )
    assert world is not None
    for path, name in ((ARRAYS, "compendium"), (RNASEQ, "rnaseq")):
        io.write(world[(world.obs["set"] == name).to_numpy()], folder / path, overwrite=True)


def _infer(folder: Path) -> None:
    """Measure only the landmark genes of the test profiles, and infer the rest."""
    with io.open(folder / "data.h5ad") as data, io.open(folder / ARRAYS) as raw:
        test = data.obs.index[data.obs["split"] == "test"]
        rows = raw.obs.index.get_indexer(test)
        columns = raw.var.index.get_indexer(pd.Index(load(folder / "models" / BEST).landmarks_))
        panel = raw.read(genes=columns, samples=rows)
        obs, var = raw.obs.iloc[rows], raw.var.iloc[columns][["role"]]
    with io.create(folder / "panel.gctx", obs, var, overwrite=True) as sink:
        sink.append(panel)
    infer(
        folder / "panel.gctx",
        folder / "models" / BEST,
        folder / "full.gctx",
        report=folder / "inferred",
        overwrite=True,
    )


def _page(folder: Path, result: Evaluation, sizes: Scale, seconds: dict[str, float]) -> Page:
    """Tell the whole run on one page."""
    subtitle = (
        f"A simulated compendium of {sizes.samples:,} profiles, {sizes.landmarks:,} landmark genes and "
        f"{sizes.targets:,} target genes: {len(METHODS)} methods on studies they never saw"
    )
    page = Page("dgex: transcriptomes from landmark genes", subtitle)
    result.comparison().add_to(page)
    page.add_heading("One inferred panel")
    page.add_text(_panel_words(folder))
    panel = _panel(folder)
    panel.add_first(page)
    panel.add_profiles(page)
    panel.add_genes(page)
    if seconds:
        page.add_heading("How long it took")
        frame = pd.DataFrame({"step": list(seconds), "seconds": list(seconds.values())})
        page.add_table(frame, "Wall-clock seconds of each step on this machine.", formats={"seconds": ".1f"})
    return page


def _panel(folder: Path) -> InferredProfiles:
    """What is known of the inferred panel, as its file tells."""
    model = load(folder / "models" / BEST)
    known = model.confidence_
    with io.open(folder / "full.gctx") as full:
        genes = full.var
    profiles = pd.read_csv(folder / "inferred" / "profiles.csv", index_col="profile")
    lacking = int((genes["origin"] == "imputed").sum())
    return InferredProfiles(
        genes,
        profiles,
        "" if known is None else str(known.judged["words"]),
        str(genes["unit"].iloc[0]),
        model.n_features_in_ - lacking,
        model.n_features_in_,
    )


def _panel_words(folder: Path) -> str:
    """Compare the inferred panel with what the arrays hold, in log2 units."""
    with io.open(folder / "full.gctx") as full, io.open(folder / ARRAYS) as raw:
        inferred = np.flatnonzero((full.var["origin"] == "inferred").to_numpy())
        rows = raw.obs.index.get_indexer(full.obs.index)
        truth = raw.read(genes=raw.var.index.get_indexer(full.var.index[inferred]), samples=rows)
        values = full.read(genes=inferred)
        profiles, genes = full.shape
    error = np.abs(values - truth).mean()
    spread = np.abs(truth - truth.mean(0)).mean()
    return (
        f"panel.gctx holds the landmark genes of {profiles:,} test profiles. The network inferred their "
        f"{len(inferred):,} target genes; full.gctx holds {genes:,} genes, measured and inferred. In log2 units of "
        f"the raw compendium the inferred values are off by {error:.3f} on average, where each gene's own mean would "
        f"be off by {spread:.3f}."
    )
