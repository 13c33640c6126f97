"""How deeply profiles were sequenced, taken out before the logarithm: counts per million, or size factors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dgex.errors import DataError

__all__ = ["DEPTHS", "factors_of", "per_million", "size_reference"]

DEPTHS = ("none", "cpm", "size-factors")
_LEAST = 10  # genes that every training profile expresses, to take ratios of


def per_million(totals: np.ndarray, names: np.ndarray | list[str]) -> np.ndarray:
    """Factors that bring profiles to a million: `1e6 / totals`.

    Raises
    ------
    DataError
        A profile without any count, named.
    """
    empty = np.flatnonzero(~(totals > 0))
    if len(empty):
        raise DataError(f"sample {names[empty[0]]} adds up to {totals[empty[0]]:g}: no counts to normalise")
    return np.asarray(1e6 / totals)


def size_reference(profiles: Iterable[np.ndarray]) -> np.ndarray:
    """Geometric mean of each gene over profiles, float32; NaN where some profile does not express it.

    Raises
    ------
    DataError
        No profile; fewer than 10 genes are above zero in all profiles.

    References
    ----------
    Anders and Huber, Genome Biology 11 (2010) R106.
    """
    logs: np.ndarray | float = 0.0
    everywhere: np.ndarray | bool = True
    count = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        for row in profiles:
            everywhere = everywhere & (row > 0)
            logs = logs + np.log(row.astype(np.float64))
            count += 1
    if not count:
        raise DataError("no training profile is on the linear scale: no size factors; normalize='cpm' needs none")
    everywhere = np.asarray(everywhere)
    if everywhere.sum() < _LEAST:
        raise DataError(
            f"only {int(everywhere.sum())} landmark genes are above zero in all training profiles, too few for size "
            f"factors (at least {_LEAST}); normalize='cpm' needs none"
        )
    return np.where(everywhere, np.exp(logs / count), np.nan).astype(np.float32)


def factors_of(X: np.ndarray, reference: np.ndarray, names: np.ndarray | list[str]) -> np.ndarray:
    """What to multiply profiles with: one over the median ratio to the reference, over genes that both express.

    Raises
    ------
    DataError
        A profile that expresses none of the genes, named.
    """
    ratios = np.where((X > 0) & (reference > 0), X / np.where(reference > 0, reference, 1), np.nan)
    lost = np.flatnonzero(np.isnan(ratios).all(axis=1))
    if len(lost):
        raise DataError(f"sample {names[lost[0]]} has no count above zero in the landmark genes: no size factor")
    return np.asarray(1 / np.nanmedian(ratios, axis=1))
