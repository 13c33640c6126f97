"""The profiles that a panel is chosen from: a dataset, or a raw matrix of any format, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData

from dgex import io
from dgex.aliases import PathLike
from dgex.dataset.roles import check_finite, set_statistics
from dgex.dataset.scale import as_log2
from dgex.dataset.split import split_samples
from dgex.dataset.studies import split_by
from dgex.errors import DataError, GeneError, first
from dgex.genes import id_columns, texts
from dgex.prepare.collapse import Collapse, block_rows
from dgex.prepare.sources import open_sources
from dgex.prepare.together import joined_groups, near_pairs
from dgex.progress import note
from dgex.remote.places import located

__all__ = ["Data", "Profiles"]

Data: TypeAlias = PathLike | AnnData

# Distance of near-duplicates, as `dgex.prepare` has it.
NEAR = 1.0
# Values held in memory rather than read anew for every pass: 512 MiB of float32.
HELD = 1 << 27


class Profiles:
    """Profiles x genes on the log2 scale (or as a dataset holds them), each gene once.

    Parameters
    ----------
    data : path or AnnData
        A dataset made by `dgex.prepare`, or a raw matrix of whole profiles.
    stack : ExitStack
        Closes what is opened.
    scale, collapse : str
        As for `dgex.prepare`.
    **reading
        `orientation`, `format`, `layer` of `dgex.open`.

    Attributes
    ----------
    name : str
    obs, var : DataFrame
        Profiles and genes; the index of `var` holds names that occur once.
    prepared : bool
        Whether it is a dataset, which has its split and its scale.
    facts : dict of str
        What was found and done, in words.
    """

    def __init__(
        self, data: Data, stack: ExitStack, *, scale: str = "auto", collapse: str = "mean", **reading: Any
    ) -> None:
        source = open_one(data, stack, scale, reading)
        self._file, self._scale, self.prepared, self.name, self.facts = source
        self.obs = pd.DataFrame(self._file.obs)
        self.var, columns = _once(pd.DataFrame(self._file.var), self.name, collapse)
        self._collapse = Collapse.of(columns, collapse, self._file)
        self._held: np.ndarray | None = None
        self._pairs: np.ndarray | None = None
        self._check_size()
        if len(self.obs) * len(self.var) <= HELD:
            self._held = np.empty(self.shape, np.float32)
            for rows, block in self._read(np.arange(len(self.obs))):
                self._held[rows] = block

    @property
    def shape(self) -> tuple[int, int]:
        """Profiles, genes."""
        return len(self.obs), len(self.var)

    def blocks(self, rows: np.ndarray, genes: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through some profiles: their positions and values, [profiles, genes] float32, a fresh array each."""
        if self._held is None:
            for places, block in self._read(rows):
                yield places, block if genes is None else block[:, genes]
            return
        step = block_rows(self.shape[1])
        for at in range(0, len(rows), step):
            places = rows[at : at + step]
            yield places, self._held[places] if genes is None else self._held[np.ix_(places, genes)]

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """The values of some profiles in one array."""
        out = np.empty((len(rows), self.shape[1]), np.float32)
        at = 0
        for _, block in self.blocks(rows):
            out[at : at + len(block)] = block
            at += len(block)
        return out

    def measured(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """As `blocks`, in the units that genes were measured in: a standardised dataset is taken back."""
        sets = texts(self.obs["set"]).to_numpy() if "set" in self.obs else np.full(len(self.obs), "train")
        known = {name: set_statistics(self._file, str(name)) for name in np.unique(sets)} if self.prepared else {}
        for places, block in self.blocks(rows):
            for name, statistics in known.items():
                at = sets[places] == name
                if statistics is not None and at.any():
                    mean, std = (values[self._collapse.needed] for values in statistics)
                    block[at] = block[at] * std + mean
            yield places, block

    @property
    def held(self) -> bool:
        """Whether the values are in memory."""
        return self._held is not None

    def split(self, group: str | None, seed: int, fractions: tuple[float, ...]) -> np.ndarray:
        """Draw train, validation or test for every profile, as `dgex.prepare` does: near-duplicates on one side.

        Raises
        ------
        DataError
            No such column, or too few profiles or groups.
        """
        groups = None if group is None else self.groups(group)
        pairs = self._near_duplicates()
        if len(pairs):
            groups = joined_groups(len(self.obs), pairs, sum(share > 0 for share in fractions), groups, NEAR)
        return split_samples(len(self.obs), fractions, seed=seed, groups=groups)

    def _near_duplicates(self) -> np.ndarray:
        """Pairs of profiles that are copies of each other; looked for once, and where all values are in memory."""
        if self._pairs is None:
            found = None if self._held is None else near_pairs(self._held, NEAR, None)
            self._pairs = np.empty((0, 2), np.int64) if found is None else found
            if len(self._pairs):
                many = f"{len(self._pairs):,} pairs of profiles"
                note(f"{many} are closer than {NEAR:g} and stay on one side of every split")
        return self._pairs

    def own_split(self) -> tuple[np.ndarray, str | None] | None:
        """The split of a dataset and the column it was made by; None of a raw matrix."""
        if not self.prepared or "split" not in self.obs:
            return None
        return texts(self.obs["split"]).to_numpy(), split_by(self._file.uns) or None

    def groups(self, column: str) -> np.ndarray:
        """The group of every profile.

        Raises
        ------
        DataError
            No such column, or profiles without a group.
        """
        if column not in self.obs:
            raise DataError(f"no column {column!r} in obs of {self.name}; found {first(self.obs.columns) or 'none'}")
        groups = texts(self.obs[column])
        if (groups == "").any():
            raise DataError(f"{int((groups == '').sum()):,} profiles of {self.name} have no {column}")
        return groups.to_numpy(dtype=str)

    def _read(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        needed = self._collapse.needed
        for where, block in self._file.iter_blocks(block_rows(len(needed)), genes=needed, samples=rows):
            places = rows[where]
            values = self._collapse(block)
            check_finite(values, self.obs.index[places], self.var.index)
            yield places, values if self._scale is None else np.ascontiguousarray(as_log2(values, self._scale))

    def _check_size(self) -> None:
        profiles, genes = self.shape
        if profiles < 10 or genes < 3:
            raise DataError(
                f"{self.name} holds {profiles:,} profiles x {genes:,} genes: too little to choose a panel from",
                accepted="10 profiles and 3 genes or more, whole profiles of each sample",
            )


def open_one(
    data: Data, stack: ExitStack, scale: str, reading: dict[str, Any]
) -> tuple[Any, Any, bool, str, dict[str, str]]:
    """The open file, its scale where it must be logged, whether it is a dataset, its name, and what was found."""
    name = "in-memory data" if isinstance(data, AnnData) else located(data).name
    if _is_dataset(data, reading):
        layer = reading.get("layer")
        file = stack.enter_context(io.open(data) if layer is None else io.open(data, layer=layer))
        return file, None, True, name, {"Scale": "as the dataset holds it"}
    (source,) = open_sources([data], stack, scale, **reading)
    logged = source.scale.linear or source.scale.kind in ("ln", "log10")
    found = f"{source.scale} ({source.scale.why})"
    if logged:
        note(f"{name} is {found}: log2(x + 1) is taken, without a correction for sequencing depth")
    return source.data, source.scale, False, name, {"Scale": found + (", brought to log2(x + 1)" if logged else "")}


def _is_dataset(data: Data, reading: dict[str, Any]) -> bool:
    """Whether `dgex.prepare` made it."""
    if isinstance(data, AnnData):
        record = data.uns.get("dgex", {})
        return bool(record.get("kind") == "dataset" and "split" in data.obs)
    if located(data).suffix not in (".h5ad", ".zarr"):
        return False
    with io.open(data, format=reading.get("format"), allow_missing=True, allow_repeats=True) as file:
        return bool(file.uns.get("dgex", {}).get("kind") == "dataset" and "split" in file.obs)


def _once(var: pd.DataFrame, name: str, rule: str) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Genes by name, each once, and the columns that measure them; what has no name is left out."""
    ids = pd.Series(id_columns(var)["names"])
    raw = pd.Series(var.index.astype(str))
    words = raw.where(~ids.duplicated(keep=False), ids)  # Ensembl versions stay where they tell nothing apart
    words[ids == ""] = ""
    named = (words != "").to_numpy()
    if not named.any():
        raise GeneError(f"no gene of {name} has a name")
    codes, names = pd.factorize(words[named])
    places = np.flatnonzero(named)
    columns = [places[part] for part in np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])]
    repeated = sum(len(part) > 1 for part in columns)
    if repeated:
        note(f"{name}: {repeated:,} genes have several rows, of which the {rule} is taken")
    if not named.all():
        note(f"{name}: {int((~named).sum()):,} rows without a gene name, or copies on Y, are left out")
    once = var.iloc[[part[0] for part in columns]].copy()
    once.index = pd.Index(list(names))
    return once, columns
