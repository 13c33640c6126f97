"""The Python reference: a page for every public name, found in `dgex.__all__` and so never forgotten."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

__all__ = ["name_pages", "names_page"]

GROUPS = {
    "Verbs": "What is done with files, data and models; each is a command, too.",
    "Estimators": "Methods, with scikit-learn's face: `fit`, `predict`, `score`, `get_params`; and `save`.",
    "Results": "What verbs give.",
    "Errors": "What a user can meet; every other error is a fault of dgex.",
}


def grouped(package: ModuleType) -> dict[str, list[str]]:
    """Give public names by what they are, each in exactly one group."""
    groups: dict[str, list[str]] = {group: [] for group in GROUPS}
    for name in package.__all__:
        if name != "__version__":
            groups[_group(package, _public(package, name))].append(name)
    return {group: sorted(names, key=str.lower) for group, names in groups.items() if names}


def names_page(package: ModuleType) -> str:
    """Give the page that lists all names, in Markdown, with its table of contents."""
    pieces = ["# Python\n", _summary(package), ""]
    groups = grouped(package)
    for group, names in groups.items():
        pieces += [f"## {group}\n", GROUPS[group], "", "| | |", "|---|---|"]
        pieces += [f"| [`{name}`](api/{name}.rst) | {_summary(_public(package, name))} |" for name in names]
        pieces.append("")
    entries = [f"api/{name}" for names in groups.values() for name in names]
    return "\n".join([*pieces, "```{toctree}", ":hidden:", "", *entries, "```", ""])


def name_pages(package: ModuleType) -> dict[str, str]:
    """Give a page for every name, in reStructuredText: docstrings are written in it."""
    pages = {}
    for name in (name for names in grouped(package).values() for name in names):
        value, title = _public(package, name), f"dgex.{name}"
        # a room that can be called is documented by what it calls
        path = title if value is getattr(package, name) else f"{value.__module__}.{name}"
        body = [f".. auto{'class' if inspect.isclass(value) else 'function'}:: {path}"]
        pages[name] = "\n".join([title, "=" * len(title), "", *body, ""])
    return pages


def _group(package: ModuleType, value: Any) -> str:
    if not inspect.isclass(value):
        return "Verbs"
    if issubclass(value, package.Estimator):
        return "Estimators"
    return "Errors" if issubclass(value, BaseException) else "Results"


def _public(package: ModuleType, name: str) -> Any:
    value = getattr(package, name)
    if inspect.ismodule(value):
        return getattr(importlib.import_module(f"{value.__name__}.pipeline"), name)
    return value


def _summary(value: Any) -> str:
    doc = inspect.getdoc(value) or ""
    return " ".join(doc.split("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")
