"""Raw matrices -> dataset. The room can be called: `dgex.prepare(…)` is `dgex.prepare.pipeline.prepare`."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    """A room that is a verb too: importing one of its modules binds its name on the package, so it must do both."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from dgex.prepare.pipeline import prepare

        return prepare(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        from dgex.prepare.pipeline import prepare

        return inspect.signature(prepare)

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """The verb's signature and docstring, for `help(dgex.prepare)`."""
        from dgex.prepare.pipeline import prepare

        return f"prepare{inspect.signature(prepare)}\n\n{inspect.getdoc(prepare)}"


sys.modules[__name__].__class__ = _Verb
