"""The study as stages, each in units that are done once: what is finished when it is killed stays finished."""

from __future__ import annotations

import os
import platform as machine
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgex import io
from dgex._version import __version__
from dgex.atomic import atomic_file, json_dump
from dgex.evaluation.bootstrap import Interval
from dgex.evaluation.evaluate import evaluate
from dgex.inference.infer import infer
from dgex.interpretation.interpret import interpret
from dgex.models.base import Estimator
from dgex.models.folder import load
from dgex.models.published import convert_weights
from dgex.paper.checks import check_panel, check_same
from dgex.paper.data import ARRAYS, keep_described, make_data, open_described
from dgex.paper.draws import draws
from dgex.paper.fit import fit_baselines, fit_halves, fit_networks
from dgex.paper.folder import L1000, MEASURED, MODELS, NETWORKS, TABLES, TIMES, place
from dgex.paper.measured import Measured, read_measured
from dgex.paper.retrained import retrain, retrained_model
from dgex.paper.study import Study, interpretation_folder, read_record
from dgex.progress import note
from dgex.report.comparison import file_name

__all__ = ["STAGES", "run_stages"]


def _data(study: Study) -> None:
    described = open_described(study.folder, study.plan)
    if described is None:
        described = make_data(study.folder, study.plan)
    else:
        note("dataset: done before")
        if described.path.exists():  # small results suffice for the page
            check_same(described)
            if not described.drawn:  # of a study from before intervals
                described.drawn = draws(described.path, described.platforms, study.plan)
                keep_described(described, study.folder)
    if study.plan.l1000 and described.path.exists() and Path(study.plan.l1000).exists():
        check_panel(described, Path(study.plan.l1000))


def _baselines(study: Study) -> None:
    fit_baselines(study.folder, study.plan, study.data)
    _cmap(study)


def _networks(study: Study) -> None:
    fit_networks(study.folder, study.plan, study.data)


def _halves(study: Study) -> None:
    if study.plan.halves:
        fit_halves(study.folder, study.plan, study.data, study.selected())


def _cmap(study: Study) -> None:
    """What LINCS does today: CMap's published weights, on the genes that they and the dataset share."""
    weights = _weights(study)
    known = read_measured(study.folder / MEASURED, "cmap")
    if weights is None or (known is not None and ("against" in known.facts or not study.data.path.exists())):
        return
    began = time.perf_counter()
    data = study.data
    model: Estimator = (
        load(weights) if weights.is_dir() else convert_weights(weights, genes=_table(study), data=data.path)
    )
    linear = study.folder / MODELS / "ols"
    models = {"cmap": model} | ({"ols": load(linear)} if linear.exists() else {})
    found = evaluate(models, data.path, split=data.sets, baseline=list(models)[-1], spearman=False)
    per_gene = found.per_gene
    errors = {}
    for name in data.sets:
        rows = per_gene[(per_gene["split"] == name) & (per_gene["model"] == "cmap")]
        errors[name] = rows.set_index("gene")["mae"].reindex(data.genes).to_numpy(np.float32)
    facts = {"method": "cmap", "settings": {}, "seconds": time.perf_counter() - began, "weights": weights.name}
    facts["against"] = _intervals(found.overall) if linear.exists() else {}
    Measured("cmap", facts, errors).save(study.folder / MEASURED)


def _intervals(overall: pd.DataFrame) -> dict[str, Any]:
    """The intervals of CMap's weights against linear regression, which need both on the genes that the weights have."""
    names = [field.name for field in fields(Interval)]
    rows = overall[overall["model"] == "cmap"].set_index("split")
    return {"ols": {split: row[names].to_dict() for split, row in rows.iterrows()}}


def _weights(study: Study) -> Path | None:
    if study.plan.cmap:
        return Path(study.plan.cmap)
    if study.plan.data == "gse92743":
        return next(iter(sorted(Path(study.plan.raw).glob("*OLS_WEIGHTS*.gctx"))), None)
    return None


def _table(study: Study) -> Path | None:
    if study.plan.data != "gse92743":
        return None
    return next(iter(sorted(Path(study.plan.raw).glob("*gene_info*.txt*"))), None)


def _interpretation(study: Study) -> None:
    """What the selected networks have learned, one folder each; attributions of a bounded number of target genes."""
    results = study.results
    for platform in results.data.platforms:
        name = results.selected(platform)
        if name is None:
            continue
        output = interpretation_folder(study, platform, name)
        if output.exists():
            note(f"interpretation of {name}: done before")
            continue
        place(study.folder).own(f"{output.relative_to(study.folder).as_posix()}/")
        model = load(study.folder / NETWORKS / name)
        genes = _spread(model.targets_, study.plan.attributed)
        interpret(model, results.data.path, output, best=platform.validation, genes=genes, device=study.plan.device)


def _spread(names: Sequence[str], count: int) -> list[str]:
    """At most `count` of the names, evenly spaced."""
    if len(names) <= count:
        return list(names)
    return [names[at] for at in np.linspace(0, len(names) - 1, count).round().astype(int)]


def _l1000(study: Study) -> None:
    """Infer the target genes of profiles that measured landmark genes, in blocks (section 3.4 of the paper)."""
    folder = study.folder / L1000
    record, output = folder / "l1000.json", folder / "inferred.gctx"
    source, own = _panel(study)
    results = study.results
    name, retrained = results.selected(results.data.platforms[0]), retrained_model(study)
    if source is None or name is None:
        return
    before = read_record(record)
    if before.get("network") == name and before.get("retrained", False) == (retrained is not None):
        note("inference: done before")
        return
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    model = load(study.folder / NETWORKS / name if retrained is None else retrained)
    how = "own" if own else "model"
    infer(source, model, output, standardize=how, device=study.plan.device, resume=True, overwrite=True)
    seconds = time.perf_counter() - began
    with io.open(output) as made:
        profiles, genes = made.shape
        inferred = int((made.var["origin"] == "inferred").sum()) if "origin" in made.var else genes
    facts = {"source": Path(source).name, "network": name, "profiles": profiles, "genes": genes, "inferred": inferred}
    facts["retrained"] = retrained is not None
    json_dump(facts | {"seconds": seconds, "bytes": output.stat().st_size, "standardize": own}, record)


def _panel(study: Study) -> tuple[Path | None, bool]:
    """Profiles to infer, and whether they are of another platform than the training profiles."""
    plan = study.plan
    if plan.l1000:
        return Path(plan.l1000), True
    if plan.data == "simulated":
        return study.folder / ARRAYS, False
    if plan.data == "gse92743":
        return next(iter(sorted(Path(plan.raw).glob("*GTEx_L1000*.gctx"))), None), True
    return None, False


def _page(study: Study) -> None:
    from dgex.paper.page import build_page

    build_page(study).save(study.folder / "report.html", overwrite=True)
    results, folder = study.results, study.folder / TABLES
    folder.mkdir(exist_ok=True)
    genes = pd.Index(results.data.genes, name="gene")
    for platform in results.data.platforms:
        for name, frame in (
            (f"methods-{file_name(platform.te)}", results.table(platform).set_index("method")),
            (f"genes-{file_name(platform.te)}", results.gene_table(platform, genes)),
        ):
            with atomic_file(folder / f"{name}.csv", overwrite=True) as temporary:
                frame.to_csv(temporary, float_format="%.6g")


STAGES: dict[str, Callable[[Study], None]] = {
    "data": _data,
    "baselines": _baselines,
    "networks": _networks,
    "halves": _halves,
    "interpretation": _interpretation,
    "retraining": retrain,
    "inference": _l1000,
    "page": _page,
}


def run_stages(study: Study, names: Sequence[str]) -> None:
    """Run stages in their order, and remember how long each took and on what."""
    for name in STAGES:
        if name not in names:
            continue
        note(f"stage {name}")
        began, before = time.perf_counter(), _made(study.folder)
        try:
            STAGES[name](study)
        except KeyboardInterrupt:
            note(f"the same command goes on with the study in {study.folder}")
            raise
        finally:
            if name != "page" and _made(study.folder) != before:
                _remember(study.folder, name, time.perf_counter() - began)


def _made(folder: Path) -> list[tuple[str, int]]:
    """Everything in the folder of a study with its time of change: tells whether a stage did anything."""
    files = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a checkpoint that is being replaced
            files.append((str(path), path.stat().st_mtime_ns))
    return sorted(files)


def _remember(folder: Path, stage: str, seconds: float) -> None:
    """Add to the seconds of a stage: one that was cut short and went on has taken both."""
    times = read_record(folder / TIMES)
    before = times.get(stage)
    spent = float(before.get("seconds", 0.0)) if isinstance(before, dict) else 0.0
    times[stage] = {"seconds": round(spent + seconds, 1), **_hardware()}
    json_dump(times, folder / TIMES)


def _hardware() -> dict[str, Any]:
    import torch

    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda else machine.processor() or machine.machine(),
        "cores": os.cpu_count(),
        "dgex": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pandas": pd.__version__,
        "python": machine.python_version(),
    }
