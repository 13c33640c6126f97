"""What a model has learned: major weights and hub units, what its hidden layers explain, and attributions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dgex.interpretation.interpretation import Interpretation, check_replaceable
    from dgex.interpretation.learned import interpret

__all__ = ["Interpretation", "check_replaceable", "interpret"]

_HOMES = {"Interpretation": "interpretation", "check_replaceable": "interpretation", "interpret": "learned"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
