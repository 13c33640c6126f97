"""What happens to each gene of a result, decided before any value is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dgex._version import __version__
from dgex.errors import DataError, GeneError, first
from dgex.genes import align, id_type
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator
from dgex.progress import note, warn

__all__ = ["Plan", "plan", "record"]

LEAST = 0.5  # share of the landmark genes that must be there before the others are imputed


@dataclass
class Plan:
    """What happens to each gene of the result.

    Attributes
    ----------
    model : Estimator
    source : ndarray of int
        Position of each landmark gene in the input, -1 where it is imputed.
    carried : ndarray of int
        Positions of further genes of the input that are kept.
    var : DataFrame
        Genes of the result, with their `origin`.
    units : str
        As `dgex.infer` takes it.
    log2 : bool
        Take the logarithm of profiles on a linear scale.
    shift : tuple of ndarray or None
        The input's own mean and divisor of the landmark genes (the paper's rule), where asked for.
    """

    model: Estimator
    source: np.ndarray
    carried: np.ndarray
    var: pd.DataFrame
    units: str
    log2: bool = False
    shift: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def present(self) -> np.ndarray:
        """Mask of the landmark genes that the input has."""
        return self.source >= 0


def plan(
    model: Estimator, data: ExpressionFile, *, units: str, extra: str, missing: str, log2: bool, own: bool = False
) -> Plan:
    """Match the genes of the input with those of the model.

    Raises
    ------
    GeneError
        No or too few landmark genes, or missing ones that are not to be imputed or cannot be.
    DataError
        The input is a dataset that is standardised already, or one profile where its own statistics are asked for.
    """
    _refuse_standardized(model, data)
    if own and len(data.obs) < 2:
        raise DataError("one profile has no statistics of its own; standardize='model' works")
    landmarks = model.landmark_genes()
    matched = align(landmarks, data.var)
    if matched.found == 0:
        raise GeneError(
            f"no landmark gene of the model is in the input: the model has {id_type(landmarks.index)} names such as "
            f"{first(landmarks.index, 3)}, the input {id_type(data.var.index)} names such as "
            f"{first(data.var.index, 3)}"
        )
    note(f"landmark genes: {matched.found:,} of {len(landmarks):,} found (by {matched.matched_by})")
    if matched.missing:
        _impute(model, matched.missing, matched.found, len(landmarks), missing)
    used = set(matched.index[matched.index >= 0].tolist())
    carried = _carried(model, data, used, extra)
    names = data.var.index[carried].astype(str)
    clash = set(names) & set(model.genes_.index)
    further = pd.DataFrame(index=pd.Index([f"{n}|carried" if n in clash else n for n in names], dtype=str))
    var = pd.concat([model.genes_, further.assign(role="other")]).fillna("")
    origin = np.where(matched.index >= 0, "measured", "imputed").tolist()
    var["origin"] = [*origin, *["inferred"] * model.n_targets_, *["carried"] * len(carried)]
    return Plan(model, matched.index, carried, var, units, log2)


def _refuse_standardized(model: Estimator, data: ExpressionFile) -> None:
    made = data.uns.get("dgex", {})
    if model.normalization_ is not None and made.get("standardize", "none") != "none" and "split" in data.obs:
        raise DataError(
            "the input is a dataset that dgex prepare standardised; infer takes values as they were measured "
            "(dgex evaluate takes datasets)"
        )


def _impute(model: Estimator, lacking: list[str], there: int, total: int, missing: str) -> None:
    """Say which landmark genes are imputed, or refuse to."""
    count, names = f"{len(lacking):,} of {total:,} landmark genes are missing from the input", first(lacking)
    if missing == "error":
        raise GeneError(f"{count}: {names}; missing='impute' takes the training mean for them")
    if there < total * LEAST:
        raise GeneError(
            f"only {there:,} of {total:,} landmark genes are in the input: too few to infer from, at least "
            f"{LEAST:.0%} are needed"
        )
    if model.normalization_ is not None and model.normalization_.landmark_mean is None:
        raise GeneError(
            f"{count} ({names}) and cannot be imputed: the model works in original units and knows no training means"
        )
    warn(f"{len(lacking):,} landmark genes are imputed by the training mean: {names}")


def _carried(model: Estimator, data: ExpressionFile, used: set[int], extra: str) -> np.ndarray:
    """Positions of further genes that are kept; says what becomes of the others."""
    targets = align(model.target_genes(), data.var).index
    measured = set(targets[targets >= 0].tolist()) - used
    further = [at for at in range(len(data.var)) if at not in used | measured]
    if further and extra == "drop":
        note(f"{len(further):,} further genes of the input are dropped; extra='carry' keeps them")
    if measured:
        note(f"{len(measured):,} target genes were measured in the input; the result holds inferred values for them")
    return np.array(further if extra == "carry" else [], dtype=np.int64)


def record(work: Plan, name: str) -> dict[str, Any]:
    """What a result says of how it was made."""
    counts = work.var["origin"].value_counts()
    return {
        "dgex": {
            "made_by": f"dgex {__version__} infer",
            "model": work.model.kind,
            "fingerprint": work.model.fingerprint_,
            "input": name,
            "units": work.units,
            "genes": {str(origin): int(count) for origin, count in counts.items()},
        }
    }
