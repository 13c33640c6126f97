"""What is refused before anything is made: sources that are not there, settings that they do not take."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dgex import io
from dgex.dataset.platforms import check_platforms
from dgex.errors import DataError, FileError, GeneError, SettingsError, first
from dgex.genes import align
from dgex.models.folder import load
from dgex.paper.data import Described, describe, platforms_of, raw_folder
from dgex.paper.plan import SOURCES, Plan, usual_standardize

__all__ = ["check_panel", "check_same", "check_source"]

# Which settings each source takes beside those of all.
TAKES = {
    "simulated": ("standardize", "ties"),
    "gse92743": ("raw",),
    "paper": ("raw",),
    "a dataset": ("platforms",),
    "a raw matrix": ("rnaseq", "group", "standardize", "ties"),
}


def check_source(plan: Plan) -> None:
    """Refuse, before anything is made, a source that is not there or does not take a setting that was given.

    Raises
    ------
    FileError, SettingsError
    """
    given = plan.paths()
    for name, path in given.items():
        if not path.exists():
            known = (
                f"; accepted: {', '.join(SOURCES)}, or the path of a dataset or a raw matrix" if name == "data" else ""
            )
            raise FileError(f"no {name} at {path}: the file does not exist{known}")
    kind = plan.data
    if kind in ("gse92743", "paper"):
        raw_folder(plan)
    elif kind not in SOURCES:
        with io.open(plan.data) as source:
            kind = "a dataset" if "split" in source.obs else "a raw matrix"
            _check_roles(source, plan)
    named = {name: name in given for name in ("raw", "rnaseq")}
    named |= {"group": bool(plan.group), "platforms": bool(plan.platforms), "ties": plan.ties != "published"}
    named["standardize"] = plan.standardize != usual_standardize(plan.group)
    refused = [name for name, told in named.items() if told and name not in TAKES[kind]]
    if refused:
        takes = ", ".join(TAKES[kind]) or "none of these"
        raise SettingsError(f"{kind} as the data of a study does not take {', '.join(refused)}", accepted=f"{takes}")
    if kind == "a dataset":
        check_platforms(platforms_of(Path(plan.data), plan))
    if plan.cmap and Path(plan.cmap).is_dir() and "origin" not in load(plan.cmap).metrics_.get("data", {}):
        raise SettingsError(
            f"{plan.cmap} was trained here; accepted as cmap: published weights, or what convert-weights made"
        )


def _check_roles(source: io.ExpressionFile, plan: Plan) -> None:
    """Refuse a matrix without roles or without the column to split by, and a panel that lacks its landmark genes."""
    if "role" not in source.var:
        raise GeneError(
            f"{plan.data} has no roles of genes (var['role']); dgex prepare with --genes makes a dataset of it"
        )
    if plan.group and plan.group not in source.obs:
        raise DataError(f"no column {plan.group!r} in obs of {plan.data}; found {first(source.obs.columns) or 'none'}")
    if plan.l1000:
        _check_panel(source.var, Path(plan.l1000))


def check_panel(data: Described, path: Path) -> None:
    """Refuse profiles to infer that lack landmark genes, before networks are trained for them.

    Raises
    ------
    GeneError
    """
    with io.open(data.path) as source:
        _check_panel(source.var, path)


def _check_panel(var: pd.DataFrame, path: Path) -> None:
    with io.open(path) as panel:
        found, profiles = align(var[(var["role"] == "landmark").to_numpy()], panel.var), len(panel.obs)
    if profiles < 2:
        raise DataError(
            f"{path} holds one profile, which has no statistics of its own; dgex infer takes single profiles"
        )
    if found.missing:
        raise GeneError(f"{path} lacks {len(found.missing):,} landmark genes of the data: {first(found.missing)}")


def check_same(found: Described) -> None:
    """Refuse to go on with a dataset that is not the one the study began with.

    Raises
    ------
    DataError
        Its genes, profiles, sets or roles have changed, or the values of 64 profiles spread evenly.
    """
    now = describe(found.path)[0]["fingerprint"]
    if now != found.facts["fingerprint"]:
        raise DataError(
            f"{found.path} is not the dataset that this study began with: its fingerprint is {now[:16]}, it was "
            f"{found.facts['fingerprint'][:16]}; overwrite=True begins anew"
        )
