"""Expression files in and out, whole or streamed: one module a format behind one small face.

Every format is read as profiles x genes, whatever way its file is turned. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dgex.io.base import ExpressionFile
    from dgex.io.conversion import convert
    from dgex.io.files import create, open, read, write
    from dgex.io.registry import formats
    from dgex.io.writer import Writer

__all__ = ["ExpressionFile", "Writer", "convert", "create", "formats", "open", "read", "write"]

_HOMES = {
    "ExpressionFile": "base",
    "Writer": "writer",
    "convert": "conversion",
    "create": "files",
    "formats": "registry",
    "open": "files",
    "read": "files",
    "write": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
