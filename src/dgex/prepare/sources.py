"""The inputs of a preparation: opened, named, and recognised by platform and scale."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from dgex import io
from dgex.aliases import PathLike
from dgex.dataset.platforms import measured_by
from dgex.dataset.scale import UNKNOWN_LINEAR, Scale, decide_scale, settled
from dgex.dataset.split import SPLITS
from dgex.errors import SettingsError
from dgex.genes import id_type
from dgex.io.registry import ready
from dgex.places import split_name
from dgex.progress import warn
from dgex.remote.places import is_url, located

__all__ = ["Source", "open_sources"]


@dataclass
class Source:
    """One input.

    Attributes
    ----------
    label : str
        Its name in notes and in the record; unique.
    set_name : str or None
        Name of the set of its own that was asked for (`NAME=path`).
    data : ExpressionFile
    asked : str
        On which scale its values are, as the user says.
    scale : Scale
    platform : ndarray of str, shape (samples,)
    facts : dict
        What the record says of it, filled on the way.
    """

    label: str
    set_name: str | None
    data: io.ExpressionFile
    path: str
    asked: str = "auto"
    scale: Scale = field(init=False)
    platform: np.ndarray = field(init=False)
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        record = self.data.uns.get("dgex", {})
        if record.get("kind") == "dataset" and record.get("standardize", "none") != "none":
            warn(f"{self.label} is a dataset already, and standardised: prepare takes values as they are measured")
        self.scale = settled(decide_scale(self.data, self.asked), self.label)
        self.platform = self._platforms()
        if self.scale.unit == UNKNOWN_LINEAR:
            unit = "FPKM" if (self.platform == "rnaseq").all() else "intensity"
            self.scale = replace(self.scale, unit=unit)
        self.facts = {
            "file": located(self.path).name,
            "profiles": self.shape[0],
            "genes": self.shape[1],
            "ids": id_type(self.var.index),
            "platform": ", ".join(sorted(set(self.platform.tolist()))),
            "scale": f"{self.scale} ({self.scale.why})",
            "fingerprint": self.fingerprint(),
        }

    @property
    def obs(self) -> pd.DataFrame:
        """Metadata of the profiles."""
        return pd.DataFrame(self.data.obs)

    @property
    def var(self) -> pd.DataFrame:
        """Metadata of the genes."""
        return pd.DataFrame(self.data.var)

    @property
    def shape(self) -> tuple[int, int]:
        """Profiles, genes."""
        return len(self.data.obs), len(self.data.var)

    def blocks(
        self, size: int, columns: np.ndarray | None = None, limit: int | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of profiles, float32; `limit` takes the first profiles only."""
        count = self.shape[0] if limit is None else min(limit, self.shape[0])
        yield from self.data.iter_blocks(size, genes=columns, samples=slice(0, count))

    def fingerprint(self) -> str:
        """SHA-256 of the shape and of the ids of genes and profiles: tells whether two runs saw the same input."""
        digest = hashlib.sha256(repr(self.shape).encode())
        for names in (self.var.index, self.obs.index):
            digest.update("\n".join(map(str, names)).encode() + b"\0")
        return digest.hexdigest()

    def _platforms(self) -> np.ndarray:
        return measured_by(self.obs, self.var, self.scale, str(self.data.notes.get("kind", "")))


def open_sources(
    inputs: PathLike | AnnData | Sequence[PathLike | AnnData], stack: ExitStack, scale: str = "auto", **reading: Any
) -> list[Source]:
    """Open all inputs; `stack` closes them.

    Parameters
    ----------
    inputs : path, AnnData, or sequence of these
        `NAME=path` makes a set of its own. Files of one sample each, as quantifiers write them, become one input.
    scale : str
        On which scale their values are, see `dgex.dataset.scale`.
    **reading
        How files are read: `orientation`, `format`, `layer` and `genes` of `dgex.open`.

    Raises
    ------
    SettingsError
        No inputs.
    DataError, FileError
        An input that is empty, has duplicate ids, or cannot be read.
    """
    listed = [inputs] if isinstance(inputs, str | os.PathLike | AnnData) else list(inputs)
    if not listed:
        raise SettingsError("no inputs to prepare", accepted="one or more expression files or AnnData objects")
    sources: list[Source] = []
    labels: set[str] = set()
    for name, item in _joined(listed):
        if isinstance(item, AnnData):
            data = io.open(
                item, layer=reading.get("layer"), allow_missing=True, allow_repeats=True
            )  # refused below, by the names that genes have in the end
            label, path = "in-memory", ""
        else:
            data = stack.enter_context(io.open(item, **reading, allow_repeats=True))
            path = str(data.path)
            label = name if name and name not in SPLITS else _stem(path)
        label = _unique(label, labels)
        sources.append(Source(label, name, data, path, scale))
    return sources


def _joined(
    items: Sequence[PathLike | AnnData],
) -> list[tuple[str | None, AnnData | str | list[str]]]:
    """Name and input of every source: files of one sample each are one source, together with those of their name."""
    from dgex.io.joined import one_sample

    found: list[tuple[str | None, AnnData | str | list[str]]] = []
    together: dict[str | None, list[str]] = {}
    for item in items:
        if isinstance(item, AnnData):
            found.append((None, item))
            continue
        name, path = split_name(os.fspath(item))
        place = ready(located(path)) if is_url(path) else Path(path)
        if len(items) == 1 or not one_sample(place):
            found.append((name, place if is_url(path) else path))
        elif name in together:
            together[name].append(path)
        else:
            together[name] = [path]
            found.append((name, together[name]))
    return found


def _stem(path: str) -> str:
    """File name without the suffixes of formats (`a.b.txt.gz` is `a.b`)."""
    name = located(path).name
    for _ in range(2):
        stem, suffix = os.path.splitext(name)
        if not stem or not 2 <= len(suffix) <= 8 or suffix[1:].isdigit():
            break
        name = stem
        if suffix.lower() not in (".gz", ".bz2", ".xz", ".zst"):
            break
    return name


def _unique(label: str, labels: set[str]) -> str:
    candidate, number = label, 2
    while candidate in labels:
        candidate, number = f"{label}_{number}", number + 1
    labels.add(candidate)
    return candidate
