"""What training reads of a dataset: its rows and genes, apart, in memory or from disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd

from dgex import io
from dgex.aliases import PathLike
from dgex.arrays.host import HOST_SHARE, fits_host, host_memory
from dgex.arrays.maps import release
from dgex.arrays.stored import SpooledRows, identity_of
from dgex.dataset.as_panel import AsPanel
from dgex.dataset.normalization import Normalization
from dgex.dataset.roles import check_dataset, landmarks, rows, targets
from dgex.dataset.signatures import signatures
from dgex.dataset.studies import split_by, split_words
from dgex.digests import of_matrices
from dgex.errors import DataError, SettingsError, first
from dgex.fitting.streaming import FileSet
from dgex.genes import texts
from dgex.progress import bar, note, warn

__all__ = ["Splits", "read_splits"]

BLOCK = 4096
# Validation sets are held beside what a linear model needs of memory where so many times as much would fit.
EIGHTH = 8
ROLES = "landmarks", "targets"


class Splits(NamedTuple):
    """What training needs of a dataset, read once for as many models as one likes.

    Attributes
    ----------
    matrices : dict of name to (AnnData, AnnData)
        Landmark and target genes of the training profiles (`train`) and of every validation set.
    obs : DataFrame
        All profiles of the dataset.
    normalization : Normalization
        How raw profiles become what is trained on.
    name : str
        What the dataset is called.
    signatures : function of a set's name
        By which the profiles of a set are known again, see `dgex.dataset.signatures`. They are computed when first
        asked for, as long as the matrices are there: only what a model learns from is to be known again.
    groups : dict of str to ndarray
        The group of each profile of every set, where the dataset was split by group; empty where at random.
    how : str
        How the profiles were split, in words.
    streams : dict of str to FileSet
        The sets that stay in their file; of these `matrices` holds names of profiles and genes, and no values.
    panels : dict of str to function of positions and landmark values
        What `dgex.infer` makes of the landmark genes of profiles of each set, where they were ranked together with the
        target genes (see `dgex.dataset.as_panel`); else empty.
    """

    matrices: dict[str, tuple[ad.AnnData, ad.AnnData]]
    obs: pd.DataFrame
    normalization: Normalization
    name: str
    signatures: Callable[[str], dict[str, np.ndarray]]
    groups: dict[str, np.ndarray]
    how: str = ""
    streams: Mapping[str, FileSet] = MappingProxyType({})
    panels: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = MappingProxyType({})

    def values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Landmark and target values of a set; of one that stays in its file, what reads rows as they are asked for."""
        if name in self.streams:
            return self.streams[name].X, self.streams[name].Y
        x, y = self.matrices[name]
        return np.asarray(x.X), np.asarray(y.X)

    def digest(self, name: str) -> str:
        """Digest of all values of a set."""
        if name in self.streams:
            return self.streams[name].digest()
        return of_matrices(dict(zip(ROLES, self.values(name))))

    def known_again(self, *names: str) -> dict[str, np.ndarray]:
        """Signatures of the profiles of several sets together."""
        each = [self.signatures(name) for name in names]
        return {key: np.concatenate([one[key] for one in each]) for key in each[0]}


def read_splits(
    data: PathLike | ad.AnnData,
    validation: Sequence[str],
    stack: ExitStack,
    placement: str = "auto",
    spool_folder: Path | None = None,
    in_blocks: bool = False,
    held: str = "",
) -> Splits:
    """Read the training rows and the validation sets, landmark and target genes apart: one copy of each.

    What is worked on from disk (see `dgex.train`) stays there, in `spool_folder` or a temporary one, until `stack` is
    closed. Where `in_blocks` says that this is enough, training rows that memory does not hold are not copied but stay
    in the file, which is open until then, and so do validation sets that would take more than an eighth of the room.

    Raises
    ------
    SettingsError, DataError, GeneError
        As `dgex.train`; `held` names a method whose model is its training profiles, which memory does not hold.
    """
    with ExitStack() as opened:
        source = opened.enter_context(io.open(data))
        check_dataset(source)
        parts = {s: rows(source, s) for s in ("train", *_known(source.obs, validation))}
        masks = [np.flatnonzero(landmarks(source)), np.flatnonzero(targets(source))]
        size = 4 * sum(map(len, parts.values())) * sum(map(len, masks))
        if held and not fits_host(4 * len(parts["train"]) * sum(map(len, masks))):
            raise DataError(
                f"{held}: its model holds the training profiles, and whoever predicts with it holds them in memory",
                found=f"{size / 2**30:,.1f} GiB",
                accepted=f"{HOST_SHARE * host_memory() / 2**30:,.1f} GiB here; ridge, knn-ge, kernel and the networks "
                "are trained from disk",
            )
        spool, streams = None, {}
        too_large = placement == "disk" or (placement != "memory" and not fits_host(size))
        if too_large and in_blocks:
            room = fits_host(EIGHTH * 4 * sum(len(parts[s]) for s in parts if s != "train") * sum(map(len, masks)))
            staying = ["train"] if room else list(parts)
            streams = {s: FileSet(source, parts[s], masks, training=s == "train") for s in staying}
            note(f"{size / 2**30:,.1f} GiB of profiles do not fit in memory: gone through in blocks, in their file")
            stack.enter_context(opened.pop_all())
        elif too_large:
            where = source.path if not isinstance(data, ad.AnnData) else None
            identity = identity_of(where, source.obs, source.var, parts | dict(zip(ROLES, masks)))
            spool = stack.enter_context(SpooledRows(spool_folder, identity, size))
            state = "are there already" if spool.complete else "are written"
            note(f"{size / 2**30:,.1f} GiB of profiles are worked on from disk: their rows {state} in {spool.folder}")
        splits = {
            s: streams[s].annotated() if s in streams else _read(source, index, s, masks, spool)
            for s, index in parts.items()
        }
        if spool is not None:
            spool.finish()

        @cache
        def known_again(name: str) -> dict[str, np.ndarray]:
            if name in streams:
                return streams[name].signatures()
            x = splits[name][0]  # of the file only what is in memory is looked at: it may be closed by then
            return signatures(source, parts[name], masks[0], x.var_names.tolist(), np.asarray(x.X))

        groups, how = _groups(source, parts), split_words(source.uns, source.obs)
        normalization = Normalization.from_dataset(source)
        panel = AsPanel.of(source, masks[0])
        panels = {} if panel is None else {s: partial(_panel, panel, index) for s, index in parts.items()}
        return Splits(splits, source.obs, normalization, source.name, known_again, groups, how, streams, panels)


def _panel(panel: AsPanel, index: np.ndarray, rows: np.ndarray, X: np.ndarray) -> np.ndarray:
    return panel(X, index[rows])


def _groups(source: io.ExpressionFile, parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The groups that the dataset was split by, of the profiles of each set."""
    column = split_by(source.uns)
    if not column:
        return {}
    if column not in source.obs:
        warn(f"the dataset was split by {column}, and obs has no such column any more: groups are not known")
        return {}
    labels = texts(source.obs[column]).to_numpy()
    return {name: labels[index] for name, index in parts.items()}


def _known(obs: pd.DataFrame, validation: Sequence[str]) -> list[str]:
    present = texts(obs["split"]).unique().tolist()
    absent = [name for name in validation if name not in present]
    if absent and list(validation) != ["validation"]:
        raise SettingsError(f"no set named {first(absent)} in the dataset", accepted=present)
    if "train" in validation:
        raise SettingsError("the training profiles cannot validate themselves; name a held-out set")
    if absent:
        warn("the dataset has no validation profiles: penalties and epochs cannot be chosen on held-out data")
    return [name for name in validation if name in present]


def _read(
    source: io.ExpressionFile, index: np.ndarray, label: str, masks: list[np.ndarray], spool: SpooledRows | None
) -> tuple[ad.AnnData, ad.AnnData]:
    shapes = [(len(index), len(mask)) for mask in masks]
    if spool is None:
        matrices = [np.empty(shape, dtype=np.float32) for shape in shapes]
    else:
        matrices = [spool.matrix(f"{label}.{role}", shape) for role, shape in zip(ROLES, shapes)]
    if spool is None or not spool.complete:
        _fill(source, index, label, masks, matrices)
    obs = source.obs.iloc[index][[]]
    x, y = (ad.AnnData(matrix, obs=obs, var=source.var.iloc[mask]) for matrix, mask in zip(matrices, masks))
    return x, y


def _fill(
    source: io.ExpressionFile, index: np.ndarray, label: str, masks: list[np.ndarray], matrices: list[np.ndarray]
) -> None:
    at = 0
    with bar(len(index), f"reading {label}") as progress:
        for _, block in source.iter_blocks(BLOCK, samples=index):
            for matrix, mask in zip(matrices, masks):
                np.take(block, mask, axis=1, out=matrix[at : at + len(block)], mode="clip")  # no copy in between
                release(matrix)
            at += len(block)
            progress.advance(len(block))
