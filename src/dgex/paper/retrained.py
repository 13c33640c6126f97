"""The selected network once more, for every gene that its own platform measures (section 3.4 of the paper)."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from dgex import io
from dgex.atomic import json_dump
from dgex.fitting.splits import read_splits
from dgex.fitting.train import train
from dgex.paper.data import ARRAYS, raw_folder
from dgex.paper.folder import MODELS, RETRAINED, WHOLE, place
from dgex.paper.measured import errors_of
from dgex.paper.plan import NETWORK
from dgex.paper.study import Study, read_record
from dgex.prepare.pipeline import prepare
from dgex.progress import note

__all__ = ["retrain", "retrained_model"]

SETS = "validation", "test"


def retrained_model(study: Study) -> Path | None:
    """The folder of the retrained network, where the study has one."""
    name = read_record(study.folder / RETRAINED).get("network")
    folder = study.folder / MODELS / f"retrained-{name}"
    return folder if name and folder.exists() else None


def retrain(study: Study) -> None:
    """Train the network that was selected on the first platform on all genes of that platform.

    A study compares platforms by the genes that all of them measure. What is inferred in the end is to have all genes
    of the arrays: so the selected network is trained again on the arrays alone, prepared as for the study, at its own
    best epoch on their validation profiles.
    """
    name = study.results.selected(study.data.platforms[0])
    if name is None:
        return
    how, model = _source(study), study.folder / MODELS / f"retrained-{name}"
    done = read_record(study.folder / RETRAINED).get("network") == name
    if done and (model.exists() or how is None):  # a page needs no model
        note(f"{name} for all genes: done before")
        return
    if how is None:
        note(f"{name} is not trained again: the dataset holds every gene that its first platform measures")
        return
    matrix, options = how
    whole = study.folder / WHOLE
    if not whole.exists():
        common: dict[str, Any] = {"standardize": study.plan.standardize, "ties": study.plan.ties}
        prepare(matrix, whole, **{**common, "quantile": True, "seed": study.plan.seed, **options})
    place(study.folder).own(*(f"{MODELS}/retrained-{name}{end}/" for end in ("", ".checkpoint")))
    settings = {member.name: member.settings for member in study.plan.members()}[name]
    began = time.perf_counter()
    network = train(whole, NETWORK, model, validation=[SETS[0]], resume=True, **settings)
    if getattr(network, "interrupted_", False):
        raise KeyboardInterrupt
    seconds, errors = time.perf_counter() - began, {}
    with ExitStack() as stack:
        read = read_splits(whole, list(SETS), stack)
        for part in SETS:
            x, y = read.matrices[part]
            errors[part] = float(np.nanmean(errors_of(network.predict, np.asarray(x.X), np.asarray(y.X))[0]))
    known = set(study.data.genes)
    new = sum(gene not in known for gene in map(str, network.targets_))
    facts = {"network": name, "landmarks": network.n_features_in_, "targets": network.n_targets_, "new": new}
    json_dump({**facts, "errors": errors, "seconds": seconds}, study.folder / RETRAINED)


def _source(study: Study) -> tuple[Path, dict[str, Any]] | None:
    """The matrix of the first platform and how it is prepared; None where it has no further genes."""
    plan, facts = study.plan, study.data.facts
    genes = facts["landmarks"] + facts["targets"]
    if plan.data == "simulated":
        return _larger(study.folder / ARRAYS, genes, {"dedup": 1.0})
    if plan.data == "gse92743":
        from dgex.datasets.public.gse92743 import arrays_alone

        matrix, table = arrays_alone(raw_folder(plan))
        return matrix, {"genes": table, "dedup": 1.0, "dedup_over": "compendium", "quantile": None}
    if plan.data == "paper" or not plan.rnaseq:  # its files are of these genes; or one matrix is all there is
        return None
    return _larger(Path(plan.data), genes, {"group": plan.group or None, "constant": "drop"})


def _larger(path: Path, genes: int, options: dict[str, Any]) -> tuple[Path, dict[str, Any]] | None:
    if not path.exists():
        return None
    with io.open(path, allow_repeats=True) as source:
        return (path, options) if source.shape[1] > genes else None
