"""A closer look at one model on one set of profiles, as plain values: what a page tells first."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

__all__ = ["Look", "Points", "best_first"]

_ORDER = {"high": 0, "medium": 1, "low": 2, "unknown": 3, "imputed": 4, "measured": 5}


@dataclass(frozen=True)
class Points:
    """Inferred and measured values of some genes over some profiles, for cards of genes.

    Attributes
    ----------
    genes
        The genes, best first.
    profiles, groups
        Name of each profile and of its group (empty where there are none).
    measured, inferred : ndarray of float32, shape (profiles, genes)
    unit
        What the values are in.
    by_group : DataFrame
        Mean absolute error, groups x genes, in the same unit; without rows where there are no groups.
    drivers
        Gene to its landmark genes of most weight and their weights, of linear models.
    """

    genes: list[str]
    profiles: list[str]
    groups: list[str]
    measured: np.ndarray
    inferred: np.ndarray
    unit: str
    by_group: pd.DataFrame = field(default_factory=pd.DataFrame)
    drivers: dict[str, list[tuple[str, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """A closer look at one model.

    Attributes
    ----------
    model
        Its name.
    because
        Why it is this one.
    where
        On which profiles, in words: "studies it has never seen".
    beware
        What makes its numbers better than they should be; "" where nothing is known.
    genes : DataFrame
        One row a target gene, index its name: `error`, `r`, `trust` ("" where the model was never judged), and
        `original`, the error in the unit before standardising (NaN where that is not known).
    unit, original
        Unit of `error` and of `original`.
    profiles : DataFrame
        One row a profile, index its name: `group`, `error`, `baseline` (the baseline's error) and `original` (the error
        in that unit, NaN where it was not looked at); worst first.
    group
        What the groups are, such as "study"; "" where there are none.
    judged
        By what trust was given.
    baseline
        The name of the model to compare with.
    points : Points
    """

    model: str
    because: str
    where: str
    beware: str
    genes: pd.DataFrame
    unit: str
    original: str
    profiles: pd.DataFrame
    group: str
    judged: str
    baseline: str
    points: Points

    def groups(self) -> pd.DataFrame:
        """One row a group, worst first: `group`, `profiles`, and means of `error`, `baseline` and `original`."""
        parts = self.profiles.groupby("group", sort=False)
        frame = parts[["error", "baseline", "original"]].mean()
        frame.insert(0, "profiles", parts.size())
        return frame.sort_values("error", ascending=False, kind="stable").reset_index()


def best_first(trust: pd.Series, r: pd.Series, error: pd.Series) -> np.ndarray:
    """The order of genes that tells first what to believe: by trust, then correlation, then error.

    Examples
    --------
    >>> trust, r = pd.Series(["low", "high", "high"]), pd.Series([0.3, 0.8, 0.9])
    >>> best_first(trust, r, pd.Series([0.9, 0.2, 0.1])).tolist()
    [2, 1, 0]
    """
    rank = trust.map(_ORDER).fillna(_ORDER["unknown"]).to_numpy(np.float64)
    correlation = np.nan_to_num(-r.to_numpy(np.float64), nan=2.0)
    return np.lexsort((np.nan_to_num(error.to_numpy(np.float64), nan=np.inf), correlation, rank))
