"""An inference in parts: each process writes ranges of profiles of its own, and only what is not there yet.

All that is decided over a whole input (genes, scale, depth, its own statistics) is decided over the whole by every
process, and ranges begin where blocks begin: however many processes there are, each block is the same arithmetic.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dgex import io
from dgex.aliases import PathLike
from dgex.digests import spread
from dgex.errors import ModelError, SettingsError
from dgex.inference.check import Check
from dgex.inference.likeness import Likeness
from dgex.inference.part_records import Home, Wrong
from dgex.inference.parts import Blocks, clear_blocks, identity, input_digest
from dgex.inference.plan import Plan, record
from dgex.io.base import ExpressionFile, Rows
from dgex.io.parts import MANIFEST, PART_FORMATS, Layout
from dgex.io.registry import formats
from dgex.locks import alone
from dgex.ownership import refuse_others
from dgex.places import check_inputs, check_output
from dgex.progress import note
from dgex.work import as_json

__all__ = ["Spread", "check_stored", "command", "infer_parts", "own_device", "spread_of"]

LARGEST = 32  # blocks in a part
EACH = 4  # parts for each process, where there are blocks enough: so much less is lost with one
PATIENCE = 300.0  # seconds to wait for another process that begins the work


@dataclass(frozen=True)
class Spread:
    """Where parts go, and which of them are this process's.

    Attributes
    ----------
    home : Home
    form : str
        Format of the parts: "h5ad", "gctx", or "zarr", where they are chunks of one store.
    number, of : int
        This process, counted from 1, and how many there are.
    """

    home: Home
    form: str
    number: int
    of: int

    @property
    def part(self) -> Path:
        """A file of the format of the parts."""
        return self.home.output if self.form == "zarr" else Path(f"part.{self.form}")


class Filing(Protocol):
    """Infers the profiles of a file into a file; gives what is to be cleared when all is done."""

    def __call__(
        self, work: Plan, data: ExpressionFile, target: Path, kept: Path, overwrite: bool, create: Callable[..., Any]
    ) -> Blocks: ...


def spread_of(output: PathLike | None, shard: str | None, form: str) -> Spread | None:
    """How an output is divided; None where it is one file that one process writes.

    Raises
    ------
    SettingsError
        `shard` is no `k/N`, or the output cannot be written in parts.
    """
    number, of = _shard(shard)
    if form not in PART_FORMATS:
        raise SettingsError("parts", found=form, accepted=PART_FORMATS)
    if output is None:
        if shard is not None:
            raise SettingsError("shard needs an output", accepted="a folder (out/) or a .zarr")
        return None
    path = Path(output)
    if path.suffix == ".zarr":
        return Spread(Home(path), "zarr", number, of) if of > 1 else None
    known = path.name.lower().endswith(tuple(s for suffixes in formats().values() for s in suffixes))
    if not known and (path.is_dir() or os.fspath(output).endswith("/") or not path.suffix):
        return Spread(Home(path), form, number, of)
    if of > 1:
        raise SettingsError(
            f"{path} is one file, which {of:,} processes cannot write together", accepted="a folder (out/) or a .zarr"
        )
    return None


def check_stored(to: Spread, options: Mapping[str, Any]) -> None:
    """Refuse what chunks cannot be that several processes write into one store."""
    if to.form == "zarr" and options:
        told = ", ".join(f"{name}={value}" for name, value in options.items())
        raise SettingsError(
            f"{to.home.output}, one store of several processes, holds float32 packed by zstd: found {told}",
            accepted="a folder of parts (out/)",
        )


def _shard(shard: str | None) -> tuple[int, int]:
    """This process and how many there are: those of `shard`, of torchrun, or of both, one within the other."""
    number, of = 1, 1
    if shard is not None:
        said = re.fullmatch(r"([1-9]\d{0,6})/([1-9]\d{0,6})", str(shard).strip())
        number, of = (int(said[1]), int(said[2])) if said else (1, 0)
        if number > of:
            raise SettingsError("shard", found=shard, accepted="k/N with k from 1 to N, such as 3/64")
    rank, size = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    if rank.isdigit() and size.isdigit() and int(rank) < int(size):
        return (number - 1) * int(size) + int(rank) + 1, of * int(size)
    return number, of


def own_device(device: str | None) -> None:
    """Let each of the processes that torchrun started on a host use a GPU of its own."""
    local = os.environ.get("LOCAL_RANK", "")
    if not local.isdigit() or device not in (None, "auto", "cuda"):
        return
    try:
        import torch
    except ImportError:
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(local) % torch.cuda.device_count())


def command(function: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """The command line that does what a call of `infer` does, but for its shard; what is in memory is `…`."""

    def word(value: Any) -> str:
        return os.fspath(value) if isinstance(value, str | os.PathLike) else "…"

    source = given["source"]
    words = ["dgex", "infer", *map(word, source if isinstance(source, list | tuple) else [source])]
    words += [word(given["model"]), word(given["output"])]
    for name, parameter in signature(function).parameters.items():
        value, usual = given.get(name), parameter.default
        if parameter.kind is not Parameter.KEYWORD_ONLY or name in ("shard", "overwrite") or value == usual:
            continue
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag)
        elif isinstance(value, str | os.PathLike | int | float):
            words += [flag, str(value)]
        else:
            words += [flag, ",".join(map(str, value)) if isinstance(value, list | tuple) else "…"]
    return [word if word == "…" else shlex.quote(word) for word in words]


class _Unjudged(Likeness):
    """Distances of a part, of which nothing is said: the whole is judged when it is sealed."""

    def told(self, names: list[str], own: bool = False) -> str | None:
        return None


def infer_parts(
    to: Spread,
    work: Plan,
    data: ExpressionFile,
    block: int,
    settings: Mapping[str, Any],
    file: Filing,
    words: list[str],
    inputs: Iterable[Any],
    overwrite: bool,
) -> None:
    """Write the parts of this process that are not there yet.

    Parameters
    ----------
    settings : mapping
        All arguments that shape the result.
    file : Filing
        Infers one part.
    words : list of str
        The command, for those who read of a part that is missing.
    inputs : iterable
        What is read.

    Raises
    ------
    ModelError
        The folder, or a part in it, is of another model, other settings or another input.
    OutputExistsError, FileError
        The folder holds something else, or another process is at work on the same shard.
    """
    home = to.home
    check_inputs(home.folder, inputs)
    home.work.refuse_other()
    shared = identity(work, data, block, {**settings, "parts": to.form})
    shared["input"] = input_digest(work, data, 64, spread(len(data.obs)))
    of = as_json(shared)
    home.tidy()
    if home.reopen(of, lambda layout: layout.dealt(to.number, to.of)) and not home.work.begun:
        note(f"{home.output} is sealed and of just this; nothing is to be done")
        return
    if home.zarr:
        check_output(home.output, overwrite)
    with ExitStack() as stack:
        if to.of == 1:  # the whole output is its own
            stack.enter_context(alone(home.folder, "dgex infer"))
            layout = _begin(to, work, data, block, of, words, overwrite)
        else:
            stack.enter_context(alone(home.folder / f"shard-{to.number}-of-{to.of}", "dgex infer"))
            with alone(home.folder, "dgex infer", PATIENCE):
                layout = _begin(to, work, data, block, of, words, overwrite)
        mine, done = layout.dealt(to.number, to.of), 0
        for part in mine:
            done += _infer_part(to, work, Rows(data, layout.at(part)), layout, part, block, of, file, overwrite)
    whole = f", {len(mine) - done:,} were there" if done < len(mine) else ""
    which = "" if to.of == 1 else f" (shard {to.number:,} of {to.of:,})"
    note(f"{done:,} of {len(mine):,} parts written{whole}{which} -> {home.folder}; then `dgex seal {home.output}`")


def _begin(
    to: Spread, work: Plan, data: ExpressionFile, block: int, of: dict[str, Any], words: list[str], overwrite: bool
) -> Layout:
    """Say what the parts are of, or find it said; the first process decides which profiles lie in which part."""
    home, marker = to.home, to.home.work
    marker.folder.mkdir(parents=True, exist_ok=True)
    if overwrite and marker.begun and marker.read().get("of") != of:
        refuse_others(marker.folder)
        marker.clear()
    elif overwrite:
        refuse_others(marker.folder)
    if not marker.begun:
        blocks = -(-len(data.obs) // block)
        size = max(1, min(LARGEST, blocks // (EACH * to.of))) * block
        about = {"profiles": len(data.obs), "size": size, "format": to.form, "command": words}
        marker.begin({**about, "uns": record(work, data.name), "of": of})
    said = marker.read()
    marker.compare(said.get("of") or {}, of, "give another name, or overwrite=True to begin anew")
    layout = home.layout(said)
    if home.zarr and not home.store.exists():
        _make_store(home, work, data, block, layout, said["uns"])
    return layout


def _make_store(home: Home, work: Plan, data: ExpressionFile, block: int, layout: Layout, uns: dict[str, Any]) -> None:
    from dgex.io.zarr_ranges import COLUMNS, chunk_rows, make_store

    small = np.float16 if work.unit in ("log2 expression", "standardized") else np.float32
    layers = {"halfwidth": small} if work.interval is not None else {}
    layers |= {"measured": np.float32} if work.changes else {}
    known = work.model.confidence_ is not None
    make_store(
        home.store,
        home.output,
        data.obs,
        work.var,
        uns,
        rows=chunk_rows(block),
        size=layout.size,
        layers=layers,
        columns=dict(zip(COLUMNS, (np.float32, np.bool_))) if known else {},
    )


def _infer_part(
    to: Spread,
    work: Plan,
    data: Rows,
    layout: Layout,
    part: int,
    block: int,
    of: dict[str, Any],
    file: Filing,
    overwrite: bool,
) -> bool:
    """Write a part and what is told of it, unless it is there and whole."""
    home, name, at = to.home, layout.name(part), layout.at(part)
    work = replace(work, check=Check(), likeness=_Unjudged(None, None), said=[])
    target = home.file(name, to.form)
    with alone(target, "dgex infer"):
        source = input_digest(work, data, block)
        try:
            before = home.checked(layout, part, to.form, of)
            if before["input"] == source:
                return False
            wrong = Wrong("foreign", "their values in the input are others now")
        except Wrong as error:
            wrong = error
        if wrong.kind == "foreign" and not overwrite:
            raise ModelError(
                f"{home.folder} holds profiles {layout.said(part)} of something else ({wrong}); give another name, or "
                f"overwrite=True to replace them"
            )
        if str(wrong) != "nothing is there":
            note(f"profiles {layout.said(part)} are done again: {wrong}")
        ((home.store if home.zarr else home.folder) / MANIFEST).unlink(missing_ok=True)
        (home.folder / f"{name}.json").unlink(missing_ok=True)
        blocks = file(work, data, home.output if home.zarr else target, target, True, _creator(to, work, at, block))
        home.record(layout, part, to.form, of, source)
        blocks.clear()
        clear_blocks(target)
    return True


def _creator(to: Spread, work: Plan, at: slice, block: int) -> Callable[..., Any]:
    """What makes the file, or the range of the store, that a part is written to."""
    if not to.home.zarr:
        return io.create
    from dgex.io.zarr_ranges import COLUMNS, RangeWriter, chunk_rows, clear_range

    clear_range(to.home.store, at)
    columns = COLUMNS if work.model.confidence_ is not None else ()
    return partial(RangeWriter, store=to.home.store, first=at.start, rows=chunk_rows(block), columns=columns)
