"""Measurements as the rows of an evaluation's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dgex.confidence.differences import Differences
from dgex.evaluation.bootstrap import Resampled
from dgex.evaluation.measuring import Measurement, Predictor
from dgex.evaluation.within import MEASURES, ends
from dgex.metrics import relative_improvement, share_better

__all__ = ["WELL", "counted", "gene_table", "group_table", "overall_table", "profile_table", "within_columns"]

#: Rank recall from which a gene is called well inferred (Subramanian et al. 2017).
WELL = 0.95


def overall_table(
    split: str, predictors: Sequence[Predictor], measured: Sequence[Measurement], baseline: str, resampled: Resampled
) -> pd.DataFrame:
    """One row a model: errors, correlations, and how they compare with the baseline's."""
    base = next(f.errors for p, f in zip(predictors, measured) if p.name == baseline)
    records = []
    for predictor, result in zip(predictors, measured):
        errors, pearson = result.errors, result.errors.pearson
        gain = resampled.against(predictor.name, baseline)
        low, high = resampled.interval(predictor.name)
        compared = predictor.name != baseline
        records.append(
            {
                "split": split,
                "model": predictor.name,
                "kind": predictor.kind,
                "error": errors.overall,
                "sd": errors.overall_std,
                "error_low": low,
                "error_high": high,
                "improvement": relative_improvement(errors.overall, base.overall),
                "improvement_low": gain.improvement_low if compared else np.nan,
                "improvement_high": gain.improvement_high if compared else np.nan,
                "tie": gain.tie and compared,
                "difference": gain.difference,
                "difference_low": gain.difference_low if compared else np.nan,
                "difference_high": gain.difference_high if compared else np.nan,
                "better": share_better(errors.mae, base.mae) if compared else np.nan,
                "pearson_mean": _over_genes(np.mean, pearson),
                "pearson_median": _over_genes(np.median, pearson),
                "spearman_mean": _over_genes(np.mean, result.spearman),
                "spearman_median": _over_genes(np.median, result.spearman),
                "recall": _over_genes(_well_inferred, result.recall),
                "slope": _over_genes(np.median, errors.slope),
                "rmse": float(errors.rmse.mean()),
                "genes": errors.n_genes,
                "profiles": errors.n,
                "seconds": result.seconds,
            }
        )
    return pd.DataFrame(records)


def group_table(split: str, name: str, measured: Measurement, groups: np.ndarray) -> pd.DataFrame:
    """One row a group of profiles: how many, and the overall error over them."""
    of_profile = pd.Series(measured.profiles).groupby(np.asarray(groups, dtype=object))
    table = pd.DataFrame({"profiles": of_profile.size(), "error": of_profile.mean()}).rename_axis("group").reset_index()
    return table.assign(split=split, model=name)[["split", "model", "group", "profiles", "error"]]


def _over_genes(summary: Any, values: np.ndarray) -> float:
    """Over the genes that vary: a constant gene has no correlation."""
    varying = values[~np.isnan(values)]
    return float(summary(varying)) if len(varying) else float("nan")


def _well_inferred(recall: np.ndarray) -> float:
    return float(np.mean(recall >= WELL))


def gene_table(split: str, name: str, measured: Measurement, genes: pd.Index) -> pd.DataFrame:
    """One row a gene."""
    table = pd.DataFrame(
        {
            "gene": genes.to_numpy(dtype=object),
            "model": name,
            "split": split,
            "mae": measured.errors.mae,
            "rmse": measured.errors.rmse,
            "pearson": measured.errors.pearson,
            "spearman": measured.spearman,
            "recall": measured.recall,
            "slope": measured.errors.slope,
        }
    )
    if measured.within is not None:
        for measure in MEASURES:
            table[f"within_{measure}"] = measured.within.genes[measure]
    return table


def profile_table(
    split: str, name: str, measured: Measurement, differences: Differences, profiles: pd.Index
) -> pd.DataFrame:
    """One row a profile that was compared within its group."""
    assert measured.within is not None
    columns: dict[str, Any] = {
        "profile": profiles.to_numpy(dtype=object)[differences.at],
        "group": differences.names[differences.member].astype(object),
        "model": name,
        "split": split,
        "mae": measured.profiles[differences.at],
    }
    return pd.DataFrame(columns | {f"within_{measure}": measured.within.profiles[measure] for measure in MEASURES})


def within_columns(found: Mapping[str, Measurement], baseline: str, differences: Differences) -> pd.DataFrame:
    """What the overall table says of differences: one row a model, intervals by the same draws for all."""
    records = []
    base = found[baseline].within
    assert base is not None
    for name, measurement in found.items():
        within = measurement.within
        assert within is not None
        record: dict[str, Any] = {}
        for measure in MEASURES:
            record[f"within_{measure}"] = within.overall(measure)
            record[f"within_{measure}_low"], record[f"within_{measure}_high"] = within.interval(measure)
        compared = name != baseline
        record["within_improvement"] = relative_improvement(within.overall("error"), base.overall("error"))
        gains = relative_improvement(within.drawn["error"], base.drawn["error"]) if compared else np.empty(0)
        record["within_improvement_low"], record["within_improvement_high"] = ends(np.asarray(gains))
        record["within_r_gain"] = within.overall("r") - base.overall("r")
        gains = within.drawn["r"] - base.drawn["r"] if compared else np.empty(0)
        record["within_r_gain_low"], record["within_r_gain_high"] = ends(gains)
        record["within_profile_r"] = _over_genes(np.mean, within.profiles["r"])
        record["within_profiles"], record["within_groups"] = len(differences.at), len(differences.names)
        records.append(record)
    return pd.DataFrame(records)


def counted(differences: Differences) -> dict[str, Any]:
    """How many profiles and groups were compared, and how many could not be."""
    return {
        "groups": len(differences.names),
        "profiles": len(differences.at),
        "left_out_groups": differences.left_groups,
        "left_out_profiles": differences.left_profiles,
    }
