"""Linear regression of every target gene on all landmark genes, plain and with an L2 penalty, from one Gram matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from dgex.aliases import Sets
from dgex.errors import SettingsError
from dgex.models.base import Arrays, LayerStack, report_choice
from dgex.models.linear.equations import SINGULAR, cholesky, without_null
from dgex.models.linear.from_moments import FromMoments, Gather
from dgex.models.linear.moments import Moments
from dgex.models.selection import SCREEN, check_penalty, climb, held_out, mean_error, spread
from dgex.progress import hint

__all__ = ["OLS", "Linear", "Penalized", "Ridge", "RidgePath"]

# Float32 products cost about 1e-9 of the coefficients for each unit of the Gram matrix's condition number;
# beyond this one the moments are gathered again in float64. LAPACK's 1-norm estimate reads a few times higher.
ILL_CONDITIONED = 2e5
# Ridge penalties tried, relative to the mean eigenvalue of the Gram matrix, and decades added where an end wins.
PENALTIES = np.logspace(-5, 1, 20)
# Steps that each of the two about the best penalty is divided into.
FINER = 4
MORE_DECADES = 4


class Linear(FromMoments):
    """What linear models share: coefficients, intercepts, prediction and storage.

    Attributes
    ----------
    coef_ : ndarray of float32, shape (targets, landmarks)
    intercept_ : ndarray of float32, shape (targets,)
    """

    coef_: np.ndarray
    intercept_: np.ndarray

    def _solve(self, moments: Moments, eval_sets: Sets) -> None:
        raise NotImplementedError

    def _learn(self, gather: Gather, eval_sets: Sets) -> None:
        self._solve(gather(None), eval_sets)

    def _store(self, moments: Moments, solve: Callable[[np.ndarray], np.ndarray]) -> None:
        """Fill coefficients chunk by chunk: `solve` takes X'Y of a slice of targets and may overwrite it."""
        self.coef_ = np.empty((moments.n_targets, moments.n_landmarks), np.float32)
        for part in moments.chunks():
            self.coef_[part] = solve(moments.cross(part)).T
        self._set_intercept(moments)

    def _set_intercept(self, moments: Moments) -> None:
        # from the rounded coefficients, so that the mean profile is met despite the rounding
        self.intercept_ = np.empty(moments.n_targets, np.float32)
        x_mean, y_mean = moments.x_mean, moments.y_mean
        for part in moments.chunks():
            self.intercept_[part] = y_mean[part] - self.coef_[part].astype(np.float64) @ x_mean

    def _predict(self, X: np.ndarray) -> np.ndarray:
        predicted = X @ self.coef_.T
        predicted += self.intercept_
        return np.asarray(predicted)

    def layer_stacks(self, best: str | None = None) -> list[LayerStack]:
        if best is not None:
            raise SettingsError(f"best: found {best!r} for {self.kind}, accepted for networks only")
        return [LayerStack([self.coef_], [self.intercept_], np.arange(self.n_targets_))]

    def _arrays(self) -> Arrays:
        return {"coef": self.coef_, "intercept": self.intercept_}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        self.coef_, self.intercept_ = arrays["coef"], arrays["intercept"]
        if self.coef_.shape != (self.n_targets_, self.n_features_in_) or self.intercept_.shape != (self.n_targets_,):
            raise ValueError(
                f"coefficients of shape {self.coef_.shape} and {self.intercept_.shape} do not fit its genes"
            )


class OLS(Linear):
    """Plain linear regression with an intercept: the LR of Chen et al. 2016.

    All target genes share one Cholesky factor of the landmark genes' Gram matrix. Where that matrix is singular
    (fewer profiles than landmark genes, landmark genes that repeat) the solution of minimum norm is taken, as
    `numpy.linalg.lstsq` does on centred data. A matrix that is so ill-conditioned that float32 products would cost
    more than 1e-4 of the coefficients is gone through once more in float64.

    Attributes
    ----------
    coef_ : ndarray of float32, shape (targets, landmarks)
    intercept_ : ndarray of float32, shape (targets,)
    rank_ : int or None
        Numerical rank of the centred landmark matrix; None of weights that were not fitted here.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> model = OLS().fit(X, 1 + 2 * X)
    >>> model.coef_, model.intercept_
    (array([[2.]], dtype=float32), array([1.], dtype=float32))
    """

    kind: ClassVar[str] = "ols"
    refits: ClassVar[bool] = True
    label: ClassVar[str] = "LR"
    rank_: int | None

    def _learn(self, gather: Gather, eval_sets: Sets) -> None:
        moments = gather(None)
        factor = cholesky(moments.gram())
        if not moments.double and (factor is None or factor[1] > ILL_CONDITIONED):
            hint("ols: the landmark genes are nearly collinear; multiplying once more in float64")
            del factor, moments
            moments = gather(True)
        self._solve(moments, eval_sets)

    def _solve(self, moments: Moments, eval_sets: Sets) -> None:
        from scipy import linalg  # a prediction needs none of it

        gram = moments.gram()
        cut = SINGULAR[moments.double]
        factor = cholesky(gram)
        if factor is not None and factor[1] < 1 / cut:
            self.rank_ = len(gram)
            lower = factor[0]
            self._store(moments, lambda xy: linalg.cho_solve((lower, True), xy, overwrite_b=True, check_finite=False))
            return
        values, vectors = linalg.eigh(gram, check_finite=False)
        keep = values > cut * max(values[-1], 0.0)
        self.rank_ = int(keep.sum())
        hint(
            f"ols: of {len(gram):,} landmark genes {self.rank_:,} are linearly independent; of the solutions that fit "
            f"alike the smallest is taken"
        )
        basis, inverse = vectors[:, keep], 1.0 / values[keep]
        basis[np.diag(gram) == 0] = 0.0  # a constant landmark gene has no weight at all, not one of rounding
        self._store(moments, lambda xy: basis @ (inverse[:, None] * (basis.T @ xy)))

    def _state(self) -> dict[str, Any]:
        return {"rank": self.rank_}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        super()._restore(arrays, state)
        self.rank_ = None if state["rank"] is None else int(state["rank"])


class Penalized(Linear):
    """What ridge and lasso share: a penalty `alpha` that is given, or chosen on the first evaluation set."""

    alpha: float | None

    def check_settings(self) -> None:
        check_penalty(self.kind, self.alpha)

    def _learn(self, gather: Gather, eval_sets: Sets) -> None:
        if self.alpha is None:
            held_out(eval_sets, self.kind, "alpha")  # before the pass over the data, not after
        super()._learn(gather, eval_sets)


class Ridge(Penalized):
    r"""Linear regression with an L2 penalty: the LR-L2 of Chen et al. 2016.

    For every target gene it minimises scikit-learn's objective

    .. math:: \lVert y - Xw - b \rVert^2 + \alpha \lVert w \rVert^2

    over :math:`N` profiles. The paper divides the squared loss by :math:`N`: its :math:`\lambda` is
    :math:`\alpha / N`. The intercept is not penalised.

    Parameters
    ----------
    alpha : float, optional
        The penalty; the same for all target genes. By default the one of 20 that gives the least overall error
        on the first evaluation set. They span six decades around the mean eigenvalue of the Gram matrix; where an
        end of them wins, up to four more decades are tried. All are tried on at most 512 profiles of the set,
        evenly spaced, and the best with its neighbours on the whole set.

    Attributes
    ----------
    coef_ : ndarray of float32, shape (targets, landmarks)
    intercept_ : ndarray of float32, shape (targets,)
    alpha_ : float
        The penalty used.
    path_ : list of dict
        `alpha`, `error` and `profiles` (number of validation profiles) of everything tried; empty where alpha
        was given.
    """

    kind: ClassVar[str] = "ridge"
    refits: ClassVar[bool] = True
    label: ClassVar[str] = "LR-L2"

    def __init__(self, alpha: float | None = None) -> None:
        self.alpha = alpha

    def _solve(self, moments: Moments, eval_sets: Sets) -> None:
        from scipy import linalg  # a prediction needs none of it

        self.path_: list[dict[str, Any]] = []
        gram = moments.gram()
        if self.alpha is not None:
            self.alpha_ = float(self.alpha)
        else:
            chosen = RidgePath(moments).choose(*held_out(eval_sets, self.kind, "alpha"))
            self.alpha_, error, self.path_ = chosen
            report_choice("ridge", "alpha", f"{self.alpha_:.4g}", error)
        gram[np.diag_indices_from(gram)] += self.alpha_
        try:
            lower = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError:  # collinear genes, such as ranks of a panel whose sum never changes
            self._store(moments, without_null(moments.gram(), self.alpha_))
            return
        self._store(moments, lambda xy: linalg.cho_solve(lower, xy, overwrite_b=True, check_finite=False))

    def _settle(self, pairs: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, Any]:
        """The penalty of least overall error on the held-out profiles of all pairs (X, Y, held X, held Y) together."""
        if self.alpha is not None:
            return {}
        wrong = np.zeros(len(PENALTIES))
        alphas: np.ndarray | None = None
        for X, Y, held_X, held_Y in pairs:
            path = RidgePath(Moments.of(X, Y))
            alphas = PENALTIES * path.scale if alphas is None else alphas
            few = spread(len(held_X))
            rotated = path.rotate(held_X[few])
            wrong += [float(np.abs(path.predict(rotated, a) - held_Y[few]).mean(axis=1).sum()) for a in alphas]
        assert alphas is not None
        return {"alpha": float(alphas[int(wrong.argmin())])}

    def _state(self) -> dict[str, Any]:
        return {"alpha": self.alpha_, "path": self.path_}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        super()._restore(arrays, state)
        self.alpha_, self.path_ = float(state["alpha"]), state["path"]


class RidgePath:
    """Ridge regressions for any number of penalties from one eigendecomposition of the Gram matrix.

    Parameters
    ----------
    moments : Moments
        Of the training profiles.

    Attributes
    ----------
    scale : float
        Mean eigenvalue of the Gram matrix: the natural unit of a penalty.
    """

    def __init__(self, moments: Moments) -> None:
        from scipy import linalg  # a prediction needs none of it

        values, vectors = linalg.eigh(moments.gram(), check_finite=False)
        self._values = np.maximum(values, 0.0)
        self._vectors = vectors.astype(np.float32)
        self._rotated = np.empty((moments.n_landmarks, moments.n_targets), np.float32)
        for part in moments.chunks():
            self._rotated[:, part] = vectors.T @ moments.cross(part)
        self._x_mean, self._y_mean = moments.x_mean, moments.y_mean.astype(np.float32)
        self.scale = float(self._values.mean()) or 1.0

    def coef(self, alpha: float) -> np.ndarray:
        """Coefficients at one penalty, [targets, landmarks] float32."""
        return np.asarray(((self._vectors * self._shrink(alpha)) @ self._rotated).T)

    def rotate(self, X: np.ndarray) -> np.ndarray:
        """Landmark genes in the basis of the Gram matrix, what `predict` takes."""
        return np.asarray((X - self._x_mean).astype(np.float32) @ self._vectors)

    def predict(self, rotated: np.ndarray, alpha: float) -> np.ndarray:
        """Target genes at one penalty, without forming its coefficients."""
        predicted = (rotated * self._shrink(alpha)) @ self._rotated
        predicted += self._y_mean
        return np.asarray(predicted)

    def _shrink(self, alpha: float) -> np.ndarray:
        return np.asarray((1.0 / (self._values + alpha)).astype(np.float32))

    def choose(self, X: np.ndarray, Y: np.ndarray) -> tuple[float, float, list[dict[str, Any]]]:
        """The penalty of least overall error on held-out profiles, that error, and what was tried."""
        few = spread(len(X))
        rotated, Y_few = self.rotate(X[few]), Y[few]

        def screen(alpha: float) -> float:
            return mean_error(rotated, Y_few, lambda x: self.predict(x, alpha))

        whole: list[np.ndarray] = []  # rotated once, and only where it is asked for

        def exact(alpha: float) -> float:
            if not isinstance(X, np.ndarray):  # in a file, for want of memory
                return mean_error(X, Y, lambda x: self.predict(self.rotate(x), alpha))
            if not whole:
                whole.append(self.rotate(X))
            return mean_error(whole[0], Y, lambda x: self.predict(x, alpha))

        alphas = (PENALTIES * self.scale).tolist()
        errors = [screen(alpha) for alpha in alphas]
        for _ in range(MORE_DECADES):
            at = int(np.argmin(errors))
            if 0 < at < len(alphas) - 1:
                break
            end = 0 if at == 0 else len(alphas)
            alphas.insert(end, alphas[at] * (0.1 if at == 0 else 10.0))
            errors.insert(end, screen(alphas[end]))
            hint(f"ridge: the best penalty lay at the end of the path; trying {alphas[end]:.3g} as well")
        for between in _between(alphas, int(np.argmin(errors))):
            place = int(np.searchsorted(alphas, between))
            alphas.insert(place, between)
            errors.insert(place, screen(between))
        return climb(alphas, errors, exact if len(X) > SCREEN else None, "alpha", len(few), len(X))


def _between(alphas: list[float], at: int) -> list[float]:
    """Penalties between one and its neighbours, evenly in the logarithm: the path doubles from one to the next."""
    pairs = zip(alphas[max(0, at - 1) : at + 1], alphas[max(1, at) : at + 2])
    return [float(a * (b / a) ** (k / FINER)) for a, b in pairs for k in range(1, FINER)]
