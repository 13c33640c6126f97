"""On which scale are the values of a file: decided once, by one rule, from what the file says before its range.

In this order: what the user says (`scale=`); whole numbers from zero on are counts; what dgex itself wrote of a unit;
a unit that a reader or the file names (`uns["unit"]`, `var["unit"]`); `uns["log1p"]` of scanpy, with its base; and in
the end the range. Of a layer other than `raw` only the first two and the range tell: what is written is of X. What
contradicts itself, or could be either, is doubtful, and `scale=` settles it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex.dataset.range import LOG2_LIMIT, Range, look
from dgex.errors import DataError, SettingsError, first
from dgex.genes import texts
from dgex.progress import warn

if TYPE_CHECKING:
    from dgex.io.base import ExpressionFile

__all__ = ["SCALES", "UNKNOWN_LINEAR", "Scale", "as_log2", "decide_scale", "detect_scale", "settled", "to_log2"]

SCALES = ("auto", "log2", "ln", "log10", "linear", "counts")

_FACTORS = {"log2": 1.0, "ln": float(1 / np.log(2)), "log10": float(1 / np.log10(2))}  # times this is log2
_LINEAR = ("linear", "counts")
_BY_RANGE = "judged by the range of values"

# Of some 14 bulk matrices the largest value is at most 4 times the mean of those above zero on the log2 scale, and 170
# times or more on a linear one. Where cells and small panels lie was not measured: in between, so doubt begins early.
_SKEW, _SKEW_OF_LARGE, _LARGE = 10.0, 5.0, 25.0

# Values alone do not tell these apart; the platform does.
UNKNOWN_LINEAR = "FPKM or intensity"

_SAID = (  # what names of units say, the first that fits
    ("log2", r"log_?2"),
    ("log10", r"log_?10"),
    ("ln", r"\bln\b|\bln\(|natural log|log1p|log_?e\b"),
    ("standardized", r"z-?scores?|standardi[sz]ed|standard deviations"),
    ("linear", r"per million|tpm|fpkm|rpkm|cpm|intensit|linear|rsem"),
    ("counts", r"counts?\b|umis?\b"),
)
_OFFSET = re.compile(r"\+\s*(\d*\.?\d+(?:e-?\d+)?)\s*\)", re.IGNORECASE)


@dataclass(frozen=True)
class Scale:
    """On which scale values are, and why.

    Attributes
    ----------
    kind : str
        `"log2"`, `"ln"`, `"log10"`, `"linear"`, `"counts"`, or `"standardized"` (about as many values below zero as
        above).
    unit : str
        In words: the kind, or `"TPM"` (whole profiles add up to a million), or `"FPKM or intensity"` for other linear
        values, or as the file names it.
    minimum, maximum : float
        Range of the values looked at.
    zeros : float
        Fraction of values that are zero; RNA-Seq has many, microarrays none.
    why : str
        What says so.
    doubt : str
        What speaks against it; empty where nothing does.
    offset : float
        What was added before the logarithm.
    """

    kind: str
    unit: str
    minimum: float
    maximum: float
    zeros: float
    why: str = _BY_RANGE
    doubt: str = ""
    offset: float = 1.0

    @property
    def by_range(self) -> bool:
        """Whether nothing but the range says so."""
        return self.why == _BY_RANGE

    @property
    def linear(self) -> bool:
        """Whether a logarithm is to be taken."""
        return self.kind in _LINEAR

    def __str__(self) -> str:
        scale = (
            "linear scale" if self.linear else "standardized" if self.kind == "standardized" else f"{self.kind} scale"
        )
        unit = f", {self.unit}" if self.unit not in (self.kind, "") else ""
        unit = ", counts" if self.kind == "counts" and not unit else unit
        return f"{scale}{unit}, {self.minimum:.4g} to {self.maximum:.4g}"


def _scale(found: Range, kind: str, unit: str = "", **more: Any) -> Scale:
    return Scale(kind, unit or kind, found.low, found.high, found.zeros / found.total, **more)


def _judged(found: Range) -> Scale:
    """What the range alone says."""
    if found.total == 0:
        raise DataError("no finite value to tell the scale from")
    if found.counts:
        return _scale(found, "counts", why="whole numbers")
    if found.negative * 3 >= found.total:
        doubt = ""
        if found.lowest > 0.02 * found.total:
            doubt = "a third or more lie below zero, and many of them are equal: logarithms of x + a small number?"
        return _scale(found, "standardized", why="a third or more lie below zero", doubt=doubt)
    if found.high > LOG2_LIMIT:
        return _scale(found, "linear", "TPM" if found.million else UNKNOWN_LINEAR)
    skewed = found.skew > (_SKEW if found.high <= _LARGE else _SKEW_OF_LARGE)
    doubt = f"up to {found.high:.4g}, and {found.skew:.0f} times the mean: small linear values?" if skewed else ""
    return _scale(found, "log2", doubt=doubt)


def _unmixed(judged: Scale, found: Range, data: ExpressionFile) -> Scale:
    """Doubt linear values among which profiles look logged already, or warn where that is not sure."""
    suspects = found.mixture.suspects if judged.kind == "linear" and judged.by_range else []
    if not suspects:
        return judged
    names = first([str(data.obs.index[at]) for at in suspects], 5)
    told = f"{len(suspects):,} profiles look logged already, others are linear: {names}"
    if found.mixture.sure:
        return replace(judged, doubt=f"{told}; give them in a file of their own")
    warn(f"{data.name}: {told}; taken as linear all the same")
    return judged


def detect_scale(X: np.ndarray | Iterable[np.ndarray]) -> Scale:
    """Recognise the scale and the units of expression values by their range alone.

    The rule: whole numbers from zero on are counts; values of which a third or more lie below zero are standardised;
    else anything above 50 is linear, TPM when every profile adds up to a million (within 2 %), FPKM or an array's
    intensity when not; the rest is on the log2 scale, doubtful where the largest value is far above the others.

    Parameters
    ----------
    X : ndarray of shape (samples, genes), or iterable of such blocks
        Whole profiles where TPM are to be recognised. Values that are not finite are left out.

    Returns
    -------
    Scale
    """
    found = Range()
    for block in [X] if isinstance(X, np.ndarray) else X:
        found.add(block)
    return _judged(found)


def decide_scale(data: ExpressionFile, asked: str = "auto", seen: Range | None = None) -> Scale:
    """Decide on which scale the values of a file are: once, for all of its profiles, by the rule of this module.

    Parameters
    ----------
    data : ExpressionFile
        All genes of its profiles are looked at, of large files of some profiles spread evenly.
    asked : str
        One of `SCALES`; all but `"auto"` settle it.
    seen : Range, optional
        What `Range` has gathered of the values of `looked_at`, where they are read anyway.

    Returns
    -------
    Scale
        Where it has a `doubt`, `settled` refuses it.

    Raises
    ------
    DataError
        Not one finite value.
    """
    if asked not in SCALES:
        raise SettingsError("scale", found=asked, accepted=SCALES)
    found = seen or look(data)
    judged = _judged(found)
    if asked != "auto":
        unit = judged.unit if judged.kind == asked else ""
        return _scale(found, asked, unit, why=f"as asked for by scale={asked!r}")
    named = _named(data)
    layer = str(data.notes.get("layer", "raw"))
    if layer != "raw":
        judged, named = _of_layer(judged, layer, named), None
    if named is None:
        return _unmixed(judged, found, data)
    unit, kind, why = named
    if kind == "several":
        return replace(judged, doubt=f"{why} names several units: {unit}")
    if kind == "standardized" or (kind in _LINEAR and not found.counts):
        return _scale(found, kind, unit, why=f"by {why}")
    if kind in _LINEAR or (found.counts and why == "uns['log1p']"):
        return judged
    doubt = ""
    if found.high > LOG2_LIMIT / _FACTORS[kind]:
        doubt = f"{why} says {unit}, but values reach {found.high:.4g}"
    elif found.counts:
        doubt = f"{why} says {unit}, but the values are whole numbers"
    elif why == "uns['log1p']" and found.low < 0:
        doubt = f"{why} says {unit}, but values go down to {found.low:.4g}: scaled since?"
    offset = _OFFSET.search(unit)
    return _scale(found, kind, unit, why=f"by {why}", doubt=doubt, offset=float(offset[1]) if offset else 1.0)


def _of_layer(judged: Scale, layer: str, named: tuple[str, str, str] | None) -> Scale:
    """What is written of a unit is of X, so the values of a layer speak for themselves; small ones not for a base."""
    if named is None or judged.kind != "log2" or named[1] not in ("ln", "log10", "several"):
        return judged
    unit, _, why = named
    return replace(judged, doubt=f"{why} says {unit} of X, and of the layer {layer!r} nothing is known")


def settled(scale: Scale, name: str) -> Scale:
    """The scale, unless it is doubtful.

    Raises
    ------
    DataError
        Naming `scale=`, which settles it.
    """
    if scale.doubt:
        raise DataError(
            f"the scale of {name} is doubtful: {scale.doubt}; scale='log2' (or 'ln', 'log10', 'linear', 'counts') "
            "settles it"
        )
    return scale


def _named(data: ExpressionFile) -> tuple[str, str, str] | None:
    """Unit, kind and where it is named, in the order of trust; None where nothing tells."""
    made = data.uns.get("dgex")
    made = made if isinstance(made, Mapping) else {}
    for place, unit in (("uns['dgex']", _of_record(made)), ("uns['unit']", data.uns.get("unit"))):
        kind = _kind(str(unit)) if unit is not None else ""
        if kind:
            return str(unit), kind, place
    if "unit" in data.var:
        names = sorted({name for name in texts(data.var["unit"]) if name})
        kinds = {_kind(name) for name in names}
        if len(kinds) > 1:
            return first(names, 4), "several", "var['unit']"
        if names and "" not in kinds:
            return names[0], kinds.pop(), "var['unit']"
    log1p = data.uns.get("log1p")
    if isinstance(log1p, Mapping):
        return _of_scanpy(log1p.get("base"))
    return None


def _of_record(made: Mapping[str, Any]) -> str | None:
    """The unit that dgex itself wrote down."""
    if made.get("kind") == "dataset":
        return "standardized" if made.get("standardize", "none") != "none" else str(made.get("units", ""))
    return str(made["unit"]) if "unit" in made else None


def _of_scanpy(base: Any) -> tuple[str, str, str]:
    number = np.e if base is None or np.ndim(base) else float(base)
    kind = {2.0: "log2", 10.0: "log10"}.get(number, "ln" if abs(number - np.e) < 1e-6 else "several")
    return (f"logarithms to the base {number:g}" if kind == "several" else kind), kind, "uns['log1p']"


def _kind(unit: str) -> str:
    """Kind of scale that the name of a unit says, or nothing."""
    lower = unit.lower()
    if re.search(r"log_?2", lower) and "linear" in lower:
        return "several"
    return next((kind for kind, pattern in _SAID if re.search(pattern, lower)), "")


def as_log2(X: np.ndarray, scale: Scale) -> np.ndarray:
    """Bring values of any scale to log2(x + 1); of standardised ones and log2 itself nothing changes.

    Raises
    ------
    DataError
        Linear values below zero.
    """
    if scale.linear:
        return to_log2(X)
    if scale.kind not in _FACTORS:
        return X
    values = X if scale.kind == "log2" else X * X.dtype.type(_FACTORS[scale.kind])
    if scale.offset == 1.0:
        return values
    linear = np.exp2(values.astype(np.float64)) - scale.offset
    return np.asarray(np.log2(np.maximum(linear, 0) + 1), dtype=X.dtype)


def to_log2(X: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Bring linear values to the log2 scale: `log2(x + 1)`.

    Parameters
    ----------
    X : ndarray
        Values from zero on; NaN stays.
    out : ndarray, optional
        `out=X` works in place.

    Raises
    ------
    DataError
        Values below zero, of which there is no logarithm.
    """
    if X.size and float(np.nanmin(X, initial=0)) < 0:
        raise DataError(f"linear values must not be below zero to be logged; the smallest found is {np.nanmin(X):g}")
    out = np.log1p(X, out=out)
    out *= out.dtype.type(1 / np.log(2))
    return out
