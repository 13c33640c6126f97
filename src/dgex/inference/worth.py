"""What inferred values are worth: columns of genes and of profiles, and half-widths, for every result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dgex.confidence.trust import at_least
from dgex.errors import GeneError, ModelError, SettingsError, first

if TYPE_CHECKING:
    from dgex.confidence.confidence import Confidence
    from dgex.inference.plan import Plan

__all__ = ["chosen_genes", "gene_columns", "halfwidths", "need_confidence"]

COLUMNS = ("expected_error", "expected_r", "recall", "trust")


def gene_columns(plan: Plan) -> pd.DataFrame:
    """What is known of each gene of the result, before any value is read.

    Returns
    -------
    DataFrame, a row a gene
        `expected_error`: mean absolute error on held-out profiles, in the unit of the result, with what missing
        landmark genes add; `expected_r`; `recall`; `trust`: "measured", or high, medium, low, unknown.
    """
    known, model = plan.model.confidence_, plan.model
    total = model.n_features_in_ + model.n_targets_ + len(plan.carried)
    table = pd.DataFrame({name: np.full(total, np.nan) for name in COLUMNS[:-1]})
    trust = np.full(total, "measured", dtype=object)
    landmarks, targets = slice(0, model.n_features_in_), slice(model.n_features_in_, total - len(plan.carried))
    trust[landmarks][~plan.present] = "unknown"
    trust[targets] = "unknown"
    if known is not None:
        error, r, recall = (np.full(total, np.nan) for _ in range(3))
        error[landmarks], r[landmarks] = known.landmark_accuracy.T
        error[landmarks] *= unit_factor(plan, "landmark")
        more = float(known.missing.factor(float(np.mean(~plan.present))))
        error[targets] = known.accuracy["error"].to_numpy() * unit_factor(plan, "target") * more
        r[targets], recall[targets] = (known.accuracy[name].to_numpy() for name in ("r", "recall"))
        trust[landmarks] = np.where(plan.present, "measured", known.landmark_trust)
        trust[targets] = known.trust
        for name, values in zip(COLUMNS, (error, r, recall)):
            table[name] = values
    trust[model.n_features_in_ + plan.targets] = "measured"
    table["trust"] = trust
    table.loc[trust == "measured", list(COLUMNS[:-1])] = np.nan
    table.index = plan.var.index
    return table


def unit_factor(plan: Plan, role: str) -> np.ndarray | float:
    """What a difference in the model's unit is times, in the unit of the result, for each gene of a role."""
    ours = plan.model.normalization_
    if ours is None or plan.units == "standardized":
        return 1.0
    std = ours.target_std if role == "target" else ours.landmark_std
    return 1.0 if std is None else np.asarray(std, np.float64)


def need_confidence(plan: Plan, what: str) -> Confidence:
    """The confidence of the model, which `what` needs.

    Raises
    ------
    ModelError
        The model was never judged by held-out profiles.
    """
    known = plan.model.confidence_
    if known is None:
        raise ModelError(
            f"{what}: the model does not know how far its values can be trusted; `dgex calibrate MODEL DATA` adds it"
        )
    return known


def halfwidths(
    plan: Plan, y: np.ndarray, distance: np.ndarray, imputed: np.ndarray, measured: np.ndarray
) -> np.ndarray:
    """Half-widths for all genes of the result, 0 where a value was measured.

    Of a landmark gene that was filled it is that of normal errors with the mean absolute error of filling it.

    Parameters
    ----------
    y : ndarray
        What the model inferred.
    distance : ndarray
        Of each profile from the training profiles.
    imputed : ndarray of bool, shape (profiles, landmarks)
        Where landmark genes are filled.
    measured : ndarray of bool, shape (profiles, kept targets)
        Where target genes that are kept were measured.
    """
    assert plan.interval is not None
    known = need_confidence(plan, "interval")
    whole = np.zeros((len(y), imputed.shape[1] + y.shape[1] + len(plan.carried)), np.float32)
    landmarks, half = whole[:, : imputed.shape[1]], whole[:, imputed.shape[1] : imputed.shape[1] + y.shape[1]]
    known.intervals.halfwidth(y, distance, plan.interval, unit_factor(plan, "target"), half)
    if imputed.any():
        from scipy.special import ndtri

        half *= np.asarray(known.missing.factor(imputed.mean(axis=1)), np.float32)[:, None]
        normal = ndtri((1 + plan.interval) / 2) * np.sqrt(np.pi / 2)
        widths = normal * known.landmark_accuracy[:, 0] * unit_factor(plan, "landmark")
        landmarks[imputed] = np.broadcast_to(widths, imputed.shape)[imputed]
    if len(plan.targets):
        half[:, plan.targets] = np.where(measured, np.float32(0), half[:, plan.targets])
    return whole


def chosen_genes(plan: Plan, genes: list[str] | None, min_trust: str | None) -> np.ndarray | None:
    """Places of the genes of the result that are kept; None for all.

    Raises
    ------
    GeneError
        A gene that is asked for is not in the result, or none is left.
    """
    keep = np.ones(len(plan.var), bool)
    if genes is not None:
        keep = _named(plan.var, genes)
    if min_trust is not None:
        need_confidence(plan, "min_trust")
        keep &= at_least(plan.var["trust"].to_numpy(), min_trust)
    if not keep.any():
        counts = plan.var["trust"].value_counts()
        told = ", ".join(f"{word} {count:,}" for word, count in counts.items())
        raise GeneError(f"no gene is left of {len(plan.var):,} with min_trust={min_trust!r}: trust is {told}")
    return None if keep.all() else np.flatnonzero(keep)


def _named(var: pd.DataFrame, genes: list[str]) -> np.ndarray:
    """Genes by their name, or by any identifier that the model knows of them."""
    wanted = {str(name).split(".")[0] if str(name).startswith("ENS") else str(name) for name in genes}
    if not wanted:
        raise SettingsError("genes", found="none", accepted="names of genes of the result")
    found, keep = set(), np.zeros(len(var), bool)
    for column in (var.index, *(var[name] for name in var.columns if name not in ("role", "origin", "unit", *COLUMNS))):
        names = np.array([str(name).split(".")[0] if str(name).startswith("ENS") else str(name) for name in column])
        there = np.isin(names, list(wanted))
        keep |= there
        found |= set(names[there])
    if wanted - found:
        missing = sorted(wanted - found)
        raise GeneError(
            f"{len(missing):,} of {len(wanted):,} genes that are asked for are not in the result: {first(missing)}"
        )
    return keep
