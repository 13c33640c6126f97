"""An older model, corrected for another platform by what a few whole profiles of it tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dgex.aliases import Sets
from dgex.confidence.confidence import trusted
from dgex.confidence.held_out import HeldOut
from dgex.errors import DataError, SettingsError
from dgex.models.adaptation.choice import SHAPES, Choice, Folds, Problem, choose, gram, units_of_few
from dgex.models.adaptation.curve import further, learning_curve, told
from dgex.models.base import Arrays, Estimator
from dgex.models.held import arrays_of, restored, state_of
from dgex.models.kernel.kernels import KernelShape, Units
from dgex.models.selection import folds_of
from dgex.progress import note

__all__ = ["FEWEST", "MOST", "Adapted"]

#: Whole profiles that are needed, and beyond which a model of their own is called for.
FEWEST, MOST = 5, 5000
# With so many profiles each is held out alone.
SINGLE = 20
BLOCK = 2048


class Adapted(Estimator):
    r"""A Gaussian process of another platform, with an older model as its mean.

    For every target gene

    .. math:: \hat y(x) = \bar y + s (f(x) - \bar f) + k(x)' (K + \alpha I)^{-1} (y - \bar y - s (f - \bar f))

    where f is the old model, k the kernel of `dgex.models.kernel.kernels` and the bars are means over the new
    profiles. With the share s = 0 it is kernel ridge regression of the new profiles alone, with an infinite penalty it
    is the old model moved to the new platform's means. The kernel, s and alpha are chosen together on new profiles held
    out, so that both are there where they are better. `dgex.adapt` makes it of files.

    Parameters
    ----------
    folds : int
        Folds in which new profiles are held out; up to 20 profiles without groups are held out one by one.
    seed : int
        Decides the folds.

    Attributes
    ----------
    old_ : Estimator
        The old model.
    share_ : float
        The share s of the old model.
    gamma_, linear_, alpha_ : float
        The kernel and its penalty.
    expected_ : dict
        `error` on profiles held out, in standard deviations of the new platform; `members`: the same of the old model
        by the new platform's statistics and of the new profiles alone; `curve`: errors with fewer profiles (`profiles`,
        `error`), by their law `now`, and what so many `more` would bring (`then`); `further`: that in words.
    expected_by_gene_ : ndarray of float32, shape (targets,)
        The error of each gene; NaN of those that the new profiles lack.
    lacking_ : ndarray of bool, shape (targets,)
        Target genes that stay with the old model.
    held_out_ : HeldOut
        Predictions of the new profiles held out, by which trust and intervals are judged; they are not saved.

    Notes
    -----
    `fit` takes besides X and Y: `old` (a fitted model of the same genes), `groups` (a label for each profile; whole
    groups are held out) and `lacking` (mask of target genes that were not measured; their values are not looked at).
    Statistics of the landmark genes, unlike those of the target genes, are of all new profiles in every fold.

    References
    ----------
    C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning. MIT Press 2006, section 2.7: a mean
    function that is known but for a factor.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> B = rng.normal(size=(6, 9))
    >>> X, new = rng.normal(size=(200, 6)), rng.normal(size=(12, 6))
    >>> from dgex.models.linear.regression import Ridge
    >>> old = Ridge(alpha=1.0).fit(X, X @ B)
    >>> model = Adapted().fit(new, 0.8 * new @ B + 3.0, old=old)
    >>> model.predict(new[:2]).shape, round(model.share_, 1)
    ((2, 9), 0.8)
    """

    held_out_: HeldOut

    kind: ClassVar[str] = "adapted"
    label: ClassVar[str] = "adapted"
    fit_options: ClassVar[tuple[str, ...]] = ("old", "groups", "lacking")
    restandardizes: ClassVar[bool] = True

    def __init__(self, folds: int = 10, seed: int = 0) -> None:
        self.folds = folds
        self.seed = seed

    def check_settings(self) -> None:
        if not isinstance(self.folds, int) or isinstance(self.folds, bool) or self.folds < 2:
            raise SettingsError("adapted folds", found=self.folds, accepted="a whole number, 2 or more")

    def _fit(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        eval_sets: Sets,
        old: Estimator | None = None,
        groups: Sequence[str] | np.ndarray | None = None,
        lacking: np.ndarray | None = None,
    ) -> None:
        if old is None or (old.n_features_in_, old.n_targets_) != (X.shape[1], Y.shape[1]):
            raise SettingsError("adapted needs an old model of the same genes: fit(X, Y, old=model)")
        if not FEWEST <= len(X) <= MOST:
            many = f"up to {MOST:,}; of more, dgex train makes a model of their own"
            raise DataError("whole profiles to adapt from", found=len(X), accepted=f"at least {FEWEST}, {many}")
        self.old_ = old
        self.lacking_ = np.zeros(Y.shape[1], bool) if lacking is None else np.asarray(lacking, bool)
        generator = np.random.default_rng(self.seed)
        parts, words = self._parts(len(X), groups, generator)
        rows = np.arange(len(X))
        folds = [(np.setdiff1d(rows, part), part) for part in parts]
        self._units = units_of_few(X)
        if not self._units.scale.any():
            raise DataError("the landmark genes of the new profiles do not vary: nothing can be learned from them")
        prior, there = self._prior(X), ~self.lacking_
        spread_of = Y[:, there].std(axis=0, ddof=1, dtype=np.float64)
        known = spread_of[spread_of > 0]
        if not len(known):
            raise DataError("the target genes of the new profiles do not vary: nothing can be learned from them")
        unit = np.sqrt((len(X) * spread_of**2 + 10 * np.median(known) ** 2) / (len(X) + 10)).astype(np.float32)
        kernels = [gram(X, X, shape, self._units) for shape in SHAPES]
        problem = Problem(kernels, Y[:, there] / unit, prior[:, there] / unit)
        choice = choose(problem, folds)
        points = learning_curve(problem, choice.shape, folds, generator, choice.error)
        self._take(choice, words, told(points, len(X)))
        self._hold_out(X, Y, prior, kernels[choice.shape], folds, unit)
        self._solve(X, Y, prior, kernels[choice.shape])
        labels = None if groups is None else [str(group) for group in groups]
        self.held_out_ = self.held_out_._replace(groups=labels, words=words)
        self.confidence_ = trusted(self._predict, X, self.held_out_)

    def _parts(
        self, n: int, groups: Sequence[str] | np.ndarray | None, generator: np.random.Generator
    ) -> tuple[list[np.ndarray], str]:
        """Rows of each fold, and how they were laid out, in words."""
        if groups is None:
            count = n if n <= SINGLE else min(self.folds, n)
            how = "each held out alone" if count == n else f"{count} folds at random"
            return folds_of(n, count, None, generator), f"{n:,} new profiles, {how}"
        labels = np.array([str(group) for group in groups])
        if len(labels) != n:
            raise DataError("groups", found=f"{len(labels):,} labels", accepted=f"one for each of {n:,} profiles")
        names = len(set(labels))
        if names < 2:
            raise DataError(
                "all new profiles are of one group: none can be held out whole", accepted="2 groups or more"
            )
        count = min(self.folds, names)
        return folds_of(n, count, labels, generator), f"{n:,} new profiles, {count} folds of whole groups ({names})"

    def _take(self, choice: Choice, words: str, curve: dict[str, Any]) -> None:
        self.share_, self.alpha_ = choice.share, choice.alpha
        self.gamma_, self.linear_ = SHAPES[choice.shape]
        members = {
            "old model, by the new platform's statistics": choice.old,
            "new profiles alone": choice.alone,
            "adapted": choice.error,
        }
        rule = f"{self.share_:g} of the old model" + (
            "" if np.isinf(self.alpha_) else f", corrected with alpha {self.alpha_:.3g}"
        )
        self.expected_: dict[str, Any] = {
            "error": choice.error,
            "rule": rule,
            "judged": words,
            "members": members,
            "left_out": {},
            "curve": curve,
            "further": further(curve),
        }
        errors = ", ".join(f"{name} {error:.4f}" for name, error in members.items())
        note(f"adapted: overall errors on profiles held out ({words}): {errors}")
        note(f"adapted: chosen is {rule}")
        if self.expected_["further"]:
            note(f"adapted: {self.expected_['further']}")

    def _hold_out(
        self, X: np.ndarray, Y: np.ndarray, prior: np.ndarray, kernel: np.ndarray, folds: Folds, unit: np.ndarray
    ) -> None:
        """Predict what each fold holds out with what was chosen, all target genes."""
        predicted, fold = prior.copy(), np.empty(len(X), int)
        there = ~self.lacking_
        for number, (train, held) in enumerate(folds):
            base, weights = self._solved(Y[train][:, there], prior[train][:, there], kernel[np.ix_(train, train)])
            values = base + self.share_ * prior[np.ix_(held, there)] + kernel[np.ix_(held, train)] @ weights
            predicted[np.ix_(held, there)] = values
            fold[held] = number
        true = np.where(self.lacking_, np.float32(np.nan), Y)
        self.held_out_ = HeldOut(X, true, predicted, fold)
        self.expected_by_gene_ = np.full(Y.shape[1], np.nan, np.float32)
        self.expected_by_gene_[there] = np.abs(predicted - Y)[:, there].mean(axis=0, dtype=np.float64) / unit

    def _solved(self, Y: np.ndarray, prior: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Level of each gene and weights of each profile, [profiles, targets]."""
        base = Y.mean(axis=0, dtype=np.float64) - self.share_ * prior.mean(axis=0, dtype=np.float64)
        if np.isinf(self.alpha_):
            return base, np.zeros(Y.shape)
        rest = Y - base - self.share_ * prior
        return base, np.linalg.solve(kernel + self.alpha_ * np.eye(len(kernel)), rest)

    def _solve(self, X: np.ndarray, Y: np.ndarray, prior: np.ndarray, kernel: np.ndarray) -> None:
        there = ~self.lacking_
        base, weights = self._solved(Y[:, there], prior[:, there], kernel)
        self._profiles = X
        self._base = np.zeros(Y.shape[1], np.float32)
        self._shares = np.ones(Y.shape[1], np.float32)
        self._weights = np.zeros(Y.shape, np.float32)
        self._base[there], self._shares[there], self._weights[:, there] = base, self.share_, weights

    def _prior(self, X: np.ndarray) -> np.ndarray:
        """What the old model says of values in the units that this one was fitted in."""
        return self.old_.predict(X)

    def held_models(self) -> list[Estimator]:
        return [self.old_]

    def _predict(self, X: np.ndarray) -> np.ndarray:
        whole = np.empty((len(X), self.n_targets_), np.float32)
        for start in range(0, len(X), BLOCK):
            part = slice(start, start + BLOCK)
            kernel = gram(X[part], self._profiles, KernelShape(self.gamma_, self.linear_), self._units)
            whole[part] = self._prior(X[part]) * self._shares + self._base
            if np.isfinite(self.alpha_):
                whole[part] += kernel.astype(np.float32) @ self._weights
        return whole

    def _arrays(self) -> Arrays:
        own: Arrays = {
            "profiles": self._profiles,
            "weights": self._weights,
            "base": self._base,
            "shares": self._shares,
            "landmark_mean": self._units.mean,
            "landmark_scale": self._units.scale,
            "expected": self.expected_by_gene_,
        }
        return own | arrays_of(self.old_, "old.")

    def _state(self) -> dict[str, Any]:
        return {
            "share": self.share_,
            "gamma": self.gamma_,
            "linear": self.linear_,
            "alpha": self.alpha_ if np.isfinite(self.alpha_) else None,
            "distance": self._units.distance,
            "square": self._units.square,
            "expected": self.expected_,
            "old": state_of(self.old_),
        }

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        self._profiles, self._weights = arrays["profiles"], arrays["weights"]
        self._base, self._shares, self.expected_by_gene_ = (arrays[name] for name in ("base", "shares", "expected"))
        mean, scale = arrays["landmark_mean"], arrays["landmark_scale"]
        n, p, t = len(self._profiles), self.n_features_in_, self.n_targets_
        held = [part.shape for part in (self._profiles, self._weights, self._base, self._shares, mean, scale)]
        if held != [(n, p), (n, t), (t,), (t,), (p,), (p,)]:
            raise ValueError(f"arrays of shapes {held} do not fit its genes")
        self.share_, self.gamma_, self.linear_ = (float(state[name]) for name in ("share", "gamma", "linear"))
        self.alpha_ = float("inf") if state["alpha"] is None else float(state["alpha"])
        self._units = Units(mean, scale, float(state["distance"]), float(state["square"]))
        self.expected_, self.lacking_ = state["expected"], np.isnan(self.expected_by_gene_)
        self.old_ = restored(arrays, state["old"], "old.", self)
