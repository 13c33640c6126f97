"""What an estimator says it is: settings, and of a fitted one genes, training profiles and error; no science."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dgex import notebook
from dgex.errors import printable
from dgex.models.card import chosen
from dgex.models.named import NamedGenes
from dgex.models.parameters import Parameters
from dgex.models.record import fitted_profiles

__all__ = ["Telling"]

_LONGEST = 80  # characters of a setting in a table


class Telling(Parameters, NamedGenes):
    """The part of an estimator that says what it is: in one line, and as a table in a notebook.

    Examples
    --------
    >>> from dgex import OLS
    >>> OLS()
    OLS()
    >>> OLS().fit([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.5]])
    OLS(): fitted, 1 landmark gene -> 1 target gene
    """

    metrics_: dict[str, Any]

    def __repr__(self) -> str:
        told = super().__repr__()
        if not hasattr(self, "n_features_in_"):
            return told
        known = [self._genes_told(), *(" ".join(fact) for fact in self._fit_told())]
        return printable(f"{told}: fitted, {', '.join(known)}")

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [("settings", self._settings_told())]
        if not hasattr(self, "n_features_in_"):
            return notebook.facts([*rows, ("state", "not fitted")], type(self).__name__)
        found = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in chosen(self).items()}
        rows += [("chosen", ", ".join(f"{name}={value}" for name, value in found.items()))] if found else []
        rows += [("fitted", self._genes_told()), *self._fit_told()]
        return notebook.facts(rows, type(self).__name__)

    def _settings_told(self) -> object:
        """Settings that are not the default, and all of them folded away."""
        every = {name: repr(value) for name, value in self.get_params(deep=False).items()}
        if not every:
            return "none"
        changed = {n: v for n, v in every.items() if v != repr(self._defaults()[n])}
        title = ", ".join(f"{name}={_short(value)}" for name, value in changed.items()) or "the default"
        return notebook.Folded(title, notebook.facts((name, _short(value)) for name, value in every.items()))

    def _genes_told(self) -> str:
        here, there = self.n_features_in_, self.n_targets_
        return f"{here:,} landmark gene{'s' * (here != 1)} -> {there:,} target gene{'s' * (there != 1)}"

    def _fit_told(self) -> Iterator[tuple[str, str]]:
        """What is known of the profiles it was fitted on, and of its errors."""
        data = self.metrics_.get("data") or {}
        number = fitted_profiles(self.metrics_)
        if number:
            where = "" if data.get("name") in (None, "in memory") else f" of {data['name']}"
            yield "trained on", f"{number:,} profiles{where}"
        errors = {name: of["overall"] for name, of in (self.metrics_.get("sets") or {}).items()}
        if errors:
            yield "overall error", ", ".join(f"{error:.4f} on {name}" for name, error in errors.items())


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
