r"""Lasso for thousands of targets at once on one Gram matrix, to a certified duality gap.

Targets are solved in chunks that stay in the cache, one chunk a thread. In a chunk, bursts of over-relaxed ADMM in
float32 (Boyd et al. 2011, section 6.4: one product with the inverse of :math:`G + \rho I` an iteration, for all
targets of the chunk) find which coefficients are not zero and their signs. Given these the solution is that of
small linear systems, one a target, solved together. Targets whose gap is below the tolerance leave the chunk, the
others go on. Gaps are computed in float64 at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from dgex.models.linear.parallel import workers

__all__ = ["LassoSolver", "relative_gap"]

CHUNK = 512
RELAXATION = 1.7
FIRST_BURST, BURST, BURSTS = 20, 8, 80
# Bursts after which the step is halved for the targets that are left.
PATIENCE = 10
# Gaps are aimed this far below the tolerance in float32, so that float64 confirms them.
SAFETY = 0.8
# Bursts are this many times longer where large systems would be solved after each.
LONG = 8
# Step sizes tried on a few targets; landmark genes have unit variance then, so that these need no units.
STEPS = (0.5, 1.0, 2.0)
PILOTS = 64
# Targets whose small systems are solved by one call.
GROUP = 32
# With more coefficients than this fraction of the landmark genes the small systems cost more than further bursts;
# only the targets that crawl, after PATIENCE bursts, are then worth them.
DENSE = 0.15
# Keeps the small systems of repeated landmark genes solvable; relative to the unit diagonal.
JITTER = 1e-6


def relative_gap(
    gram: np.ndarray, cross: np.ndarray, squares: np.ndarray, coef: np.ndarray, penalty: float | np.ndarray
) -> np.ndarray:
    r"""Duality gap of every target relative to its objective at zero coefficients.

    The objective is :math:`\tfrac12 (s - 2c'w + w'Gw) + \sum_j a_j |w_j|` with G = `gram`, c = `cross`, s =
    `squares`, all divided by the number of profiles; at w = 0 it is s / 2, half the variance of the target. The
    dual point is the residual, scaled into the feasible set as well as a scalar can.

    Parameters
    ----------
    gram : ndarray, shape (landmarks, landmarks)
    cross, coef : ndarray, shape (landmarks, targets)
    squares : ndarray, shape (targets,)
    penalty : float or ndarray of shape (landmarks, 1)
        The penalty of every landmark gene.

    Returns
    -------
    ndarray, shape (targets,)
        Zero for a constant target.
    """
    return _gap(cross, squares, coef, cross - gram @ coef, penalty)


def _gap(
    cross: np.ndarray, squares: np.ndarray, coef: np.ndarray, gradient: np.ndarray, penalty: float | np.ndarray
) -> np.ndarray:
    fitted = np.einsum("ij,ij->j", cross, coef)
    residual = np.maximum(squares - fitted - np.einsum("ij,ij->j", gradient, coef), 0.0)  # |y - Xw|^2 / n
    aligned = squares - fitted  # (y - Xw)'y / n
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = 1.0 / (np.abs(gradient) / penalty).max(axis=0)
        scale = np.clip(np.where(residual > 0, aligned / residual, 0.0), -bound, bound)
        primal = 0.5 * residual + (penalty * np.abs(coef)).sum(axis=0)
        gap = (primal - scale * aligned + 0.5 * scale * scale * residual) / (0.5 * squares)
    return np.where(squares > 0, gap, 0.0)


@dataclass
class _Active:
    """Targets of a chunk that are still being solved, and ADMM's split and scaled dual variables of these."""

    cross: np.ndarray
    squares: np.ndarray
    columns: np.ndarray
    split: np.ndarray
    dual: np.ndarray

    def keep(self, mask: np.ndarray) -> None:
        """Go on with these targets only."""
        for name in ("cross", "split", "dual"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[:, mask]))
        self.squares, self.columns = self.squares[mask], self.columns[mask]


class LassoSolver:
    """Solves lasso problems that share a Gram matrix.

    Parameters
    ----------
    gram : ndarray of float64, shape (landmarks, landmarks)
        Centred products of landmark genes divided by the number of profiles.
    threads : int, optional
        Chunks solved at once; by default as many as the BLAS would use.
    """

    def __init__(self, gram: np.ndarray, threads: int | None = None) -> None:
        deviation = np.sqrt(np.diag(gram))
        # Everything below works on landmark genes of unit variance, whose penalties then differ.
        self._unit = np.where(deviation > 0, deviation, 1.0)[:, None]
        self._gram = gram / self._unit / self._unit.T
        self._single = self._gram.astype(np.float32)
        self._values, self._vectors = linalg.eigh(self._gram, check_finite=False)
        self._size = len(gram)
        # Unit rows behind the Gram matrix pad the small systems of a group to one size.
        self._padded = np.eye(2 * self._size, dtype=np.float32)
        self._padded[: self._size, : self._size] = self._gram
        self._padded[np.diag_indices(self._size)] += JITTER
        self._inverses: dict[Any, np.ndarray] = {}
        self._threads = threads

    def solve(
        self,
        cross: Callable[[slice], np.ndarray],
        squares: np.ndarray,
        alpha: float,
        tol: float,
        start: np.ndarray | None = None,
        step: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solve for all targets at one penalty.

        Parameters
        ----------
        cross : function of a slice of targets
            Gives centred X'Y divided by the number of profiles, [landmarks, targets of the slice].
        squares : ndarray, shape (targets,)
            Centred sums of squares of the targets divided by the number of profiles.
        alpha : float
            The penalty, in the units of `cross`.
        tol : float
            Largest gap asked for, see `relative_gap`.
        start : ndarray, shape (targets, landmarks), optional
            Coefficients at a penalty nearby.
        step : float, optional
            Step size of ADMM. By default the one that suits a few of the targets best, so that what others are solved
            with them shows in the digits beyond `tol`.

        Returns
        -------
        coef : ndarray of float32, shape (targets, landmarks)
        gap : ndarray of float64, shape (targets,)
            What was reached, in float64; above `tol` only where the iterations ended first.
        """
        targets = len(squares)
        coef = np.empty((targets, self._size), np.float32)
        gap = np.empty(targets)
        penalty = alpha / self._unit

        def job(at: int) -> None:
            part = slice(at, min(at + CHUNK, targets))
            xy, yy = cross(part) / self._unit, squares[part]
            warm = None if start is None else start[part].T * self._unit
            solution = self._chunk(xy, yy, penalty, tol, first_step, warm, np.float32)
            gap[part] = relative_gap(self._gram, xy, yy, solution.astype(np.float64), penalty)
            late = np.flatnonzero(gap[part] > tol)
            if len(late):  # what float32 cannot reach
                solution[:, late] = self._chunk(
                    xy[:, late], yy[late], penalty, tol, first_step, solution[:, late], np.float64
                )
                gap[part] = relative_gap(self._gram, xy, yy, solution.astype(np.float64), penalty)
            coef[part] = (solution / self._unit).T

        with workers(self._threads) as run:
            first_step = self._step(run, cross, squares, penalty, tol) if step is None else step
            run(job, range(0, targets, CHUNK))
        return coef, gap

    def _step(
        self,
        run: Callable[..., list[tuple[int, float]]],
        cross: Callable[[slice], np.ndarray],
        squares: np.ndarray,
        penalty: np.ndarray,
        tol: float,
    ) -> float:
        """The step size that solves most of a few evenly spaced targets in one burst."""
        few = slice(0, None, max(1, len(squares) // PILOTS))
        xy, yy = (cross(few) / self._unit).astype(np.float32), squares[few].astype(np.float32)

        def outcome(step: float) -> tuple[int, float]:
            active = self._begin(xy, yy, step, penalty, None)
            _, gap = self._burst(active, step, penalty, FIRST_BURST, exact=False)
            return -int((gap <= tol).sum()), float(np.median(gap))

        outcomes = run(outcome, STEPS)
        return STEPS[min(range(len(STEPS)), key=lambda i: outcomes[i])]

    def _chunk(
        self,
        cross: np.ndarray,
        squares: np.ndarray,
        penalty: np.ndarray,
        tol: float,
        step: float,
        start: np.ndarray | None,
        dtype: Any,
    ) -> np.ndarray:
        """Solve the targets of one chunk; the best found is returned for those that never met `tol`."""
        active = self._begin(cross.astype(dtype), squares.astype(dtype), step, penalty, start)
        best = np.zeros(cross.shape, dtype)
        best_gap = np.full(len(squares), np.inf)
        aim = SAFETY * tol
        for burst in range(BURSTS):
            iterations = BURST if burst or start is not None else FIRST_BURST
            if burst >= PATIENCE and _dense(active.split):  # so that the large systems are solved rarely
                iterations *= LONG
            coef, gap = self._burst(active, step, penalty, iterations, exact=burst >= PATIENCE)
            better = gap < best_gap[active.columns]
            best[:, active.columns[better]] = coef[:, better]
            best_gap[active.columns[better]] = gap[better]
            going = gap > aim
            if not going.any():
                break
            active.keep(going)
            if burst % PATIENCE == PATIENCE - 1:  # the few that crawl have few coefficients: a smaller step suits them
                step *= 0.5
                active.dual *= dtype(2.0)
        return best

    def _begin(
        self, cross: np.ndarray, squares: np.ndarray, step: float, penalty: np.ndarray, start: np.ndarray | None
    ) -> _Active:
        dtype = cross.dtype
        columns = np.arange(len(squares))
        if start is None:
            return _Active(cross, squares, columns, np.zeros_like(cross), np.zeros_like(cross))
        split = np.ascontiguousarray(start, dtype=dtype)
        gradient = cross - self._matrix(dtype) @ split
        bound = (penalty / step).astype(dtype)
        return _Active(cross, squares, columns, split, np.clip(gradient / dtype.type(step), -bound, bound))

    def _burst(
        self, active: _Active, step: float, penalty: np.ndarray, iterations: int, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some ADMM iterations, then the solution on the coefficients they found if `exact` or few; with its gap."""
        self._admm(active, step, penalty, iterations)
        dtype = active.cross.dtype
        penalty = penalty.astype(dtype)
        signs = np.sign(active.split)
        # Each target by itself: what becomes of it does not depend on those beside it.
        few = np.ones(signs.shape[1], bool) if exact else np.count_nonzero(signs, axis=0) <= DENSE * len(signs)
        coef = active.split
        if few.any():
            solved = self._restricted(active.cross[:, few], signs[:, few], penalty)
            solved[solved * signs[:, few] < 0] = 0.0
            coef = coef.copy()
            coef[:, few] = solved
        gradient = active.cross - self._matrix(dtype) @ coef
        return coef, _gap(active.cross, active.squares, coef, gradient, penalty)

    def _admm(self, active: _Active, step: float, penalty: np.ndarray, iterations: int) -> None:
        """Over-relaxed ADMM, written so that a chunk is passed over as rarely as possible."""
        dtype = active.cross.dtype
        relax, bound = dtype.type(RELAXATION), (penalty / step).astype(dtype)
        inverse = self._inverse(step, dtype)
        target = active.cross * dtype.type(1.0 / step)
        right = target + active.split - active.dual
        carried = (1 - relax) * active.split + active.dual
        point, dual = np.empty_like(target), np.empty_like(target)
        for i in range(iterations):
            np.matmul(inverse, right, out=point)
            point += carried
            np.clip(point, -bound, bound, out=dual)
            point -= dual  # now the split variable: soft-thresholded
            if i < iterations - 1:
                np.multiply(point, 1 - relax, out=carried)
                carried += dual
                np.subtract(point, dual, out=right)
                right += target
        active.split, active.dual = point, dual

    def _restricted(self, cross: np.ndarray, signs: np.ndarray, penalty: np.ndarray) -> np.ndarray:
        """Coefficients that are optimal given which are not zero and their signs: one small system a target."""
        dtype = cross.dtype
        coef = np.zeros_like(cross)
        right = np.ascontiguousarray((cross - penalty * signs).T)
        support = np.ascontiguousarray((signs != 0).T)
        counts = support.sum(axis=1)
        order = np.argsort(counts, kind="stable")
        order = order[counts[order] > 0]
        for at in range(0, len(order), GROUP):
            group = order[at : at + GROUP]
            width = counts[group[-1]]
            index = np.empty((len(group), width), np.intp)
            values = np.zeros((len(group), width, 1), dtype)
            for row, column in enumerate(group):
                nonzero = np.flatnonzero(support[column])
                index[row, : len(nonzero)] = nonzero
                index[row, len(nonzero) :] = self._size + np.arange(width - len(nonzero))
                values[row, : len(nonzero), 0] = right[column, nonzero]
            systems = self._padded[index[:, :, None], index[:, None, :]].astype(dtype, copy=False)
            solved = np.linalg.solve(systems, values)[:, :, 0]
            for row, column in enumerate(group):
                count = counts[column]
                coef[index[row, :count], column] = solved[row, :count]
        return coef

    def _matrix(self, dtype: Any) -> np.ndarray:
        return self._single if dtype == np.float32 else self._gram

    def _inverse(self, step: float, dtype: Any) -> np.ndarray:
        """RELAXATION * step * (G + step I)^-1."""
        key = (step, np.dtype(dtype).char)
        if key not in self._inverses:
            scaled = self._vectors * (RELAXATION * step / (self._values + step))
            self._inverses[key] = np.ascontiguousarray((scaled @ self._vectors.T).astype(dtype))
        return self._inverses[key]


def _dense(coef: np.ndarray) -> bool:
    return bool(np.count_nonzero(coef) > DENSE * coef.size)
