"""What is learned from second moments alone: of matrices in memory, or of a file that is gone through in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, Self, TypeAlias

import numpy as np
import pandas as pd

from dgex.aliases import Sets
from dgex.errors import DataError
from dgex.models.base import Estimator
from dgex.models.linear.moments import Moments
from dgex.models.matrices import fingerprint

__all__ = ["FromMoments", "Gather", "Profiles"]

#: Goes through the training profiles and returns their moments; True multiplies in float64, None decides by itself.
Gather: TypeAlias = Callable[[bool | None], Moments]


class Profiles(Protocol):
    """Training profiles that lie in a file.

    Attributes
    ----------
    X, Y : ndarray, or what has its length, its shape and its rows by position
        Landmark and target values; a few rows are asked for, once all were gone through.
    landmarks, targets : DataFrame
        The genes: index = name, columns = further identifiers.
    """

    @property
    def X(self) -> np.ndarray: ...

    @property
    def Y(self) -> np.ndarray: ...

    @property
    def landmarks(self) -> pd.DataFrame: ...

    @property
    def targets(self) -> pd.DataFrame: ...

    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Landmark and target values of all profiles in order, block by block; finite float32.

        A block may be overwritten by the next.
        """


class FromMoments(Estimator):
    """Base of the methods that counts, means and second moments of the training profiles are enough for.

    A subclass fills `_learn` in place of `_fit`. Of evaluation sets it takes the length, rows by slice or by positions,
    and never the whole: they may lie in a file.
    """

    def _learn(self, gather: Gather, eval_sets: Sets) -> None:
        """Learn from what `gather` returns; to call it a second time is to go through all profiles once more."""
        raise NotImplementedError

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Sets) -> None:
        self._learn(lambda double: Moments.of(X, Y, double=double), eval_sets)

    def fit_profiles(self, profiles: Profiles, eval_sets: Sets | None = None) -> Self:
        """Learn from a file what `fit` learns from its matrices, holding a block of it at a time.

        Parameters
        ----------
        profiles : Profiles
        eval_sets : dict of name to (X, Y), optional
            As for `fit`, in the order of the genes of `profiles`.

        Raises
        ------
        DataError
            Fewer than two profiles, or what `profiles` raises of its values.
        SettingsError
            A setting outside what is accepted.
        """
        self.check_settings()
        X, Y = profiles.X, profiles.Y
        if len(X) < 2:
            raise DataError(f"too few training profiles: found {len(X)}, at least 2 are needed")
        self._set_genes(profiles.landmarks, profiles.targets)
        self.metrics_, self.normalization_, self.training_ = {}, None, None
        self.confidence_, self.training_index_ = None, None
        self._learn(lambda double: Moments.streamed(profiles.pairs(), X.shape, Y.shape, double=double), eval_sets or {})
        self.fingerprint_ = fingerprint(X, Y)
        return self
