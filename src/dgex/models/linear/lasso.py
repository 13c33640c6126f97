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
from dgex.models.selection import held_out, mean_error
from dgex.progress import bar, note, warn

__all__ = ["Lasso"]

# The path falls from the penalty at which every coefficient is zero; it goes on below its end while that helps.
PENALTIES = np.logspace(0, -3, 16)
MORE_PENALTIES = 5
# A path ends where the error exceeds the best so far by this fraction: smaller penalties overfit and take longest.
RISE = 0.01
# Gap along the path; the chosen penalty is then solved to the gap asked for.
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
        for up to one more decade where its end wins.
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
        `alpha`, `error`, `profiles` (number of validation profiles) and `nonzero` (mean number of coefficients of
        a target) of everything tried; empty where alpha was given.
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
        start = None
        if self.alpha is not None:
            self.alpha_ = float(self.alpha)
        else:
            self.alpha_, start = self._choose(solver, moments, *held_out(eval_sets, self.kind, "alpha"))
        self.coef_, gaps = solver.solve(
            lambda part: moments.cross(part) / moments.n, squares, self.alpha_, self.tol, start
        )
        self.gap_ = float(gaps.max())
        late = int((gaps > self.tol).sum())
        if late:
            warn(f"lasso: {late:,} of {len(gaps):,} targets stopped at a duality gap of up to {self.gap_:.1e}")
        self._set_intercept(moments)

    def _choose(
        self, solver: LassoSolver, moments: Moments, X: np.ndarray, Y: np.ndarray
    ) -> tuple[float, np.ndarray | None]:
        """Walk down the path with warm starts; return the best penalty and its coefficients."""
        squares = moments.y_squares() / moments.n
        # The penalty that zeroes every coefficient; any will do where all targets are constant.
        top = max(float(np.abs(moments.cross(part)).max()) for part in moments.chunks()) / moments.n or 1.0
        alphas = (PENALTIES * top).tolist()
        ratio = PENALTIES[1]
        best, best_coef, best_error = alphas[0], None, np.inf
        coef = None
        with bar(len(alphas), "lasso path") as progress:
            while len(self.path_) < len(alphas):
                alpha = alphas[len(self.path_)]
                coef, _ = solver.solve(
                    lambda part: moments.cross(part) / moments.n, squares, alpha, PATH_TOLERANCE, coef
                )
                self.coef_ = coef
                self._set_intercept(moments)
                error = mean_error(X, Y, self._predict)
                nonzero = float(np.count_nonzero(coef) / len(coef))
                self.path_.append({"alpha": alpha, "error": error, "profiles": len(X), "nonzero": nonzero})
                progress.advance()
                if error < best_error:
                    best, best_coef, best_error = alpha, coef, error
                elif error > best_error * (1 + RISE):
                    break
                if best == alpha == alphas[-1] and len(alphas) < len(PENALTIES) + MORE_PENALTIES:
                    alphas.append(alpha * ratio)
                    note(f"lasso: the best penalty lay at the end of the path; trying {alphas[-1]:.3g} as well")
        report_choice("lasso", "alpha", f"{best:.4g}", best_error)
        return best, best_coef

    def _state(self) -> dict[str, Any]:
        return {"alpha": self.alpha_, "path": self.path_, "gap": self.gap_}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        super()._restore(arrays, state)
        self.alpha_, self.path_, self.gap_ = float(state["alpha"]), state["path"], float(state["gap"])
