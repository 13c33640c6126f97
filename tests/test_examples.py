"""The examples of public docstrings run, and every public verb has one."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

import dgex

SOURCE = Path(__file__).parents[1] / "src" / "dgex"
WITH_EXAMPLES = sorted(
    "dgex." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if path.name not in ("__init__.py", "kernels.py") and ">>> " in path.read_text("utf-8")
)
# A network connection, or minutes: tests/datasets/public, tests/test_tour.py and tests/paper run them whole.
NOT_RUN = {"download", "demo", "reproduce", "serve"}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_print_what_they_say(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with np.printoptions(precision=8, legacy=False):
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("name", [name for name in dgex.__all__ if inspect.isfunction(getattr(dgex, name))])
def test_every_public_verb_has_an_example(name: str) -> None:
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(dgex, name)) or "")
    run = [example for example in examples if not example.options.get(doctest.SKIP)]
    assert run if name not in NOT_RUN else examples


def test_no_module_with_examples_is_left_out() -> None:
    for name in WITH_EXAMPLES:
        tree = ast.parse((SOURCE / Path(*name.split(".")[1:]).with_suffix(".py")).read_text("utf-8"))
        assert ast.get_docstring(tree), name
