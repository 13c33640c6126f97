"""Several inputs -> one matrix of the genes they share, read block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dgex.arrays.passes import default_threads, in_order
from dgex.arrays.rowfile import RowFile, Rows
from dgex.dataset.depth import per_million
from dgex.dataset.roles import check_finite
from dgex.dataset.scale import as_log2, to_log2
from dgex.dataset.split import SPLITS
from dgex.errors import DataError, GeneError, first
from dgex.genes import texts
from dgex.prepare.collapse import Collapse, block_rows
from dgex.prepare.duplicates import Duplicates, near_duplicates
from dgex.prepare.gene_plan import GenePlan
from dgex.prepare.room import Room
from dgex.prepare.sources import Source
from dgex.progress import bar, note, warn

__all__ = ["assign_sets", "compendium_duplicates", "read_matrix", "sample_table"]

_READERS = 4  # blocks that are worked on at a time: each takes up to 130 MB


def read_matrix(
    sources: list[Source], plan: GenePlan, rule: str, log2: str, normalize: str, room: Room
) -> tuple[Rows, np.ndarray]:
    """Read all inputs into one float32 matrix; rows are collapsed and linear values logged block by block.

    With `normalize="cpm"` linear profiles are brought to a million first, by all genes of their file; with
    `"size-factors"` they stay linear: the factors are those of training profiles, which are not drawn yet.

    Returns
    -------
    X : ndarray of float32, C-contiguous, or RowFile; shape (all samples, genes)
    linear : ndarray of bool, shape (all samples,)
        Samples whose values are on the linear scale now.
    """
    total = sum(source.shape[0] for source in sources)
    X = room.matrix(total, len(plan.var))
    linear = np.zeros(total, dtype=bool)
    shares: list[np.ndarray] = []
    at = 0
    with bar(total, "reading") as progress:
        for source, columns in zip(sources, plan.columns):
            scale = source.scale
            log = log2 == "always" or (log2 == "auto" and scale.linear)
            if log and not scale.linear:
                warn(f"{source.label} looks like {scale}, and is logged as asked for")
            later = normalize == "size-factors" and scale.linear
            collapse = Collapse.of(columns, rule, source.data)
            reader = _Reader(source, plan.var, collapse, normalize == "cpm" and scale.linear, log, later)
            for count, share in reader.into(X, at):
                progress.advance(count)
                if share is not None:
                    shares.append(share)
            linear[at : at + source.shape[0]] = scale.linear and (later or not log)
            source.facts["logged"] = bool(log)
            at += source.shape[0]
    if shares:
        plan.facts["landmark_share"] = float(np.median(np.concatenate(shares)))
    return X, linear


@dataclass(frozen=True)
class _Reader:
    """One input on its way into the matrix."""

    source: Source
    var: pd.DataFrame  # genes of the matrix
    collapse: Collapse
    depth: bool  # brought to a million
    log: bool
    later: bool  # depth is taken out once samples are split, and the logarithm then

    def into(self, X: Rows, at: int) -> Iterator[tuple[int, np.ndarray | None]]:
        """Put the values in from row `at` on; gives the profiles and the landmark shares of every block."""
        source, wanted = self.source, None if self.depth else self.collapse.needed
        size = block_rows(source.shape[1] if self.depth else len(self.collapse.needed))

        def work(read: tuple[slice, np.ndarray]) -> tuple[int, np.ndarray | None]:
            where, block = read
            rows = slice(at + where.start, at + where.stop)
            part = None if isinstance(X, RowFile) else X[rows]
            try:
                part, share = self._treated(where, block, part)
            except DataError as error:
                raise DataError(f"{source.label}: {error}") from None
            if isinstance(X, RowFile):  # else it is in its place
                X[rows] = part
            return len(part), share

        yield from in_order(work, source.blocks(size, wanted), min(_READERS, default_threads()), ahead=1)

    def _treated(self, where: slice, block: np.ndarray, out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        names = self.source.obs.index[where]
        totals = block.sum(axis=1, dtype=np.float64) if self.depth else None
        part = self.collapse(block[:, self.collapse.needed] if self.depth else block, out)
        check_finite(part, names, self.var.index)
        share = None
        if totals is not None:
            factors = per_million(totals, names.tolist())
            landmarks = (self.var["role"] == "landmark").to_numpy()
            share = part[:, landmarks].sum(axis=1, dtype=np.float64) / totals
            part *= factors[:, None].astype(np.float32)
        if self.log and not self.later:
            to_log2(part, out=part)
        elif not self.source.scale.linear:
            scaled = as_log2(part, self.source.scale)
            if scaled is not part:
                part[:] = scaled
        return part, share


def compendium_duplicates(sources: list[Source], distance: float, method: str, seed: int, room: Room) -> Duplicates:
    """Find near-duplicates of the compendium over all columns that its inputs share, on the log2 scale.

    Returns
    -------
    Duplicates
        With positions among the samples of all inputs; those of named sets are all kept.
    """
    own = [source for source in sources if source.set_name is None or source.set_name in SPLITS]
    indexes = [pd.Index(source.var.index) for source in own]
    once = [index[~index.duplicated(keep=False) & (index != "")] for index in indexes]
    shared = [name for name in once[0] if all(name in index for index in once[1:])] if own else []
    if not shared:
        raise GeneError(f"the {len(own)} inputs of the compendium share no column to find duplicates by")
    total = sum(source.shape[0] for source in own)
    X = room.matrix(total, len(shared), written=False)
    places = []  # of the samples of X among those of all inputs
    at = before = 0
    with bar(total, "reading for duplicates") as progress:
        for source in sources:
            if any(source is other for other in own):
                once_there = pd.Series(np.arange(len(source.var)), index=source.var.index)
                columns = once_there[once_there.index.isin(shared)][shared].to_numpy()
                for where, block in source.blocks(block_rows(len(columns)), columns):
                    logged = to_log2(np.maximum(block, 0)) if source.scale.linear else block
                    X[at + where.start : at + where.stop] = logged
                    progress.advance(len(block))
                places.append(np.arange(before, before + source.shape[0]))
                at += source.shape[0]
            before += source.shape[0]
    duplicates = near_duplicates(X, distance, method=method, seed=seed)
    room.give_back(X)
    all_places = np.concatenate(places)
    keep = np.ones(before, dtype=bool)
    keep[all_places] = duplicates.keep
    return Duplicates(keep, all_places[duplicates.pairs])


def assign_sets(sources: list[Source]) -> tuple[np.ndarray, np.ndarray]:
    """Set of every sample, and its split where that is given by name (empty where it is to be drawn).

    Unnamed inputs are the set `compendium` when all their samples are of one platform, else one set a platform.
    """
    open_platforms = {
        str(name)
        for source in sources
        if source.set_name is None or source.set_name in SPLITS
        for name in source.platform
    }
    sets, splits = [], []
    for source in sources:
        named = source.set_name is not None and source.set_name not in SPLITS
        if named:
            names = np.full(source.shape[0], source.set_name, dtype=object)
        elif len(open_platforms) > 1:
            names = source.platform.astype(object)
        else:
            names = np.full(source.shape[0], "compendium", dtype=object)
        sets.append(names)
        splits.append(np.full(source.shape[0], source.set_name or "", dtype=object))
    return np.concatenate(sets), np.concatenate(splits)


def sample_table(sources: list[Source]) -> pd.DataFrame:
    """Join the metadata of all samples; ids that clash get the input's name in front."""
    frames = [source.obs.copy() for source in sources]
    names = pd.Index(np.concatenate([frame.index.astype(str).to_numpy(dtype=object) for frame in frames]))
    clash = set(names[names.duplicated()])
    if clash:
        note(
            f"{len(clash):,} sample ids are in several inputs and get the input's name in front: "
            f"{first(sorted(clash), 3)}"
        )
    for source, frame in zip(sources, frames):
        frame.index = pd.Index([f"{source.label}:{name}" if name in clash else str(name) for name in frame.index])
        for column in frame.columns:  # categories of different inputs would not join
            if isinstance(frame[column].dtype, pd.CategoricalDtype):
                frame[column] = frame[column].astype(object)
        if len(sources) > 1:
            frame["input"] = source.label
        frame["platform"] = source.platform
    obs = pd.concat(frames, join="outer", sort=False)
    obs.index.name = None
    for column in obs.columns:
        if obs[column].dtype.kind == "O":  # text, or a mixture that no format could write
            obs[column] = texts(obs[column])
    if not obs.index.is_unique:
        raise DataError(f"sample ids clash between inputs: {first(obs.index[obs.index.duplicated()].unique())}")
    return obs
