"""The products that choosing genes one by one needs, from the profiles or from the Gram matrix, whichever is smaller.

Both hold the same thing in two ways: what the genes still share after those chosen are known,

.. math:: H = Z' M Z, \\quad M = (I + Z_S Z_S' / \\lambda)^{-1},

for centred genes Z [profiles, genes] and chosen genes S. H itself (genes x genes, new after every gene) is never
made: of it the diagonal, one column, and products with one vector are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy import linalg

__all__ = ["GeneSide", "ProfileSide", "Run", "Side", "by_profiles", "gram_of", "in_parts"]

#: Calls a function on items, perhaps in threads, and gives the results in order: what `workers` yields.
Run: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]

# Genes multiplied at once: few enough that they stay in the cache for the second product, and always the same parts,
# so that the result does not depend on the number of threads.
PART = 256
# Genes whose Gram matrix is summed at once.
TILE = 2048


class Side(Protocol):
    """What both ways of holding H can do."""

    genes: int

    def start(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Diagonal of H and, of every gene, the weighted sum of squares of its row, float64; nothing chosen yet."""

    def add(self, gene: int, pivot: float) -> tuple[np.ndarray, np.ndarray]:
        """Choose a gene: its column of H over `pivot`, and H times (weights * that column), before the update."""

    def fold(self) -> tuple[np.ndarray, np.ndarray]:
        """Take what the chosen genes explain out of the matrix itself, and give what `start` gives, anew.

        Most of H goes with the first genes. What is left would else be small differences of large float32 numbers.
        """


def by_profiles(profiles: int, genes: int) -> bool:
    """Whether the profiles are the smaller side: a step goes through n (n + p) values there, through p x p here."""
    return profiles * (profiles + genes) < genes * genes


def in_parts(size: int, part: int = PART) -> list[slice]:
    """Slices of at most `part` that cover `size`."""
    return [slice(at, min(at + part, size)) for at in range(0, size, part)]


class ProfileSide:
    """H by the profiles: exact while there are fewer profiles than genes.

    Parameters
    ----------
    Z : ndarray of float32, shape (genes, profiles), C-contiguous
        Every gene centred over the profiles; kept, not copied, and changed by `fold`.
    most : int
        Genes that will be chosen at most.
    run : callable
        What `dgex.models.linear.parallel.workers` yields.
    """

    def __init__(self, Z: np.ndarray, most: int, run: Run) -> None:
        self.genes, self._profiles = Z.shape
        self._Z, self._run = Z, run
        self._U = np.zeros((most, self._profiles), np.float32)  # M = I - U'U, a row a chosen gene
        self._count = 0
        self._K: np.ndarray = np.empty((0, 0), np.float32)

    def start(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._count = 0
        K = np.zeros((self._profiles, self._profiles), np.float32)
        tiles = in_parts(self._profiles, TILE)
        for part in in_parts(self.genes, TILE):
            z = self._Z[part]
            weighed = z * weights[part, None].astype(np.float32)
            for rows in tiles:  # beside K nothing of its size is held
                K[rows] += weighed[:, rows].T @ z
        self._K = K
        return self._sums()

    def fold(self) -> tuple[np.ndarray, np.ndarray]:
        U = self._U[: self._count].astype(np.float64)
        values, vectors = linalg.eigh(U @ U.T)
        keep = values > 1e-12
        Q = (U.T @ (vectors[:, keep] / np.sqrt(values[keep]))).T  # M = I - Q' values Q
        lost = 1 - np.sqrt(np.maximum(1 - values[keep], 0.0))  # its root is I - Q' lost Q
        root, weighed = Q.astype(np.float32), (lost[:, None] * Q).astype(np.float32)
        self._K -= (self._K @ root.T) @ weighed
        self._K -= weighed.T @ (root @ self._K)

        def deflate(part: slice) -> None:
            self._Z[part] -= (self._Z[part] @ root.T) @ weighed

        self._run(deflate, in_parts(self.genes, TILE))
        self._count = 0
        return self._sums()

    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        diagonal, squares = np.empty(self.genes), np.empty(self.genes)

        def sums(part: slice) -> None:
            z = self._Z[part]
            diagonal[part] = np.einsum("ij,ij->i", z, z, dtype=np.float64)
            squares[part] = np.einsum("ij,ij->i", z, z @ self._K, dtype=np.float64)

        self._run(sums, in_parts(self.genes, TILE))
        return diagonal, squares

    def add(self, gene: int, pivot: float) -> tuple[np.ndarray, np.ndarray]:
        u = self._left(self._Z[gene]) / np.float32(pivot)
        v = self._left(self._K @ u)
        column, product = np.empty(self.genes), np.empty(self.genes)

        def multiply(stretch: slice) -> None:
            for at in range(stretch.start, stretch.stop, PART):
                part = slice(at, min(at + PART, stretch.stop))
                column[part] = self._Z[part] @ u
                product[part] = self._Z[part] @ v  # of values that are still in the cache

        self._run(multiply, in_parts(self.genes, 8 * PART))
        self._U[self._count] = u
        self._count += 1
        return column, product

    def _left(self, x: np.ndarray) -> np.ndarray:
        """M x."""
        U = self._U[: self._count]
        return np.asarray(x - (U @ x) @ U)


class GeneSide:
    """H by the Gram matrix of the genes: for any number of profiles.

    Parameters
    ----------
    gram : ndarray of float32, shape (genes, genes)
        Sums of products of centred genes; kept, not copied, and changed by `fold`.
    most, run
        As for `ProfileSide`.
    """

    def __init__(self, gram: np.ndarray, most: int, run: Run) -> None:
        self.genes = len(gram)
        self._G, self._run = gram, run
        self._C = np.zeros((most, self.genes), np.float32)  # H = G - C'C
        self._count = 0
        self._weights: np.ndarray = np.empty(0, np.float32)

    def start(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._count, self._weights = 0, weights.astype(np.float32)
        return self._sums()

    def fold(self) -> tuple[np.ndarray, np.ndarray]:
        C = self._C[: self._count]

        def deflate(part: slice) -> None:
            self._G[part] -= C[:, part].T @ C

        self._run(deflate, in_parts(self.genes))
        self._count = 0
        return self._sums()

    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        squares = np.empty(self.genes)

        def sums(part: slice) -> None:
            squares[part] = np.square(self._G[part], dtype=np.float32) @ self._weights

        self._run(sums, in_parts(self.genes, 64))
        return np.diag(self._G).astype(np.float64), squares

    def add(self, gene: int, pivot: float) -> tuple[np.ndarray, np.ndarray]:
        C = self._C[: self._count]
        column = (self._G[gene] - C[:, gene] @ C) / np.float32(pivot)
        weighed = self._weights * column
        product = np.empty(self.genes, np.float32)

        def multiply(part: slice) -> None:
            product[part] = self._G[part] @ weighed

        self._run(multiply, in_parts(self.genes))
        product -= (C @ weighed) @ C
        self._C[self._count] = column
        self._count += 1
        return column.astype(np.float64), product.astype(np.float64)


def gram_of(blocks: Iterable[np.ndarray], genes: int, run: Run) -> np.ndarray:
    """Gram matrix of centred genes from blocks of profiles, float32, tile by tile: no second matrix of its size.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (profiles, genes), float32
        Shifted so that their means are near zero, as standardised values are: sums of products are float32, and what
        is taken off for the means at the end is then small.

    Returns
    -------
    ndarray of float32, shape (genes, genes)
    """
    gram = np.zeros((genes, genes), np.float32)
    sums, count = np.zeros(genes), 0
    tiles = in_parts(genes, TILE)
    pairs = [(rows, columns) for i, rows in enumerate(tiles) for columns in tiles[: i + 1]]
    for block in blocks:

        def multiply(pair: tuple[slice, slice], block: np.ndarray = block) -> None:
            rows, columns = pair
            gram[rows, columns] += block[:, rows].T @ block[:, columns]

        run(multiply, pairs)
        sums += block.sum(axis=0, dtype=np.float64)
        count += len(block)
    means = sums / np.sqrt(max(1, count))
    for rows, columns in pairs:
        gram[rows, columns] -= np.outer(means[rows], means[columns]).astype(np.float32)
        if rows != columns:
            gram[columns, rows] = gram[rows, columns].T
        else:
            tile = gram[rows, rows]
            upper = np.triu_indices(len(tile), 1)
            tile[upper] = tile.T[upper]
    return gram
