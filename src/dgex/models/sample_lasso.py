"""A lasso over training profiles for every new profile: a sparse mixture of those it is most alike."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy import sparse

from dgex.aliases import Sets
from dgex.arrays.host import HOST_SHARE, host_memory
from dgex.errors import DataError, SettingsError
from dgex.models.base import Arrays, Estimator, EvalSets, Matrix, report_choice
from dgex.models.linear.lasso_solver import LassoSolver
from dgex.models.matrices import is_annotated, unit_variance
from dgex.models.selection import SCREEN, check_penalty, climb, held_out, mean_error, penalty_path, spread
from dgex.progress import warn

__all__ = ["SampleLasso"]

# New profiles solved at once.
BLOCK = 2048
# Bytes that the solver takes for each pair of training profiles: Gram matrix, its eigenvectors, inverses, systems.
BYTES = 72
# Step of the solver. It is not chosen by the profiles at hand: what a profile becomes must not depend on the others.
STEP = 2.0


class SampleLasso(Estimator):
    r"""A lasso over training profiles for every new profile: the SampleLASSO of Mancuso et al. 2020.

    A new profile :math:`z` is written as a sparse mixture of the training profiles :math:`Z` over the landmark genes,

    .. math:: \min_w \frac{1}{2p} \lVert z - Z'w \rVert^2 + \alpha \lVert w \rVert_1

    for :math:`p` landmark genes, each by its training mean and standard deviation (a constant one is left out). Its
    target genes are the same mixture of theirs: :math:`\bar y + (Y - \bar y)'w`. Weights may be negative.

    Nothing is learned but the penalty: the estimator refers to the training matrices as they were passed, and its
    model folder holds a copy of them, so it is as large as these.

    Parameters
    ----------
    alpha : float, optional
        The penalty, the same for all new profiles. By default the one of least overall error on the first evaluation
        set: a path that falls in 15 steps over three decades from the penalty at which no training profile is used,
        and ends where the error rises by more than 1 %, is walked on at most 512 profiles of it, evenly spaced; then
        the best and its neighbours are tried on the whole set.
    tol : float
        Largest duality gap of a profile, relative to its objective at zero weights. Errors of predictions differ in
        the fourth digit between 1e-3 and 1e-4.

    Attributes
    ----------
    alpha_ : float
        The penalty used.
    path_ : list of dict
        `alpha`, `error` and `profiles` (number of validation profiles) of everything tried; empty where alpha was
        given.
    profiles_ : list of str
        Names of the training profiles, of an AnnData or a DataFrame; their positions where bare arrays were fitted.

    Notes
    -----
    Takes about 72 bytes for each pair of training profiles: 0.3 GB for 2,000, 7 GB for 10,000.

    References
    ----------
    C. A. Mancuso, J. L. Canfield, D. Singla, A. Krishnan. A flexible, interpretable, and accurate approach for
    imputing the expression of unmeasured genes. Nucleic Acids Research 48 (2020) e125.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(size=(300, 4))
    >>> X, Y = factors @ rng.normal(size=(4, 20)), factors @ rng.normal(size=(4, 8))
    >>> model = SampleLasso(alpha=0.05).fit(X[:200], Y[:200])
    >>> model.predict(X[200:]).shape, model.weights_of(X[200:]).shape
    ((100, 8), (100, 200))
    """

    kind: ClassVar[str] = "sample-lasso"
    holds_profiles: ClassVar[bool] = True
    label: ClassVar[str] = "sample-lasso"

    def __init__(self, alpha: float | None = None, tol: float = 1e-3) -> None:
        self.alpha = alpha
        self.tol = tol

    def check_settings(self) -> None:
        check_penalty(self.kind, self.alpha)
        number = isinstance(self.tol, int | float | np.number) and not isinstance(self.tol, bool)
        if not number or not 0 < self.tol < 1:
            raise SettingsError("sample-lasso tol", found=self.tol, accepted="a number between 0 and 1")

    def fit(self, X: Matrix, Y: Matrix, eval_sets: EvalSets | None = None, **options: Any) -> Self:
        """As `Estimator.fit`; keeps the names of the training profiles."""
        super().fit(X, Y, eval_sets, **options)
        names = X.obs_names if is_annotated(X) else X.index if isinstance(X, pd.DataFrame) else None
        if names is not None:
            self.profiles_ = [str(name) for name in names]
        return self

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Sets) -> None:
        _check_memory(len(X))
        held = held_out(eval_sets, self.kind, "alpha") if self.alpha is None else None
        self.profiles_ = [str(at) for at in range(len(X))]
        self._place(X, Y)
        self.path_: list[dict[str, Any]] = []
        if held is None:
            assert self.alpha is not None
            self.alpha_ = float(self.alpha)
        else:
            self._choose(*held)

    def _place(self, X: np.ndarray, Y: np.ndarray) -> None:
        """Standardise the landmark genes; the solver is made when it is first needed, which takes seconds."""
        self._X, self._Y = X, Y
        self._x_mean, self._inverse_scale = unit_variance(X)
        self._y_mean = Y.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._solver: LassoSolver | None = None

    def _standard(self, X: np.ndarray) -> np.ndarray:
        return np.asarray((X - self._x_mean) * self._inverse_scale)

    def _prepared(self) -> tuple[LassoSolver, np.ndarray]:
        """The solver and the standardised training profiles."""
        if self._solver is None:
            _check_memory(len(self._X))
            self._near = self._standard(self._X)
            self._solver = LassoSolver(self._near @ self._near.T / self._near.shape[1])
        return self._solver, self._near

    def _choose(self, X: np.ndarray, Y: np.ndarray) -> None:
        few = spread(len(X))
        _, near = self._prepared()
        top = float(np.abs(near @ self._standard(X[few]).T).max()) / X.shape[1] or 1.0
        start: np.ndarray | None = None

        def screened(alpha: float) -> float:
            nonlocal start
            start = self._weights(X[few], alpha, start)
            return mean_error(X[few], Y[few], lambda _: self._mixed(start))

        def exact(alpha: float) -> float:
            return mean_error(X, Y, lambda block: self._mixed(self._weights(block, alpha)))

        alphas, errors = penalty_path(top, screened, self.kind)
        self.alpha_, error, self.path_ = climb(
            alphas, errors, exact if len(X) > SCREEN else None, "alpha", len(few), len(X)
        )
        report_choice(self.kind, "alpha", f"{self.alpha_:.4g}", error)

    def _weights(self, X: np.ndarray, alpha: float, start: np.ndarray | None = None) -> np.ndarray:
        """Weights [profiles, training profiles] at one penalty."""
        solver, near = self._prepared()
        far = self._standard(X)
        genes = near.shape[1]
        squares = np.einsum("ij,ij->i", far, far) / genes
        weights, gaps = solver.solve(
            lambda part: near @ far[part].T / genes, squares, alpha, self.tol, start=start, step=STEP
        )
        late = int((gaps > self.tol).sum())
        if late:
            warn(f"sample-lasso: {late:,} of {len(X):,} profiles stopped at a duality gap of up to {gaps.max():.1e}")
        return weights

    def _mixed(self, weights: np.ndarray | None) -> np.ndarray:
        """Targets of profiles that are these mixtures of training profiles."""
        mixture = sparse.csr_array(weights)
        mixed = np.asarray(mixture @ self._Y)
        mixed += np.outer(1.0 - mixture.sum(axis=1), self._y_mean)
        return mixed

    def weights_of(self, X: Matrix) -> sparse.csr_array:
        """The training profiles that new profiles are made of.

        Parameters
        ----------
        X : array, DataFrame or AnnData, shape (profiles, landmarks)
            As for `predict`.

        Returns
        -------
        sparse array of float32, shape (profiles, training profiles)
            The weight of each training profile, in the order of `profiles_`; most are zero.

        Raises
        ------
        ModelError, GeneError, DataError
            As `predict`.

        Examples
        --------
        >>> X = pd.DataFrame(np.eye(4), index=list("abcd"), columns=list("ABCD"))
        >>> model = SampleLasso(alpha=0.01).fit(X, X)
        >>> weights = model.weights_of(X.iloc[[2]])
        >>> [model.profiles_[at] for at in weights.argmax(axis=1)]
        ['c']
        """
        self._check_fitted()
        x = self._inputs(X)
        blocks = [sparse.csr_array(self._weights(x[at : at + BLOCK], self.alpha_)) for at in range(0, len(x), BLOCK)]
        if not blocks:
            return sparse.csr_array((0, len(self._X)), dtype=np.float32)
        return sparse.csr_array(sparse.vstack(blocks))

    def _predict(self, X: np.ndarray) -> np.ndarray:
        predicted = np.empty((len(X), self._Y.shape[1]), np.float32)
        for at in range(0, len(X), BLOCK):
            predicted[at : at + BLOCK] = self._mixed(self._weights(X[at : at + BLOCK], self.alpha_))
        return predicted

    def _arrays(self) -> Arrays:
        return {"X": self._X, "Y": self._Y}

    def _state(self) -> dict[str, Any]:
        return {"alpha": self.alpha_, "path": self.path_, "profiles": self.profiles_}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        X, Y, names = arrays["X"], arrays["Y"], state["profiles"]
        if X.shape != (len(names), self.n_features_in_) or Y.shape != (len(names), self.n_targets_):
            raise ValueError(f"{len(names)} names and arrays of shapes {X.shape} and {Y.shape} do not fit its genes")
        self._place(X, Y)
        self.alpha_, self.path_, self.profiles_ = float(state["alpha"]), state["path"], names


def _check_memory(profiles: int) -> None:
    """Refuse more training profiles than the solver's matrices have room for."""
    room = HOST_SHARE * host_memory()
    if BYTES * profiles**2 > room:
        raise DataError(
            f"sample-lasso: training profiles, which take {BYTES * profiles**2 / 2**30:,.0f} GiB of memory",
            found=profiles,
            accepted=f"at most {int((room / BYTES) ** 0.5):,} here; the method knn or kernel takes more",
        )
