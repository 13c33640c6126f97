"""A model folder brought to the Hub: what goes along, without places and people, in one commit."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from dgex.aliases import PathLike
from dgex.atomic import writing
from dgex.errors import FileError, ModelError, SettingsError, first, os_error
from dgex.hub.client import SHARED, asking, hub, interface, named, quiet
from dgex.hub.scrub import scrubbed, scrubbed_text
from dgex.limits import allowed, refuse
from dgex.models.card import card
from dgex.models.folder import ARRAYS, CARD, HISTORY, describe, load, put_description
from dgex.models.front_matter import licence_of, with_licence
from dgex.models.origin import RECORD, Origin
from dgex.ownership import LIST
from dgex.progress import note, warn
from dgex.remote.addresses import shown
from dgex.remote.places import Remote, located

__all__ = ["push"]

_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,99}")
_INDEX = "training_index"
_HOLDING = {"knn", "sample-lasso", "kernel", "adapted"}  # methods whose arrays are profiles


def push(
    folder: PathLike,
    repo: str,
    *,
    licence: str | None = None,
    private: bool = False,
    message: str | None = None,
    revision: str | None = None,
    with_names: bool = False,
) -> str:
    """Share a model folder over the Hugging Face Hub, in one commit.

    The folder is checked first, as `dgex.load` does. `model.safetensors`, `model.json`, `README.md`, `config.json` and
    `history.jsonl` go there and nothing else. Paths, addresses, names of the user and of the machine are taken out of
    `model.json` and the card; the copy is loaded and must predict the same, bit for bit, before anything is sent. The
    folder itself stays as it is. You are who `hf auth login`, or the environment variable HF_TOKEN, says.

    Parameters
    ----------
    folder : path
        A model folder.
    repo : str
        `OWNER/NAME`; made where it does not exist.
    licence : str, optional
        An SPDX identifier, such as `cc-by-4.0`, of the model; that of the folder's card unless told. Never assumed.
    private : bool
        Make a repository that only its owners see.
    message : str, optional
        Of the commit.
    revision : str, optional
        A branch, made where it does not exist; `main` unless told.
    with_names : bool
        Let names, studies and positions of the training profiles, by which `dgex.explain` finds near ones, go along.

    Returns
    -------
    str
        The address of the commit.

    Raises
    ------
    SettingsError
        No licence, no name of a repository, or huggingface_hub is not installed.
    ModelError
        The folder is no model, was changed, or predicts otherwise without places and people.
    FileError
        You are not logged in, or the Hub refuses.

    Examples
    --------
    >>> import dgex
    >>> dgex.OLS().fit([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]]).save("line")
    >>> dgex.push("line", "my-lab/line", licence="cc-by-4.0")  # doctest: +SKIP
    'https://huggingface.co/my-lab/line/commit/…'
    >>> dgex.push("line", "my-lab/line")
    Traceback (most recent call last):
    dgex.errors.SettingsError: a shared model needs a licence, and its card names none: give licence=SPDX, such as mit
    """
    name, asked = named(repo)
    if asked is not None:
        raise SettingsError("the branch to push to", found=repo, accepted=f"{name} with revision='{asked}'")
    source = located(folder)
    if isinstance(source, Remote):
        raise FileError(f"{source} is pushed from a local folder; fetch it first")
    if revision is not None and named(f"{name}@{revision}")[1] != revision:
        raise SettingsError("revision", found=revision, accepted="the name of a branch")
    kind, expected = _predicted(source)
    text = _card_of(source)
    licence = licence or licence_of(text)
    if licence is None:
        raise SettingsError("a shared model needs a licence, and its card names none: give licence=SPDX, such as mit")
    if not _LICENCE.fullmatch(licence):
        raise SettingsError("licence", found=licence, accepted="an SPDX identifier such as cc-by-4.0")
    _tell_left_out(source)
    with tempfile.TemporaryDirectory(prefix="dgex-push-") as home:
        copy = Path(home) / "model"
        copy.mkdir()
        try:
            _copy(source, copy, text, licence, with_names)
        except OSError as error:
            raise error if isinstance(error, FileError) else os_error(copy, error) from error
        if not np.array_equal(_predicted(copy)[1], expected):
            raise ModelError("without its paths and names the model predicts otherwise; nothing was sent")
        return _send(copy, name, private, message or f"{kind} by dgex", revision)


def _card_of(source: Path) -> str:
    """The card as it lies there; a link would send a file of elsewhere."""
    for name in SHARED:
        path = source / name
        if path.is_symlink():
            raise FileError(f"{path} is a link to {path.readlink()}, accepted: the file itself")
        if path.exists() and not path.is_file():
            raise FileError(f"{path} is no file")
    for name in (CARD, HISTORY):
        if (source / name).exists() and (source / name).stat().st_size > allowed("record"):
            raise refuse(source / name, "goes along: it is", (source / name).stat().st_size, allowed("record"))
    return (source / CARD).read_text("utf-8", "replace") if (source / CARD).exists() else ""


def _tell_left_out(source: Path) -> None:
    ours = (*SHARED, LIST, RECORD)
    others = sorted(path.name for path in source.iterdir() if path.name not in ours)
    if others:
        note(f"left out: {first(others, 5)}; what is shared is {', '.join(SHARED)}")


def _copy(source: Path, copy: Path, text: str, licence: str, with_names: bool) -> None:
    """The folder as it is to be shared."""
    before = describe(source)
    arrays = load_file(source / ARRAYS)
    description, changed = scrubbed(before)
    if changed:
        note(f"shortened in model.json: {changed:,} texts that name places or people")
    index = description.get(_INDEX)
    if index:
        told = f"names of {index['profiles']:,} training profiles"
        if with_names:
            note(f"{told} go along, and where these lie among the landmark genes")
        else:
            del description[_INDEX]
            arrays = {key: array for key, array in arrays.items() if not key.startswith(f"{_INDEX}.")}
            note(
                f"{told} are left out, and with them what `dgex explain` says of near ones; with_names=True keeps them"
            )
    holds = sorted(_kinds(description) & _HOLDING)
    if holds:
        warn(f"{first(holds)} predicts from training profiles: their values are in the model that is shared")
    with writing(copy / ARRAYS):
        save_file(arrays, copy / ARRAYS)
    put_description(description, copy)
    edited = bool(text) and text != card(before)
    shared = with_licence(scrubbed_text(text), licence, description) if edited else card(description, licence)
    (copy / CARD).write_text(shared, "utf-8")
    if (source / HISTORY).exists():
        (copy / HISTORY).write_text(scrubbed_text((source / HISTORY).read_text("utf-8", "replace")), "utf-8")


def _kinds(value: Any) -> set[str]:
    """Methods of a model and of those that it holds."""
    if isinstance(value, list):
        return set().union(*map(_kinds, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    return set().union({str(value.get("kind"))}, *(_kinds(inner) for key, inner in value.items() if key != "genes"))


def _predicted(folder: Path) -> tuple[str, np.ndarray]:
    """The method of a folder, and what it predicts of some profiles; the model itself is let go of."""
    model = load(folder)
    x = np.random.default_rng(0).normal(size=(8, model.n_features_in_)).astype(np.float32)
    return model.kind, model.predict(x)


def _send(copy: Path, name: str, private: bool, message: str, revision: str | None) -> str:
    package = hub()
    api = interface()
    place = shown(api.endpoint)
    with asking(name, api.endpoint, revision), quiet():
        if package.get_token() is None:
            raise FileError(f"you are not logged in to {place}: hf auth login, or the variable HF_TOKEN")
        api.create_repo(name, private=private or None, exist_ok=True)
        info = api.model_info(name)
        if private and info.private is False:
            raise FileError(f"{name} on {place} exists and is public; nothing was sent")
        if revision not in (None, "main"):
            api.create_branch(name, branch=revision, exist_ok=True)
            info = api.model_info(name, revision=revision)
        there = {file.rfilename for file in info.siblings or ()}
        files = sorted(path.name for path in copy.iterdir() if path.name in SHARED)
        changes: list[Any] = [package.CommitOperationAdd(file, str(copy / file)) for file in files]
        changes += [package.CommitOperationDelete(file) for file in SHARED if file in there and file not in files]
        sent = api.create_commit(
            name, changes, commit_message=message, revision=revision, parent_commit=info.sha, num_threads=1
        )
    note(f"{', '.join(files)} at {Origin(name, sent.oid, revision or 'main')}")
    return str(sent.commit_url)
