"""Commands where torch cannot be imported: what needs it says so in one line, what does not works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dgex.models.catalogue import METHODS

LINE = "error: torch is missing (No module named 'torch'), and this needs it; without it there are --method "


#: A module that is there and fails would be another thing: packages look for torch before they import it.
ABSENT = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "torch" else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
"""

EACH = """
import sys, dgex
from dgex.models.catalogue import METHODS
for method in METHODS:
    try:
        dgex.train(sys.argv[1], method, method)
        dgex.load(method)
    except ModuleNotFoundError as error:
        assert error.name == "torch"
        continue
    print(method)
"""


@pytest.fixture
def blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, from which `torch` cannot be imported."""
    blocker = tmp_path / "blocker"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(ABSENT)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(blocker), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)


def test_what_needs_torch_says_so_and_names_what_does_not(blocked: Path, dataset_file: Path) -> None:
    refused = python("-m", "dgex", "-q", "train", dataset_file, "model")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert refused.stderr.startswith(LINE)
    assert not Path("model").exists()
    named = refused.stderr.removeprefix(LINE).partition(";")[0].split(", ")
    assert {"ols", "ridge"} <= set(named) < set(METHODS)
    done = python("-c", EACH, dataset_file)
    assert done.stdout.split() == named, done.stderr


def test_the_demonstration_makes_nothing_without_torch(blocked: Path) -> None:
    refused = python("-m", "dgex", "-q", "demo", "out")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith(LINE)
    assert not Path("out").exists()
