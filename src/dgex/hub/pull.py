"""A model brought from the Hub: files by name, sizes and digests checked, a folder only when all is well."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from dgex.aliases import PathLike
from dgex.atomic import atomic_folder
from dgex.errors import DgexError, FileError, ModelError, first
from dgex.hub.client import NEEDED, SHARED, asking, hub, interface, named, quiet
from dgex.limits import allowed, refuse
from dgex.models.folder import ARRAYS, DESCRIPTION, load, place
from dgex.models.origin import Origin
from dgex.places import claim
from dgex.progress import bar, note

__all__ = ["pull"]

#: Endings of files that can run code when they are opened: they are never fetched, and said to be there.
_RUNNING = frozenset(
    [
        ".bin",
        ".ckpt",
        ".dll",
        ".dylib",
        ".exe",
        ".h5",
        ".jar",
        ".joblib",
        ".js",
        ".keras",
        ".npy",
        ".npz",
        ".pickle",
        ".pkl",
        ".pt",
        ".pth",
        ".py",
        ".pyc",
        ".sh",
        ".so",
    ]
)


class _File(NamedTuple):
    """A file as the Hub describes it: bytes, and its SHA-256, or its identity in git where it is small."""

    size: int | None
    sha256: str | None
    blob: str | None


def pull(repo: str, folder: PathLike, *, overwrite: bool = False, offline: bool = False) -> Path:
    """Fetch a shared model from the Hugging Face Hub.

    The revision is resolved to a commit first, which the folder records: `dgex info` tells it. Files are fetched by
    name alone (`model.safetensors`, `model.json`, `README.md`, `config.json`, `history.jsonl`), of bounded size,
    compared with the digests that the Hub tells and with those in `model.json`, and loaded once before the folder
    appears. Nothing that can run code is fetched; a method of another package is only loaded where that is installed.

    Parameters
    ----------
    repo : str
        `OWNER/NAME` or `OWNER/NAME@REV`: a branch, a tag or a commit.
    folder : path
        The model folder to make; appears only when complete.
    overwrite : bool
        Replace a model folder that exists.
    offline : bool
        Ask nobody: take what was fetched before. The environment variable HF_HUB_OFFLINE does the same.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    SettingsError
        No name of a repository, or huggingface_hub is not installed.
    ModelError
        What lies there is no model of dgex, was changed, or needs a package that is not installed.
    FileError
        The repository or revision does not exist, the Hub cannot be reached, or a file is too large or not what the
        Hub says of it.
    OutputExistsError
        The folder exists.

    Examples
    --------
    >>> import dgex
    >>> model = dgex.load(dgex.pull("my-lab/line@v1", "line"))  # doctest: +SKIP
    >>> dgex.pull("line", "line")
    Traceback (most recent call last):
    dgex.errors.SettingsError: a repository on the Hub: found 'line', accepted OWNER/NAME or OWNER/NAME@REV
    """
    name, revision = named(repo)
    place(folder).refuse_other()
    package = hub()
    with claim(folder, "pull", overwrite=overwrite, folder=True) as target:
        api = interface()
        with asking(name, api.endpoint, revision), quiet():
            if offline or package.constants.HF_HUB_OFFLINE:
                origin, files = _found_here(api, name, revision)
            else:
                origin, files = _fetched(api, name, revision)
        with atomic_folder(target, overwrite) as inside:
            for file, path in files.items():
                shutil.copyfile(path, inside / file)
            origin.write(inside)
            try:
                load(inside)
            except DgexError as error:
                told = str(error).replace(str(inside), str(origin))
                raise ModelError(f"{told}; nothing was left behind") from error
    note(f"{origin}: {', '.join(files)}")
    return target


def _fetched(api: Any, name: str, revision: str | None) -> tuple[Origin, dict[str, Path]]:
    """The commit, and its files where the Hub's package keeps them."""
    info = api.model_info(name, revision=revision, files_metadata=True)
    known = {
        file.rfilename: _File(file.size, file.lfs.sha256 if file.lfs else None, file.blob_id)
        for file in info.siblings or ()
    }
    origin = Origin(name, str(info.sha), revision or "main")
    missing = [file for file in NEEDED if file not in known]
    if missing:
        raise ModelError(
            f"{origin} is no model of dgex: it has no {first(missing)}", accepted="a repository that dgex push made"
        )
    wanted = {file: known[file] for file in SHARED if file in known}
    for file, told in wanted.items():
        limit = allowed("fetched" if file == ARRAYS else "record")
        if told.size is None or told.size > limit:
            raise refuse(f"{file} of {origin}", "would be fetched: it is", told.size, limit)
    _tell_left_there(set(known) - set(SHARED))
    total = float(sum(told.size or 0 for told in wanted.values()))
    files: dict[str, Path] = {}
    with bar(total, f"fetching {name}") as progress:
        for file, told in wanted.items():
            files[file] = _checked(api, origin, file, told)
            progress.advance(float(told.size or 0))
    if (
        origin.asked != origin.commit
    ):  # files of a commit are kept without the name it goes by, which `offline` looks up
        api.hf_hub_download(name, DESCRIPTION, revision=origin.asked)
    return origin, files


def _checked(api: Any, origin: Origin, file: str, told: _File) -> Path:
    """A file that is what the Hub says; one that was damaged where the package keeps it is fetched once more."""
    for again in (False, True):
        path = Path(api.hf_hub_download(origin.hub, file, revision=origin.commit, force_download=again))
        if _is(path, told):
            return path
    raise FileError(f"{file} of {origin} came otherwise than the Hub says of it: it was cut short or changed")


def _is(path: Path, told: _File) -> bool:
    size = path.stat().st_size
    if size != told.size:
        return False
    with path.open("rb") as handle:
        if told.sha256 is not None:
            return hashlib.file_digest(handle, "sha256").hexdigest() == told.sha256
        if told.blob is None or len(told.blob) != 40:
            return True  # model.json has the digest of the arrays, and its own
        return hashlib.sha1(b"blob %d\0" % size + handle.read()).hexdigest() == told.blob


def _found_here(api: Any, name: str, revision: str | None) -> tuple[Origin, dict[str, Path]]:
    """What was fetched before; the commit is the name of the folder in which the Hub's package keeps its files."""
    try:
        described = Path(api.hf_hub_download(name, DESCRIPTION, revision=revision, local_files_only=True))
    except hub().errors.LocalEntryNotFoundError:
        raise FileError(f"{name}, {revision or 'main'}, was not fetched before, and offline nobody is asked") from None
    origin = Origin(name, described.parent.name, revision or "main")
    files = {file: described.parent / file for file in SHARED if (described.parent / file).is_file()}
    if ARRAYS not in files:
        raise FileError(f"{origin} was fetched before in part: {ARRAYS} is not there; pull it with the Hub at hand")
    return origin, files


def _tell_left_there(others: set[str]) -> None:
    running = sorted(file for file in others if PurePosixPath(file).suffix.lower() in _RUNNING)
    if running:
        note(f"not fetched, since they can run code: {first(running, 5)}")
    rest = sorted(others - set(running) - {".gitattributes"})
    if rest:
        note(f"not fetched, since no part of a model: {first(rest, 5)}")
