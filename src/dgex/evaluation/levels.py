"""Errors by how strongly genes are expressed: faint genes are noise on many platforms, and a mean over all hides it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dgex.dataset.normalization import Normalization
from dgex.dataset.roles import set_statistics
from dgex.evaluation.measuring import Measurement
from dgex.io.base import ExpressionFile

__all__ = ["LEVELS", "Levels"]

LEVELS = 5


@dataclass(frozen=True)
class Levels:
    """Fifths of the compared genes by their mean expression.

    Attributes
    ----------
    mean : ndarray, shape (genes,), or None
        In original units; None where neither statistics nor training profiles tell it.
    words : str
        What the mean is, for people; empty where it is not known.
    """

    mean: np.ndarray | None
    words: str

    @classmethod
    def of(cls, source: ExpressionFile, genes: np.ndarray, training: np.ndarray | None) -> Levels:
        """By the statistics a dataset was standardised with, else by the mean of its training profiles."""
        name = Normalization.from_dataset(source).set_name
        statistics = set_statistics(source, name)
        if statistics is not None:
            return cls(
                statistics[0][genes].astype(np.float64), "mean that was taken off when the data were standardised"
            )
        if training is not None:
            return cls(training.astype(np.float64), "mean over the training profiles")
        return cls(None, "")

    def number(self) -> np.ndarray:
        """Level of each gene from 1, the faintest fifth; genes of one mean in their order."""
        assert self.mean is not None
        rank = np.argsort(np.argsort(self.mean, kind="stable"), kind="stable")
        return rank * min(LEVELS, len(rank)) // max(1, len(rank)) + 1

    def table(self, split: str, name: str, measured: Measurement) -> pd.DataFrame:
        """One row a level: genes, the range of their means, error and Pearson correlation (means over its genes)."""
        columns = ["split", "model", "level", "genes", "mean_low", "mean_high", "error", "pearson"]
        if self.mean is None:
            return pd.DataFrame(columns=columns)
        number, errors, pearson = self.number(), measured.errors.mae, measured.errors.pearson
        records = []
        for level in np.unique(number):
            there = number == level
            known = pearson[there & ~np.isnan(pearson)]
            r = float(known.mean()) if len(known) else np.nan
            ends = float(self.mean[there].min()), float(self.mean[there].max())
            error = float(errors[there].mean())
            records.append((split, name, int(level), int(there.sum()), *ends, error, r))
        return pd.DataFrame(records, columns=columns)
