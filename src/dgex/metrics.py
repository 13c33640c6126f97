"""Errors and correlations of every target gene, gathered block by block, for training and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np

from dgex.errors import DataError

__all__ = ["GeneErrors", "in_blocks", "measured", "relative_improvement", "share_better", "to_numpy"]

# Elements of one float64 working copy: small enough for the cache of a CPU, enough to keep a GPU busy.
_CHUNK_CPU = 1 << 16
_CHUNK_DEVICE = 1 << 24
# Parts of the genes that threads take.
_PARTS = 4
# Below this spread relative to its mean a gene counts as constant: its correlation would be rounding noise.
_CONSTANT = 1e-13


class GeneErrors:
    """Errors of each gene over profiles that arrive in blocks.

    The mean absolute error of a gene is the paper's equation 1; the overall error is its mean over genes
    (Chen et al. 2016, section 2.2). Sums are float64 whatever the blocks are. Given torch tensors of a GPU the sums
    stay there until a result is asked for, so that a training loop never waits for them.

    Parameters
    ----------
    n_genes
        Number of target genes, the width of every block.
    correlation
        Gather what `pearson` and `r2` need too. Switch it off where only `mae` and `rmse` are asked for: an
        update then costs about a third.

    Attributes
    ----------
    n
        Number of profiles seen.

    Notes
    -----
    NaN and infinity are not hidden: a gene with such a value, true or predicted, has NaN or infinite results
    and so has `overall`. Second moments are taken around the first block's gene means, so that a gene on the
    raw 4-to-15 scale loses no digits.

    Examples
    --------
    >>> errors = GeneErrors(2)
    >>> errors.update(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[1.0, 1.0], [2.0, 5.0]]))
    >>> errors.mae, errors.overall
    (array([0.5, 1. ]), 0.75)
    """

    def __init__(self, n_genes: int, *, correlation: bool = True) -> None:
        self.n_genes = n_genes
        self.correlation = correlation
        self.n = 0
        self._sums: list[Any] | None = None  # |d|, d^2 and, with correlation, t, p, tt, pp, tp
        self._shift: tuple[Any, Any] = (0.0, 0.0)  # subtracted from t and p before they are summed

    def update(self, Y_true: Any, Y_pred: Any, pool: Executor | None = None) -> None:
        """Add a block of profiles.

        Parameters
        ----------
        Y_true, Y_pred
            Measured and predicted expression, both numpy arrays or both torch tensors of one device,
            profiles x genes.
        pool
            Threads that take parts of the genes each, of arrays; the sums are the same to the bit.

        Raises
        ------
        DataError
            If the two differ in shape or in number of genes from what was announced.
        """
        if tuple(Y_true.shape) != tuple(Y_pred.shape) or Y_true.ndim != 2 or Y_true.shape[1] != self.n_genes:
            raise DataError(
                f"blocks do not fit: measured {tuple(Y_true.shape)}, predicted {tuple(Y_pred.shape)}; "
                f"both must be profiles x {self.n_genes:,} genes"
            )
        if _on_cpu(Y_true) and hasattr(Y_true, "detach"):
            # Chunks this small are numpy's strength: torch would wake its threads for each of them.
            Y_true, Y_pred = Y_true.detach().numpy(), Y_pred.detach().numpy()
        rows = max(1, (_CHUNK_CPU if _on_cpu(Y_true) else _CHUNK_DEVICE) // max(1, self.n_genes))
        if pool is None or not _on_cpu(Y_true):
            self._sums, self._shift = self._added(Y_true, Y_pred, rows, slice(0, self.n_genes))
        elif len(Y_true):
            width = -(-self.n_genes // _PARTS)
            parts = [slice(at, min(at + width, self.n_genes)) for at in range(0, self.n_genes, width)]
            found = list(pool.map(lambda genes: self._added(Y_true, Y_pred, rows, genes), parts))
            self._sums = [np.concatenate(of) for of in zip(*(sums for sums, _ in found if sums is not None))]
            if self.correlation:
                self._shift = tuple(np.concatenate(of) for of in zip(*(shift for _, shift in found)))  # type: ignore[assignment]
        self.n += int(Y_true.shape[0])

    def _added(self, Y_true: Any, Y_pred: Any, rows: int, genes: slice) -> tuple[list[Any] | None, tuple[Any, Any]]:
        """Sums and shifts of some genes with a block of profiles added, in chunks of `rows`."""
        sums, shift = None, self._shift
        if self._sums is not None:
            sums = [of[genes] for of in self._sums]
            if self.correlation:
                shift = (shift[0][genes], shift[1][genes])
        width = genes.stop - genes.start
        scratch = np.empty((3, min(rows, len(Y_true)), width)) if _on_cpu(Y_true) else None
        # An infinite value makes its gene's results infinite or NaN; numpy need not warn about it as well.
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, int(Y_true.shape[0]), rows):
                true, pred = Y_true[start : start + rows, genes], Y_pred[start : start + rows, genes]
                if scratch is not None:
                    left = scratch[:, : len(true)]
                    left[0], left[1] = true, pred
                    true, pred = left[:2]
                elif self.correlation:
                    true, pred = _double(true), _double(pred)
                if self.correlation and sums is None:
                    shift = (true.mean(0), pred.mean(0))
                known = shift if self.correlation else None
                new = _sums_of(true, pred, known) if scratch is None else _sums_in_place(true, pred, left[2], known)
                sums = new if sums is None else [old + more for old, more in zip(sums, new)]
        return sums, shift

    def sums(self) -> np.ndarray:
        """Sums over profiles of the absolute and of the squared error, float64 of shape (2, genes), as a copy."""
        return np.stack(self._results(0, 1)) if self.n else np.zeros((2, self.n_genes))

    @classmethod
    def of_sums(cls, n: int, sums: np.ndarray) -> GeneErrors:
        """Errors, without correlations, over `n` profiles whose `sums` were gathered elsewhere."""
        errors = cls(sums.shape[1], correlation=False)
        errors.n, errors._sums = n, list(sums)
        return errors

    def merge(self, other: GeneErrors) -> GeneErrors:
        """Add the profiles another instance has seen (another process, another file) and return self.

        Raises
        ------
        DataError
            If the two do not describe the same number of genes, or only one gathers correlations.
        """
        if other.n_genes != self.n_genes or other.correlation != self.correlation:
            raise DataError(
                f"gene errors do not fit together: {self.n_genes:,} genes (correlation={self.correlation}) "
                f"and {other.n_genes:,} genes (correlation={other.correlation}); both must be alike"
            )
        if other._sums is None:
            return self
        if self._sums is None:
            self._sums, self._shift, self.n = list(other._sums), other._shift, other.n
            return self
        theirs = other._shifted_to(self._shift) if self.correlation else other._sums
        self._sums = [a + b for a, b in zip(self._sums, theirs)]
        self.n += other.n
        return self

    def _shifted_to(self, shift: tuple[Any, Any]) -> list[Any]:
        """The sums as if `shift` had been subtracted: sum((x + a)(y + b)) expanded."""
        assert self._sums is not None
        absolute, squared, t, p, tt, pp, tp = self._sums
        a, b, n = self._shift[0] - shift[0], self._shift[1] - shift[1], self.n
        return [
            absolute,
            squared,
            t + n * a,
            p + n * b,
            tt + 2 * a * t + n * a * a,
            pp + 2 * b * p + n * b * b,
            tp + a * p + b * t + n * a * b,
        ]

    def _results(self, *which: int) -> list[np.ndarray]:
        if self._sums is None:
            return [np.full(self.n_genes, np.nan) for _ in which]
        return [to_numpy(self._sums[i]) for i in which]

    @property
    def mae(self) -> np.ndarray:
        """Mean absolute error of each gene, in the units of the blocks (equation 1)."""
        return self._results(0)[0] / max(1, self.n)

    @property
    def rmse(self) -> np.ndarray:
        """Root of the mean squared error of each gene, in the units of the blocks."""
        return np.sqrt(self._results(1)[0] / max(1, self.n))

    @property
    def overall(self) -> float:
        """Overall error: the mean of `mae` over genes."""
        return float(self.mae.mean()) if self.n_genes else float("nan")

    @property
    def overall_std(self) -> float:
        """Standard deviation of `mae` over genes (divided by the number of genes, not one less)."""
        return float(self.mae.std()) if self.n_genes else float("nan")

    @property
    def pearson(self) -> np.ndarray:
        """Pearson correlation of each gene over profiles; NaN where truth or prediction is constant."""
        covariance, spread_true, spread_pred = self._moments()
        with np.errstate(invalid="ignore", divide="ignore"):
            r = covariance / np.sqrt(spread_true) / np.sqrt(spread_pred)
        return np.asarray(np.clip(r, -1.0, 1.0))

    @property
    def r2(self) -> np.ndarray:
        """Coefficient of determination of each gene over profiles; NaN where the truth is constant."""
        _, spread_true, _ = self._moments()
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(1.0 - self._results(1)[0] / spread_true)

    @property
    def slope(self) -> np.ndarray:
        """Calibration slope of each gene: of the regression of truth on prediction.

        1 where differences between predictions are of the right size, below 1 where they are too large; NaN where the
        prediction is constant.
        """
        covariance, _, spread_pred = self._moments()
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(covariance / spread_pred)

    def _moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums of centred products (tp, tt, pp); NaN spread where a gene is constant."""
        if not self.correlation:
            raise DataError("correlations were not gathered: create GeneErrors with correlation=True")
        t, p, tt, pp, tp = self._results(2, 3, 4, 5, 6)
        n = max(1, self.n)
        with np.errstate(invalid="ignore", over="ignore"):
            spreads = []
            for total, square, shift in ((t, tt, self._shift[0]), (p, pp, self._shift[1])):
                spread = square - total * total / n
                floor = n * (_CONSTANT * (to_numpy(shift) + total / n)) ** 2
                spreads.append(np.where(spread <= floor, np.nan, spread))
            return tp - t * p / n, spreads[0], spreads[1]


def relative_improvement(error: Any, baseline_error: Any) -> Any:
    """Fraction by which `error` is below `baseline_error` (section 3.1 of the paper); negative if above.

    Works for numbers and for arrays of one error a gene; NaN where the baseline's error is zero.
    """
    error, baseline_error = np.asarray(error, np.float64), np.asarray(baseline_error, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = np.where(baseline_error == 0, np.nan, 1.0 - error / baseline_error)
    return float(gain) if gain.ndim == 0 else gain


def share_better(errors: Any, baseline_errors: Any) -> float:
    """Fraction of genes whose error is strictly below the baseline's; NaN if any error is NaN."""
    errors, baseline_errors = np.asarray(errors, np.float64), np.asarray(baseline_errors, np.float64)
    if errors.size == 0 or np.isnan(errors).any() or np.isnan(baseline_errors).any():
        return float("nan")
    return float(np.mean(errors < baseline_errors))


def _sums_in_place(
    true: np.ndarray, pred: np.ndarray, scratch: np.ndarray, shift: tuple[Any, Any] | None
) -> list[np.ndarray]:
    """As `_sums_of`, of arrays that are used up: new memory for every step takes longer than the steps."""
    np.abs(np.subtract(true, pred, out=scratch), out=scratch)
    new = [scratch.sum(0), np.multiply(scratch, scratch, out=scratch).sum(0)]
    if shift is not None:
        true -= shift[0]
        pred -= shift[1]
        new += [true.sum(0), pred.sum(0)]
        new += [np.multiply(a, b, out=scratch).sum(0) for a, b in ((true, true), (pred, pred), (true, pred))]
    return new


def _sums_of(true: Any, pred: Any, shift: tuple[Any, Any] | None) -> list[Any]:
    """Sums over profiles, on a device, of what is gathered; with a shift of what correlations need too."""
    difference = true - pred  # float32 is subtracted as it is: half the bytes, sums as exact
    new = [abs(difference).sum(0, dtype=_float64()), difference.square().sum(0, dtype=_float64())]
    if shift is not None:
        true, pred = true - shift[0], pred - shift[1]
        new += [true.sum(0), pred.sum(0)]
        new += [(true * true).sum(0), (pred * pred).sum(0), (true * pred).sum(0)]
    return new


def _on_cpu(block: Any) -> bool:
    # numpy 2 arrays have a `device` too, which reads "cpu"
    return getattr(getattr(block, "device", None), "type", "cpu") == "cpu"


def _double(block: Any) -> Any:
    """A float64 copy on the block's own device, for numpy and torch alike."""
    if not hasattr(block, "detach"):
        return np.asarray(block, dtype=np.float64)
    if block.device.type == "mps":  # Apple's GPUs have no float64
        block = block.cpu()
    return block.detach().double()


def _float64() -> Any:
    import torch

    return torch.float64


def to_numpy(values: Any) -> np.ndarray:
    """An array, or a tensor of any device as one."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def in_blocks(
    predict: Callable[[np.ndarray], np.ndarray], X: np.ndarray, Y: np.ndarray, size: int = 1024
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """True and inferred target genes, block by block of `size` profiles, for `measured`."""
    for start in range(0, len(X), size):
        block = slice(start, start + size)
        yield Y[block], predict(X[block])


def measured(pairs: Iterable[tuple[np.ndarray, np.ndarray]], n_genes: int, correlation: bool = True) -> GeneErrors:
    """Errors of every gene over blocks of true and inferred values."""
    errors = GeneErrors(n_genes, correlation=correlation)
    for truth, inferred in pairs:
        errors.update(truth, inferred)
    return errors
