"""What the documentation site is made of: pages from the code, pictures from numbers. `make docs` builds it whole."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import dgex
from dgex.cli.app import app

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(DOCS))

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"dgex_site.{name}")

    return module


def test_every_command_and_option_has_its_line(site: Any) -> None:
    page = site("commands").commands_page(app)
    for name, command in typer.main.get_command(app).commands.items():
        section = page.partition(f"\n## dgex {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for parameter in command.params:
            option = parameter.param_type_name == "option" and not parameter.hidden
            for flag in parameter.opts if option else ():
                assert flag in section, (name, flag)
    for row in re.findall(r"^\|.*$", page, flags=re.MULTILINE):  # nothing breaks a table
        assert len(re.findall(r"(?<!\\)\|", row)) == 3, row


def test_every_public_name_has_a_page_and_one_place(site: Any) -> None:
    pytest.importorskip("torch")
    names = site("names")
    groups = names.grouped(dgex)
    placed = [name for group in groups.values() for name in group]
    assert sorted(placed) == sorted(set(dgex.__all__) - {"__version__"})
    assert set(names.name_pages(dgex)) == set(placed)
    assert {"Ridge", "Estimator"} <= set(groups["Estimators"])
    assert {"prepare", "infer"} <= set(groups["Verbs"])
    assert "Evaluation" in groups["Results"]


def test_pictures_are_those_that_are_drawn_of_the_numbers(site: Any) -> None:
    drawing = site("drawing")
    for name, text in drawing.drawn().items():
        assert (DOCS / "pictures" / name).read_text("utf-8") == text, "python docs/dgex_site/drawing.py draws it anew"
    tables = drawing.rows_of((DOCS / "choosing.md").read_text("utf-8"))
    assert len(tables) == 2
    accuracy = (DOCS / "accuracy.md").read_text("utf-8")
    for count, errors in tables[0][2].items():  # the same numbers in both places
        row = re.search(rf"^\| {count:,} \(.*$", accuracy, flags=re.MULTILINE)
        assert row, count
        assert sorted(errors) == sorted(float(cell) for cell in re.findall(r"(?<![\d,])0\.\d+", row[0]))


def test_results_are_kept_as_long_as_the_code_is_the_same(site: Any, tmp_path: Path) -> None:
    code, build = tmp_path / "code", tmp_path / "build"
    code.mkdir()
    (code / "a.py").write_text("1")
    first = site("executed").cache_folder(code, build)
    first.mkdir(parents=True)
    assert site("executed").cache_folder(code, build) == first
    (code / "a.py").write_text("2")
    assert site("executed").cache_folder(code, build) != first
    assert not first.exists()
