"""Genes chosen one by one: each time the gene that tells most of all the others, given those chosen before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dgex.panels.products import Side
from dgex.progress import Bar

__all__ = ["Chooser", "Chosen", "Forward", "choose"]


# After so many genes what they explain is taken out of the matrix, so that rounding does not pile up.
_FOLDED = (16, 64, 256)


@dataclass(frozen=True)
class Chosen:
    """Genes in the order they were chosen.

    Attributes
    ----------
    genes : ndarray of int
        Their positions.
    gains : ndarray of float64
        What each added: share of the weighted variance of all genes that it explains of the others, beyond those
        before it.
    """

    genes: np.ndarray
    gains: np.ndarray


class Chooser(Protocol):
    """Says what every gene would add, and takes one in."""

    def gains(self) -> np.ndarray:
        """What each gene would add now, shape (genes,), float64."""

    def add(self, gene: int) -> None:
        """Take a gene into the panel."""


class Forward:
    r"""Exact gains of forward selection of columns, with a ridge.

    With genes S known, ridge regression leaves :math:`\operatorname{tr}(W H)` of the weighted variance, where H is what
    `dgex.panels.products` holds. One more gene g takes :math:`\sum_j w_j H_{gj}^2 / (\lambda + H_{gg})` of it. Both
    the sums and the diagonal follow from those before by one column of H and one product with H, so that a step
    costs one pass over the matrix and nothing is approximated.

    What a gene explains of itself does not count (:math:`j = g` is left out): a gene that tells nothing but itself
    would otherwise be measured for its own sake, long before the others are well inferred.

    Parameters
    ----------
    side : Side
    weights : ndarray, shape (genes,)
        How much each gene counts as one to infer.
    penalty : float
        The ridge penalty, in the units of H's diagonal: squares summed over profiles.

    References
    ----------
    Farahat, Ghodsi and Kamel, *An efficient greedy method for unsupervised feature selection*, ICDM 2011, whose
    recursion this is, with a ridge, weights and the self-explained part left out.
    """

    def __init__(self, side: Side, weights: np.ndarray, penalty: float) -> None:
        self._side, self._penalty = side, penalty
        self._weights = np.asarray(weights, np.float64)
        self._diagonal, self._squares = side.start(self._weights)
        self._total = float(self._weights @ self._diagonal) or 1.0
        self._chosen = 0

    def gains(self) -> np.ndarray:
        others = self._squares - self._weights * self._diagonal**2
        return np.asarray(np.maximum(others, 0.0) / (self._penalty + self._diagonal) / self._total)

    def add(self, gene: int) -> None:
        column, product = self._side.add(gene, float(np.sqrt(self._penalty + self._diagonal[gene])))
        squares = column * column
        self._squares += squares * float(self._weights @ squares) - 2 * column * product
        self._diagonal = np.maximum(self._diagonal - squares, 0.0)
        self._chosen += 1
        if self._chosen in _FOLDED:
            self._diagonal, self._squares = self._side.fold()


def choose(
    chooser: Chooser, size: int, allowed: np.ndarray, keep: Sequence[int] = (), progress: Bar | None = None
) -> Chosen:
    """Choose genes, the best first; those to `keep` come before all others, in the order of what they add.

    Parameters
    ----------
    chooser : Chooser
    size : int
        Genes to choose, those to keep among them.
    allowed : ndarray of bool, shape (genes,)
        Which genes may be chosen beside those to keep.
    keep : sequence of int
    progress : Bar, optional

    Returns
    -------
    Chosen
        The first of equals in the order of the genes is taken, so that the choice is the same every time.
    """
    kept = np.zeros(len(allowed), bool)
    kept[list(keep)] = True
    free = np.asarray(allowed, bool) & ~kept
    genes: list[int] = []
    gains: list[float] = []
    while len(genes) < size:
        among = kept if kept.any() else free
        values = np.where(among, chooser.gains(), -np.inf)
        gene = int(values.argmax())
        genes.append(gene)
        gains.append(float(values[gene]))
        among[gene] = False
        chooser.add(gene)
        if progress is not None:
            progress.advance()
    return Chosen(np.array(genes, np.int64), np.array(gains))
