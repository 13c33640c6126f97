"""What happens to each gene of a result, decided before any value is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from dgex._version import __version__
from dgex.dataset.normalization import Normalization
from dgex.dataset.scale import Scale
from dgex.errors import DataError, DgexError, GeneError, first
from dgex.genes import Match, id_type, match_genes
from dgex.inference.check import Check
from dgex.inference.depth import Depth
from dgex.inference.input_scale import platform_of, scale_of
from dgex.inference.likeness import Likeness
from dgex.inference.missing import FEW, LEAST, imputed
from dgex.inference.worth import chosen_genes, gene_columns, need_confidence
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator
from dgex.prepare.collapse import Collapse, tell_rows
from dgex.progress import note
from dgex.renamed import Aliases, causes, looked_up

__all__ = ["Plan", "plan", "record"]

WHOLE = 0.5  # share of the target genes that an input of whole profiles measures


@dataclass
class Plan:
    """What happens to each gene of the result.

    Attributes
    ----------
    model : Estimator
    present : ndarray of bool
        Mask of the landmark genes that the input has.
    targets : ndarray of int
        Positions of the target genes (among the model's) whose measured values are kept.
    carried : ndarray of int
        Positions of further genes of the input that are kept.
    collapse : Collapse
        Makes one value of the rows of each gene: landmark genes present, target genes measured, carried genes.
    var : DataFrame
        Genes of the result, with their `origin` and `unit`.
    units, measured : str
        As `dgex.infer` takes them.
    unit : str
        What the values of the result are in.
    missing : float
        Share of a profile's landmark genes that may be missing.
    whole : bool
        The input measures most target genes too.
    scale : Scale or None
        On which scale the input is; None where the model was fitted on bare values and takes what comes.
    depth : Depth
        How sequencing depth is taken out.
    platform : str
        `"rnaseq"` where the input's equal values are ranked by the rule of RNA-Seq, else empty.
    precision : str
        In which networks infer; empty where the model is none.
    check : Check
        Collects how far inferred and measured target genes differ.
    interval : float or None
        Coverage of the intervals that are asked for.
    keep : ndarray of int or None
        Places, among all genes of the result, of those that are kept; None for all. `var` holds these.
    likeness : Likeness
        Collects how far profiles lie from the training profiles.
    said : list of str
        Collects what users are warned of, for the page.
    shift, target_shift : tuple of ndarray or None
        The input's own mean and divisor of the landmark genes (the paper's rule), where asked for; and of the measured
        target genes.
    """

    model: Estimator
    present: np.ndarray
    targets: np.ndarray
    carried: np.ndarray
    collapse: Collapse
    var: pd.DataFrame
    units: str
    measured: str
    unit: str
    missing: float
    whole: bool
    scale: Scale | None
    depth: Depth
    platform: str = ""
    precision: str = ""
    check: Check = field(default_factory=Check)
    interval: float | None = None
    keep: np.ndarray | None = None
    likeness: Likeness = field(default_factory=lambda: Likeness(None, None))
    said: list[str] = field(default_factory=list)
    shift: tuple[np.ndarray, np.ndarray] | None = None
    target_shift: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def changes(self) -> bool:
        """Whether measured values of the result are not those of the input."""
        ours = self.model.normalization_
        if ours is None or self.scale is None or self.measured == "raw":
            return False
        standard = self.units == "standardized" and ours.standardize != "none"
        return standard or self.shift is not None or self.depth.applies or ours.quantile != "none" or self.rescales

    @property
    def rescales(self) -> bool:
        """Whether values are brought to another scale."""
        scale, ours = self.scale, self.model.normalization_
        if scale is None or ours is None or ours.scale != "log2":
            return False
        return scale.kind != "log2" or scale.offset != 1.0


def plan(
    model: Estimator,
    data: ExpressionFile,
    *,
    units: str,
    extra: str,
    measured: str,
    missing: str,
    scale: str,
    normalize: str,
    collapse: str,
    standardize: str,
    aliases: Aliases | None = None,
    interval: float | None = None,
    genes: Sequence[str] | None = None,
    min_trust: str | None = None,
) -> Plan:
    """Match the genes of the input with those of the model, and decide on which scale the input is.

    The settings are those of `dgex.infer`, which alone knows what they are unless told; `measured="learn"` is of whole
    profiles to learn from. Genes that do not match are
    looked up by `aliases`.

    Raises
    ------
    GeneError
        No or too few landmark genes, or missing ones that are not to be imputed or cannot be; a gene that is asked for
        and not there.
    ModelError
        Trust or intervals are asked for and the model knows none.
    DataError
        A scale that is doubtful or not the model's; a dataset that is standardised already, or one profile where its
        own statistics are asked for.
    """
    ours, own = model.normalization_, standardize == "own"
    _refuse_standardized(model, data)
    if own and len(data.obs) < 2:
        raise DataError("one profile has no statistics of its own; standardize='model' works")
    landmarks, var = model.landmark_genes(), data.var
    wanted = [landmarks, model.target_genes()]
    match, others = looked_up(wanted, _matches(wanted, var), var, aliases, data.name)
    found = match.found
    lacking = landmarks[~found]
    why = causes(lacking, var, aliases) if len(lacking) else ""
    if not found.any():
        raise GeneError(
            f"no landmark gene of the model is in the input: the model has {id_type(landmarks.index)} names such as "
            f"{first(landmarks.index, 3)}, the input {id_type(var.index)} names such as {first(var.index, 3)}{why}"
        )
    note(f"landmark genes: {int(found.sum()):,} of {len(landmarks):,} found ({match.how})")
    decided = _both(
        lambda: imputed(model, lacking.index.tolist(), len(landmarks), missing, why), data, ours, scale, own
    )
    rule = collapse if collapse != "model" else "mean" if ours is None else ours.collapse
    targets, carried, all_match = _further(data, match, others, extra, measured)
    tell_rows(data.name, var, all_match, rule)
    columns = [part for part in match.columns if len(part)]
    columns += [all_match.columns[model.n_features_in_ + at] for at in targets]
    count = int(all_match.found[model.n_features_in_ :].sum())
    whole = count >= WHOLE * model.n_targets_
    depth = Depth.of(ours, decided, normalize, whole, found)
    work = Plan(
        model=model,
        present=found,
        targets=targets,
        carried=carried,
        collapse=Collapse.of([*columns, *carried.reshape(-1, 1)], rule, data),
        var=pd.DataFrame(),
        units=units,
        measured=measured,
        unit=_unit(ours, units),
        missing={"error": 0.0, "auto": FEW, "impute": 1 - LEAST}[missing],
        whole=whole,
        scale=decided,
        depth=depth,
        platform=platform_of(data, ours, decided),
        interval=interval,
        likeness=Likeness(None, None) if ours is None else Likeness(ours.landmark_mean, ours.landmark_std),
    )
    if interval is not None:
        need_confidence(work, "interval")
    work.var = _var(work, var)
    worth = gene_columns(work)
    work.var[list(worth.columns)] = worth
    work.keep = chosen_genes(work, None if genes is None else list(genes), min_trust)
    if work.keep is not None:
        note(f"{len(work.keep):,} of {len(work.var):,} genes are kept in the result")
        work.var = work.var.iloc[work.keep]
    return work


def _refuse_standardized(model: Estimator, data: ExpressionFile) -> None:
    made = data.uns.get("dgex", {})
    if model.normalization_ is not None and made.get("standardize", "none") != "none" and "split" in data.obs:
        raise DataError(
            "the input is a dataset that dgex prepare standardised; infer takes values as they were measured "
            "(dgex evaluate takes datasets)"
        )


def _both(impute: Any, data: ExpressionFile, ours: Normalization | None, scale: str, own: bool) -> Scale | None:
    """Missing landmark genes and a wrong scale, told in one go."""
    lacking: DgexError | None = None
    try:
        impute()
    except GeneError as error:
        lacking = error
    try:
        decided = scale_of(data, ours, scale, own)
    except DataError as error:
        if lacking is not None:
            raise GeneError(f"{lacking}; besides, {error}") from None
        raise
    if lacking is not None:
        raise lacking
    return decided


def _matches(wanted: list[pd.DataFrame], var: pd.DataFrame) -> list[Match]:
    """Landmark genes, then target genes among what no landmark gene has."""
    landmarks, others = (match_genes(genes, var) for genes in wanted)
    used = {int(at) for part in landmarks.columns for at in part}
    places = [np.array([at for at in part if at not in used], dtype=np.int64) for part in others.columns]
    return [landmarks, replace(others, columns=places)]


def _further(
    data: ExpressionFile, landmarks: Match, others: Match, extra: str, measured: str
) -> tuple[np.ndarray, np.ndarray, Match]:
    """Target genes that were measured and are kept, further genes that are carried; says what becomes of the others."""
    there = np.flatnonzero(others.found)
    if len(there):
        kept = {
            "infer": "the result holds inferred values for them",
            "learn": "they are learned from",
        }.get(measured, "they are kept as measured (measured='infer' replaces them)")
        note(f"{len(there):,} target genes were measured in the input: {kept}")
    all_match = replace(landmarks, columns=[*landmarks.columns, *others.columns])
    used = {int(at) for part in all_match.columns for at in part}
    names = data.var.index.astype(str)
    alone = ~names.duplicated(keep=False) & (names != "")
    further = [at for at in range(len(names)) if at not in used]
    if further and extra == "drop":
        note(f"{len(further):,} further genes of the input are dropped; extra='carry' keeps them")
    carried = [at for at in further if alone[at]] if extra == "carry" else []
    return there if measured != "infer" else there[:0], np.array(carried, dtype=np.int64), all_match


def _unit(ours: Normalization | None, units: str) -> str:
    if ours is None:
        return "as given"
    if units == "standardized" and ours.standardize != "none":
        return "standardized"
    return "log2 expression" if ours.scale == "log2" else ours.units


def _var(work: Plan, theirs: pd.DataFrame) -> pd.DataFrame:
    model = work.model
    names = theirs.index[work.carried].astype(str)
    clash = set(names) & set(model.genes_.index)
    further = pd.DataFrame(index=pd.Index([f"{n}|carried" if n in clash else n for n in names], dtype=str))
    var = pd.concat([model.genes_, further.assign(role="other")]).fillna("")
    origin = np.array(
        [*np.where(work.present, "measured", "imputed").tolist(), *["inferred"] * model.n_targets_], dtype=object
    )
    origin[model.n_features_in_ + work.targets] = "measured"
    var["origin"] = [*origin, *["carried"] * len(names)]
    scale, ours = work.scale, model.normalization_
    raw = "as given" if scale is None else "log2 expression" if scale.kind == "log2" else scale.unit
    carried = raw if work.measured == "raw" or ours is None or ours.scale == "any" else _unit(ours, "original")
    as_measured = raw if work.measured == "raw" else work.unit
    of_origin = {"measured": as_measured, "carried": carried}
    var["unit"] = [of_origin.get(origin, work.unit) for origin in var["origin"]]
    return var


def record(work: Plan, name: str) -> dict[str, Any]:
    """What a result says of how it was made."""
    counts = work.var["origin"].value_counts()
    made: dict[str, Any] = {
        "made_by": f"dgex {__version__} infer",
        "model": work.model.kind,
        "fingerprint": work.model.fingerprint_,
        "input": name,
        "units": work.units,
        "measured": work.measured,
        "genes": {str(origin): int(count) for origin, count in counts.items()},
    }
    several = work.var["unit"].nunique() > 1
    if not several:
        made["unit"] = work.unit
    if work.scale is not None:
        made["scale"] = f"{work.scale} ({work.scale.why})"
    if work.precision:
        made["precision"] = work.precision
    known = work.model.confidence_
    if known is not None:
        made["judged_by"] = known.judged["words"]
        made["trust"] = {str(word): int(count) for word, count in work.var["trust"].value_counts().items()}
    if work.interval is not None:
        made["interval"] = work.interval
    if work.check.profiles:
        made["check"] = work.check.told()
    return {"dgex": made} if several else {"dgex": made, "unit": work.unit}
