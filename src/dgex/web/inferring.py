"""A job: whole profiles of an upload, laid out so that a page can look up any gene at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dgex import io
from dgex.atomic import json_dump
from dgex.errors import DataError
from dgex.inference.infer import infer
from dgex.inference.likeness import Likeness
from dgex.models.base import Estimator
from dgex.report.inferred import InferredProfiles
from dgex.report.words import trust_words
from dgex.web.mapping import mapped
from dgex.web.result import GENES, HALF, MAP, RESULT, SUMMARY, VALUES
from dgex.web.rules import Rules
from dgex.web.sources import as_source, model_at, reading

if TYPE_CHECKING:
    from dgex.web.worker import Told

__all__ = ["infer_job"]

_BLOCK = 512  # profiles


def infer_job(order: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """Infer, and leave what the pages show in the folder of the job."""
    folder, options, rules = Path(order["folder"]), order["options"], Rules(**order["rules"])
    with told.stage("loading the model", 0.05):
        model = model_at(order["model"])
    source = as_source(order["files"])
    interval = None if model.confidence_ is None else float(options.get("interval") or 0.9)
    with io.open(source, **reading(options), genes=model.landmark_genes(), allow_repeats=True) as data:
        genes = len(model.genes_)
        if max(data.shape) > rules.profiles + len(model.genes_) and min(data.shape) > rules.profiles:
            raise DataError(f"more than {rules.profiles:,} profiles, the most that this page takes")
        if min(data.shape[0], rules.profiles) * genes > rules.values:
            raise DataError(
                f"{data.shape[0]:,} profiles of {genes:,} genes; this page makes up to {rules.values:,} values, the "
                "command dgex infer any number"
            )
    with told.stage("inferring", 0.6, 2):
        infer(
            source,
            model,
            folder / RESULT,
            interval=interval,
            missing=str(options.get("missing") or "auto"),
            scale=str(options.get("scale") or "auto"),
            report=folder / "report",
            **reading(options),
        )
    with told.stage("laying out the genes", 0.2, 2):
        _turned(folder, VALUES, np.float32)
        if interval is not None:
            _turned(folder, HALF, np.float16, layer="halfwidth")
    with told.stage("mapping the profiles", 0.15, 2), io.open(folder / RESULT) as result:
        json_dump(_genes(result.var), folder / GENES)
        json_dump(mapped(result, model), folder / MAP)
        json_dump(_summary(result, model, folder, interval), folder / SUMMARY)
    return {}


def _turned(folder: Path, name: str, kind: type, layer: str | None = None) -> None:
    """Write a matrix of the result with a row a gene, block by block."""
    with io.open(folder / RESULT, layer=layer) as data:
        profiles, genes = data.shape
        out = np.lib.format.open_memmap(folder / name, "w+", kind, (genes, profiles))
        for at, values in data.iter_blocks(_BLOCK):
            out[:, at] = values.T
        out.flush()


def _genes(var: pd.DataFrame) -> dict[str, list[Any]]:
    """Columns of the table of genes; numbers with the digits that are shown, None where there is none."""
    told: dict[str, list[Any]] = {"gene": var.index.astype(str).tolist()}
    for name in var.columns:
        column = var[name]
        if name in ("expected_error", "expected_r", "recall"):
            values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
            told[name] = [round(value, 4) if np.isfinite(value) else None for value in values.tolist()]
        else:
            told[name] = column.astype(str).tolist()
    return told


def _summary(result: io.ExpressionFile, model: Estimator, folder: Path, interval: float | None) -> dict[str, Any]:
    """What is known of the result as a whole, as the report of an inference tells it."""
    made = json.loads((folder / "report" / "inference.json").read_text("utf-8"))
    obs, var, known = result.obs, result.var, model.confidence_
    origin = var["origin"].astype(str)
    landmarks = (var["role"].astype(str) == "landmark").to_numpy()
    lacking = int((landmarks & (origin == "imputed").to_numpy()).sum())
    far = obs["distance"].to_numpy(np.float64) if "distance" in obs else np.full(len(obs), np.nan)
    judged = Likeness(None, None)
    judged.known(1 - far)
    unit = str(made.get("unit", "as given"))
    words = "" if known is None else str(known.judged["words"])
    share = lacking / max(1, model.n_features_in_)
    told = InferredProfiles(
        var,
        obs,
        words,
        unit,
        model.n_features_in_ - lacking,
        model.n_features_in_,
        doubted=judged.doubted,
        warnings=made["warnings"],
    )
    inferred = origin == "inferred"
    trust = var["trust"].astype(str)[inferred.to_numpy()]
    return {
        "sentence": told.sentence(),
        "trust_words": trust_words(trust, words) if words else "",
        "warnings": list(made["warnings"]),
        "doubted": told.doubted,
        "unit": unit,
        "interval": interval,
        "profiles": len(obs),
        "genes": {str(name): int(count) for name, count in origin.value_counts().items()},
        "trust": {str(name): int(count) for name, count in trust.value_counts().items()},
        "landmarks": {"found": told.found, "total": told.landmarks},
        "cost": None if known is None or not lacking else float(known.missing.factor(share)) - 1,
        "median": _medians(var[inferred.to_numpy()]) if words else None,
        "names": obs.index.astype(str).tolist(),
        "distance": [round(value, 4) if np.isfinite(value) else None for value in far.tolist()],
        "unlike": [bool(flag) for flag in obs["unlike"]] if "unlike" in obs else [False] * len(obs),
        "made": made,
    }


def _medians(genes: pd.DataFrame) -> dict[str, float | None]:
    found = {name: pd.to_numeric(genes[name], errors="coerce").median() for name in ("expected_error", "expected_r")}
    return {name: None if pd.isna(value) else float(value) for name, value in found.items()}
