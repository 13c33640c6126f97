"""Several inputs -> one matrix of the genes they share, read block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dgex.dataset.depth import per_million
from dgex.dataset.roles import check_finite
from dgex.dataset.scale import as_log2, to_log2
from dgex.dataset.split import SPLITS
from dgex.errors import DataError, GeneError, SettingsError, first
from dgex.gene_table import GeneTable
from dgex.genes import Match, id_columns, match_genes, texts
from dgex.prepare.collapse import Collapse, block_rows, tell_rows
from dgex.prepare.duplicates import Duplicates, near_duplicates
from dgex.prepare.panel import named_once, with_landmarks
from dgex.prepare.sources import Source
from dgex.progress import bar, note, warn
from dgex.renamed import Aliases, causes, looked_up

__all__ = ["GenePlan", "assign_sets", "compendium_duplicates", "plan_genes", "read_matrix", "sample_table"]


@dataclass
class GenePlan:
    """The genes of the dataset and where each input measures them.

    Attributes
    ----------
    var : DataFrame
        Genes kept, landmark genes first; `role` and ids.
    columns : list
        For every input, the columns of each gene.
    facts : dict
        Counts before and after each step, for the record.
    """

    var: pd.DataFrame
    columns: list[list[np.ndarray]]
    facts: dict[str, Any]


def plan_genes(
    sources: list[Source],
    table: GeneTable | None,
    same_gene: str,
    rule: str = "mean",
    landmarks: Sequence[str] | None = None,
    aliases: Aliases | None = None,
) -> GenePlan:
    """Choose the genes: landmark and target genes of the table that all inputs measure.

    Parameters
    ----------
    sources : list of Source
    table : GeneTable, optional
        Without it, the first input whose `var` has a column `role` serves as table.
    same_gene : {"drop", "keep"}
        Whether targets that are the same gene as a landmark (by Ensembl id, Entrez id or symbol, or measured by the
        same columns) are left out.
    rule : str
        How several rows of a gene become one; said here.
    landmarks : sequence of str, optional
        Names of the landmark genes; all others of the table, or else of the first input, are targets.
    aliases : Aliases, optional
        Older names, for genes that do not match otherwise.

    Raises
    ------
    GeneError
        No roles, no common genes, or no landmark or target genes left.
    """
    if same_gene not in ("drop", "keep"):
        raise SettingsError(f"unknown same_gene {same_gene!r}", accepted="drop, keep")
    wanted = _wanted(sources, table, landmarks, aliases)
    facts: dict[str, Any] = _role_counts(wanted, "in_table")
    twins = _same_as_landmark(wanted)
    facts["same_gene_as_landmark"] = int(twins.sum())
    if twins.any() and same_gene == "drop":
        note(
            f"{int(twins.sum()):,} target genes are the same gene as a landmark gene and are left out "
            f"(same_gene='keep' keeps them): {first(wanted.index[twins], 5)}"
        )
        wanted = wanted[~twins]
    if aliases is not None:
        facts["aliases"] = aliases.label
    matches = [_match(source, wanted, rule, aliases) for source in sources]
    common = np.logical_and.reduce([match.found for match in matches])
    if not common.any():
        raise GeneError(_no_common(sources, wanted, aliases))
    missing = wanted.index[~common & (wanted["role"] == "landmark").to_numpy()]
    if len(missing):
        lacking = wanted.loc[missing]
        short = next(source for source, match in zip(sources, matches) if not match.found[~common].all())
        why = causes(lacking, short.var, aliases)
        warn(f"landmark genes that are not in every input are left out, {len(missing):,}: {first(missing)}{why}")
    wanted = wanted[common]
    columns = [[part for part, keep in zip(match.columns, common) if keep] for match in matches]
    if same_gene == "drop":
        wanted, columns = _drop_same_columns(wanted, columns, facts)
    for role in ("landmark", "target"):
        if not (wanted["role"] == role).any():
            raise GeneError(f"no {role} genes are left: none of those in the gene table is in every input")
    order = np.argsort((wanted["role"] != "landmark").to_numpy(), kind="stable")
    facts |= _role_counts(wanted, "kept")
    note(f"{facts['landmarks_kept']:,} landmark and {facts['targets_kept']:,} target genes are common to all inputs")
    return GenePlan(_as_var(wanted.iloc[order]), [[part[gene] for gene in order] for part in columns], facts)


def _no_common(sources: list[Source], wanted: pd.DataFrame, aliases: Aliases | None) -> str:
    for source in sources:
        if match_genes(wanted, pd.DataFrame(index=source.obs.index)).found.any():
            return f"{source.label} is turned the wrong way: its profiles are named like genes of the gene table"
    why = next((why for source in sources if (why := causes(wanted, source.var, aliases))), "")
    tried = first([f"{s.label} has {s.facts['ids']} ids such as {s.var.index[0]}" for s in sources], 3)
    return f"no common genes: none of {len(wanted):,} landmark and target genes is in every input; {tried}{why}"


def _wanted(
    sources: list[Source], table: GeneTable | None, landmarks: Sequence[str] | None, aliases: Aliases | None
) -> pd.DataFrame:
    if landmarks is not None:
        return with_landmarks(named_once(sources[0].var) if table is None else table.frame, landmarks, aliases)
    if table is None:
        holder = next((source for source in sources if "role" in source.var), None)
        if holder is None:
            raise GeneError(
                "no gene has a role: give a gene table (genes=, --genes) that says which are landmark and target "
                "genes, a list of landmark genes (landmarks=, --landmarks), or an input whose var has a column 'role'"
            )
        frame = named_once(holder.var)
    else:
        frame = table.frame
    roles = texts(frame["role"])
    wanted = frame[roles.isin(["landmark", "target"]).to_numpy()].copy()
    wanted["role"] = texts(wanted["role"])
    for role in ("landmark", "target"):
        if not (wanted["role"] == role).any():
            where = "the gene table" if table is not None else f"var['role'] of {holder.label if holder else ''}"
            raise GeneError(f"no {role} gene in {where}; a dataset needs landmark and target genes")
    return wanted


def _role_counts(wanted: pd.DataFrame, when: str) -> dict[str, int]:
    return {f"{role}s_{when}": int((wanted["role"] == role).sum()) for role in ("landmark", "target")}


def _same_as_landmark(wanted: pd.DataFrame) -> np.ndarray:
    landmark = (wanted["role"] == "landmark").to_numpy()
    same = np.zeros(len(wanted), dtype=bool)
    for names in id_columns(wanted, None).values():
        ids = np.array(names, dtype=object)
        same |= np.isin(ids, [name for name in ids[landmark] if name not in ("", "0")]) & ~landmark
    return same


def _match(source: Source, wanted: pd.DataFrame, rule: str, aliases: Aliases | None) -> Match:
    (match,) = looked_up([wanted], [match_genes(wanted, source.var)], source.var, aliases, source.label)
    landmark = (wanted["role"] == "landmark").to_numpy()
    counts = {"landmark": int(match.found[landmark].sum()), "target": int(match.found[~landmark].sum())}
    source.facts |= {
        "matched_by": match.how.removeprefix("by "),
        **{f"{role}s_found": count for role, count in counts.items()},
    }
    shape = f"{source.shape[0]:,} profiles x {source.shape[1]:,} {source.facts['ids']} ids"
    found = [f"{counts[role]:,} of {of:,} {role}" for role, of in zip(counts, (landmark.sum(), (~landmark).sum()))]
    note(
        f"{source.label}: {shape}, {source.facts['platform']}, {source.facts['scale']}; found {' and '.join(found)} "
        f"genes ({match.how})"
    )
    tell_rows(source.label, source.var, match, rule)
    if 0 < sum(counts.values()) < 0.5 * len(wanted):
        warn(f"{source.label} has less than half of the genes; genes that one input lacks are left out of the dataset")
    return match


def _drop_same_columns(
    wanted: pd.DataFrame, columns: list[list[np.ndarray]], facts: dict[str, Any]
) -> tuple[pd.DataFrame, list[list[np.ndarray]]]:
    """Leave out targets that some input measures by the very columns of a landmark gene, under other names."""
    landmark = (wanted["role"] == "landmark").to_numpy()
    same = np.zeros(len(wanted), dtype=bool)
    for part in columns:
        keys = [tuple(gene.tolist()) for gene in part]
        known = {key for key, is_landmark in zip(keys, landmark) if is_landmark}
        same |= np.array([key in known for key in keys]) & ~landmark
    facts["measured_as_landmark"] = int(same.sum())
    if not same.any():
        return wanted, columns
    note(f"{int(same.sum()):,} target genes are measured by the columns of a landmark gene and are left out")
    return wanted[~same], [[gene for gene, drop in zip(part, same) if not drop] for part in columns]


def _as_var(wanted: pd.DataFrame) -> pd.DataFrame:
    var = pd.DataFrame(index=pd.Index(wanted.index.astype(str), name=None))
    for column in wanted.columns:
        values = wanted[column]
        if column == "probes":
            var[column] = [text if isinstance(text, str) else ",".join(text) for text in values]
        elif values.dtype.kind in "biuf":
            var[str(column)] = values.to_numpy()
        else:
            var[str(column)] = ["" if missing else str(value) for value, missing in zip(values, values.isna())]
    return var


def read_matrix(
    sources: list[Source], plan: GenePlan, rule: str, log2: str, normalize: str = "none"
) -> tuple[np.ndarray, np.ndarray]:
    """Read all inputs into one float32 matrix; rows are collapsed and linear values logged block by block.

    With `normalize="cpm"` linear profiles are brought to a million first, by all genes of their file; with
    `"size-factors"` they stay linear: the factors are those of training profiles, which are not drawn yet.

    Returns
    -------
    X : ndarray of float32, shape (all samples, genes), C-contiguous
    linear : ndarray of bool, shape (all samples,)
        Samples whose values are on the linear scale now.
    """
    total = sum(source.shape[0] for source in sources)
    X = np.empty((total, len(plan.var)), dtype=np.float32)
    linear = np.zeros(total, dtype=bool)
    landmarks = (plan.var["role"] == "landmark").to_numpy()
    shares: list[np.ndarray] = []
    at = 0
    with bar(total, "reading") as progress:
        for source, columns in zip(sources, plan.columns):
            collapse = Collapse.of(columns, rule, source.data)
            scale = source.scale
            log = log2 == "always" or (log2 == "auto" and scale.linear)
            if log and not scale.linear:
                warn(f"{source.label} looks like {scale}, and is logged as asked for")
            depth, later = normalize == "cpm" and scale.linear, normalize == "size-factors" and scale.linear
            names = source.obs.index
            wanted = None if depth else collapse.needed
            for where, block in source.blocks(block_rows(source.shape[1] if depth else len(collapse.needed)), wanted):
                totals = block.sum(axis=1, dtype=np.float64) if depth else None
                needed = block[:, collapse.needed] if depth else block
                part = collapse(needed, X[at + where.start : at + where.stop])
                try:
                    check_finite(part, names[where], plan.var.index)
                    if totals is not None:
                        factors = per_million(totals, names[where].tolist())
                        shares.append(part[:, landmarks].sum(axis=1, dtype=np.float64) / totals)
                        part *= factors[:, None].astype(np.float32)
                    if log and not later:
                        to_log2(part, out=part)
                    elif not scale.linear:
                        part[:] = as_log2(part, scale)
                except DataError as error:
                    raise DataError(f"{source.label}: {error}") from None
                progress.advance(len(part))
            linear[at : at + source.shape[0]] = scale.linear and (later or not log)
            source.facts["logged"] = bool(log)
            at += source.shape[0]
    if shares:
        plan.facts["landmark_share"] = float(np.median(np.concatenate(shares)))
    return X, linear


def compendium_duplicates(sources: list[Source], distance: float, method: str, seed: int) -> Duplicates:
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
    X = np.empty((total, len(shared)), dtype=np.float32)
    places = []  # of the samples of X among those of all inputs
    at = before = 0
    with bar(total, "reading for duplicates") as progress:
        for source in sources:
            if any(source is other for other in own):
                once_there = pd.Series(np.arange(len(source.var)), index=source.var.index)
                columns = once_there[once_there.index.isin(shared)][shared].to_numpy()
                for where, block in source.blocks(block_rows(len(columns)), columns):
                    values = X[at + where.start : at + where.stop]
                    values[:] = to_log2(np.maximum(block, 0)) if source.scale.linear else block
                    progress.advance(len(block))
                places.append(np.arange(before, before + source.shape[0]))
                at += source.shape[0]
            before += source.shape[0]
    duplicates = near_duplicates(X, distance, method=method, seed=seed)
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
