"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dgex.atomic import atomic_file, atomic_folder, json_dump
from dgex.errors import FileError, OutputExistsError
from dgex.places import check_output


def write_half_and_fail(target: Path, error: BaseException) -> None:
    with atomic_file(target, overwrite=True) as temporary:
        temporary.write_text("half")
        raise error


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a" / "matrix.gct.gz"
    with atomic_file(target) as temporary:
        assert temporary.name.endswith(".gct.gz")
        temporary.write_text("x")
        assert not target.exists()
    assert target.read_text() == "x"
    assert os.listdir(target.parent) == ["matrix.gct.gz"]


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_exception_leaves_nothing_and_keeps_the_old_file(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "matrix.gctx"
    target.write_text("old")
    with pytest.raises(type(error)):
        write_half_and_fail(target, error)
    assert os.listdir(tmp_path) == ["matrix.gctx"]
    assert target.read_text() == "old"


def test_an_output_that_exists_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(OutputExistsError, match="exists already"), atomic_folder(tmp_path / "model"):
        pytest.fail("the block must not run")


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for content in ("one", "two"):
        with atomic_folder(target, overwrite=True) as folder:
            (folder / content).write_text(content)
    assert sorted(os.listdir(target)) == [".dgex.json", "two"]
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "permission denied")])
def test_refusals_of_the_system_become_one_line(tmp_path: Path, code: int, words: str) -> None:
    with pytest.raises(FileError, match=words) as caught:
        write_half_and_fail(tmp_path / "x.tsv", OSError(code, os.strerror(code)))
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_parent_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot write"):
        check_output(tmp_path / "file" / "out.h5ad")


def test_json_holds_numpy_values(tmp_path: Path) -> None:
    json_dump({"a": np.float32(0.5), "b": np.arange(2), "c": Path("x")}, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text().split() == [
        "{",
        '"a":',
        "0.5,",
        '"b":',
        "[",
        "0,",
        "1",
        "],",
        '"c":',
        '"x"',
        "}",
    ]


def test_a_killed_process_leaves_no_output(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom dgex.atomic import atomic_file\n"
        f"with atomic_file({str(tmp_path / 'x.h5ad')!r}) as t:\n"
        "    t.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], check=False)
    assert finished.returncode == -signal.SIGKILL
    assert not (tmp_path / "x.h5ad").exists()
