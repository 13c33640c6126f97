"""What a gene adds on studies left out: the choice that transfers, at a few times the cost."""

from __future__ import annotations

import numpy as np

from dgex.dataset.split import dealt
from dgex.errors import DataError
from dgex.panels.products import PART, Run, in_parts

__all__ = ["FOLDS", "LeftOut", "folds_of"]

# Parts that the studies are left out in: every one is a model of its own that every step goes through.
FOLDS = 5


def folds_of(groups: np.ndarray, most: int = FOLDS) -> np.ndarray:
    """Put whole groups into at most `most` parts of about equal size: the part of every profile, int.

    Raises
    ------
    DataError
        There are not two groups: nothing can be left out.

    Examples
    --------
    >>> folds_of(np.array(["a", "a", "a", "b", "c"]), 2)
    array([0, 0, 0, 1, 1])
    """
    names, member = np.unique(np.asarray(groups, str), return_inverse=True)
    if len(names) < 2:
        raise DataError(
            f"gains over groups left out need several groups among the training profiles: found {len(names)} "
            f"({names[0] if len(names) else 'none'})",
            accepted="two or more, or no per_group",
        )
    return np.asarray(dealt(np.bincount(member), min(most, len(names)))[member])


class LeftOut:
    r"""Exact gains on profiles left out, summed over the parts that are left out one after the other.

    For every part a ridge regression on the other profiles is carried along. With H their remaining Gram matrix (see
    `products`) and Q that of the errors on the profiles left out, a gene g whose coefficients for the genes j are
    :math:`\beta_{gj} = H_{gj} / (\lambda + H_{gg})` changes the squared error there by
    :math:`\sum_j w_j (2 \beta_{gj} Q_{gj} - \beta_{gj}^2 Q_{gg})`. All sums follow from those before, as in `Forward`:
    a step goes three times through the matrix for all parts together.

    Parameters
    ----------
    Z : ndarray of float32, shape (genes, profiles), C-contiguous
    fold : ndarray of int, shape (profiles,)
        The part that a profile is left out with.
    weights : ndarray, shape (genes,)
    penalty : float
        A profile: each regression takes it times its number of profiles.
    most : int
        Genes that will be chosen at most.
    run : callable
        What `dgex.models.linear.parallel.workers` yields.
    """

    def __init__(
        self, Z: np.ndarray, fold: np.ndarray, weights: np.ndarray, penalty: float, most: int, run: Run
    ) -> None:
        genes, profiles = Z.shape
        self._Z, self._run, self._w = Z, run, np.asarray(weights, np.float64)[:, None]
        self._parts = int(fold.max()) + 1
        self._in = (fold[:, None] != np.arange(self._parts)).astype(np.float32)
        self._out = 1 - self._in
        self._n = self._in.sum(axis=0)
        self._penalty = penalty * self._n.astype(np.float64)
        self._U = np.zeros((self._parts, most, profiles), np.float32)  # M = P - U'U of each part
        self._E = np.zeros((self._parts, most, profiles), np.float32)  # errors on what is left out, by chosen gene
        self._count = 0
        shape = (genes, self._parts)
        self._d, self._a, self._q, self._b = (np.empty(shape) for _ in range(4))  # H_gg, w H_gj^2, Q_gg, w H_gj Q_gj
        self._start()
        self._total = float((self._w * self._q).sum()) or 1.0

    def _start(self) -> None:
        w = self._w[:, 0].astype(np.float32)
        for part in range(self._parts):
            inside = self._in[:, part] > 0
            mean = self._Z[:, inside].mean(axis=1, dtype=np.float64).astype(np.float32)[:, None]
            A, B = self._Z[:, inside] - mean, self._Z[:, ~inside] - mean
            weighed = A * w[:, None]
            K, L = weighed.T @ A, weighed.T @ B
            self._d[:, part] = np.einsum("ij,ij->i", A, A, dtype=np.float64)
            self._q[:, part] = np.einsum("ij,ij->i", B, B, dtype=np.float64)
            self._a[:, part] = np.einsum("ij,ij->i", A @ K, A, dtype=np.float64)
            self._b[:, part] = np.einsum("ij,ij->i", A @ L, B, dtype=np.float64)

    def gains(self) -> np.ndarray:
        d, q, w = self._d, self._q, self._w
        pivot = self._penalty + d
        others_a, others_b = self._a - w * d**2, self._b - w * d * q  # but for what a gene tells of itself
        return np.asarray((2 * others_b / pivot - q * others_a / pivot**2).sum(axis=1)) / self._total

    def add(self, gene: int) -> None:
        pivot = np.sqrt(self._penalty + self._d[gene]).astype(np.float32)
        x = np.repeat(self._Z[gene][:, None], self._parts, axis=1)
        u, e = self._left(x) / pivot, self._error(x) / pivot
        both = self._down(np.concatenate([u, self._back(e)], axis=1))
        y = self._up(self._w.astype(np.float32) * both)
        y_h, y_t = y[:, : self._parts], y[:, self._parts :]
        products = self._down(
            np.concatenate([self._left(y_h), self._left(y_t), self._back(self._error(y_h))], axis=1)
        ).astype(np.float64)
        h, t = np.split(both.astype(np.float64), 2, axis=1)
        Hh, Ht, Qh = np.split(products, 3, axis=1)
        rho = np.square(e, dtype=np.float64).sum(axis=0)
        hh, ht = (self._w * h * h).sum(axis=0), (self._w * h * t).sum(axis=0)
        self._b += rho * h * (Hh - h * hh) - h * (Ht - h * ht) - t * (Hh - h * hh) - h * Qh
        self._a += h * h * hh - 2 * h * Hh
        self._q += rho * h * h - 2 * h * t
        self._d -= h * h
        np.maximum(self._d, 0.0, out=self._d)
        self._U[:, self._count], self._E[:, self._count] = u.T, e.T
        self._count += 1

    # Every column of Y [profiles, parts] holds one value a profile, and belongs to the regression of its part.

    def _left(self, Y: np.ndarray) -> np.ndarray:
        """M Y: centred over the profiles inside, less what the chosen genes explain of it."""
        inside = Y * self._in
        inside -= self._in * (inside.sum(axis=0) / self._n)
        U = self._U[:, : self._count]
        for part in range(self._parts):
            inside[:, part] -= (U[part] @ inside[:, part]) @ U[part]
        return np.asarray(inside)

    def _error(self, Y: np.ndarray) -> np.ndarray:
        """What the regressions leave of Y on the profiles left out."""
        error = (Y - (Y * self._in).sum(axis=0) / self._n) * self._out
        for part in range(self._parts):
            explained = self._U[part, : self._count] @ Y[:, part]
            error[:, part] -= explained @ self._E[part, : self._count]
        return np.asarray(error)

    def _back(self, E: np.ndarray) -> np.ndarray:
        """The adjoint of `_error`."""
        Y = E * self._out
        Y = Y - self._in * (Y.sum(axis=0) / self._n)
        for part in range(self._parts):
            Y[:, part] -= (self._E[part, : self._count] @ E[:, part]) @ self._U[part, : self._count]
        return np.asarray(Y)

    def _down(self, Y: np.ndarray) -> np.ndarray:
        """Z Y: of values a profile, values a gene."""
        found = np.empty((len(self._Z), Y.shape[1]), np.float32)

        def multiply(part: slice) -> None:
            np.matmul(self._Z[part], Y, out=found[part])

        self._run(multiply, in_parts(len(self._Z), 4 * PART))
        return found

    def _up(self, V: np.ndarray) -> np.ndarray:
        """Z' V: of values a gene, values a profile."""
        parts = self._run(lambda part: V[part].T @ self._Z[part], in_parts(len(self._Z), 4 * PART))
        return np.asarray(np.sum(parts, axis=0, dtype=np.float32)).T
