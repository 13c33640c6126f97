"""Models x held-out profiles -> tables: how well each target gene is inferred, and by which model best."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dgex.evaluation.compare import evaluate
    from dgex.evaluation.result import TRIVIAL, Evaluation, check_replaceable

__all__ = ["TRIVIAL", "Evaluation", "check_replaceable", "evaluate"]

_HOMES = {"TRIVIAL": "result", "Evaluation": "result", "check_replaceable": "result", "evaluate": "compare"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
