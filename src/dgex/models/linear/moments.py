"""One pass over landmark and target genes: all that linear models and gene neighbours need to know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np

from dgex.errors import DataError
from dgex.models.linear.parallel import workers
from dgex.progress import bar

__all__ = ["Moments"]

# Rows multiplied at once: few enough that a float32 sum of products keeps its digits, enough to fill the BLAS.
ROWS = 4096
# Target genes that one thread multiplies at once: bounds its working copy to ROWS x TARGETS values.
TARGETS = 512
# Products of this many terms are not worth starting threads for.
SMALL = 1e8
# Products between two steps of the progress bar.
BLOCKS = 4
# Below this many profiles a landmark gene the Gram matrix is nearly singular and float32 products are too coarse.
FEW_PROFILES = 10
# A gene whose standard deviation is below this fraction of its mean varies by float32 rounding only.
CONSTANT = 1e-6


class Moments:
    """Counts, means and second moments of landmark genes X and target genes Y, gathered block by block.

    Blocks are shifted by the mean of the first rows, so that values on the raw 4-to-15 scale lose no digits when
    their products are centred; products within a block of 4,096 profiles are float32, sums over blocks float64.

    Parameters
    ----------
    n_landmarks, n_targets : int
        Widths of the blocks.
    double : bool
        Multiply in float64: twice the time. Needed where the Gram matrix is nearly singular, as with few
        profiles; `Moments.of` decides by itself.

    Attributes
    ----------
    n : int
        Number of profiles seen.

    Examples
    --------
    >>> X, Y = np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[1.0], [5.0]])
    >>> moments = Moments(2, 1, double=True).update(X, Y)
    >>> moments.n, moments.y_mean, moments.gram()[0], moments.cross()[0]
    (2, array([3.]), array([2., 0.]), array([4.]))
    """

    def __init__(self, n_landmarks: int, n_targets: int, *, double: bool = False) -> None:
        self.n_landmarks, self.n_targets, self.double = n_landmarks, n_targets, double
        self.n = 0
        # A column of ones beside X gathers the sums of X and Y in the same products.
        self._xx = np.zeros((n_landmarks + 1, n_landmarks + 1))
        self._xy = np.zeros((n_landmarks + 1, n_targets))
        self._yy = np.zeros(n_targets)
        self._x_shift: np.ndarray = np.zeros(n_landmarks)
        self._y_shift: np.ndarray = np.zeros(n_targets)

    @classmethod
    def of(cls, X: np.ndarray, Y: np.ndarray, *, double: bool | None = None) -> Self:
        """Moments of two matrices in memory, profiles x genes.

        Parameters
        ----------
        X, Y : ndarray
            Landmark and target genes of the same profiles.
        double : bool, optional
            Multiply in float64; by default only where there are fewer than ten profiles a landmark gene.
        """
        blocks = (slice(start, start + ROWS * BLOCKS) for start in range(0, len(X), ROWS * BLOCKS))
        return cls.streamed(((X[block], Y[block]) for block in blocks), X.shape, Y.shape, double=double)

    @classmethod
    def streamed(
        cls,
        pairs: Iterable[tuple[np.ndarray, np.ndarray]],
        x_shape: tuple[int, ...],
        y_shape: tuple[int, ...],
        *,
        double: bool | None = None,
    ) -> Self:
        """Moments of matrices that come in blocks, of which one is held at a time.

        Parameters
        ----------
        pairs : iterable of (X, Y)
            The profiles in order. Blocks of a multiple of 4,096 give what `of` gives, to the bit.
        x_shape, y_shape : tuple of int
            Shapes of the whole matrices, profiles x landmarks and profiles x targets.
        double : bool, optional
            As for `of`.
        """
        if double is None:
            double = x_shape[0] < FEW_PROFILES * x_shape[1]
        moments = cls(x_shape[1], y_shape[1], double=double)
        with bar(x_shape[0], "gathering moments") as progress:
            for X, Y in pairs:
                moments.update(X, Y)
                progress.advance(len(X))
        return moments

    def update(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Add profiles: X [b, landmarks] and Y [b, targets]; the arrays are left as they are.

        Raises
        ------
        DataError
            The two differ in number of profiles, or in width from what was announced.
        """
        if len(X) != len(Y) or X.shape[1:] != (self.n_landmarks,) or Y.shape[1:] != (self.n_targets,):
            raise DataError(
                f"blocks do not fit: found X {X.shape} and Y {Y.shape}",
                accepted="the same number of profiles, "
                f"{self.n_landmarks:,} landmark and {self.n_targets:,} target genes",
            )
        if not self.n and len(X):
            self._x_shift = _rounded_mean(X[:ROWS])
            self._y_shift = _rounded_mean(Y[:ROWS])
        blocks = [slice(start, start + ROWS) for start in range(0, len(X), ROWS)]
        if len(X) * self.n_landmarks * self.n_targets < SMALL:
            for block in blocks:
                self._add(X[block], Y[block], lambda function, items: [function(item) for item in items])
            return self
        with workers() as run:
            for block in blocks:
                self._add(X[block], Y[block], run)
        return self

    def _add(self, X: np.ndarray, Y: np.ndarray, run: Callable[..., Any]) -> None:
        dtype = np.float64 if self.double else np.float32
        x = np.ones((len(X), self.n_landmarks + 1), dtype)
        np.subtract(X, self._x_shift.astype(dtype), out=x[:, :-1], dtype=dtype, casting="same_kind")
        ones = np.ones(len(X), dtype)
        shift = self._y_shift.astype(dtype)

        def products(part: slice | None) -> None:
            if part is None:
                self._xx += x.T @ x
                return
            y = np.subtract(Y[:, part], shift[part], dtype=dtype, casting="same_kind")
            self._xy[:, part] += x.T @ y
            np.multiply(y, y, out=y)
            self._yy[part] += ones @ y

        run(products, [None, *self.chunks(TARGETS)])
        self.n += len(X)

    def merge(self, other: Moments) -> Self:
        """Add the profiles that another instance has seen and return self.

        Raises
        ------
        DataError
            The two do not describe the same numbers of genes.
        """
        if (other.n_landmarks, other.n_targets) != (self.n_landmarks, self.n_targets):
            raise DataError(
                f"moments do not fit together: found {self.n_landmarks:,} landmark and {self.n_targets:,} target genes "
                f"and {other.n_landmarks:,} and {other.n_targets:,}",
                accepted="the same genes",
            )
        if not other.n:
            return self
        if not self.n:
            self._x_shift, self._y_shift = other._x_shift, other._y_shift
        # With x' = x + a the products are (x + a)(y + b)': rank-one corrections from the sums.
        a = np.append(other._x_shift - self._x_shift, 0.0)
        b = other._y_shift - self._y_shift
        x_sum, y_sum = other._xx[-1], other._xy[-1]
        self._xx += other._xx + np.outer(a, x_sum) + np.outer(x_sum, a) + other.n * np.outer(a, a)
        self._xy += other._xy
        self._xy += np.outer(a, y_sum + other.n * b)
        self._xy += np.outer(x_sum, b)
        self._yy += other._yy + 2 * b * y_sum + other.n * b * b
        self.n += other.n
        return self

    @property
    def x_mean(self) -> np.ndarray:
        """Mean of every landmark gene, float64."""
        return self._x_shift + self._xx[-1, :-1] / max(1, self.n)

    @property
    def y_mean(self) -> np.ndarray:
        """Mean of every target gene, float64."""
        return np.asarray(self._y_shift + self._xy[-1] / max(1, self.n))

    def gram(self) -> np.ndarray:
        """Sums of products of centred landmark genes, [landmarks, landmarks] float64; zero for a constant one."""
        sums = self._xx[-1, :-1]
        gram = self._xx[:-1, :-1] - np.outer(sums, sums) / max(1, self.n)
        constant = self._constant(np.diag(gram), self.x_mean)
        gram[constant] = 0.0
        gram[:, constant] = 0.0
        return gram

    def cross(self, targets: slice = slice(None)) -> np.ndarray:
        """Sums of products of centred landmark and target genes, [landmarks, targets of the slice] float64."""
        part = self._xy[:, targets]
        cross = part[:-1] - np.outer(self._xx[-1, :-1], part[-1] / max(1, self.n))
        x_sums = self._xx[-1, :-1]
        cross[self._constant(np.diag(self._xx)[:-1] - x_sums * x_sums / max(1, self.n), self.x_mean)] = 0.0
        cross[:, self._constant(self.y_squares()[targets], self.y_mean[targets])] = 0.0
        return cross

    def y_squares(self) -> np.ndarray:
        """Sums of squares of centred target genes, float64; exactly zero where a gene is constant."""
        squares = self._yy - self._xy[-1] ** 2 / max(1, self.n)
        return np.where(self._constant(squares, self.y_mean), 0.0, squares)

    def chunks(self, size: int = 2 * TARGETS) -> list[slice]:
        """Slices that cover the target genes, so that callers never hold more than a part of `cross`."""
        return [slice(start, min(start + size, self.n_targets)) for start in range(0, self.n_targets, size)]

    def _constant(self, squares: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return squares <= self.n * (CONSTANT * mean) ** 2


def _rounded_mean(block: np.ndarray) -> np.ndarray:
    """Mean of the rows, rounded to float32 so that subtracting it from float32 values is exact to a bit."""
    return np.asarray(block.mean(axis=0, dtype=np.float64).astype(np.float32).astype(np.float64))
