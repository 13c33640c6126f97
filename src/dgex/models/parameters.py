"""Settings of an estimator as scikit-learn has them: `get_params`, `set_params`, `clone`; without importing it."""

from __future__ import annotations

import inspect
from typing import Any, Self

from dgex.errors import SettingsError, first

__all__ = ["Parameters"]


class Parameters:
    """Base of what stores the arguments of its `__init__` under their names and does nothing else there."""

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        named = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in named if p.kind is p.POSITIONAL_OR_KEYWORD}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Settings by name; `deep` is there for scikit-learn."""
        return {name: getattr(self, name) for name in sorted(self._defaults())}

    def set_params(self, **settings: Any) -> Self:
        """Change settings and return self.

        Raises
        ------
        SettingsError
            A setting that there is not.
        """
        known = self._defaults()
        unknown = [name for name in settings if name not in known]
        if unknown:
            raise SettingsError(
                f"{type(self).__name__} does not take {first(unknown)}", accepted=f"{', '.join(known) or 'no settings'}"
            )
        for name, value in settings.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        changed = (
            f"{name}={getattr(self, name)!r}"
            for name, default in self._defaults().items()
            if repr(getattr(self, name)) != repr(default)
        )
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags

        # Targets are a matrix, and `score` is minus an error: no share of variance that checks could ask for.
        target = TargetTags(required=True, two_d_labels=True, multi_output=True, single_output=False)
        tags = RegressorTags(poor_score=True)
        return Tags(estimator_type="regressor", target_tags=target, regressor_tags=tags, input_tags=InputTags())
