"""High, medium, low or unknown trust in an inferred gene: rules over its accuracy on profiles held out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dgex.errors import SettingsError

__all__ = ["RULES", "TRUST", "at_least", "trust"]

#: From most to least. "measured" is what needs no trust.
TRUST = ("high", "medium", "low", "unknown")

#: What a gene needs for each: the lower bound of its correlation, and its rank recall (Subramanian et al. 2017: .95).
RULES: dict[str, dict[str, float]] = {
    "high": {"r_low": 0.7, "recall": 0.95},
    "medium": {"r_low": 0.5, "recall": 0.9},
}


def trust(accuracy: pd.DataFrame, rules: Mapping[str, Mapping[str, float]] = RULES) -> np.ndarray:
    """Trust in every gene.

    Parameters
    ----------
    accuracy : DataFrame
        As of `gene_accuracy`; a column that a rule names and that is not known fails the rule. Without `r` trust is
        "unknown".
    rules : mapping
        For "high" and "medium", least values of columns.

    Returns
    -------
    ndarray of str

    Examples
    --------
    >>> table = {"r": [0.9, 0.6, 0.2, np.nan], "r_low": [0.8, 0.5, 0, np.nan], "recall": [1, 1, 0.5, 1]}
    >>> trust(pd.DataFrame(table)).tolist()
    ['high', 'medium', 'low', 'unknown']
    """
    found = np.full(len(accuracy), "low", dtype=object)
    for word in ("medium", "high"):
        fits = np.ones(len(accuracy), bool)
        for column, least in rules[word].items():
            fits &= (accuracy[column] >= least).to_numpy()
        found[fits] = word
    found[accuracy["r"].isna().to_numpy()] = "unknown"
    return found


def at_least(words: np.ndarray, least: str) -> np.ndarray:
    """Mask of genes whose trust is `least` or more; what was measured always is.

    Raises
    ------
    SettingsError
        `least` is no word of trust.
    """
    if least not in TRUST:
        raise SettingsError("min_trust", found=least, accepted=TRUST)
    return np.isin(words, ["measured", *TRUST[: TRUST.index(least) + 1]])
