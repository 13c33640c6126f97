"""Metadata of genes and profiles: types, missing values, and their text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["CMAP_MISSING", "frame", "from_hdf", "from_text", "is_text", "to_hdf", "to_text"]

CMAP_MISSING = -666  # CMap's mark for a missing metadata value, as a number or as text; never one in the matrix
_CMAP_TEXTS = {"-666", "-666.0"}
_TEXT_MISSING = {"", "na", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "<NA>", "-666", "-666.0"}
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*)")
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf")


def frame(columns: dict[str, Any], ids: Sequence[str]) -> pd.DataFrame:
    """Build metadata with `ids` as its index."""
    index = pd.Index(list(ids), dtype=object)
    data = {name: pd.Series(values, index=None).set_axis(index) for name, values in columns.items()}
    return pd.DataFrame(data, index=index)


def is_text(values: pd.Series) -> bool:
    """Whether a column holds strings (as objects, as categories or as pandas' own string type)."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return is_text(values.cat.categories.to_series())
    return pd.api.types.is_object_dtype(values.dtype) or pd.api.types.is_string_dtype(values.dtype)


def from_text(values: Sequence[str]) -> pd.Series:
    """Give a column of text its type: integer, floating, boolean, else strings; `na`, `-666` and the like are missing.

    Numbers with leading zeros stay text, since they are names (`007`, a plate, a barcode).
    """
    present = [value for value in values if value not in _TEXT_MISSING]
    gaps = len(present) < len(values)
    if not present:
        return pd.Series([np.nan] * len(values), dtype=np.float64)
    if all(map(_INTEGER.fullmatch, present)):
        if any(not -(2**63) <= int(value) < 2**63 for value in present):  # no number that a column holds: names
            return pd.Series([np.nan if value in _TEXT_MISSING else value for value in values], dtype=object)
        if gaps:
            return pd.Series([pd.NA if v in _TEXT_MISSING else int(v) for v in values], dtype="Int64")
        return pd.Series([int(value) for value in values], dtype=np.int64)
    if all(map(_NUMBER.fullmatch, present)):
        return pd.Series([np.nan if v in _TEXT_MISSING else float(v) for v in values], dtype=np.float64)
    if not gaps and set(present) <= {"True", "False"}:
        return pd.Series([value == "True" for value in values], dtype=bool)
    return pd.Series([np.nan if value in _TEXT_MISSING else value for value in values], dtype=object)


def to_text(values: pd.Series, missing: str = "na") -> list[str]:
    """Write a column as text, one line each, so that `from_text` reads it back."""
    if pd.api.types.is_float_dtype(values.dtype):
        numbers = values.to_numpy(dtype=_numpy_type(values.dtype), na_value=np.nan)
        return [missing if np.isnan(v) else str(v) for v in numbers]
    gaps = pd.isna(values).to_numpy()
    return [
        missing if gap else str(value).replace("\t", " ").replace("\r", " ").replace("\n", " ")
        for value, gap in zip(values.tolist(), gaps)
    ]


def from_hdf(values: np.ndarray) -> pd.Series | None:
    """Turn a GCTX metadata array into a column: types as they are, bytes to strings, -666 to missing.

    Returns None for what is no plain column (compound types, references).
    """
    kind = values.dtype.kind
    if kind == "f":
        return pd.Series(np.where(values == CMAP_MISSING, np.array(np.nan, values.dtype), values))
    if kind in "iu":
        gaps = values == CMAP_MISSING if kind == "i" else np.zeros(len(values), bool)
        column = pd.Series(values.astype(values.dtype.newbyteorder("=")))
        if not gaps.any():
            return column
        nullable = pd.array(column.to_numpy(), dtype=f"Int{8 * values.dtype.itemsize}")  # type: ignore[call-overload]
        nullable[gaps] = pd.NA
        return pd.Series(nullable)
    if kind == "b":
        return pd.Series(values)
    if kind in "SOU":
        texts = decode(values)
        return pd.Series([np.nan if text in _CMAP_TEXTS else text for text in texts], dtype=object)
    return None


def to_hdf(values: pd.Series) -> np.ndarray:
    """Turn a column into what GCTX readers accept: numbers, booleans, fixed-length bytes; missing as -666."""
    dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype) and not values.isna().any() and not is_text(values):
        return values.to_numpy(dtype=bool)
    if pd.api.types.is_integer_dtype(dtype):
        numbers = np.dtype(str(dtype).lower())
        if values.isna().any() and numbers.kind == "u":
            numbers = np.dtype(np.int64)
        return values.to_numpy(dtype=numbers, na_value=CMAP_MISSING) if values.hasnans else values.to_numpy(numbers)
    if pd.api.types.is_float_dtype(dtype):
        floats = values.to_numpy(dtype=str(dtype).lower(), na_value=np.nan).copy()
        floats = floats.astype(np.float32) if floats.dtype == np.float16 else floats
        floats[np.isnan(floats)] = CMAP_MISSING
        return floats
    gaps = pd.isna(values).to_numpy()  # of the whole column: a cell may be a list
    return encode([str(CMAP_MISSING) if gap else str(value) for value, gap in zip(values.tolist(), gaps)])


def encode(texts: Sequence[str]) -> np.ndarray:
    """Fixed-length UTF-8 bytes of at least one byte: HDF5 has no strings of length zero."""
    packed = [text.encode("utf-8", "surrogateescape") for text in texts]
    return np.array(packed, dtype=f"S{max([1, *map(len, packed)])}")


def decode(values: np.ndarray) -> list[str]:
    """Strings of any HDF5 kind: fixed-length or variable bytes, or numbers that serve as names."""
    if values.dtype.kind in "iub":
        return [str(value) for value in values.tolist()]
    if values.dtype.kind == "f":
        return [str(int(value)) if value == int(value) else str(value) for value in values.tolist()]
    return [_text(value) for value in values.tolist()]


def _numpy_type(dtype: Any) -> Any:
    """The numpy type below a nullable one of pandas."""
    return getattr(dtype, "numpy_dtype", dtype)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    return str(value)
