"""How target genes are shared out between several networks: at random, or similar genes together."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from sklearn.cluster import kmeans_plusplus
from threadpoolctl import threadpool_limits

from dgex.errors import SettingsError
from dgex.seeds import numpy_stream

__all__ = ["PARTITIONS", "split_targets"]

PARTITIONS = ("random", "cluster")
_PROFILES = 1024  # profiles that similarity is judged by
_AXES = 64  # directions between profiles that are kept of them
_STARTS = 8
_ROUNDS = 50


def split_targets(Y: np.ndarray, parts: int, how: str, seed: int) -> list[np.ndarray]:
    """Share the target genes out between `parts` networks; sizes differ by one gene at most.

    Parameters
    ----------
    Y : ndarray, shape (profiles, targets)
        Training values of the target genes.
    parts : int
        How many parts; 1 holds all genes.
    how : str
        "random", as the paper's two halves, or "cluster": parts of genes whose training profiles are alike.
    seed : int
        Decides the parts.

    Returns
    -------
    list of ndarray of int64
        Ascending columns of Y; every column is in exactly one part.

    Raises
    ------
    SettingsError
        More parts than target genes, fewer than one, or an unknown way.

    Notes
    -----
    Clusters are those of k-means on standardised genes, so that distance goes with 1 - correlation, with all parts
    held to equal size: each gene in turn goes to the nearest centre with room, then genes of two parts change places
    for as long as that brings them nearer to the centres, which follow. The best of 8 k-means++ starts is taken.
    Of the profiles up to 1,024 are looked at, along their 64 main directions: seconds for 9,520 genes.
    """
    if how not in PARTITIONS:
        raise SettingsError("partition", found=how, accepted=" or ".join(map(repr, PARTITIONS)))
    genes = Y.shape[1]
    if not 1 <= parts <= genes:
        raise SettingsError("target_parts", found=parts, accepted=f"1 to {genes:,}, the number of target genes")
    rng = numpy_stream(seed, "partition")
    if parts == 1:
        return [np.arange(genes)]
    if how == "random":
        return [np.sort(part) for part in np.array_split(rng.permutation(genes), parts)]
    with threadpool_limits(1, user_api="blas"):  # the same parts whatever the number of threads, and small products
        labels = _clusters(_standardised(Y, rng), parts, rng)
    return [np.flatnonzero(labels == part) for part in range(parts)]


def _standardised(Y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Genes x directions, of genes with mean 0 and length 1; a constant gene is 0."""
    rows = np.sort(rng.permutation(len(Y))[:_PROFILES])
    genes = Y[rows].T.astype(np.float32)
    genes -= genes.mean(1, keepdims=True)
    length = np.linalg.norm(genes, axis=1, keepdims=True)
    genes = np.divide(genes, length, out=np.zeros_like(genes), where=length > 1e-6 * np.sqrt(len(rows)))
    _, axes = np.linalg.eigh((genes.T @ genes).astype(np.float64))  # ascending
    return np.asarray(genes @ axes[:, -_AXES:].astype(np.float32))


def _clusters(genes: np.ndarray, parts: int, rng: np.random.Generator) -> np.ndarray:
    best, least = np.empty(0, dtype=int), np.inf
    for _ in range(_STARTS):
        centres, _ = kmeans_plusplus(genes, parts, random_state=int(rng.integers(2**31)))
        labels = _fill(_distances(genes, centres))
        for _ in range(_ROUNDS):
            distances = _distances(genes, _centres(genes, labels, parts))
            if not _exchange(distances, labels):
                break
        spread = float(_distances(genes, _centres(genes, labels, parts))[np.arange(len(genes)), labels].sum())
        if spread < least:
            best, least = labels, spread
    return best


def _distances(genes: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances of genes to centres, less each gene's own square, which is the same to every centre."""
    return np.asarray((centres * centres).sum(1) - 2.0 * (genes @ centres.T))


def _centres(genes: np.ndarray, labels: np.ndarray, parts: int) -> np.ndarray:
    return np.stack([genes[labels == part].mean(0) for part in range(parts)])


def _fill(distances: np.ndarray) -> np.ndarray:
    """Part of each gene: the nearest one with room, genes with most to lose first."""
    genes, parts = distances.shape
    room = [len(share) for share in np.array_split(np.arange(genes), parts)]
    labels = np.empty(genes, dtype=int)
    preferred = np.argsort(distances, axis=1)
    for gene in np.argsort(distances.min(1) - distances.mean(1), kind="stable"):
        part = next(p for p in preferred[gene] if room[p])
        labels[gene] = part
        room[part] -= 1
    return labels


def _exchange(distances: np.ndarray, labels: np.ndarray) -> bool:
    """Let genes of two parts change places where the pair gains; tell whether any did."""
    changed = False
    for one, other in combinations(range(distances.shape[1]), 2):
        gain = distances[:, one] - distances[:, other]  # of a move from one to other
        there = np.flatnonzero(labels == one)
        back = np.flatnonzero(labels == other)
        there = there[np.argsort(-gain[there], kind="stable")]
        back = back[np.argsort(gain[back], kind="stable")]
        pairs = min(len(there), len(back))
        swap = gain[there[:pairs]] - gain[back[:pairs]] > 1e-6  # falls along the pairs: a head of them
        labels[there[:pairs][swap]], labels[back[:pairs][swap]] = other, one
        changed |= bool(swap.any())
    return changed
