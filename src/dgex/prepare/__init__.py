"""Raw matrices -> dataset. The room can be called: `dgex.prepare(…)` is `dgex.prepare.pipeline.prepare`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    """A room that is a verb too: importing one of its modules binds its name on the package, so it must do both."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from dgex.prepare.pipeline import prepare

        return prepare(*args, **kwargs)


sys.modules[__name__].__class__ = _Verb
