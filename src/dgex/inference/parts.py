"""Blocks from reading to the result; where work is to be gone on with, finished ones are files of their own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dgex.aliases import PathLike
from dgex.atomic import atomic_file
from dgex.digests import of_matrices, of_names
from dgex.errors import ModelError
from dgex.inference.blocks import Inferred, Predicted, Ready, finished, predicted, raw_blocks, ready
from dgex.inference.plan import Plan
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator
from dgex.progress import note
from dgex.work import Work

__all__ = ["Block", "Blocks", "Parts", "clear_blocks", "identity", "input_digest", "model_digest", "parts_folder"]

MARKER = "parts.json"


def model_digest(model: Estimator) -> str:
    """Digest of everything that a model predicts with: its method, settings, genes, arrays and normalisation."""
    arrays = dict(model._arrays())
    normalization = model.normalization_
    if normalization is not None:
        arrays |= normalization.arrays()
    settings = {name: value for name, value in model.get_params().items() if name not in model.elsewhere}
    state = [] if normalization is None else sorted(normalization.state().items())
    described = [model.kind, sorted(settings.items()), state, getattr(model, "best_", None)]
    return of_names([repr(described)], model.genes_.index, model.genes_["role"], [of_matrices(arrays)])


def identity(plan: Plan, data: ExpressionFile, block: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """All that shapes a result, but the values of the input: what may be gone on with says the same."""
    said = {
        "model": model_digest(plan.model),
        **settings,
        "block": block,
        "profiles": of_names(data.obs.index),
        "genes": of_names(plan.var.index, plan.var["origin"]),
    }
    if plan.shift is not None:
        said["own statistics"] = of_matrices(dict(zip(("mean", "divisor"), plan.shift)))
    return said


class Block(NamedTuple):
    """A block that was read.

    Attributes
    ----------
    at : slice
        Which profiles.
    ready : Ready or None
        As the model takes it; None where its result is there.
    digest : bytes
        Of what was read, where it is to be gone on with.
    stored : Inferred or None
        Its result, where an earlier run left it.
    """

    at: slice
    ready: Ready | None
    digest: bytes = b""
    stored: Inferred | None = None


class Blocks:
    """The three stages of every block; each is called by one thread, in the order of the blocks.

    Parameters
    ----------
    plan : Plan
    data : ExpressionFile
    block : int
        Profiles in a block.
    """

    def __init__(self, plan: Plan, data: ExpressionFile, block: int) -> None:
        self._plan, self._data, self._block = plan, data, block

    def read(self) -> Iterator[Block]:
        """Blocks as the model takes them."""
        for at, raw, further in raw_blocks(self._plan, self._data, self._block):
            yield Block(at, ready(self._plan, at, raw, further))

    def predicted(self, block: Block) -> Predicted | None:
        """What the model says of a block; None where its result is there already."""
        return None if block.ready is None else predicted(self._plan, block.ready)

    def finished(self, block: Block, found: Predicted | None, room: np.ndarray) -> Inferred:
        """The result of a block; its values may lie in `room`."""
        assert block.ready is not None
        assert found is not None
        return finished(self._plan, block.ready, found, room)

    def clear(self) -> None:
        """Remove what was kept to go on with."""


class Parts(Blocks):
    """Blocks that are kept in the folder `OUTPUT.parts`, and compared with their input before they are used again.

    Parameters
    ----------
    output : Path
        The file that is to be written.
    plan : Plan
    data : ExpressionFile
    block : int
        Profiles in a block.
    settings : mapping
        The arguments that shape the result.
    """

    def __init__(self, output: Path, plan: Plan, data: ExpressionFile, block: int, settings: Mapping[str, Any]) -> None:
        super().__init__(plan, data, block)
        names = [f"{start}.npz" for start in range(0, len(data.obs), block)]
        self._work = Work(parts_folder(output), MARKER, "finished blocks of an inference", names)
        self._identity = identity(plan, data, block, settings)

    def read(self) -> Iterator[Block]:
        """Blocks as the model takes them, with the result of those that an earlier run finished.

        Raises
        ------
        OutputExistsError, ModelError
            The folder holds something else, or blocks of another model, settings or input.
        """
        work, going_on = self._work, self._work.begun
        if going_on:
            work.compare(work.read(), self._identity, f"remove {work.folder} to begin anew")
        else:
            work.refuse_other()
            work.begin(self._identity)
        noted = False
        for at, raw, further in raw_blocks(self._plan, self._data, self._block):
            digest = _digest(raw, further)
            part = self._stored(self._path(at), digest, at) if going_on else None
            if part is not None:
                self._plan.check.missing += int(np.isnan(raw[:, self._plan.present]).sum())
                yield Block(at, None, digest, part)
                continue
            if at.start and going_on and not noted:
                note(f"resumed after {at.start:,} of {len(self._data.obs):,} profiles")
            noted = True
            yield Block(at, ready(self._plan, at, raw, further), digest)

    def finished(self, block: Block, found: Predicted | None, room: np.ndarray) -> Inferred:
        """The result of a block, which is stored before it is passed on."""
        if block.stored is not None:
            self._plan.likeness.known(block.stored.farther)
            return block.stored
        part = super().finished(block, found, room)
        with atomic_file(self._path(block.at), overwrite=True) as temporary:
            digest = np.frombuffer(block.digest, np.uint8)
            np.savez(temporary.with_suffix(".npz"), input=digest, **_arrays(part))
        return part

    def _path(self, at: slice) -> Path:
        return self._work.folder / f"{at.start}.npz"

    def _stored(self, path: Path, digest: bytes, at: slice) -> Inferred | None:
        """A finished block, where there is one, of just this input."""
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                part = Inferred(stored["values"], stored["farther"], stored["half"] if "half" in stored.files else None)
                before = stored["input"].tobytes()
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path} is damaged ({error}); remove {path.parent} to begin anew") from None
        if before != digest or part.values.shape != (at.stop - at.start, len(self._plan.var)):
            raise ModelError(
                f"{path.parent} holds finished blocks of another input: profiles {at.start + 1:,} to {at.stop:,} have "
                f"other values now; remove {path.parent} to begin anew"
            )
        return part

    def clear(self) -> None:
        """Remove the finished blocks, and nothing else in the folder."""
        self._work.clear(among_others=True)


def _arrays(part: Inferred) -> dict[str, Any]:
    half = {} if part.half is None else {"half": part.half}
    return {"values": part.values, "farther": part.farther, **half}


def parts_folder(output: PathLike) -> Path:
    """Where finished blocks of an inference into `output` lie."""
    return Path(f"{os.fspath(output).rstrip('/')}.parts")


def clear_blocks(output: PathLike) -> None:
    """Remove finished blocks of an inference into `output`, where an earlier run left some."""
    work = Work(parts_folder(output), MARKER, "finished blocks of an inference")
    if work.begun:
        work.clear(among_others=True)


def input_digest(plan: Plan, data: ExpressionFile, block: int, samples: np.ndarray | None = None) -> str:
    """Digest of every value that a result is made of."""
    return of_names(_digest(raw, further).hex() for _, raw, further in raw_blocks(plan, data, block, samples))


def _digest(raw: np.ndarray, carried: np.ndarray) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(raw).data)
    digest.update(np.ascontiguousarray(carried).data)
    return digest.digest()
