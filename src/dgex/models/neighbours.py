"""Nearest neighbours: among landmark genes for every target gene, and among training profiles for every profile."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from dgex.aliases import Sets
from dgex.errors import SettingsError
from dgex.models.base import Arrays, Estimator, report_choice
from dgex.models.explaining import Explained
from dgex.models.linear.from_moments import FromMoments, Gather
from dgex.models.linear.moments import Moments
from dgex.models.paths import swaps
from dgex.models.selection import BLOCK, SCREEN, climb, held_out, mean_error, spread

__all__ = ["KNNGE", "SampleKNN"]

# Most neighbours tried where their number is chosen on held-out profiles.
MOST = 100


class KNNGE(FromMoments):
    """Gene-based nearest neighbours: the KNN-GE of Chen et al. 2016.

    For every target gene the landmark genes that are closest to it over the training profiles (Euclidean
    distance) are found; its prediction is the mean of what these landmark genes measure in the new profile. The
    distances follow from the moments, so that the training profiles are gone through once.

    Parameters
    ----------
    n_neighbors : int, optional
        Number of landmark genes. By default the one up to 100 that gives the least overall error on the first
        evaluation set: all are tried on at most 512 profiles of it, evenly spaced, then the best and its
        neighbours on the whole set.
    standardize : bool
        Compare genes, and take their mean, in units of their own training mean and standard deviation; the result
        is turned back into the target's units. On a standardised dataset this changes next to nothing, on raw
        values it is what makes genes of different levels comparable. False compares and averages values as they are.

    Attributes
    ----------
    neighbors_ : ndarray of int32, shape (targets, n_neighbors)
        Landmark genes of every target, nearest first.
    n_neighbors_ : int
        The number used.
    path_ : list of dict
        `n_neighbors`, `error` and `profiles` (number of validation profiles) of everything tried; empty where
        n_neighbors was given.
    """

    kind: ClassVar[str] = "knn-ge"
    refits: ClassVar[bool] = True
    label: ClassVar[str] = "KNN-GE"

    def __init__(self, n_neighbors: int | None = None, standardize: bool = True) -> None:
        self.n_neighbors = n_neighbors
        self.standardize = standardize

    def check_settings(self) -> None:
        _check_count(self)
        if not isinstance(self.standardize, bool | np.bool_):
            raise SettingsError("knn-ge standardize", found=self.standardize, accepted="True or False")

    def _learn(self, gather: Gather, eval_sets: Sets) -> None:
        _check_most(self, self.n_features_in_, "landmark genes", eval_sets)
        self._solve(gather(None), eval_sets)

    def _solve(self, moments: Moments, eval_sets: Sets) -> None:
        x_var, y_var = np.diag(moments.gram()) / moments.n, moments.y_squares() / moments.n
        usable = np.flatnonzero(x_var > 0) if self.standardize and (x_var > 0).any() else np.arange(len(x_var))
        wanted = min(self.n_neighbors or MOST, len(usable))
        if self.standardize:
            x_std, y_std = np.sqrt(x_var), np.sqrt(y_var)
            self._units = (moments.x_mean, np.where(x_std > 0, x_std, 1.0), moments.y_mean, y_std)
        else:
            zeros = np.zeros(moments.n_targets)
            self._units = (np.zeros(len(x_var)), np.ones(len(x_var)), zeros, zeros + 1.0)
        self.neighbors_ = np.empty((moments.n_targets, wanted), np.int32)
        for part in moments.chunks():
            distance = self._distances(moments, part, x_var, y_var)[usable]
            self.neighbors_[part] = usable[_nearest(distance, wanted)].T
        self.n_neighbors_ = wanted
        self.path_: list[dict[str, Any]] = []
        if self.n_neighbors is None:
            self._choose(*held_out(eval_sets, self.kind, "n_neighbors"))
            self.neighbors_ = np.ascontiguousarray(self.neighbors_[:, : self.n_neighbors_])
        self._prepare()

    def _distances(self, moments: Moments, part: slice, x_var: np.ndarray, y_var: np.ndarray) -> np.ndarray:
        """Mean squared differences between landmark genes and the targets of a slice; up to a constant a target."""
        cross = moments.cross(part) / moments.n
        if self.standardize:
            return -cross / self._units[1][:, None]  # falls with the correlation, as the distance does
        level = moments.x_mean[:, None] - moments.y_mean[None, part]
        return np.asarray(x_var[:, None] + y_var[None, part] - 2.0 * cross + level * level)

    def _choose(self, X: np.ndarray, Y: np.ndarray) -> None:
        few = spread(len(X))
        x_mean, x_scale, y_mean, y_scale = self._units
        values = ((X[few] - x_mean) / x_scale).astype(np.float32)
        counts = list(range(1, self.neighbors_.shape[1] + 1))
        columns = (values[:, self.neighbors_[:, k - 1]] for k in counts)
        errors = _running_errors(columns, Y[few], y_scale.astype(np.float32), y_mean.astype(np.float32))

        def exact(count: float) -> float:
            self.n_neighbors_ = int(count)
            self._prepare()
            return mean_error(X, Y, self._predict)

        best, error, self.path_ = climb(
            counts, errors, exact if len(X) > SCREEN else None, "n_neighbors", len(few), len(X)
        )
        self.n_neighbors_ = int(best)
        report_choice("knn-ge", "n_neighbors", self.n_neighbors_, error)

    def _prepare(self) -> None:
        """A mean over neighbours is a sparse linear model: rows of landmark weights, and an intercept."""
        x_mean, x_scale, y_mean, y_scale = self._units
        targets, count = self.neighbors_.shape[0], self.n_neighbors_
        columns = self.neighbors_[:, :count]
        weights = y_scale[:, None] / (count * x_scale[columns])
        rows = np.arange(targets + 1) * count
        self._weights = sparse.csr_array(
            (weights.astype(np.float32).ravel(), columns.ravel(), rows), shape=(targets, len(x_mean))
        )
        self._intercept = (y_mean - (weights * x_mean[columns]).sum(axis=1)).astype(np.float32)

    def _predict(self, X: np.ndarray) -> np.ndarray:
        predicted = np.empty((len(X), self._weights.shape[0]), np.float32)
        for start in range(0, len(X), BLOCK):
            block = slice(start, start + BLOCK)
            predicted[block] = (self._weights @ X[block].T).T
            predicted[block] += self._intercept
        return predicted

    def explained(self, start: np.ndarray, end: np.ndarray, targets: np.ndarray) -> Explained:
        weights = np.asarray(self._weights[targets].toarray(), np.float64)
        return Explained(weights * (end.astype(np.float64) - start), "weights of the nearest landmark genes")

    def _arrays(self) -> Arrays:
        names = ("x_mean", "x_scale", "y_mean", "y_scale")
        return {"neighbors": self.neighbors_, **dict(zip(names, self._units))}

    def _state(self) -> dict[str, Any]:
        return {"n_neighbors": self.n_neighbors_, "path": self.path_}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        self.neighbors_ = arrays["neighbors"]
        self._units = (arrays["x_mean"], arrays["x_scale"], arrays["y_mean"], arrays["y_scale"])
        self.n_neighbors_, self.path_ = int(state["n_neighbors"]), state["path"]
        self._prepare()


class SampleKNN(Estimator):
    """Nearest training profiles: predicts the mean of their target genes.

    Training profiles are compared by Euclidean distance over the landmark genes, with scikit-learn's exact search.
    The paper mentions this profile-based rule and prefers the gene-based one.

    Nothing is learned: the estimator refers to the training matrices as they were passed, and its model folder
    holds a copy of them, so it is as large as these.

    Parameters
    ----------
    n_neighbors : int, optional
        Number of training profiles. By default the one up to 100 that gives the least overall error on the first
        evaluation set: all are tried on at most 512 profiles of it, evenly spaced, then the best and its
        neighbours on the whole set.
    weights : {"uniform", "distance"}
        Plain mean, or neighbours weighted by the inverse of their distance.

    Attributes
    ----------
    n_neighbors_ : int
        The number used.
    path_ : list of dict
        `n_neighbors`, `error` and `profiles` (number of validation profiles) of everything tried; empty where
        n_neighbors was given.
    """

    kind: ClassVar[str] = "knn"
    holds_profiles: ClassVar[bool] = True
    refits: ClassVar[bool] = True
    label: ClassVar[str] = "KNN"

    def __init__(self, n_neighbors: int | None = None, weights: str = "uniform") -> None:
        self.n_neighbors = n_neighbors
        self.weights = weights

    def check_settings(self) -> None:
        _check_count(self)
        if self.weights not in ("uniform", "distance"):
            raise SettingsError("knn weights", found=self.weights, accepted="'uniform' or 'distance'")

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Sets) -> None:
        _check_most(self, len(X), "training profiles", eval_sets)
        self._index(X, Y)
        self.n_neighbors_ = self.n_neighbors or min(MOST, len(X))
        self.path_: list[dict[str, Any]] = []
        if self.n_neighbors is None:
            self._choose(*held_out(eval_sets, self.kind, "n_neighbors"))

    def _index(self, X: np.ndarray, Y: np.ndarray) -> None:
        self._X, self._Y = X, Y
        from sklearn.neighbors import NearestNeighbors  # nobody else waits for it

        self._search = NearestNeighbors(algorithm="brute").fit(X)

    def _choose(self, X: np.ndarray, Y: np.ndarray) -> None:
        few = spread(len(X))
        index, weights = self._neighbours(X[few])
        columns = (self._Y[index[:, k]] for k in range(index.shape[1]))
        errors = _running_errors(columns, Y[few], weights=weights)

        def exact(count: float) -> float:
            self.n_neighbors_ = int(count)
            return mean_error(X, Y, self._predict)

        best, error, self.path_ = climb(
            list(range(1, len(errors) + 1)),
            errors,
            exact if len(X) > SCREEN else None,
            "n_neighbors",
            len(few),
            len(X),
        )
        self.n_neighbors_ = int(best)
        report_choice("knn", "n_neighbors", self.n_neighbors_, error)

    def _neighbours(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices and unnormalised weights of the nearest training profiles, nearest first."""
        distance, index = self._search.kneighbors(X, self.n_neighbors_)
        if self.weights == "uniform":
            return index, np.ones(index.shape, np.float32)
        same = distance == 0  # as scikit-learn: where a training profile is met exactly, only such ones count
        with np.errstate(divide="ignore"):
            weights = np.where(same.any(axis=1, keepdims=True), same, 1.0 / distance)
        return index, weights.astype(np.float32)

    def _predict(self, X: np.ndarray) -> np.ndarray:
        predicted = np.empty((len(X), self._Y.shape[1]), np.float32)
        for start in range(0, len(X), BLOCK):
            block = slice(start, start + BLOCK)
            index, weights = self._neighbours(X[block])
            weights /= weights.sum(axis=1, keepdims=True)
            rows = np.arange(len(index) + 1) * index.shape[1]
            mean = sparse.csr_array((weights.ravel(), index.ravel(), rows), shape=(len(index), len(self._Y)))
            predicted[block] = mean @ self._Y
        return predicted

    def explained(self, start: np.ndarray, end: np.ndarray, targets: np.ndarray) -> Explained | None:
        if self.weights != "uniform":
            return None
        away = end.astype(np.float64) - start
        values = np.zeros((len(targets), len(away)))
        for old, new in swaps(start, end, self._X, self.n_neighbors_):
            share = away * (self._X[new].astype(np.float64) - self._X[old])
            share = share if share.sum() > 0 else away * away  # as far as before and after: a tie
            change = (self._Y[new, targets].astype(np.float64) - self._Y[old, targets]) / self.n_neighbors_
            values += np.outer(change, share / share.sum())
        return Explained(values, "which training profiles become nearest on the way, and by which landmark genes")

    def _arrays(self) -> Arrays:
        return {"X": self._X, "Y": self._Y}

    def _state(self) -> dict[str, Any]:
        return {"n_neighbors": self.n_neighbors_, "path": self.path_}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        self._index(arrays["X"], arrays["Y"])
        self.n_neighbors_, self.path_ = int(state["n_neighbors"]), state["path"]


def _check_count(model: KNNGE | SampleKNN) -> None:
    count = model.n_neighbors
    if count is None:
        return
    if not isinstance(count, int | float | np.number) or isinstance(count, bool) or not count >= 1 or count % 1 != 0:
        raise SettingsError(f"{model.kind} n_neighbors", found=count, accepted="a whole number, 1 or more")


def _check_most(model: KNNGE | SampleKNN, most: int, what: str, eval_sets: Sets) -> None:
    if model.n_neighbors is None:
        held_out(eval_sets, model.kind, "n_neighbors")
    elif model.n_neighbors > most:
        raise SettingsError(
            f"{model.kind} n_neighbors", found=model.n_neighbors, accepted=f"1 to {most:,}, the number of {what}"
        )


def _nearest(distance: np.ndarray, count: int) -> np.ndarray:
    """Row indices of the `count` smallest of every column, smallest first; ties go to the first row."""
    if count < len(distance):
        chosen = np.sort(np.argpartition(distance, count - 1, axis=0)[:count], axis=0)
    else:
        chosen = np.broadcast_to(np.arange(len(distance))[:, None], distance.shape)
    order = np.argsort(np.take_along_axis(distance, chosen, axis=0), axis=0, kind="stable")
    return np.take_along_axis(chosen, order, axis=0)


def _running_errors(
    columns: Any,
    Y: np.ndarray,
    scale: np.ndarray | float = 1.0,
    level: np.ndarray | float = 0.0,
    weights: np.ndarray | None = None,
) -> list[float]:
    """Overall errors of the means over the first 1, 2, … of `columns`, each profiles x targets."""
    total = np.zeros(Y.shape, np.float32)
    size = np.zeros((len(Y), 1), np.float32)
    errors = []
    for k, column in enumerate(columns):
        if weights is None:
            total += column
            size += 1
        else:
            total += weights[:, k, None] * column
            size += weights[:, k, None]
        difference = total / size
        difference *= scale
        difference += level
        difference -= Y
        errors.append(float(np.abs(difference, out=difference).mean(dtype=np.float64)))
    return errors
