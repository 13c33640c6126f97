"""Files of a visitor as the library takes them, and models that stay loaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dgex.models.base import Estimator
from dgex.models.folder import load

__all__ = ["as_source", "model_at", "reading"]

_LOADED: OrderedDict[str, Estimator] = OrderedDict()
_MOST = 2  # models that stay in memory


def as_source(files: Sequence[str]) -> Path | list[Path]:
    """One file; the folder where a Matrix Market file lies beside its names; or several files taken together."""
    paths = [Path(file) for file in files]
    if len(paths) == 1:
        return paths[0]
    if any(path.name.lower().endswith(("matrix.mtx", "matrix.mtx.gz")) for path in paths):
        return paths[0].parent
    return paths


def reading(options: Mapping[str, Any]) -> dict[str, Any]:
    """How to read a source, of all that a visitor chose."""
    return {"orientation": str(options.get("orientation") or "auto")}


def model_at(path: str) -> Estimator:
    """A model, from memory if it was just used."""
    if path not in _LOADED:
        _LOADED[path] = load(path)
        while len(_LOADED) > _MOST:
            _LOADED.popitem(last=False)
    _LOADED.move_to_end(path)
    return _LOADED[path]
