"""Which genes a dataset gets, and where each of its inputs measures them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dgex.errors import GeneError, SettingsError, first
from dgex.gene_ids import ID_WORDS
from dgex.gene_table import GeneTable
from dgex.genes import Match, id_columns, match_genes, texts
from dgex.prepare.collapse import tell_rows
from dgex.prepare.panel import named_once, with_landmarks
from dgex.prepare.sources import Source
from dgex.progress import note, warn
from dgex.renamed import Aliases, causes, looked_up

__all__ = ["GenePlan", "plan_genes"]


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
    whose = "are in the dataset" if len(sources) == 1 else "are common to all inputs"
    note(f"{facts['landmarks_kept']:,} landmark and {facts['targets_kept']:,} target genes {whose}")
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
    ids = ID_WORDS.get(source.facts["ids"])
    shape = f"{source.shape[0]:,} profiles x {source.shape[1]:,} genes" + (f" ({ids}s)" if ids else "")
    platform = {"array": "microarrays", "rnaseq": "RNA-Seq"}.get(source.facts["platform"], source.facts["platform"])
    found = [f"{counts[role]:,} of {of:,} {role}" for role, of in zip(counts, (landmark.sum(), (~landmark).sum()))]
    note(
        f"{source.label}: {shape}, {platform}, {source.facts['scale']}; {' and '.join(found)} genes found ({match.how})"
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
