"""What a model must remember to treat a new raw profile as the training profiles were treated."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from dgex.arrays.index import Index
from dgex.dataset.quantile import quantile_normalize, resample_reference
from dgex.dataset.range import LOG2_LIMIT
from dgex.dataset.roles import landmarks, set_statistics, targets
from dgex.dataset.scale import Scale, as_log2, detect_scale, to_log2
from dgex.dataset.standardize import PAPER_EPSILON, unstandardize
from dgex.errors import DataError, SettingsError
from dgex.genes import texts

if TYPE_CHECKING:
    from anndata import AnnData

    from dgex.io.base import ExpressionFile

__all__ = ["Normalization", "ties_rule"]

_PREFIX = "normalization."
_ARRAYS = (
    "reference",
    "landmark_reference",
    "landmark_mean",
    "landmark_std",
    "target_mean",
    "target_std",
    "landmark_share",
    "size_reference",
)
_WORDS = (
    "log2",
    "quantile",
    "standardize",
    "set_name",
    "units",
    "collapse",
    "normalize",
    "landmark_ranks",
    "rnaseq_ties",
)


def ties_rule(quantile: str, platform: str) -> str:
    """Rule for equal values of a way to quantile-normalise (`"inductive"`, `"paper"`) on a platform."""
    if quantile != "paper":
        return "average"
    return "dense" if platform == "rnaseq" else "floor"


@dataclass(frozen=True)
class Normalization:
    """The steps from raw values to the units of a model, frozen.

    Attributes
    ----------
    log2 : {"never", "auto", "always"}
        Whether raw values on the linear scale are logged, `log2(x + 1)`; which are is decided once for a file.
    quantile : {"none", "inductive", "paper", "average"}
        `"average"`: the paper's reference, average ranks on every platform.
    standardize : {"none", "inductive", "paper"}
    set_name : str
        Whose means and standard deviations these are.
    units : str
        Units before standardising, in words.
    reference, landmark_reference : ndarray of float32 or None
        Quantile reference of whole profiles, and of their landmark genes alone.
    landmark_mean, landmark_std, target_mean, target_std : ndarray of float32 or None
        In the order of the dataset's genes; None when not standardised.
    collapse : {"mean", "median", "max-mean"}
        How several rows of a gene become one.
    normalize : {"none", "cpm", "size-factors"}
        How depth was taken out before the logarithm.
    landmark_ranks : {"together", "alone"}
        How landmark genes were ranked for quantile normalisation: among all genes, as in datasets made before this was
        kept, or among themselves, as those of a panel are.
    rnaseq_ties : {"", "dense"}
        Rule for equal values of RNA-Seq, where it has one of its own.
    landmark_share : ndarray of float32, shape (1,), or None
        What share of a profile's counts its landmark genes have, the median over profiles: for panels.
    size_reference : ndarray of float32 or None
        Geometric means of the landmark genes, that size factors are taken by; NaN where a gene is left out.
    """

    log2: str = "never"
    quantile: str = "none"
    standardize: str = "none"
    set_name: str = ""
    units: str = "as given"
    reference: np.ndarray | None = None
    landmark_reference: np.ndarray | None = None
    landmark_mean: np.ndarray | None = None
    landmark_std: np.ndarray | None = None
    target_mean: np.ndarray | None = None
    target_std: np.ndarray | None = None
    collapse: str = "mean"
    normalize: str = "none"
    landmark_ranks: str = "together"
    rnaseq_ties: str = ""
    landmark_share: np.ndarray | None = None
    size_reference: np.ndarray | None = None

    @classmethod
    def from_dataset(cls, data: ExpressionFile | AnnData) -> Self:
        """Freeze the normalisation of a dataset.

        Parameters
        ----------
        data : AnnData or open file
            Made by `dgex.prepare`. A dataset made otherwise is taken to hold values as they are measured.

        Returns
        -------
        Normalization
            When sets were standardised each by its own statistics, those of the set with most training samples.
        """
        record = data.uns.get("dgex", {})
        quantile = record.get("quantile", {}) if "quantile" in record else {}
        mode = str(quantile.get("mode", "none"))
        name = _main_set(data.obs)
        statistics = set_statistics(data, name)
        arrays: dict[str, np.ndarray] = {}
        if statistics is not None:
            for role, mask in (("landmark", landmarks(data)), ("target", targets(data))):
                arrays[f"{role}_mean"], arrays[f"{role}_std"] = (part[mask] for part in statistics)
        if mode != "none":
            for key in ("reference", "landmark_reference"):
                arrays[key] = np.asarray(quantile[key], dtype=np.float32)
        depth = record.get("depth", {})
        for key in ("landmark_share", "size_reference"):
            if key in depth:
                arrays[key] = np.atleast_1d(np.asarray(depth[key], dtype=np.float32))
        how = str(record.get("standardize", "inductive" if statistics is not None else "none"))
        return cls(
            log2=str(record.get("log2", "never")),
            quantile=mode,
            standardize=how if statistics is not None else "none",
            set_name="train" if how == "inductive" else name,
            units=_units(str(record.get("units", "as given"))),
            collapse=str(record.get("options", {}).get("collapse", "mean")),
            normalize=str(record.get("options", {}).get("normalize", "none")),
            landmark_ranks=str(quantile.get("landmark_ranks", "together")) if mode != "none" else "together",
            rnaseq_ties="dense" if "dense" in quantile.get("ties", {}) else "",
            **arrays,
        )

    @property
    def scale(self) -> str:
        """Scale before standardising: `"log2"`, `"linear"`, or `"any"` where ranks or nothing tell."""
        if self.quantile != "none" and self.log2 == "never":
            return "any"
        if self.log2 != "never" or self.units == "log2 expression":
            return "log2"
        if self.units in ("standardized", "log2 and linear expression"):
            return "any"
        if self.units != "as given":
            return "linear"
        known = self.landmark_mean
        return "any" if known is None or not known.size else "linear" if known.max() > LOG2_LIMIT else "log2"

    def rescale(self, X: np.ndarray, scale: Scale) -> np.ndarray:
        """Bring values of any scale to that of the training profiles.

        Raises
        ------
        DataError
            Logarithms for a model of linear values; linear values below zero.
        """
        if self.scale == "any":
            return X
        if self.scale == "log2":
            return (
                to_log2(X) if self.log2 == "always" and scale.kind == "log2" and scale.by_range else as_log2(X, scale)
            )
        if not scale.linear:
            raise DataError(
                f"the model is of linear values ({self.units}), the input of {scale.kind} ones ({scale.why}); "
                "scale='linear' takes them as they are"
            )
        return X

    def transform(
        self, X_raw: np.ndarray, *, part: str = "landmarks", platform: str | None = None, scale: Scale | None = None
    ) -> np.ndarray:
        """Bring raw values to the units before standardising: log2 and quantile steps.

        Each profile is treated by itself, so the result does not depend on the others.

        Parameters
        ----------
        X_raw : ndarray, shape (samples, genes)
            Values as the training profiles had them before `dgex.prepare`.
        part : {"landmarks", "all"}
            Whether these are landmark genes alone (mapped to their own reference) or whole profiles. Fewer genes
            than in training are mapped to the reference resampled to their number.
        platform : str, optional
            `"rnaseq"` asks for the paper's rule of dense ranks where the dataset was prepared by the paper's rules.
        scale : Scale, optional
            On which scale the values are, as `decide_scale` finds for a file; by the range of `X_raw` unless told.

        Returns
        -------
        ndarray of float32, shape of `X_raw`; a new array
        """
        X = np.array(X_raw, dtype=np.float32)
        if X.ndim != 2:
            raise DataError(f"profiles must be a matrix (samples, genes), found {X.ndim} dimensions")
        if part not in ("landmarks", "all"):
            raise SettingsError(f"unknown part {part!r}", accepted="landmarks, all")
        if X.size and self.log2 != "never":
            X = self.rescale(X, scale or detect_scale(X))
        elif X.size and scale is not None:
            X = self.rescale(X, scale)
        reference = self.landmark_reference if part == "landmarks" else self.reference
        if self.quantile != "none" and reference is not None and X.shape[1]:
            reference = np.sort(resample_reference(reference, X.shape[1]))
            quantile_normalize(X, reference, ties=ties_rule(self.quantile, platform or ""), out=X)
        return X

    def standardize_landmarks(self, X: np.ndarray, *, own: bool = False) -> np.ndarray:
        """Standardise landmark values that went through `transform`.

        Parameters
        ----------
        X : ndarray, shape (samples, landmark genes)
        own : bool
            By the statistics of `X` itself and the divisor `std + 1e-3`: the paper's rule for a further set.
        """
        if own:
            if len(X) < 2:
                raise DataError("one profile has no statistics of its own; at least 2 are needed, or the model's own")
            X64 = X.astype(np.float64)
            return np.asarray(((X64 - X64.mean(axis=0)) / (X64.std(axis=0) + PAPER_EPSILON)).astype(np.float32))
        return _standardized(X, self.landmark_mean, self.landmark_std, "landmark")

    def standardize_targets(self, Y: np.ndarray, at: Index = slice(None)) -> np.ndarray:
        """Standardise values of target genes (all, or those `at` some positions) that went through `transform`."""
        return _standardized(Y, _part(self.target_mean, at), _part(self.target_std, at), "target")

    def invert_targets(self, Y: np.ndarray, at: Index = slice(None), out: np.ndarray | None = None) -> np.ndarray:
        """Target values (all, or those `at` some positions) in the units before standardising: float32, or `out`."""
        return _original(Y, _part(self.target_mean, at), _part(self.target_std, at), "target", out)

    def invert_landmarks(self, X: np.ndarray) -> np.ndarray:
        """Landmark values in the units before standardising, float32."""
        return _original(X, self.landmark_mean, self.landmark_std, "landmark")

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays to store with a model, names prefixed `normalization.`."""
        return {_PREFIX + name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}

    def state(self) -> dict[str, str]:
        """Everything else to store, as JSON knows it."""
        return {name: getattr(self, name) for name in _WORDS}

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], state: dict[str, str]) -> Self:
        """Read back what `arrays` and `state` gave; other arrays are ignored."""
        stored = {name: np.asarray(arrays[_PREFIX + name]) for name in _ARRAYS if _PREFIX + name in arrays}
        state = {**state, "units": _units(state.get("units", "as given"))}
        return cls(**{**state, **stored})  # type: ignore[arg-type]


def _units(text: str) -> str:
    """Units as they are spelled now; datasets and models made before keep the older spelling."""
    return "standardized" if text == "standardised" else text


def _main_set(obs: pd.DataFrame) -> str:
    if "set" not in obs:
        return "train"
    names = texts(obs["set"])
    if "split" in obs and (train := texts(obs["split"]) == "train").any():
        names = names[train]
    return str(Counter(names).most_common(1)[0][0])


def _part(statistics: np.ndarray | None, at: Index) -> np.ndarray | None:
    return None if statistics is None else statistics[at]


def _check(values: np.ndarray, mean: np.ndarray, what: str) -> None:
    if values.ndim != 2 or values.shape[1] != len(mean):
        raise DataError(f"values of shape {values.shape} do not fit {len(mean):,} {what} genes")


def _standardized(X: np.ndarray, mean: np.ndarray | None, std: np.ndarray | None, what: str) -> np.ndarray:
    if mean is None or std is None:
        return np.array(X, dtype=np.float32)
    _check(X, mean, what)
    # As in `dgex.prepare`: differences of large values are taken in float64.
    return np.asarray(((X.astype(np.float64) - mean) / std).astype(np.float32))


def _original(
    values: np.ndarray, mean: np.ndarray | None, std: np.ndarray | None, what: str, out: np.ndarray | None = None
) -> np.ndarray:
    if mean is None or std is None:
        if out is None:
            return np.array(values, dtype=np.float32)
        out[:] = values
        return out
    _check(values, mean, what)
    return unstandardize(values, mean, std, out)
