"""Inference that can be gone on with: finished blocks as files of their own, compared with their input before use."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dgex.aliases import PathLike
from dgex.atomic import atomic_file
from dgex.digests import of_matrices, of_names
from dgex.errors import ModelError
from dgex.inference.blocks import Inferred, inferred, raw_blocks
from dgex.inference.plan import Plan
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator
from dgex.progress import note
from dgex.work import Work

__all__ = ["Parts", "model_digest", "parts_folder"]

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


class Parts:
    """The folder `OUTPUT.parts`.

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
        self._plan, self._data, self._block = plan, data, block
        names = [f"{start}.npz" for start in range(0, len(data.obs), block)]
        self._work = Work(parts_folder(output), MARKER, "finished blocks of an inference", names)
        self._identity = {
            "model": model_digest(plan.model),
            **settings,
            "block": block,
            "profiles": of_names(data.obs.index),
            "genes": of_names(plan.var.index, plan.var["origin"]),
        }
        if plan.shift is not None:
            self._identity["own statistics"] = of_matrices(dict(zip(("mean", "divisor"), plan.shift)))

    def blocks(self) -> Iterator[tuple[slice, Inferred]]:
        """The result block by block; each is stored before it is passed on, and what is stored is not inferred again.

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
        for at, raw, carried in raw_blocks(self._plan, self._data, self._block):
            digest = _digest(raw, carried)
            path = work.folder / f"{at.start}.npz"
            part = self._stored(path, digest, at) if going_on else None
            if part is None:
                if at.start and going_on and not noted:
                    note(f"resumed after {at.start:,} of {len(self._data.obs):,} profiles")
                noted = True
                part = inferred(self._plan, at, raw, carried)
                with atomic_file(path, overwrite=True) as temporary:
                    np.savez(temporary.with_suffix(".npz"), input=np.frombuffer(digest, np.uint8), **_arrays(part))
            else:
                self._plan.likeness.known(part.farther)
            yield at, part

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


def _digest(raw: np.ndarray, carried: np.ndarray) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(raw).data)
    digest.update(np.ascontiguousarray(carried).data)
    return digest.digest()
