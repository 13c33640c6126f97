"""Words that shells complete, by the scripts that dgex prints for them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dgex.datasets.public.sources import MODELS, sources
from dgex.io.registry import formats
from dgex.models.catalogue import METHODS

DRIVER = """
source ./script
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_dgex_completion dgex "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a command `dgex` on PATH, and the script that it prints for bash."""
    command = tmp_path / "bin" / "dgex"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dgex "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    printed = subprocess.run(["dgex", "--show-completion", "bash"], capture_output=True, text=True, check=True)
    Path("script").write_text(printed.stdout)
    return tmp_path


def completed(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    done = subprocess.run(["bash", "-c", DRIVER, "bash", *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_methods_data_sets_and_formats(here: Path) -> None:
    assert completed("dgex", "tr") == ["train"]
    assert completed("dgex", "train", "data.h5ad", "model", "--method", "k") == [m for m in METHODS if m[0] == "k"]
    assert completed("dgex", "train", "data.h5ad", "model", "--meth") == ["--method"]
    assert completed("dgex", "download", "") == [*sources(), MODELS]
    assert completed("dgex", "convert", "in", "out", "--format", "") == list(formats())
    assert completed("dgex", "train", "da") == []  # bash goes on to names of files


def test_each_shell_has_a_script_and_another_is_refused() -> None:
    for shell, told in (("zsh", "#compdef dgex"), ("fish", "complete --command dgex"), ("powershell", "dgex")):
        words = [sys.executable, "-m", "dgex", "--show-completion", shell]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert told in done.stdout
        assert "_DGEX_COMPLETE" in done.stdout
    words[-1] = "tcsh"
    refused = subprocess.run(words, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "'bash', 'zsh', 'fish'" in " ".join(refused.stderr.replace("│", " ").split())


def test_it_is_installed_where_the_shell_looks(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    done = subprocess.run(["dgex", "--install-completion", "bash"], capture_output=True, text=True, check=True)
    assert "bash completion installed in" in done.stdout
    assert Path(".bash_completions/dgex.sh").read_text().split() == Path("script").read_text().split()
    assert "dgex.sh" in Path(".bashrc").read_text()
