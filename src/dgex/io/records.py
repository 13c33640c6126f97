"""What else an AnnData holds: layers and the like, and annotations, of which some are stored as JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["EXTRAS", "decode_uns", "encode_uns", "extras"]

EXTRAS = ("layers", "obsm", "obsp", "varp")  # what an AnnData holds beside its matrix, metadata, varm and uns

_MARK = "json:"


def extras(adata: AnnData, name: str) -> dict[str, Any]:
    """One of `EXTRAS` without the matrix itself, which anndata 0.13 shows among the layers under the name None."""
    return {key: value for key, value in getattr(adata, name).items() if key is not None}


def encode_uns(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Make annotations storable.

    Lists, tuples, None and names with slashes, as records of what was done have them, have no counterpart in HDF5 or
    zarr; they become text that starts with `json:`. Arrays, tables, numbers and text are stored as they are.
    """
    return {str(key): _encode(value) for key, value in uns.items()}


def decode_uns(uns: Any) -> Any:
    """Undo `encode_uns`; numbers and text come out as Python's own."""
    if isinstance(uns, Mapping):
        return {key: decode_uns(value) for key, value in uns.items()}
    if isinstance(uns, np.generic):
        return uns.item()
    if isinstance(uns, np.ndarray) and uns.ndim == 0:
        return uns.item()
    if isinstance(uns, str) and uns.startswith(_MARK):
        try:
            return json.loads(uns[len(_MARK) :])
        except ValueError:  # somebody else's text
            return uns
    return uns


def _encode(value: Any) -> Any:
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and key and "/" not in key for key in value):
            return {key: _encode(item) for key, item in value.items()}
        return _json({str(key): item for key, item in value.items()}, value)
    if value is None or isinstance(value, list | tuple):
        return _json(value, value)
    return value


def _json(value: Any, otherwise: Any) -> Any:
    try:
        return _MARK + json.dumps(value, default=_simple)
    except (TypeError, ValueError):
        return otherwise


def _simple(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON")
