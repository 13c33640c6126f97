"""Parts of an inference checked and joined: one manifest, after which a folder is read as one matrix."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dgex import io
from dgex.aliases import PathLike
from dgex.atomic import json_dump, put_folder
from dgex.digests import of_names
from dgex.errors import DataError, FileError, first
from dgex.inference.part_records import Home, Wrong
from dgex.inference.parts import clear_blocks
from dgex.io.parts import MANIFEST, Layout, read_manifest
from dgex.locks import alone, clear_dead
from dgex.places import check_output
from dgex.progress import bar, note, warn

__all__ = ["seal", "verify"]

THREADS = 4  # that read parts for their digests


def seal(output: PathLike, *, overwrite: bool = False) -> dict[str, Any]:
    """Check every part of an inference and join them: complete, whole, and all of one model, settings and input.

    Parameters
    ----------
    output : path
        What `dgex.infer` was told to write in parts: a folder, which gets a manifest and is then read as one matrix, or
        a `.zarr`, which gets its name now.
    overwrite : bool
        Replace a `.zarr` that exists.

    Returns
    -------
    dict
        `profiles`, `parts` (their number), `digest` (of all values in order, the same however many processes wrote them
        in parts of that size) and `files` (number).

    Raises
    ------
    FileError
        Nothing to seal, or a process is still at work.
    DataError
        Parts are missing, damaged or of something else: which profiles, why, and the command that makes them again.
    OutputExistsError
        The `.zarr` exists.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=30, seed=0)
    >>> model = dgex.train(dgex.prepare(raw.copy(), group="study", seed=0), "ridge")
    >>> panel = raw[:100, raw.var["role"] == "landmark"]
    >>> for shard in ("1/2", "2/2"):  # in two processes, or on two machines
    ...     dgex.infer(panel, model, "whole", block=16, shard=shard)
    >>> dgex.seal("whole")["parts"]
    7
    >>> dgex.read("whole").shape
    (100, 50)
    """
    home = Home(Path(output))
    home.tidy()
    if not home.work.begun:
        if home.zarr and (home.output / MANIFEST).is_file():
            raise FileError(f"{home.output} is sealed already; `dgex info {home.output} --verify` checks it")
        raise FileError(f"{home.folder} holds no parts of an inference", accepted="what dgex infer writes in parts")
    if home.zarr:
        check_output(home.output, overwrite, [home.folder])
    with alone(home.folder, "dgex seal"):
        said = home.work.read()
        layout = home.layout(said)
        form, of = str(said.get("format")), said["of"]
        found = list(_looked_at(home, layout, form, of))
        wrong = {part: error for part, error in enumerate(found) if isinstance(error, Wrong)}
        if wrong:
            raise DataError(_told(home, layout, wrong, said.get("command") or []))
        parts = [record for record in found if not isinstance(record, Wrong)]
        stray = _stray(home, layout)
        if stray:
            raise DataError(f"{home.folder} holds {first(stray, 3)}, which is no part of this inference; move it away")
        for part in range(len(layout)):
            clear_blocks(home.file(layout.name(part), form))
        clear_dead(home.folder)
        manifest = {**{key: said[key] for key in ("profiles", "size", "format", "uns", "of", "command")}}
        digest = of_names(record["values"] for record in parts)
        told = [{key: value for key, value in record.items() if key != "of"} for record in parts]
        place = home.store if home.zarr else home.folder
        json_dump({**manifest, "values": digest, "parts": told}, place / MANIFEST)
        if home.zarr:
            _join(home)
    home.tidy()
    _tell(home.output)
    files = sum(record["files"] for record in parts)
    return {"profiles": layout.profiles, "parts": len(layout), "files": files, "digest": digest}


def verify(path: PathLike) -> dict[str, Any]:
    """Check every byte of a sealed folder or store against its manifest.

    Returns
    -------
    dict
        `profiles`, `parts`, `files`: their numbers, all whole.

    Raises
    ------
    FileError
        It is not sealed.
    DataError
        Parts are missing or damaged: which profiles, and the command that makes them again.
    """
    output = Path(path)
    layout, said = read_manifest(output)
    home = Home(output, output)
    home.store = output
    wrong: dict[int, Wrong] = {}
    records = said["parts"]
    with bar(len(layout), "verifying") as progress, ThreadPoolExecutor(THREADS) as pool:

        def look(part: int) -> str:
            return home.digest(layout.name(part), layout.at(part), said["format"])

        for part, digest in enumerate(pool.map(look, range(len(layout)))):
            if not isinstance(records[part], dict) or digest != records[part].get("digest"):
                there = home.files(layout.name(part), layout.at(part), said["format"])
                kind = "damaged" if there else "missing"
                wrong[part] = Wrong(kind, "its bytes are not those that were sealed" if there else "nothing is there")
            progress.advance(1)
    if wrong:
        raise DataError(_told(home, layout, wrong, said.get("command") or [], "is not whole"))
    return {"profiles": layout.profiles, "parts": len(layout), "files": sum(record["files"] for record in records)}


def _looked_at(home: Home, layout: Layout, form: str, of: dict[str, Any]) -> Iterator[dict[str, Any] | Wrong]:
    """The record of every part, or why it does not count."""

    def look(part: int) -> dict[str, Any] | Wrong:
        try:
            return home.checked(layout, part, form, of)
        except Wrong as error:
            return error

    with bar(len(layout), "checking parts") as progress, ThreadPoolExecutor(THREADS) as pool:
        for one in pool.map(look, range(len(layout))):
            progress.advance(1)
            yield one


def _told(home: Home, layout: Layout, wrong: dict[int, Wrong], words: list[str], what: str = "cannot be sealed") -> str:
    """Which profiles are wrong and how, and how to make just these again."""
    kinds = []
    for kind in ("missing", "damaged", "foreign"):
        of_kind = [part for part, error in wrong.items() if error.kind == kind]
        if of_kind:
            why = "" if kind == "missing" else f" ({wrong[of_kind[0]]})"
            where = first(_runs(layout, of_kind), 10)
            kinds.append(f"{len(of_kind):,} of {len(layout):,} parts {kind}{why}: profiles {where}")
    again = [part + 1 for part in wrong]
    others = f", then with {first((f'{part}/{len(layout)}' for part in again[1:]), 10)}" if len(again) > 1 else ""
    foreign = any(error.kind == "foreign" for error in wrong.values())
    command = " ".join(
        [*map(str, words), "--shard", f"{again[0]}/{len(layout)}", *(["--overwrite"] if foreign else [])]
    )
    return f"{home.output} {what}: {'; '.join(kinds)}; `{command}` makes {'them' if others else 'it'} again{others}"


def _runs(layout: Layout, parts: list[int]) -> Iterator[str]:
    """Profiles of parts in words, those of neighbours together."""
    breaks = np.flatnonzero(np.diff(parts) > 1) + 1
    for run in np.split(np.asarray(parts), breaks):
        yield f"{layout.at(int(run[0])).start + 1:,} to {layout.at(int(run[-1])).stop:,}"


def _stray(home: Home, layout: Layout) -> list[str]:
    """Parts of other ranges."""
    names = {layout.name(part) for part in range(len(layout))}
    there = {path.name.partition(".")[0] for path in home.folder.glob("profiles-*")}
    return sorted(there - names)


def _join(home: Home) -> None:
    """Give a store its name."""
    from dgex.io.zarr_ranges import consolidate

    consolidate(home.store)
    with alone(home.output, "dgex seal"):
        put_folder(home.store, home.output)


def _tell(output: Path) -> None:
    """Say how like the training profiles all profiles are."""
    with io.open(output, allow_missing=True) as file:
        note(f"{file.shape[0]:,} profiles x {file.shape[1]:,} genes -> {output}")
        unlike = file.obs["unlike"].astype(str).eq("True").sum() if "unlike" in file.obs else 0
        if unlike:
            warn(
                f"{unlike:,} of {len(file.obs):,} profiles are unlike the training profiles (farther than 99 % of "
                "those held out), and expected accuracy does not hold for them: their column 'unlike' marks them"
            )
