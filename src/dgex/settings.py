"""How much dgex tells while it works: `dgex.settings.verbosity`, as scanpy has it.

0 or "error": nothing but errors. 1 or "warning": also what to look at. 2 or "info": also bars, and notes of what was
done and decided. 3 or "hint": also how it is computed. It is 2 in IPython and notebooks and 1 in scripts, unless set
here or by the environment variable `DGEX_VERBOSITY`; `None` goes back to that. The command line has `--quiet` instead.

>>> import dgex
>>> dgex.settings.verbosity = "info"
>>> dgex.settings.verbosity
2
>>> dgex.settings.verbosity = 9
Traceback (most recent call last):
    ...
dgex.errors.SettingsError: verbosity: found 9, accepted 0 to 3, or one of error, warning, info, hint
>>> dgex.settings.verbosity = None
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from operator import index
from types import ModuleType
from typing import Any, SupportsIndex

from dgex.errors import SettingsError

__all__ = ["LEVELS", "VARIABLE", "interactive", "shows", "verbosity"]

LEVELS = ("error", "warning", "info", "hint")  # by their numbers, 0 to 3
VARIABLE = "DGEX_VERBOSITY"
_ACCEPTED = "0 to 3, or one of error, warning, info, hint"

verbosity: Any  # a whole number when it is read


def interactive() -> bool:
    """Whether this Python is driven by IPython, as in a notebook; IPython is not imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return shell is not None and shell() is not None


def shows(level: int) -> bool:
    """Whether what is of that level is to be told."""
    return int(sys.modules[__name__].verbosity) >= level


def _level(value: object, name: str) -> int:
    words = {word: level for level, name in enumerate(LEVELS) for word in (name, str(level))}
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        with suppress(TypeError):  # an array says that it is one number before it looks
            if index(value) in range(len(LEVELS)):
                return index(value)
    raise SettingsError(name, found=value, accepted=_ACCEPTED)


class _Settings(ModuleType):
    """A module whose attributes are checked when they are set."""

    _chosen: int | None = None

    @property
    def verbosity(self) -> int:
        if self._chosen is not None:
            return self._chosen
        told = os.environ.get(VARIABLE)
        return _level(told, VARIABLE) if told else (2 if interactive() else 1)

    @verbosity.setter
    def verbosity(self, value: int | str | None) -> None:
        self._chosen = None if value is None else _level(value, "verbosity")

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in __all__:
            raise SettingsError("dgex.settings", found=name, accepted="verbosity")
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Settings
