"""Is a matrix on the log2 scale, and if not, what are its units?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dgex.errors import DataError

__all__ = ["LOG2_LIMIT", "UNKNOWN_LINEAR", "Scale", "detect_scale", "judge_scale", "to_log2"]

# No expression value on the log2 scale comes near this (2**50 molecules, reads or units of light), while linear
# data that stay below it everywhere hardly exist.
LOG2_LIMIT = 50.0

# Values alone do not tell these apart; the platform does.
UNKNOWN_LINEAR = "FPKM or intensity"


@dataclass(frozen=True)
class Scale:
    """What the range of the values says.

    Attributes
    ----------
    linear : bool
        Linear scale; False for the log2 scale and for standardised values.
    unit : str
        `"log2"`, `"standardized"` (about as many values below zero as above), `"counts"` (whole numbers), `"TPM"`
        (whole profiles add up to a million), or `"FPKM or intensity"` for other linear values.
    minimum, maximum : float
        Range of the values looked at.
    zeros : float
        Fraction of values that are zero; RNA-Seq has many, microarrays none.
    """

    linear: bool
    unit: str
    minimum: float
    maximum: float
    zeros: float

    def __str__(self) -> str:
        scale = "linear scale" if self.linear else "log2 scale" if self.unit == "log2" else "standardized"
        unit = f", {self.unit}" if self.linear else ""
        return f"{scale}{unit}, {self.minimum:.4g} to {self.maximum:.4g}"


def detect_scale(X: np.ndarray | Iterable[np.ndarray]) -> Scale:
    """Recognise the scale and the units of expression values by their range.

    The rule: whole numbers from zero on are counts; values of which a third or more lie below zero are standardised;
    else anything above 50 is linear, TPM when every profile adds up to a million (within 2 %), FPKM or an array's
    intensity when not; the rest is on the log2 scale.

    Parameters
    ----------
    X : ndarray of shape (samples, genes), or iterable of such blocks
        Whole profiles where TPM are to be recognised. Values that are not finite are left out.

    Returns
    -------
    Scale
    """
    low, high = np.inf, -np.inf
    whole, million = True, True
    negative = zeros = total = 0
    for block in [X] if isinstance(X, np.ndarray) else X:
        finite = np.isfinite(block)
        values = block[finite] if not finite.all() else block.ravel()
        if not values.size:
            continue
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        negative += int((values < 0).sum())
        zeros += int((values == 0).sum())
        total += values.size
        whole = whole and bool((values == np.rint(values)).all())
        sums = np.where(finite, block, 0).sum(axis=1, dtype=np.float64)
        million = million and bool((np.abs(sums / 1e6 - 1) < 0.02).all())
    if total == 0:
        raise DataError("no finite value to tell the scale from")
    fraction = zeros / total
    return judge_scale(low, high, negative / total, fraction, whole, million)


def judge_scale(low: float, high: float, negative: float, zeros: float, whole: bool, million: bool = False) -> Scale:
    """The rule of `detect_scale`, of range, shares below and at zero, and whether values are whole numbers."""
    if whole and low >= 0 and high > 1:
        return Scale(True, "counts", low, high, zeros)
    if negative * 3 >= 1:
        return Scale(False, "standardized", low, high, zeros)
    if high > LOG2_LIMIT:
        return Scale(True, "TPM" if million else UNKNOWN_LINEAR, low, high, zeros)
    return Scale(False, "log2", low, high, zeros)


def to_log2(X: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Bring linear values to the log2 scale: `log2(x + 1)`.

    Parameters
    ----------
    X : ndarray
        Values from zero on.
    out : ndarray, optional
        `out=X` works in place.

    Raises
    ------
    DataError
        Values below zero, of which there is no logarithm.
    """
    if X.size and float(X.min()) < 0:
        raise DataError(f"linear values must not be below zero to be logged; the smallest found is {X.min():g}")
    out = np.log1p(X, out=out)
    out *= out.dtype.type(1 / np.log(2))
    return out
