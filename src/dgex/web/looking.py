"""A first look at what a visitor brought: what it is, which models it suits, how like their training profiles it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dgex import io
from dgex.arrays.index import evenly
from dgex.dataset.describe import described
from dgex.dataset.scale import SCALES
from dgex.errors import DataError, DgexError
from dgex.gene_ids import ID_COLUMNS, canonical
from dgex.genes import match_genes
from dgex.inference.infer import infer
from dgex.inference.inputs import opened
from dgex.inference.likeness import Likeness
from dgex.inference.missing import FEW, LEAST
from dgex.io.base import ExpressionFile
from dgex.io.head import refuse_page
from dgex.models.base import Estimator
from dgex.models.folder import describe
from dgex.summary import in_words
from dgex.web.examples import write_example
from dgex.web.organism import organism
from dgex.web.rules import Rules
from dgex.web.sources import as_source, model_at, reading

if TYPE_CHECKING:
    from dgex.web.worker import Told

__all__ = ["look", "warnings_said"]

_SAMPLED = 64  # profiles whose distance is looked at
_LISTED = 200  # missing landmark genes that are named


def look(order: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """Find out what the files are; what suits which model is told as it becomes known."""
    if order.get("example"):
        with told.stage("making an example", 0.1):
            write_example(model_at(order["models"][order["example"]]), Path(order["files"][0]))
    _refuse_pages(order["files"])
    rules, models = Rules(**order["rules"]), order["models"]
    landmarks = {name: _landmarks(path) for name, path in models.items()}
    source = as_source(order["files"])
    with told.stage("reading", 0.5, 2):
        options = {**reading(order), "genes": pd.concat(landmarks.values()), "allow_missing": True}
        with io.open(source, **options, allow_repeats=True) as data:
            if data.shape[0] > rules.profiles:
                raise DataError(
                    f"{data.shape[0]:,} profiles; this page takes up to {rules.profiles:,}, the command dgex infer any "
                    "number"
                )
            description = described(data, order["name"])
            fits = {name: _fit(frame, data) for name, frame in landmarks.items()}
            about = _about(description, data) | {"models": fits}
    told.say(found=about)
    suited = [name for name, fit in fits.items() if fit["enough"]]
    for name in suited:
        with told.stage(f"comparing with the training profiles of {name}", 0.4 / len(suited), 2):
            fits[name]["like"] = _likeness(source, model_at(models[name]), description, order)
        told.say(found={"models": fits})
    return {"models": fits, "complete": True}


def _refuse_pages(files: Sequence[str]) -> None:
    """Whatever the file is called: tables of text refuse pages themselves."""
    for path in map(Path, files):
        with path.open("rb") as file:
            refuse_page(path, file.read(1000).decode("utf-8", "replace"))


def _landmarks(path: str) -> pd.DataFrame:
    genes = pd.DataFrame(describe(path)["genes"]).set_index("names")
    return genes[genes["role"] == "landmark"].drop(columns="role")


def _about(description: Mapping[str, Any], data: ExpressionFile) -> dict[str, Any]:
    """What the page tells of a file, as plain values."""
    wanted = {name for names in ID_COLUMNS.values() for name in names}
    columns = [data.var[name].astype(str).tolist() for name in data.var if canonical(name) in wanted]
    names = ("format", "samples", "genes", "gene_ids", "minimum", "maximum", "missing", "infinite", "scale", "unit")
    return {
        "what": in_words(dict(description)),
        **{name: description[name] for name in (*names, "scale_by", "scale_doubt", "first_genes", "first_samples")},
        "organism": organism(data.var.index.tolist(), *columns),
        "orientation": description["notes"].get("orientation", ""),
        "kind": description["notes"].get("kind", ""),
    }


def _fit(landmarks: pd.DataFrame, data: ExpressionFile) -> dict[str, Any]:
    """How many landmark genes of a model the file has; those that lie the other way count too, as `infer` turns it."""
    match = max((match_genes(landmarks, names) for names in (data.var, data.obs)), key=lambda one: one.found.sum())
    lacking = landmarks.index[~match.found].astype(str)
    found, total = int(match.found.sum()), len(landmarks)
    return {
        "found": found,
        "total": total,
        "missing": lacking[:_LISTED].tolist(),
        "enough": found >= LEAST * total,
        "nearly_all": len(lacking) <= FEW * total,
    }


def _likeness(
    source: Any, model: Estimator, description: Mapping[str, Any], order: Mapping[str, Any]
) -> dict[str, Any]:
    """How far some profiles lie from those that the model was trained on, or why that cannot be told."""
    scale = description["scale"] if description["scale"] in SCALES else "auto"
    try:
        with opened(source, model, **reading(order)) as data:
            data.allow_missing = True
            some = data.to_adata(samples=evenly(data.shape[0], _SAMPLED))
        with warnings_said() as said:
            few = infer(some, model, missing="impute", scale=scale, genes=list(model.targets_[:1]))
    except DgexError as error:
        return {"refused": str(error)}
    assert few is not None
    if "distance" not in few.obs:
        return {"known": False}
    far = few.obs["distance"].to_numpy(np.float64)
    judged = Likeness(None, None)
    judged.known(1 - far)
    return {
        "known": True,
        "looked_at": len(far),
        "median": float(np.median(far)),
        "unlike": int(few.obs["unlike"].sum()),
        "doubted": judged.doubted,
        "said": said,
    }


@contextmanager
def warnings_said() -> Iterator[list[str]]:
    """Collect what the library warns of while the block runs."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage().removeprefix(": "))

    listener, logger = Listener(logging.WARNING), logging.getLogger("dgex")
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)
