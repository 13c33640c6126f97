"""How well each gene is inferred, on profiles held out: errors, correlations, rank recall, with intervals."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from dgex.arrays.index import evenly
from dgex.confidence.differences import Differences

__all__ = ["COLUMNS", "RECALL_PROFILES", "gene_accuracy", "rank_recall"]

DRAWS = 400
# Profiles are drawn again in as many lots where they have no groups: whole lots cost less, and say the same.
LOTS = 100
# Correlations with the truth of every other gene are taken over as many profiles, spread evenly.
RECALL_PROFILES = 1000
CHUNK = 256
CONSTANT = 1e-6

#: What is known of every target gene.
COLUMNS = (
    *("error", "error_low", "error_high", "deviation", "r", "r_low", "r_high", "r2", "variance"),
    *("recall", "recall_low", "recall_high", "r_within", "sign_within"),
)


def gene_accuracy(
    true: np.ndarray, predicted: np.ndarray, groups: Sequence[str] | np.ndarray | None = None, seed: int = 0
) -> pd.DataFrame:
    """Accuracy of every gene over held-out profiles.

    Parameters
    ----------
    true, predicted : ndarray of float32, shape (profiles, genes)
        What was measured, and what was inferred by a model that had not seen these profiles.
    groups : sequence of str, optional
        Study or donor of each profile: whole groups are drawn again for the intervals, and differences are taken from
        the mean of their group.
    seed : int
        Decides the draws.

    Returns
    -------
    DataFrame
        A row a gene, in the unit of `true`:

        - `error`: mean absolute error (Chen et al. 2016, equation 1); `deviation`: standard deviation of the truth.
        - `r`: Pearson correlation; `r2`: coefficient of determination; `variance`: share of the truth's variance that
          is explained, whatever a constant shift (1 - var(truth - inferred) / var(truth)).
        - `recall`: share of all other genes' truths with which the inferred gene correlates less than with its own; the
          rank recall of Subramanian et al. 2017, who call a gene well inferred from .95.
        - `r_within`, `sign_within`: correlation, and share of equal signs, of differences from the mean of the group;
          NaN without groups.
        - `…_low`, `…_high`: 95 % intervals, percentiles over 400 draws with replacement of groups, or of profiles
          in 100 lots; for recall, where the bounds of `r` would stand among the same correlations.

    References
    ----------
    A. Subramanian et al. A next generation Connectivity Map: L1000 platform and the first 1,000,000 profiles. Cell 171
    (2017) 1437-1452.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> true = rng.normal(size=(200, 30)).astype(np.float32)
    >>> table = gene_accuracy(true, true + 0.1)
    >>> bool(np.allclose(table["error"], 0.1)), bool((table["recall"] == 1).all()), bool(table["variance"].min() > 0.99)
    (True, True, True)
    """
    n, genes = true.shape
    generator = np.random.default_rng(seed)
    named = None if groups is None else np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    lots = generator.permutation(n) % min(LOTS, n) if named is None or named.max() == 0 else named
    table = pd.DataFrame(np.nan, index=range(genes), columns=list(COLUMNS))
    order = np.argsort(lots, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(lots[order]) > 0])
    count = len(starts)
    draws = generator.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)
    differences = None if named is None else Differences(named[order].astype(str))

    def work(at: slice) -> dict[str, np.ndarray]:
        t, p = (np.asarray(m[:, at], np.float64)[order] for m in (true, predicted))
        shift = t.mean(axis=0)
        sums = _sums(t - shift, p - shift, starts)
        known = _of_sums(sums.sum(axis=1))
        drawn = _of_sums(np.matmul(draws, sums))
        for name in ("error", "r"):
            known[f"{name}_low"], known[f"{name}_high"] = _percentiles(drawn[name])
        if differences is not None:
            known["r_within"], known["sign_within"] = _within(t, p, differences)
        return known

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        parts = list(pool.map(work, _chunks(genes)))
    for name in parts[0]:
        table[name] = np.concatenate([part[name] for part in parts])
    _recall(true, predicted, table)
    return table.astype(np.float32)


def _chunks(genes: int) -> Iterator[slice]:
    for start in range(0, genes, CHUNK):
        yield slice(start, min(start + CHUNK, genes))


def _sums(t: np.ndarray, p: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums over each lot of 1, |e|, e², t, t², p, p² and tp, of shape (8, lots, genes); lots begin at `starts`."""
    e = p - t
    terms = (np.ones_like(t), np.abs(e), e * e, t, t * t, p, p * p, t * p)
    return np.stack([np.add.reduceat(term, starts, axis=0) for term in terms])


def _of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of sums, of shape (8, ..., genes)."""
    n, absolute, squared, t, tt, p, pp, tp = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        spread_t, spread_p = tt / n - (t / n) ** 2, pp / n - (p / n) ** 2
        spread_t = np.where(spread_t > CONSTANT**2, spread_t, np.nan)
        spread_p = np.where(spread_p > CONSTANT**2, spread_p, np.nan)
        together = tp / n - t * p / n**2
        left = squared / n - ((p - t) / n) ** 2
        return {
            "error": absolute / n,
            "deviation": np.sqrt(spread_t),
            "r": np.clip(together / np.sqrt(spread_t * spread_p), -1, 1),
            "r2": 1 - squared / n / spread_t,
            "variance": 1 - left / spread_t,
        }


def _percentiles(drawn: np.ndarray) -> np.ndarray:
    known = np.where(np.isnan(drawn), np.inf, drawn)  # a draw in which the gene is constant tells nothing
    ordered, there = np.sort(known, axis=0), np.isfinite(known).sum(axis=0)
    columns = np.arange(drawn.shape[1])
    found = [ordered[np.clip((q * (there - 1)).round().astype(int), 0, None), columns] for q in (0.025, 0.975)]
    return np.where(there > DRAWS // 2, np.stack(found), np.nan)


def _within(t: np.ndarray, p: np.ndarray, differences: Differences) -> np.ndarray:
    """Correlation and agreement in sign of differences from the mean of each group, [2, genes]."""
    t, p = (differences.of(m.T) for m in (t, p))
    with np.errstate(invalid="ignore", divide="ignore"):
        norms = np.sqrt((t * t).sum(1) * (p * p).sum(1))
        r = np.where(norms > CONSTANT, (t * p).sum(1) / norms, np.nan)
    differ = t != 0
    agree = (differ & (np.sign(t) == np.sign(p))).sum(1) / np.where(differ.any(1), differ.sum(1), np.nan)
    return np.stack([r, agree])


def _recall(true: np.ndarray, predicted: np.ndarray, table: pd.DataFrame) -> None:
    """Fill in the rank recall, and where it would stand with the bounds of the correlations."""
    at = evenly(len(true), RECALL_PROFILES)
    bounds = table[["r_low", "r_high"]].to_numpy() - table[["r"]].to_numpy()
    known = table["r"].notna().to_numpy()
    table[["recall", "recall_low", "recall_high"]] = rank_recall(true[at], predicted[at], known, bounds)


def rank_recall(
    true: np.ndarray, predicted: np.ndarray, known: np.ndarray, moved: np.ndarray | None = None
) -> np.ndarray:
    """Share of all other genes' truths with which each inferred gene correlates less than with its own.

    Parameters
    ----------
    true, predicted : ndarray of float32, shape (profiles, genes)
        A thousand profiles tell as much as more.
    known : ndarray of bool, shape (genes,)
        Genes that have a correlation; the others are compared with none, and have none themselves.
    moved : ndarray, shape (genes, k), optional
        How far to move the correlation of each gene with its own truth, for bounds.

    Returns
    -------
    ndarray, shape (genes, 1 + k)
        The rank recall of Subramanian et al. 2017, then with each move.

    Examples
    --------
    >>> true = np.random.default_rng(0).normal(size=(50, 9)).astype(np.float32)
    >>> float(rank_recall(true, 2 * true, np.ones(9, bool)).min())
    1.0
    """
    truth, guessed = _unit(true), _unit(predicted)
    genes, others = len(known), max(1, int(known.sum()) - 1)
    moves = np.zeros((genes, 1)) if moved is None else np.column_stack([np.zeros(genes), moved])
    result = np.full(moves.shape, np.nan)
    for at in _chunks(genes):
        correlations = guessed[:, at].T @ truth
        own = correlations[np.arange(at.stop - at.start), np.arange(at.start, at.stop)].copy()
        correlations[:, ~known] = np.inf
        correlations[np.arange(at.stop - at.start), np.arange(at.start, at.stop)] = np.inf
        for column, by in enumerate(moves[at].T):
            share = (correlations < (own + by)[:, None].astype(np.float32)).sum(axis=1) / others
            result[at, column] = np.where(known[at] & np.isfinite(by), share, np.nan)
    return result


def _unit(matrix: np.ndarray) -> np.ndarray:
    """Columns of mean zero and length one; zero where a gene does not change."""
    centred = matrix - matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
    length = np.sqrt(np.einsum("ng,ng->g", centred, centred, dtype=np.float64))
    safe = np.where(length > CONSTANT * np.sqrt(len(matrix)), length, np.inf)
    return np.asarray(centred / safe.astype(np.float32))
