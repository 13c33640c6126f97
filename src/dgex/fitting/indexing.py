"""The index of training profiles that a model carries, so that `dgex.explain` can name those near a new one."""

from __future__ import annotations

import numpy as np

from dgex.confidence.index import MOST_INDEXED, TrainingIndex
from dgex.dataset.roles import rows
from dgex.dataset.studies import STUDY_COLUMNS, study_columns
from dgex.fitting.splits import Splits
from dgex.genes import texts
from dgex.models.base import Estimator
from dgex.progress import note, warn

__all__ = ["add_index", "with_names_told"]


def add_index(model: Estimator, read: Splits, index: bool) -> None:
    """Give a fitted model an index of the profiles that it was fitted on; without `index` none, and no names at all."""
    model.training_index_ = None
    if not index:
        if hasattr(model, "profiles_"):  # a method that keeps them itself
            model.profiles_ = [str(at) for at in range(len(model.profiles_))]
        return
    sets = ["train", *(name for name in model.seen_ if name in read.matrices)]
    values = [read.values(name)[0] for name in sets]
    names = np.concatenate([read.matrices[name][0].obs_names.to_numpy(dtype=object) for name in sets])
    column, study = _column(read), None
    if column:
        labels = texts(read.obs[column]).to_numpy()
        study = np.concatenate([labels[rows(read.obs, name)] for name in sets])
    X = values[0] if len(values) == 1 else np.concatenate(values)
    model.training_index_ = TrainingIndex.of(X, names.tolist(), study, column)
    which = f"{len(X):,}" if len(X) <= MOST_INDEXED else f"{MOST_INDEXED:,} of {len(X):,}"
    note(
        f"{model.kind} keeps the names of {which} training profiles for dgex explain; index=False (--no-index) leaves "
        "them out"
    )


def with_names_told(model: Estimator, index: bool) -> Estimator:
    """A model that was finished before; says where it holds names that are not wanted in it."""
    if not index and model.training_index_ is not None:
        warn("the finished model holds names of its training profiles; overwrite=True trains it anew without them")
    return model


def _column(read: Splits) -> str:
    """The column with studies, batches or donors: the name that stands first in `STUDY_COLUMNS`; empty without one."""
    found = study_columns(read.obs)
    return min(found, key=lambda name: STUDY_COLUMNS.index(name.lower()), default="")
