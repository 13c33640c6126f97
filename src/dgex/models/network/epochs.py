"""What the networks share as estimators: options of `fit`, and prediction by the best epoch of an evaluation set."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from dgex.errors import SettingsError
from dgex.models.base import Estimator, Matrix
from dgex.training.run.parts import RunFiles

__all__ = ["Extent", "Network", "run_files"]


class Extent(NamedTuple):
    """How much there is to train: `weights` of one network (biases too), `networks` one after the other, and for each
    of them `epochs` of batches of `batch_size` profiles."""

    weights: int
    networks: int
    epochs: int
    batch_size: int


class Network(Estimator):
    """An estimator that trains in epochs and keeps the best of them for each evaluation set, in `best_`."""

    trains_in_epochs: ClassVar[bool] = True
    fit_options: ClassVar[tuple[str, ...]] = (
        "checkpoint_dir",
        "checkpoint_every",
        "resume",
        "history_path",
        "tensorboard_dir",
    )
    best_: dict[str, dict[str, Any]]

    def extent(self, profiles: int, landmarks: int, targets: int) -> Extent:
        """How much there is to train on so many profiles and genes; of unequal networks, the largest."""
        raise NotImplementedError

    def _forward(self, X: np.ndarray, best: str) -> np.ndarray:
        """Infer the targets with the weights that were kept for the evaluation set `best`."""
        raise NotImplementedError

    def predict(self, X: Matrix, best: str | None = None) -> np.ndarray:
        """Infer the target genes, in blocks.

        Parameters
        ----------
        X : array, DataFrame or AnnData, shape (profiles, landmarks)
            As for every estimator.
        best : str, optional
            The evaluation set whose best epoch predicts; None is the first one.

        Returns
        -------
        ndarray of float32, shape (profiles, targets)

        Raises
        ------
        SettingsError
            No best epoch was kept under that name.
        ModelError, GeneError, DataError
            As for every estimator.
        """
        if best is None:
            return super().predict(X)
        self._check_fitted()
        x = self._inputs(X)
        return self._checked(self._forward(x, self._kept(best)), len(x))

    def _predict(self, X: np.ndarray) -> np.ndarray:
        return self._forward(X, self._kept(None))

    def _kept(self, best: str | None) -> str:
        """The evaluation set whose best epoch is meant: the first unless told."""
        if best is not None and best not in self.best_:
            raise SettingsError("best", found=best, accepted=list(self.best_))
        return next(iter(self.best_)) if best is None else best


def run_files(options: dict[str, Any]) -> RunFiles:
    """Where a run keeps its state and learning curve.

    Raises
    ------
    SettingsError
        `resume` without a folder to go on from.
    """
    if options.get("resume") and options.get("checkpoint_dir") is None:
        raise SettingsError("resume: found True without checkpoint_dir, the folder to go on from")
    return RunFiles(**options)
