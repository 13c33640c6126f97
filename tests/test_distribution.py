"""What the wheel and the sdist hold, and that texts agree on the name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools import build_meta as b; out = sys.argv[1]; b.build_sdist(out); b.build_wheel(out)"


def _names(pattern: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools", minversion="77")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "generated")
    for folder in ("src", "tests", "docs", "benchmarks", "fuzz"):
        shutil.copytree(ROOT / folder, source / folder, ignore=left_out)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=source, check=True, capture_output=True)
    return out


def test_the_sdist_holds_everything(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = set().union(*(_names(f"{folder}/**/*.py") for folder in ("src", "tests", "benchmarks", "fuzz")))
    wanted |= (
        _names("docs/*.md") | _names("docs/tutorials/*") | {"LICENSE", "Makefile", "CHANGELOG.md", "constraints.txt"}
    )
    assert sorted(wanted - held) == []


def test_the_wheel_holds_the_package_and_its_types(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        held = set(wheel.namelist())
    wanted = {name.removeprefix("src/") for name in _names("src/dgex/**/*.*")}
    assert "dgex/py.typed" in held
    assert sorted(wanted - held) == []
    assert {name.split("/")[0].partition("-")[0] for name in held} == {"dgex", "dgex_infer"}


def test_texts_name_the_distribution_as_it_is() -> None:
    name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.py")]
    named = {
        found for path in texts for found in re.findall(r"pip install '([\w-]+)\[", path.read_text(encoding="utf-8"))
    }
    assert named == {name}


def test_the_conda_recipe_asks_for_what_the_package_asks_for() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    recipe = (ROOT / "packaging/conda/meta.yaml").read_text().partition("  run:\n")[2].partition("\ntest:")[0]
    names = {"pytorch": "torch", "matplotlib-base": "matplotlib"}  # as conda-forge calls them
    found = [
        line.strip("- ").partition(" ") for line in recipe.splitlines() if not line.strip().startswith("- python ")
    ]
    assert [names.get(name, name) + bounds for name, _, bounds in found] == asked
