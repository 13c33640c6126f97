"""The model folder: arrays as safetensors, everything else as JSON, and a card a person can read. No pickle."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dgex._version import __version__
from dgex.atomic import atomic_folder, json_dump, plain, readable, writing
from dgex.errors import FileError, ModelError, SettingsError, first
from dgex.genes import texts
from dgex.io.registry import formats
from dgex.limits import allowed
from dgex.models.card import card
from dgex.models.catalogue import known, methods
from dgex.models.front_matter import config
from dgex.models.schema import check_fields, check_format, shown
from dgex.records import read_json
from dgex.remote.fetching import fetched_folder
from dgex.remote.places import Remote, located
from dgex.work import Work

if TYPE_CHECKING:
    from dgex.models.base import Estimator
from dgex.aliases import PathLike

__all__ = ["ATTACHMENTS", "describe", "is_model", "load", "place", "put_description", "save"]

FORMAT = 1
ARRAYS, DESCRIPTION, CARD, HISTORY = "model.safetensors", "model.json", "README.md", "history.jsonl"
CONFIG = "config.json"  # what hubs ask for; nothing is read back from it

#: What else a model may carry, in the attribute of that name with a final underscore: where its class is.
ATTACHMENTS = {
    "normalization": "dgex.dataset.normalization:Normalization",
    "training": "dgex.models.record:TrainingRecord",
    "confidence": "dgex.confidence.confidence:Confidence",
    "training_index": "dgex.confidence.index:TrainingIndex",
}


class Attachment(Protocol):
    """What `save` asks of an attachment; its class has `restore(arrays, state)`. Names of arrays begin with its own."""

    def arrays(self) -> dict[str, np.ndarray]: ...

    def state(self) -> dict[str, Any]: ...


def is_model(thing: object) -> bool:
    """Whether it is a fitted estimator, or the path of a model folder."""
    if isinstance(thing, str | os.PathLike):
        place = located(thing)
        if isinstance(place, Remote) and place.name.lower().endswith(tuple(chain(*formats().values()))):
            return False  # the name of a matrix; a server is not asked for nothing
        return (place / DESCRIPTION).is_file()
    return hasattr(thing, "landmark_genes")


def place(path: PathLike) -> Work:
    """A model folder as a place that may be written to."""
    return Work(path, DESCRIPTION, "a model folder")


def save(
    model: Estimator,
    path: PathLike,
    overwrite: bool = False,
    beside: Callable[[Path], None] | None = None,
) -> None:
    """Write a fitted model as a folder that predicts alone.

    Parameters
    ----------
    model : Estimator
        A fitted model.
    path : path
        The folder to make; appears only when complete.
    overwrite : bool
        Replace a folder that exists.
    beside : function of the new folder, optional
        Puts further files into it before it appears.

    Raises
    ------
    ModelError
        The model is not fitted, or its method gives something else than named arrays.
    OutputExistsError, FileError
        The folder exists, is something else, or cannot be written.
    """
    if not hasattr(model, "n_features_in_"):
        raise ModelError(f"this {type(model).__name__} is not fitted; there is nothing to save")
    place(path).refuse_other()
    arrays = _own_arrays(model)
    attached: dict[str, Any] = {"normalization": None}
    for name in ATTACHMENTS:
        attachment: Attachment | None = getattr(model, f"{name}_", None)
        if attachment is not None:
            arrays |= {key: np.ascontiguousarray(array) for key, array in attachment.arrays().items()}
            attached[name] = attachment.state()
    entry = known(model.kind)
    if entry is not None and entry.package:
        attached["package"] = entry.package
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
            **attached,
            "fingerprint": model.fingerprint_,
            "sha256": "",  # below
            "genes": {
                "names": model.genes_.index.tolist(),
                **{str(c): texts(model.genes_[c]).tolist() for c in model.genes_.columns},
            },
        }
        put_description(description, folder)
        (folder / CARD).write_text(card(description), "utf-8")
        history = getattr(model, "history_", None)
        if history is not None:
            history.to_json(folder / HISTORY, orient="records", lines=True)
        if beside is not None:
            beside(folder)


def put_description(description: dict[str, Any], folder: Path) -> None:
    """Write the description of a folder whose arrays are there, with their digest and its own, and `config.json`."""
    description["sha256"] = _sha256(folder / ARRAYS)
    description["checksum"] = _checksum(description)
    json_dump(description, folder / DESCRIPTION)
    json_dump(config(description), folder / CONFIG)


def _own_arrays(model: Estimator) -> dict[str, np.ndarray]:
    """What a model has learned; a method that gives anything but named arrays is told so."""
    arrays = model._own("give its arrays", model._arrays)
    wrong = [
        name
        for name, array in (arrays.items() if isinstance(arrays, dict) else [("_arrays()", arrays)])
        if not isinstance(array, np.ndarray) or array.dtype == object or str(name).split(".")[0] in ATTACHMENTS
    ]
    if wrong:
        raise ModelError(f"the method {model.kind} gives {first(wrong)}, accepted: a dict of names to plain arrays")
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def load(path: PathLike) -> Estimator:
    """Load any model folder.

    Raises
    ------
    ModelError
        The folder is missing or no model, a file is missing or changed since it was saved, or a newer
        version of dgex wrote it.

    Examples
    --------
    >>> import dgex
    >>> dgex.OLS().fit([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]]).save("line")
    >>> dgex.load("line").predict([[3.0]])
    array([[7.]], dtype=float32)
    """
    if not isinstance(path, str | os.PathLike):
        raise ModelError("a model to load", found=type(path).__name__, accepted="the path of a model folder")
    folder = _at_hand(path)
    description = describe(folder)
    entry = known(description["kind"])
    assert entry is not None  # `describe` has looked
    try:
        settings = {k: tuple(v) if isinstance(v, list) else v for k, v in description["settings"].items()}
        model = entry.load()(**settings)
        genes = pd.DataFrame(description["genes"]).set_index("names")
        genes.index.name = None
        arrays = _arrays(folder, description["sha256"])
        model._set_genes(*(genes[genes["role"] == role].drop(columns="role") for role in ("landmark", "target")))
        model.metrics_, model.fingerprint_ = description["metrics"], description["fingerprint"]
        for name, home in ATTACHMENTS.items():
            setattr(model, f"{name}_", _attachment(home, arrays, description.get(name)))
        _check_confidence(model)
        own = {key: array for key, array in arrays.items() if key.split(".")[0] not in ATTACHMENTS}
        model._own("take back its arrays", lambda: model._restore(own, description["state"]))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, SettingsError) as error:
        if isinstance(error, ModelError):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ModelError(f"{folder / DESCRIPTION} was changed or is incomplete ({reason})") from error
    return model


def _check_confidence(model: Estimator) -> None:
    known = model.confidence_
    genes = (model.n_features_in_, model.n_targets_)
    if known is not None and (len(known.landmarks.mean), len(known.accuracy)) != genes:
        raise ValueError("its confidence is of other genes")


def _attachment(home: str, arrays: dict[str, np.ndarray], state: dict[str, Any] | None) -> Any:
    if state is None:
        return None
    module, _, name = home.partition(":")
    return getattr(importlib.import_module(module), name).restore(arrays, state)


def describe(path: PathLike) -> dict[str, Any]:
    """What `model.json` of a model folder says, checked but for the arrays.

    Raises
    ------
    ModelError
        As `load`.
    """
    folder = _at_hand(path)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ModelError(f"no model at {folder}: it {what}", accepted="a folder made by dgex train or save")
    for name in (DESCRIPTION, ARRAYS):
        if not (folder / name).is_file():
            raise ModelError(f"{folder} is no complete model: {name} is missing")
    try:
        description: dict[str, Any] = read_json(folder / DESCRIPTION)
    except FileError as error:
        raise ModelError(str(error)) from error
    if check_format(description, folder / DESCRIPTION) > FORMAT:
        raise ModelError(
            f"{folder} was written by dgex {description.get('dgex')} in format {description['format']}; this dgex "
            f"{__version__} reads up to format {FORMAT}; upgrade dgex"
        )
    kind, package = description.get("kind"), description.get("package")
    if not isinstance(kind, str) or known(kind) is None:
        brings = f"; the package {package} brings it, and is not installed here" if package else ""
        raise ModelError(f"{folder} holds a model of unknown kind {shown(kind)}{brings}; known: {', '.join(methods())}")
    if not _before_checksums(description) and description.get("checksum") != _checksum(description):
        raise ModelError(f"{folder / DESCRIPTION} was changed since it was saved: its checksum is not the stored one")
    check_fields(description, folder / DESCRIPTION)
    return description


def _at_hand(path: PathLike) -> Path:
    """The folder, or a copy of the two files of a remote one that a model is loaded from."""
    folder = located(path)
    if not isinstance(folder, Remote):
        return folder
    if not is_model(folder):
        raise ModelError(
            f"no model at {folder}: it has no {DESCRIPTION}", accepted="a folder made by dgex train or save"
        )
    return fetched_folder(folder, {DESCRIPTION: allowed("record"), ARRAYS: allowed("fetched")})


def _before_checksums(description: dict[str, Any]) -> bool:
    """Whether a version wrote it that knew no checksums, nor any attachment but the normalisation."""
    later = {"checksum", "package", *ATTACHMENTS} - {"normalization"}
    return description.get("dgex") == "0.1.0" and not later & description.keys()


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
