"""A shared model into a folder: whole, checked file by file, and loaded once before it has its name."""

from __future__ import annotations

import os
from pathlib import Path

from dgex.aliases import PathLike
from dgex.atomic import put_folder
from dgex.datasets.public.download import bring
from dgex.datasets.public.fetch import Patience
from dgex.datasets.public.unpack import digest
from dgex.errors import DataError, ModelError, OutputExistsError
from dgex.locks import alone
from dgex.models.folder import load
from dgex.places import check_output
from dgex.progress import note
from dgex.shared.registry import SharedModel, find_model
from dgex.work import differences

__all__ = ["download_model"]


def download_model(
    name: str,
    folder: PathLike,
    *,
    manifest: PathLike | None = None,
    base: str | None = None,
    patience: Patience | None = None,
) -> Path:
    """Bring a shared model into `folder`; called again, go on where it stopped, or check what is finished.

    Files come into `FOLDER.partial` as those of a data set do (see `dgex.download`), each checked by the size and the
    SHA-256 of the list. Then the model is loaded, and must be what the list says; only then is `folder` there.

    Parameters
    ----------
    name : str
        A model of the list: see `dgex.shared.registry.shared_models`.
    folder : path
        The model folder to make.
    manifest : path, optional
        TOML of the layout of `dgex/shared/models.toml`, with further models.
    base : str, optional
        Address to take the files from instead; before `$DGEX_BASE_NAME`, which is before the list.
    patience : Patience, optional
        Retries and time-outs.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    SettingsError
        A model or address that is not known or not accepted.
    FileError, OutputExistsError
        A file that cannot be had or written, or is not the listed one; a folder that is something else.
    ModelError
        What came is no model that this dgex loads, or not the one that the list tells of; it stays in
        `FOLDER.partial`.
    DataError
        A finished model that changed since.

    Examples
    --------
    >>> import dgex
    >>> dgex.download_model("gse92743-auto", "models/gse92743")  # doctest: +SKIP
    """
    model, target = find_model(name, manifest, base), Path(folder)
    with alone(target, "dgex download models"):
        if os.path.lexists(target):
            _check_finished(target, model)
            note(f"{target} is finished and unchanged")
            return target
        check_output(target, folder=True)
        partial = target.with_name(f"{target.name}.partial")
        bring(model.source, partial, patience=patience)
        _check_loaded(partial, model)
        put_folder(partial, target)
    return target


def _check_finished(folder: Path, model: SharedModel) -> None:
    for file in model.source.files.values():
        path = folder / file.name
        if not path.is_file():
            raise OutputExistsError(f"{folder} exists and has no {file.name} of {model.name}; give another name")
        if f"sha256:{digest(path).sha256}" != file.checksum:
            raise DataError(f"{path} is not the file of {model.name}, by its SHA-256; move {folder} elsewhere")


def _check_loaded(folder: Path, model: SharedModel) -> None:
    """Load it: what does not open here, or is another model than was told of, is no use."""
    loaded = load(folder)
    there = {"kind": model.kind, "landmarks": model.landmarks, "targets": model.targets}
    found = {"kind": loaded.kind, "landmarks": loaded.n_features_in_, "targets": loaded.n_targets_}
    differ = differences(there, found)
    if differ:
        raise ModelError(f"{model.name} is not what its list says ({'; '.join(differ)}); what came lies in {folder}")
