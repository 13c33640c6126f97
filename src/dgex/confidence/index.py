"""Which training profiles are near a new one: a compact index of them that travels with a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dgex.arrays.index import evenly

__all__ = ["MOST_INDEXED", "TrainingIndex"]

#: At most so many training profiles, spread evenly, are kept.
MOST_INDEXED = 20_000
# Each by so many numbers at least and at most, and all by so many together: 5 MB at most, with names and directions.
_FEWEST, _MOST, _TOGETHER = 64, 256, 1_280_000
# Two profiles that differ by less than this share of what lies outside the directions are one and the same.
_SAME = 1e-3
# Main directions come of at most as many profiles.
_FITTED = 4000
_PREFIX = "training_index."
_BLOCK = 4096


@dataclass
class TrainingIndex:
    r"""Names of training profiles, their studies, and where they lie among the landmark genes.

    A profile lies at its standardised landmark values z, projected on the main directions V of the training profiles
    (64 to 256, the fewer the more profiles); of what lies outside them its length r alone is known. The distance of two
    profiles is :math:`\sqrt{(\lVert V^T (z - z') \rVert^2 + r^2 + r'^2) / p}`: the root mean square difference of the p
    landmark genes in training deviations, as if what lies outside the directions had nothing in common.

    Attributes
    ----------
    names : ndarray of str, shape (profiles,)
    study : ndarray of str, shape (profiles,), or None
        Study, batch or donor of each, where the dataset has a column of them.
    column : str
        What that column is called; empty where there is none.
    coordinates : ndarray of float16, shape (profiles, directions)
    outside : ndarray of float16, shape (profiles,)
        Length of what lies outside the directions.
    mean, deviation : ndarray of float32, shape (landmarks,)
        Of the landmark genes over the training profiles.
    directions : ndarray of float32, shape (landmarks, directions)
        Orthonormal.
    total : int
        Training profiles there were.
    share : float
        Of the variance of the standardised landmark genes that lies in the directions.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    >>> index = TrainingIndex.of(X, [f"P{at}" for at in range(100)])
    >>> places, distance = index.nearest(X[:2], 3)
    >>> index.names[places[:, 0]].tolist(), bool((distance[:, 0] < 0.01).all())
    (['P0', 'P1'], True)
    """

    names: np.ndarray
    study: np.ndarray | None
    column: str
    coordinates: np.ndarray
    outside: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    directions: np.ndarray
    total: int
    share: float

    @classmethod
    def of(
        cls, X: np.ndarray, names: Sequence[str], study: Sequence[str] | np.ndarray | None = None, column: str = ""
    ) -> Self:
        """Index training profiles.

        Parameters
        ----------
        X : ndarray of float32, shape (profiles, landmarks)
        names : sequence of str
        study : sequence of str, optional
            Of each profile; what it tells is called `column`.
        column : str
        """
        rows = evenly(len(X), MOST_INDEXED)
        few = X[evenly(len(X), _FITTED)].astype(np.float64)
        mean, deviation = few.mean(axis=0), few.std(axis=0)
        deviation[deviation < 1e-6] = np.inf  # a gene that does not change tells nothing
        z = (few - mean) / deviation
        p = X.shape[1]
        kept = min(p, int(np.clip(_TOGETHER // len(rows), _FEWEST, _MOST)))
        from scipy.linalg import eigh

        values, directions = eigh(z.T @ z / len(z), subset_by_index=(p - kept, p - 1))
        directions = directions[:, ::-1]
        directions = (directions * np.where(directions.sum(axis=0) < 0, -1, 1)).astype(np.float32)
        total = float((z * z).sum() / len(z))
        index = cls(
            np.asarray([_plain(name) for name in np.asarray(names, dtype=object)[rows]], dtype=object),
            None if study is None else np.asarray([_plain(s) for s in np.asarray(study, object)[rows]], dtype=object),
            "" if study is None else column,
            np.empty((len(rows), kept), np.float16),
            np.empty(len(rows), np.float16),
            mean.astype(np.float32),
            deviation.astype(np.float32),
            directions,
            len(X),
            float(values.sum()) / total if total > 0 else 0.0,
        )
        for start in range(0, len(rows), _BLOCK):
            part = slice(start, start + _BLOCK)
            inside, outside = index._project(X[rows[part]])
            index.coordinates[part], index.outside[part] = inside.astype(np.float16), outside.astype(np.float16)
        return index

    def _project(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where profiles lie in the directions, and the length of what lies outside."""
        z = (X - self.mean) / self.deviation
        inside = np.asarray(z @ self.directions)
        left = np.square(z).sum(axis=1, dtype=np.float64) - np.square(inside).sum(axis=1, dtype=np.float64)
        return inside, np.sqrt(np.maximum(left, 0) if inside.shape[1] < z.shape[1] else np.zeros(len(z)))

    def on_map(self, X: np.ndarray) -> np.ndarray:
        """Where profiles lie along the two main directions; where training profiles lie is `coordinates[:, :2]`.

        Parameters
        ----------
        X : ndarray of float32, shape (profiles, landmarks)
            In the unit that the model works in, without NaN.

        Returns
        -------
        ndarray of float32, shape (profiles, 2)
            0 in the second column where the index has one direction alone.
        """
        inside = self._project(np.asarray(X, np.float32))[0][:, :2].astype(np.float32)
        return np.pad(inside, ((0, 0), (0, 2 - inside.shape[1])))

    def nearest(self, X: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest training profiles of others.

        Parameters
        ----------
        X : ndarray of float32, shape (profiles, landmarks)
            In the unit that the model works in, without NaN.
        count : int

        Returns
        -------
        places : ndarray of int, shape (profiles, count)
            In `names`, nearest first; fewer where fewer are kept.
        distance : ndarray of float64, of the same shape
        """
        count = min(count, len(self.names))
        there, far = self.coordinates.astype(np.float32), self.outside.astype(np.float64)
        squares = np.empty((len(X), len(there)))
        for row, (own, outside) in enumerate(zip(*self._project(X))):
            inside, beyond = ((there - own) ** 2).sum(axis=1, dtype=np.float64), far**2 + outside**2
            squares[row] = inside + np.where(inside < _SAME * beyond, (far - outside) ** 2, beyond)
        places = np.argsort(squares, axis=1, kind="stable")[:, :count]
        return places, np.sqrt(np.take_along_axis(squares, places, axis=1) / len(self.mean))

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays to store with a model, names prefixed `training_index.`."""
        own = {
            "names": _bytes(self.names),
            "coordinates": self.coordinates,
            "outside": self.outside,
            "mean": self.mean,
            "deviation": self.deviation,
            "directions": self.directions,
        }
        if self.study is not None:
            labels, codes = np.unique(self.study.astype(str), return_inverse=True)
            own |= {"labels": _bytes(labels), "study": codes.astype(np.uint16 if len(labels) < 1 << 16 else np.uint32)}
        return {_PREFIX + name: array for name, array in own.items()}

    def state(self) -> dict[str, Any]:
        """Everything else to store, as JSON knows it."""
        return {"column": self.column, "profiles": len(self.names), "total": self.total, "share": self.share}

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> Self:
        """Read back what `arrays` and `state` gave; other arrays are ignored."""
        own = {name.removeprefix(_PREFIX): array for name, array in arrays.items() if name.startswith(_PREFIX)}
        names, study = _texts(own["names"]), None
        if "study" in own:
            study = _texts(own["labels"])[own["study"]]
        shapes = [own[name].shape for name in ("coordinates", "directions", "mean", "deviation", "outside")]
        n, p, k = len(names), len(own["mean"]), own["coordinates"].shape[-1]
        if shapes != [(n, k), (p, k), (p,), (p,), (n,)] or (study is not None and study.shape != (n,)):
            raise ValueError(f"an index of {n} names with arrays of shapes {shapes}")
        return cls(
            names,
            study,
            str(state["column"]),
            own["coordinates"],
            own["outside"],
            own["mean"],
            own["deviation"],
            own["directions"],
            int(state["total"]),
            float(state["share"]),
        )


def _plain(name: object) -> str:
    return " ".join(str(name).split("\n"))


def _bytes(texts: np.ndarray) -> np.ndarray:
    return np.frombuffer("\n".join(texts.tolist()).encode("utf-8", "surrogateescape"), np.uint8)


def _texts(stored: np.ndarray) -> np.ndarray:
    return np.asarray(stored.tobytes().decode("utf-8", "surrogateescape").split("\n"), dtype=object)
