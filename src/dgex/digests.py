"""Whether it is the same: digests of names, of values and of files, for all that goes on or compares."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["of_matrices", "of_names"]


def of_names(*columns: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for column in columns:
        for name in column:
            digest.update(str(name).encode() + b"\0")
        digest.update(b"\1")
    return digest.hexdigest()


def of_matrices(named: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, matrix in named.items():
        digest.update(repr((name, matrix.shape)).encode() + np.ascontiguousarray(matrix).data)
    return digest.hexdigest()
