"""Lasso regression of every target gene on all landmark genes, all targets at once on one Gram matrix."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from dgex.aliases import Sets
from dgex.errors import SettingsError
from dgex.models.base import Arrays, report_choice
from dgex.models.linear.lasso_solver import LassoSolver
from dgex.models.linear.moments import Moments
from dgex.models.linear.regression import Penalized
from dgex.models.selection import held_out, mean_error, penalty_path, spread
from dgex.progress import warn

__all__ = ["Lasso"]

# Targets, evenly spaced, on which the path is walked; all are then solved at its best penalty only. Penalties that
# these cannot tell apart differ as little on all.
SOME_TARGETS = 768
# Gap along the path; at the chosen penalty it is the one asked for.
PATH_TOLERANCE = 1e-3


class Lasso(Penalized):
    r"""Linear regression with an L1 penalty: the LR-L1 of Chen et al. 2016 (equation 7).

    For every target gene it minimises scikit-learn's objective

    .. math:: \frac{1}{2N} \lVert y - Xw - b \rVert^2 + \alpha \lVert w \rVert_1

    over :math:`N` profiles. The paper does not halve the squared loss: its :math:`\lambda` is :math:`2 \alpha`.
    The intercept is not penalised.

    Parameters
    ----------
    alpha : float, optional
        The penalty; the same for all target genes. By default the one of a path that gives the least overall
        error on the first evaluation set. The path falls in 15 steps over three decades from the penalty at
        which every coefficient is zero, ends where the error rises by more than 1% above the best, and goes on
        for up to one more decade where its end wins. It is walked on at most 768 targets and 512 profiles, evenly
        spaced; all targets are then solved at its best penalty.
    tol : float
        Largest duality gap of a target, relative to its objective at zero coefficients (half its variance).
        scikit-learn divides by twice that: its `tol` is half of this one.

    Attributes
    ----------
    coef_ : ndarray of float32, shape (targets, landmarks)
    intercept_ : ndarray of float32, shape (targets,)
    alpha_ : float
        The penalty used.
    gap_ : float
        The largest gap reached over targets.
    path_ : list of dict
        `alpha`, `error`, `profiles` (number of validation profiles), `targets` (number of target genes) and
        `nonzero` (mean number of coefficients of a target) of everything tried, and where the path
        was walked on some of them, of the chosen one on all; empty where alpha was given.
    """

    kind: ClassVar[str] = "lasso"
    label: ClassVar[str] = "LR-L1"

    def __init__(self, alpha: float | None = None, tol: float = 1e-4) -> None:
        self.alpha = alpha
        self.tol = tol

    def check_settings(self) -> None:
        if not isinstance(self.tol, int | float | np.number) or not 0 < self.tol < 1:
            raise SettingsError("lasso tol", found=self.tol, accepted="a number between 0 and 1")
        super().check_settings()

    def _solve(self, moments: Moments, eval_sets: Sets) -> None:
        solver = LassoSolver(moments.gram() / moments.n)
        squares = moments.y_squares() / moments.n
        self.path_: list[dict[str, Any]] = []
        held = held_out(eval_sets, self.kind, "alpha") if self.alpha is None else None
        self.alpha_ = float(self.alpha) if held is None else self._choose(solver, moments, *held)  # type: ignore[arg-type]
        self.coef_, gaps = solver.solve(lambda part: moments.cross(part) / moments.n, squares, self.alpha_, self.tol)
        self.gap_ = float(gaps.max())
        late = int((gaps > self.tol).sum())
        if late:
            warn(f"lasso: {late:,} of {len(gaps):,} targets stopped at a duality gap of up to {self.gap_:.1e}")
        self._set_intercept(moments)
        if held is not None:
            X, Y = held
            error = mean_error(X, Y, self._predict)
            of = {"profiles": len(X), "targets": len(squares)}
            if not of.items() <= self.path_[0].items():
                self.path_.append({"alpha": self.alpha_, "error": error} | of | {"nonzero": _nonzero(self.coef_)})
            report_choice(self.kind, "alpha", f"{self.alpha_:.4g}", error)

    def _choose(self, solver: LassoSolver, moments: Moments, X: np.ndarray, Y: np.ndarray) -> float:
        """Walk down the path on some targets, and return its best penalty."""
        n, squares = moments.n, moments.y_squares() / moments.n
        some, few = spread(len(squares), SOME_TARGETS), spread(len(X))
        parts, top = [], 0.0
        for part in moments.chunks():
            cross = moments.cross(part) / n
            top = max(top, float(np.abs(cross).max()))
            parts.append(cross[:, some[(some >= part.start) & (some < part.stop)] - part.start])
        crosses, mean, few_Y = np.hstack(parts), moments.y_mean[some], Y[few][:, some]
        few_X = (X[few] - moments.x_mean).astype(np.float32)
        coef: np.ndarray | None = None
        nonzero: list[float] = []

        def error(alpha: float) -> float:
            nonlocal coef
            coef, _ = solver.solve(lambda part: crosses[:, part], squares[some], alpha, PATH_TOLERANCE, coef)
            nonzero.append(_nonzero(coef))
            return mean_error(few_X, few_Y, lambda x: (x @ coef.T + mean).astype(np.float32))

        # any penalty will do where all targets are constant
        alphas, errors = penalty_path(top or 1.0, error, self.kind)
        tried = {"profiles": len(few), "targets": len(some)}
        self.path_ = [
            {"alpha": alpha, "error": found} | tried | {"nonzero": count}
            for alpha, found, count in zip(alphas, errors, nonzero)
        ]
        return alphas[int(np.argmin(errors))]

    def _state(self) -> dict[str, Any]:
        return {"alpha": self.alpha_, "path": self.path_, "gap": self.gap_}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        super()._restore(arrays, state)
        self.alpha_, self.path_, self.gap_ = float(state["alpha"]), state["path"], float(state["gap"])


def _nonzero(coef: np.ndarray) -> float:
    """Coefficients of a target that are not zero, on average."""
    return float(np.count_nonzero(coef) / len(coef))
