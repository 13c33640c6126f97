"""Public data sets into a folder, each file whole and recorded, and checked whenever it is used."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dgex import progress
from dgex.aliases import PathLike
from dgex.atomic import json_dump
from dgex.datasets.public.fetch import Patience, RefusedError, discard, disk_error, fetch
from dgex.datasets.public.meter import size_text
from dgex.datasets.public.sources import DIGESTS, Source, SourceFile, find
from dgex.datasets.public.unpack import DamagedError, digest, settle
from dgex.errors import DataError, FileError, os_error
from dgex.locks import alone
from dgex.records import read_json

__all__ = ["RECORD", "bring", "download", "files"]

RECORD = "download.json"


def download(
    name: str,
    folder: PathLike,
    *,
    only: Iterable[str] | None = None,
    manifest: PathLike | None = None,
    base: str | None = None,
    keep: bool = False,
    patience: Patience | None = None,
) -> dict[str, Path]:
    """Bring a public data set into `folder`; called again, go on where it stopped, and check what is finished.

    A file comes as `….partial`, is decompressed and checked (gzip's own CRC, size and checksum where published), and
    only then has its name. `folder/download.json` records where each came from, when, its size and SHA-256.

    Parameters
    ----------
    name : str
        Source: see `dgex.datasets.public.sources.sources()`.
    folder : path
        Made when it does not exist. Several sources may share it.
    only : iterable of str, optional
        Files by key or name; all of them by default.
    manifest : path, optional
        TOML of the layout of `dgex/datasets/public/sources.toml`, with further sources.
    base : str, optional
        Address to take the files from instead, a mirror for example; before `$DGEX_BASE_NAME`, which is before the
        manifest.
    keep : bool
        Keep the packed file beside the decompressed one.
    patience : Patience, optional
        Retries and time-outs.

    Returns
    -------
    dict of str to Path
        Finished files by key.

    Raises
    ------
    SettingsError
        A source, file or address that is not known or not accepted.
    FileError
        A file that cannot be had or written, is damaged, or is in the way. Finished files stay, and what came of the
        others is gone on from.
    DataError
        A finished file that changed since it was downloaded.

    Examples
    --------
    >>> import dgex
    >>> dgex.download("gse92743", "cmap")  # doctest: +SKIP
    """
    return bring(find(name, manifest, base), folder, only=only, keep=keep, patience=patience)


def bring(
    source: Source,
    folder: PathLike,
    *,
    only: Iterable[str] | None = None,
    keep: bool = False,
    patience: Patience | None = None,
) -> dict[str, Path]:
    """Bring the files of a source into `folder`; see `download`."""
    chosen = source.choose(only)
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise os_error(target, error) from error
    with alone(target, "dgex download"):
        waiting = [file for file in chosen if not _finished(target, source, file)]
        for file in waiting:
            if (target / file.name).exists():
                raise FileError(
                    f"{target / file.name} is in the way: {RECORD} does not record it as downloaded; move it elsewhere "
                    "(one that you brought yourself can be served from there, with --base)"
                )
        sums = _published(target, source, patience) if waiting else {}
        for file in waiting:
            _bring(target, source, file, file.checksum or sums.get(file.served), keep, patience)
    return {file.key: target / file.name for file in chosen}


def files(
    folder: PathLike, name: str, *, only: Iterable[str] | None = None, manifest: PathLike | None = None
) -> dict[str, Path]:
    """Give the files of a downloaded data set after reading each one whole: it must be what was recorded.

    Parameters
    ----------
    folder : path
        Where `download` brought them.
    name, only, manifest
        As for `download`.

    Returns
    -------
    dict of str to Path
        Files by key.

    Raises
    ------
    FileError
        A file is missing or was never finished.
    DataError
        A file is not the one that was downloaded.
    SettingsError
        See `download`.
    """
    source, target = find(name, manifest), Path(folder)
    chosen = source.choose(only)
    record = _record(target).get(name, {})
    missing = [file.name for file in chosen if not _recorded(record, file) or not (target / file.name).is_file()]
    if missing:
        raise FileError(f"{target} does not hold {', '.join(missing)} of {name}: run dgex download {name} {target}")
    for file in chosen:
        _check(target / file.name, _recorded(record, file)["sha256"])
    return {file.key: target / file.name for file in chosen}


def _finished(folder: Path, source: Source, file: SourceFile) -> bool:
    """Whether a file is there and recorded; then it must be the recorded one, and its remains are cleared away."""
    entry = _recorded(_record(folder).get(source.name, {}), file)
    path = folder / file.name
    if not entry or not path.is_file():
        return False
    _check(path, entry["sha256"])
    discard(_partial(folder, file))
    _unpacking(folder, file).unlink(missing_ok=True)
    progress.note(f"{path} is finished and unchanged")
    return True


def _check(path: Path, recorded: str) -> None:
    computed = digest(path).sha256
    if computed != recorded:
        raise DataError(
            f"{path} changed since it was downloaded: its SHA-256 is {computed}, recorded is {recorded}; "
            "remove it to download it again"
        )


def _bring(
    folder: Path, source: Source, file: SourceFile, checksum: str | None, keep: bool, patience: Patience | None
) -> None:
    """Fetch, settle, record, and only then give the file its name: whatever stops in between can be gone on from."""
    partial, address = _partial(folder, file), source.at(file.address)
    remote = fetch(address, partial, file.size, patience)
    temporary = _unpacking(folder, file) if file.unpack else None
    packed = file.served.endswith(".gz")
    try:
        if file.size not in (None, remote.length):
            raise DamagedError(f"{file.served} has {remote.length:,} bytes, published are {file.size:,}")
        if not remote.length:
            raise DamagedError(f"{file.served} is empty")
        came, content = settle(partial, temporary, packed, checksum)
    except DamagedError as error:
        discard(partial)
        raise DamagedError(
            f"{error}; what came from {address} was removed, run the same command to fetch it anew"
        ) from error
    if not file.unpack:
        content = came
    entry = {
        "name": file.name,
        "address": address,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "size": content.size,
        "sha256": content.sha256,
        "served": {
            "name": file.served,
            "size": came.size,
            "sha256": came.sha256,
            "checksum": checksum,
            "etag": remote.etag,
            "last_modified": remote.last_modified,
        },
    }
    _write_entry(folder, source, file.key, entry)
    with disk_error(folder / file.name):
        os.replace(temporary or partial, folder / file.name)
        if keep and file.unpack:
            os.replace(partial, folder / file.served)
        discard(partial)
    progress.note(f"{folder / file.name}: {size_text(content.size)}, SHA-256 {content.sha256[:12]}…")


def _published(folder: Path, source: Source, patience: Patience | None) -> dict[str, str]:
    """Checksums of the publisher's list, by name of the file as served."""
    if source.sums is None:
        return {}
    address, partial = source.at(source.sums), folder / f"{source.sums.rpartition('/')[2]}.partial"
    try:
        fetch(address, partial, None, patience)
    except RefusedError as error:
        progress.warn(f"{error}: files are checked by their own length and CRC only")
        return {}
    content = partial.read_bytes()
    discard(partial)
    try:
        text = (gzip.decompress(content) if address.endswith(".gz") else content).decode("ascii")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DamagedError(f"{address} is no list of checksums: {error}") from error
    kinds = {digits: kind for kind, digits in DIGESTS.items()}
    paths = {}
    for line in text.splitlines():
        match = re.fullmatch(r"\s*([0-9a-fA-F]+)\s+\*?(?:.*/)?([^/]+?)\s*", line)
        if match and len(match[1]) in kinds:
            paths[match[2]] = f"{kinds[len(match[1])]}:{match[1].lower()}"
    for file in source.files.values():
        if file.served not in paths:
            progress.warn(f"{address} lists no checksum of {file.served}")
    return paths


def _partial(folder: Path, file: SourceFile) -> Path:
    return folder / f"{file.served}.partial"


def _unpacking(folder: Path, file: SourceFile) -> Path:
    return folder / f"{file.name}.unpacking"


def _record(folder: Path) -> dict[str, Any]:
    """What `download.json` says: source name to its description with `files`."""
    path = folder / RECORD
    if not os.path.lexists(path):
        return {}
    try:
        known = read_json(path)["sources"]
        well = isinstance(known, dict) and all(isinstance(source["files"], dict) for source in known.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        well = False
    if not well:
        raise FileError(f"{path} is no record of downloads; move it elsewhere and the files with it")
    return dict(known)


def _recorded(record: dict[str, Any], file: SourceFile) -> dict[str, Any]:
    entry = record.get("files", {}).get(file.key)
    known = isinstance(entry, dict) and entry.get("name") == file.name and isinstance(entry.get("sha256"), str)
    return entry if known else {}


def _write_entry(folder: Path, source: Source, key: str, entry: dict[str, Any]) -> None:
    record = _record(folder)
    before = record.get(source.name, {"files": {}})["files"]
    record[source.name] = {
        "title": source.title,
        "citation": source.citation,
        "licence": source.licence,
        "files": {**before, key: entry},
    }
    with disk_error(folder / RECORD):
        json_dump({"sources": record}, folder / RECORD)
