"""The model folder: arrays as safetensors, everything else as JSON, and a card a person can read. No pickle."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dgex._version import __version__
from dgex.atomic import atomic_folder, holds_other, json_dump, plain, readable, writing
from dgex.errors import ModelError, SettingsError
from dgex.models.base import Estimator
from dgex.models.card import card

__all__ = ["load", "registry", "save"]

FORMAT = 1
ARRAYS, DESCRIPTION, CARD, HISTORY = "model.safetensors", "model.json", "README.md", "history.jsonl"


def registry() -> dict[str, type[Estimator]]:
    """Every kind of model by the name it has in `model.json` and on the command line."""
    from dgex.models.linear.lasso import Lasso
    from dgex.models.linear.regression import OLS, Ridge
    from dgex.models.neighbours import KNNGE, SampleKNN
    from dgex.models.network.dgex import DGEX

    return {kind.kind: kind for kind in (OLS, Ridge, Lasso, KNNGE, SampleKNN, DGEX)}


def save(model: Estimator, path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Write a fitted model as a folder that predicts alone.

    Parameters
    ----------
    model : Estimator
        A fitted model.
    path : path
        The folder to make; appears only when complete.
    overwrite : bool
        Replace a folder that exists.

    Raises
    ------
    ModelError
        The model is not fitted.
    OutputExistsError, FileError
        The folder exists, or cannot be written.
    """
    if not hasattr(model, "n_features_in_"):
        raise ModelError(f"this {type(model).__name__} is not fitted; there is nothing to save")
    check_replaceable(path)
    arrays = {name: np.ascontiguousarray(array) for name, array in model._arrays().items()}
    normalization = None
    if model.normalization_ is not None:
        arrays |= {name: np.ascontiguousarray(array) for name, array in model.normalization_.arrays().items()}
        normalization = model.normalization_.state()
    with atomic_folder(path, overwrite) as folder:
        with writing(path):
            save_file(arrays, folder / ARRAYS)
        readable(folder / ARRAYS)
        description = {
            "format": FORMAT,
            "dgex": __version__,
            "kind": model.kind,
            "settings": model.get_params(deep=False),
            "state": model._state(),
            "metrics": model.metrics_,
            "normalization": normalization,
            "fingerprint": model.fingerprint_,
            "sha256": _sha256(folder / ARRAYS),
            "genes": {
                "names": model.genes_.index.tolist(),
                **{str(c): model.genes_[c].astype(str).tolist() for c in model.genes_.columns},
            },
        }
        description["checksum"] = _checksum(description)
        json_dump(description, folder / DESCRIPTION)
        (folder / CARD).write_text(card(description), "utf-8")
        history = getattr(model, "history_", None)
        if history is not None:
            history.to_json(folder / HISTORY, orient="records", lines=True)


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Refuse to replace anything but a model folder or an empty one.

    Raises
    ------
    ModelError
        `path` is a file, or a folder that holds something else.
    """
    if holds_other(path, DESCRIPTION):
        raise ModelError(f"{path} is no model folder; it will not be overwritten")


def load(path: str | os.PathLike[str]) -> Estimator:
    """Load any model folder.

    Raises
    ------
    ModelError
        The folder is missing or no model, a file is missing or changed since it was saved, or a newer
        version of dgex wrote it.
    """
    folder = Path(path)
    description = _description(folder)
    try:
        kind = registry()[description["kind"]]
        settings = {k: tuple(v) if isinstance(v, list) else v for k, v in description["settings"].items()}
        model = kind(**settings)
        genes = pd.DataFrame(description["genes"]).set_index("names")
        genes.index.name = None
        arrays = _arrays(folder, description["sha256"])
        model._set_genes(*(genes[genes["role"] == role].drop(columns="role") for role in ("landmark", "target")))
        model.metrics_, model.fingerprint_ = description["metrics"], description["fingerprint"]
        model.normalization_ = None
        if description["normalization"] is not None:
            from dgex.dataset.normalization import Normalization

            model.normalization_ = Normalization.restore(arrays, description["normalization"])
        model._restore({k: a for k, a in arrays.items() if not k.startswith("normalization.")}, description["state"])
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        if isinstance(error, ModelError):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ModelError(f"{folder / DESCRIPTION} was changed or is incomplete ({reason})") from error
    return model


def _description(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ModelError(f"no model at {folder}: it {what}; accepted: a folder made by dgex train or save")
    for name in (DESCRIPTION, ARRAYS):
        if not (folder / name).is_file():
            raise ModelError(f"{folder} is no complete model: {name} is missing")
    try:
        description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{folder / DESCRIPTION} is damaged: {error}") from error
    if not isinstance(description, dict) or "format" not in description:
        raise ModelError(f"{folder / DESCRIPTION} does not describe a dgex model")
    if description["format"] > FORMAT:
        raise ModelError(
            f"{folder} was written by dgex {description.get('dgex')} in format {description['format']}; this dgex "
            f"{__version__} reads up to format {FORMAT}; upgrade dgex"
        )
    if description.get("kind") not in registry():
        raise ModelError(
            f"{folder} holds a model of unknown kind {description.get('kind')!r}; known: {', '.join(registry())}"
        )
    if description.get("checksum") != _checksum(description):
        raise ModelError(f"{folder / DESCRIPTION} was changed since it was saved: its checksum is not the stored one")
    return description


def _checksum(description: dict[str, Any]) -> str:
    """SHA-256 over everything else in the description, however it is laid out in the file."""
    rest = {key: value for key, value in description.items() if key != "checksum"}
    stored = json.loads(json.dumps(rest, default=plain))  # as the file gives it back
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()


def _arrays(folder: Path, expected: str) -> dict[str, np.ndarray]:
    if _sha256(folder / ARRAYS) != expected:
        raise ModelError(f"{folder / ARRAYS} was changed or truncated: its SHA-256 is not the one in {DESCRIPTION}")
    try:
        return load_file(folder / ARRAYS)
    except SafetensorError as error:
        raise ModelError(f"{folder / ARRAYS} cannot be read: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
