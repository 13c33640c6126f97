"""A panel from within: what each of its genes is worth beside the others, which can go, and who else tells a gene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from dgex.panels.view import PENALTY, View

__all__ = ["Going", "Within"]


@dataclass(frozen=True)
class Going:
    """Genes of a panel in the order in which they can go.

    Attributes
    ----------
    genes : ndarray of int
        Positions of the genes, the first to go first.
    costs : ndarray of float64
        What was lost with each: share of the weighted variance of all genes that the rest explains less of the genes
        outside.
    """

    genes: np.ndarray
    costs: np.ndarray


class Within:
    r"""Ridge regression of all genes on a panel, on the training profiles of a split.

    With :math:`A = G_{SS} + \lambda I` and coefficients :math:`B = A^{-1} G_{S\cdot}` the squared error that gene s
    saves is :math:`\sum_j w_j B_{sj}^2 / (A^{-1})_{ss}` over the genes j outside the panel: exact, and without any
    refit.

    Parameters
    ----------
    view : View
    panel : ndarray of int
    weights : ndarray, shape (genes,)
    penalty : float
        In units of a gene's variance.
    """

    def __init__(self, view: View, panel: np.ndarray, weights: np.ndarray, penalty: float | None = None) -> None:
        self.panel = np.asarray(panel, np.int64)
        rows = view.rows("train")
        cross = np.zeros((len(panel), view.profiles.shape[1]))
        for block in view.blocks(rows):
            cross += block[:, self.panel].T @ block
        self._weights = np.where(view.facts.constant, 0.0, weights)
        self._total = float(self._weights.sum()) * len(rows) or 1.0
        gram = cross[:, self.panel] + (PENALTY if penalty is None else penalty) * len(rows) * np.eye(len(panel))
        self._inverse = linalg.inv(gram, check_finite=False)
        self._coef = (self._inverse @ cross).astype(np.float32)

    def costs(self) -> np.ndarray:
        """What would be lost with each gene of the panel if it alone went."""
        outside = self._weights.copy()
        outside[self.panel] = 0.0
        return np.asarray(np.square(self._coef) @ outside / np.diag(self._inverse) / self._total)

    def going(self, count: int) -> Going:
        """Take genes away one by one, each time the one that costs least; those gone become genes to infer."""
        inverse, coef = self._inverse.copy(), self._coef.copy()
        outside = self._weights.copy()
        outside[self.panel] = 0.0
        left = np.ones(len(self.panel), bool)
        genes, costs = [], []
        for _ in range(min(count, len(self.panel) - 1)):
            diagonal = np.where(left, np.diag(inverse), 1.0)
            cost = np.where(left, np.square(coef) @ outside / diagonal / self._total, np.inf)
            at = int(cost.argmin())
            genes.append(int(self.panel[at]))
            costs.append(float(cost[at]))
            row = inverse[at] / inverse[at, at]
            coef -= np.outer(row, coef[at]).astype(np.float32)
            inverse -= np.outer(row, inverse[at])
            left[at] = False
            outside[self.panel[at]] = self._weights[self.panel[at]]
        return Going(np.array(genes, np.int64), np.array(costs))

    def informants(self, count: int = 3) -> np.ndarray:
        """Positions of the genes of the panel that tell most of each gene, [genes, count], -1 for none.

        By the size of their coefficients in standard deviations. A gene of the panel is told by the others of it.
        """
        coef = self._coef.copy()
        others = -self._inverse / np.diag(self._inverse)
        np.fill_diagonal(others, 0.0)
        coef[:, self.panel] = others
        count = min(count, len(self.panel))
        order = np.argsort(-np.abs(coef), axis=0, kind="stable")[:count].T
        strength = np.take_along_axis(coef.T, order, axis=1)
        return np.where(strength != 0, self.panel[order], -1)
