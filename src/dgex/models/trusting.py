"""What every estimator says of its own accuracy: intervals around values, trust in genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex.confidence.confidence import Confidence
from dgex.confidence.held_out import HeldOut
from dgex.confidence.intervals import check_level
from dgex.errors import DataError, ModelError

if TYPE_CHECKING:
    from dgex.models.matrices import Matrix

__all__ = ["Trusting"]


class Trusting:
    """The part of an estimator that knows how far to trust it."""

    confidence_: Confidence | None = None

    def calibrate(
        self: Any, X: Matrix, Y: Matrix, training: Matrix | None = None, groups: Sequence[str] | None = None
    ) -> Any:
        """Find out by held-out profiles how far values can be trusted.

        Parameters
        ----------
        X, Y : array, lists, DataFrame or AnnData
            Landmark and target genes of profiles that the model was not fitted on, at least 20, as for `fit`.
        training : array, lists, DataFrame or AnnData, optional
            Landmark genes of the profiles that it was fitted on, from which distances are taken. Without them the
            held-out profiles take their place.
        groups : sequence of str, optional
            Study or donor of each held-out profile: intervals then hold for groups that were never seen.

        Returns
        -------
        Estimator
            Itself, with `confidence_`, which `save` stores.

        Raises
        ------
        DataError
            Fewer than 20 profiles, or labels for another number of them.

        Examples
        --------
        >>> import dgex
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(300, 5))
        >>> Y = X @ rng.normal(size=(5, 8)) + rng.normal(size=(300, 8))
        >>> model = dgex.OLS().fit(X[:100], Y[:100]).calibrate(X[100:200], Y[100:200], training=X[:100])
        >>> low, high = model.predict_interval(X[200:], 0.9)
        >>> bool(0.85 < ((low <= Y[200:]) & (Y[200:] <= high)).mean() < 0.95)
        True
        """
        self._check_fitted()
        x = self._inputs(X)
        y = self._aligned(Y, "target", "Y")
        if len(x) != len(y):
            raise DataError(f"X and Y hold different numbers of profiles: found {len(x):,} and {len(y):,}")
        if groups is not None and len(groups) != len(x):
            raise DataError("groups", found=f"{len(groups):,} labels", accepted=f"one for each of {len(x):,} profiles")
        near = x if training is None else self._inputs(training)
        held = HeldOut(x, y, self.predict(x), None, groups, f"{len(x):,} profiles given")
        self.confidence_ = Confidence.of(self.predict, near, held)
        return self

    def predict_interval(self: Any, X: Matrix, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Infer target genes as intervals.

        Parameters
        ----------
        X : array, lists, DataFrame or AnnData
            As for `predict`.
        level : float
            Share of values, from 0.5 to 0.99, that lie in their intervals on profiles like those the model was judged
            by.

        Returns
        -------
        low, high : ndarray of float32, shape (profiles, targets)
            `predict(X)` lies half-way.

        Raises
        ------
        ModelError
            The model was never judged by held-out profiles.
        SettingsError
            A level outside what is accepted.
        """
        check_level(level)
        self._check_fitted()
        known = self.known_confidence()
        x = self._inputs(X)
        predicted = self.predict(x)
        half = known.intervals.halfwidth(predicted, known.landmarks.distance(x), level)
        return predicted - half, predicted + half

    def known_confidence(self) -> Confidence:
        """`confidence_`, where it is there.

        Raises
        ------
        ModelError
            The model was never judged by held-out profiles.
        """
        if self.confidence_ is None:
            raise ModelError(
                "this model does not know how far its values can be trusted; `dgex calibrate MODEL DATA`, or "
                "calibrate(X, Y) with held-out profiles, adds it"
            )
        return self.confidence_
