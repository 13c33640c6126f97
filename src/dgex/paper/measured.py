"""What a study measured of one model: errors by gene and by profile on every set, in a file that outlives the model."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dgex.aliases import Sets
from dgex.atomic import atomic_file, plain, readable, writing
from dgex.errors import ModelError
from dgex.evaluation.bootstrap import profile_errors
from dgex.metrics import GeneErrors

__all__ = ["Measured", "Sets", "errors_of", "read_measured"]

SUFFIX = ".errors"
_PROFILES = "profiles of "  # before the name of a set: its errors by profile
_BLOCK = 1024


@dataclass(frozen=True)
class Measured:
    """One model of a study, measured.

    Attributes
    ----------
    name : str
        Unique in the study: `ols`, `GEO/ridge`, `3000x2-dropout0.1`.
    facts : dict
        `method`, `settings`, what was chosen on validation, `seconds`, `precision`, `device`.
    errors : dict of set to ndarray of float32, shape (targets,)
        Mean absolute error of every target gene of the dataset on that set, by the weights selected for its
        platform; NaN where the model does not infer the gene.
    profiles : dict of set to ndarray of float32, shape (profiles,)
        Mean absolute error of every profile of that set over the genes that the model infers, by which intervals are
        drawn; not there where it was measured before these were kept.
    history : DataFrame or None
        A network's learning curve.
    """

    name: str
    facts: dict[str, Any]
    errors: dict[str, np.ndarray]
    profiles: dict[str, np.ndarray] = field(default_factory=dict)
    history: pd.DataFrame | None = field(default=None)

    def overall(self, name: str) -> tuple[float, float]:
        """Overall error on a set and its standard deviation over genes; NaN where it was not measured."""
        per_gene = self.errors.get(name)
        if per_gene is None or np.isnan(per_gene).all():
            return float("nan"), float("nan")
        values = per_gene[~np.isnan(per_gene)].astype(np.float64)
        return float(values.mean()), float(values.std())

    def save(self, folder: Path) -> None:
        """Write it into `folder`, whole or not at all."""
        record = {"name": self.name, "facts": self.facts}
        if self.history is not None:
            record["history"] = json.loads(self.history.to_json(orient="records"))
        path = _path(folder, self.name)
        with atomic_file(path, overwrite=True) as temporary:
            with writing(path):
                both = self.errors | {_PROFILES + name: values for name, values in self.profiles.items()}
                arrays = {name: np.ascontiguousarray(values, np.float32) for name, values in both.items()}
                save_file(arrays, temporary, metadata={"record": json.dumps(record, default=plain)})
            readable(temporary)


def _path(folder: Path, name: str) -> Path:
    return folder / (name.replace("/", "--") + SUFFIX)


def read_measured(folder: Path, name: str, genes: int | None = None) -> Measured | None:
    """Read what was measured of a model; None where it was not yet.

    Parameters
    ----------
    folder : Path
    name : str
    genes : int, optional
        Number of target genes that it must be about.

    Raises
    ------
    ModelError
        The file is damaged, is about another model, or about another number of genes.
    """
    path = _path(folder, name)
    if not path.exists():
        return None
    try:
        with safe_open(os.fspath(path), framework="numpy") as held:
            record = json.loads(held.metadata()["record"])
            arrays = {key: held.get_tensor(key) for key in held.keys()}  # noqa: SIM118 (no mapping)
        profiles = {
            key.removeprefix(_PROFILES): arrays.pop(key)
            for key in list(arrays)
            if key.startswith(_PROFILES) and key.removeprefix(_PROFILES) in arrays
        }
        errors = arrays
        if record["name"] != name or any(genes not in (None, len(values)) for values in errors.values()):
            lengths = ", ".join(f"{key} {len(values):,}" for key, values in errors.items())
            raise ValueError(f"it is about {record['name']}, genes of its sets: {lengths}")
        history = pd.DataFrame(record["history"]) if "history" in record else None
        return Measured(record["name"], record["facts"], errors, profiles, history)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({type(error).__name__}: {error}); remove it to measure anew") from None


def errors_of(
    predict: Any, X: np.ndarray, Y: np.ndarray, genes: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute error of every column of `Y`, and of every row over the columns that are inferred, in blocks.

    Parameters
    ----------
    predict : function of landmark values (profiles x landmarks)
        Gives the target genes, profiles x targets.
    X, Y : ndarray of float32
        The same profiles.
    genes : sequence of int, optional
        Columns of `Y` that `predict` gives, in its order; all without it. The others are NaN.
    """
    take = np.arange(Y.shape[1]) if genes is None else np.asarray(genes)
    of_profiles = np.empty(len(Y), np.float32)

    def summed(start: int, predicted: np.ndarray) -> GeneErrors:
        errors = GeneErrors(len(take), correlation=False)
        truth = Y[start : start + len(predicted)]
        truth = truth if genes is None else truth[:, take]
        errors.update(truth, predicted)
        of_profiles[start : start + len(predicted)] = profile_errors(truth, predicted)
        return errors

    total = GeneErrors(len(take), correlation=False)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # sums beside the next block's prediction
        waiting = []
        for start in range(0, len(X), _BLOCK):
            waiting.append(pool.submit(summed, start, predict(X[start : start + _BLOCK])))
            while len(waiting) > 8:
                total.merge(waiting.pop(0).result())
        for future in waiting:
            total.merge(future.result())
    by_gene = np.full(Y.shape[1], np.nan, np.float32)
    by_gene[take] = total.mae
    return by_gene, of_profiles
