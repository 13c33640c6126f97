"""What is told of each part of an inference beside it, and whether the part is still what was told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dgex import io
from dgex.atomic import json_dump
from dgex.digests import RowsDigest, of_file, of_names
from dgex.errors import DgexError, FileError
from dgex.inference.output import halfwidth_file
from dgex.io.parts import MANIFEST, PART_FORMATS, Layout, read_manifest
from dgex.locks import alone
from dgex.places import MARKER, home_of
from dgex.records import read_json
from dgex.work import Work, differences

__all__ = ["Home", "Wrong"]

STORE = "store"  # a zarr under way, which nothing takes for one
FILES = [
    *(f"profiles-*.{name}" for form in PART_FORMATS for name in (form, f"halfwidth.{form}")),
    "profiles-*.json",
    *(f"profiles-*{suffix}.parts/" for suffix in ("", *(f".{form}" for form in PART_FORMATS))),
    MANIFEST,
    f"{STORE}/",
]


class Wrong(FileError):
    """Why a part does not count."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind  # "missing", "damaged" or "foreign"


class Home:
    """The folder that holds parts until they are sealed, and after that, unless they are a zarr store.

    Parameters
    ----------
    output : path
        A folder, or a `.zarr`.
    folder : path, optional
        Where the parts lie; as `home_of` says unless told.
    """

    def __init__(self, output: Path, folder: Path | None = None) -> None:
        self.output, self.folder = output, home_of(output) if folder is None else folder
        self.work = Work(self.folder, MARKER, "parts of an inference", FILES)
        self.zarr = output.suffix == ".zarr"
        self.store = self.folder / STORE

    def tidy(self) -> None:
        """Remove what was there for the making of a store that has its name, where a run was killed before it did."""
        joined = self.zarr and self.work.begun and not self.store.exists() and (self.output / MANIFEST).is_file()
        if joined and self.work.read().get("of") == read_manifest(self.output)[1].get("of"):
            self.work.clear(among_others=True)

    def reopen(self, of: dict[str, Any], wanted: Callable[[Layout], Iterable[int]]) -> bool:
        """Whether a store that is sealed is of just this; it is opened again where some of its parts are not whole."""
        if not self.zarr or self.work.begun or not (self.output / MANIFEST).is_file():
            return False
        layout, said = read_manifest(self.output)
        if said.get("of") != of:
            return False
        sealed = Home(self.output, self.output)
        sealed.store, parts = self.output, list(enumerate(said["parts"]))
        digests = {part: sealed.digest(layout.name(part), layout.at(part), "zarr") for part in wanted(layout)}
        if all(said["parts"][part]["digest"] == digest for part, digest in digests.items()):
            return True
        with alone(self.output, "dgex infer"):
            self.folder.mkdir(exist_ok=True)
            self.work.own(*FILES)
            for part, record in parts:
                json_dump({**record, "of": of}, self.folder / f"{layout.name(part)}.json")
            self.work.begin({key: value for key, value in said.items() if key not in ("parts", "values")})
            os.replace(self.output, self.store)
        return True

    def layout(self, said: dict[str, Any]) -> Layout:
        """Which profiles lie in which part, by what the marker says."""
        sizes = said.get("profiles"), said.get("size")
        if not all(type(size) is int and size > 0 for size in sizes) or not isinstance(said.get("of"), dict):
            raise FileError(f"{self.work.marker} is damaged; remove {self.folder} to begin anew")
        return Layout(int(sizes[0] or 0), int(sizes[1] or 0))

    def file(self, name: str, form: str) -> Path:
        """Where a part is written; of a zarr store, a name to lock and to keep blocks under."""
        return self.folder / (name if self.zarr else f"{name}.{form}")

    def files(self, name: str, at: slice, form: str) -> list[Path]:
        """Files that hold a part."""
        if self.zarr:
            from dgex.io.zarr_ranges import chunk_files

            return chunk_files(self.store, at) if self.store.is_dir() else []
        path = self.file(name, form)
        return [file for file in (path, halfwidth_file(path)) if file.is_file()]

    def digest(self, name: str, at: slice, form: str) -> str:
        """Digest of the names and bytes of a part's files."""
        files, base = self.files(name, at, form), self.store if self.zarr else self.folder
        return of_names(*((path.relative_to(base), of_file(path)) for path in files))

    def record(self, layout: Layout, part: int, form: str, of: dict[str, Any], source: str) -> None:
        """Tell of a part that was written just now, read back: what it is of, and digests.

        Parameters
        ----------
        of : dict
            What the whole inference is of.
        source : str
            Digest of the values that the part was made of.
        """
        name, at = layout.name(part), layout.at(part)
        values = self._values(name, at, form)
        digests = {"digest": self.digest(name, at, form), "values": values}
        said = {"profiles": [at.start, at.stop], "files": len(self.files(name, at, form)), **digests, "input": source}
        json_dump({**said, "of": of}, self.folder / f"{name}.json")

    def _values(self, name: str, at: slice, form: str) -> str:
        digest: RowsDigest | None = None
        for block in self._blocks(name, at, form):
            digest = digest or RowsDigest((at.stop - at.start, block.shape[1]))
            digest.update(block)
        return "" if digest is None else digest.hexdigest()

    def _blocks(self, name: str, at: slice, form: str) -> Iterator[np.ndarray]:
        if self.zarr:
            from dgex.io.zarr_ranges import stored_rows

            yield from stored_rows(self.store, at, 1024)
            return
        with io.open(self.file(name, form), allow_missing=True) as file:
            yield from (block for _, block in file.iter_blocks(1024))

    def checked(self, layout: Layout, part: int, form: str, of: dict[str, Any], files: bool = True) -> dict[str, Any]:
        """The record of a part that is there, whole and of just this inference.

        Raises
        ------
        Wrong
            It is missing, damaged or of something else.
        """
        name, at = layout.name(part), layout.at(part)
        path = self.folder / f"{name}.json"
        if not path.is_file():
            raise Wrong("missing", "it is not finished" if self.files(name, at, form) else "nothing is there")
        try:
            said = read_json(path)
            before, digest = dict(said["of"]), str(said["digest"])
            inside = [at.start, at.stop] == said["profiles"]
        except (DgexError, KeyError, TypeError, ValueError):
            raise Wrong("damaged", f"{path.name} is damaged") from None
        differ = differences(before, of)
        if differ or not inside:
            raise Wrong("foreign", "; ".join(differ) or f"{path.name} tells of other profiles")
        if not files:
            return dict(said)
        there = self.files(name, at, form)
        if len(there) != said["files"]:
            lacking = "its file is missing" if not self.zarr else f"it has {len(there):,} of {said['files']:,} chunks"
            raise Wrong("missing" if not there else "damaged", lacking)
        try:
            found = self.digest(name, at, form)
        except OSError as error:
            raise Wrong("damaged", f"it cannot be read ({error.strerror or error})") from None
        if found != digest:
            raise Wrong("damaged", "its bytes are not those that were written")
        return dict(said)
