from __future__ import annotations

import pytest

from dgex.datasets.public.layout import find_files
from dgex.errors import FileError

WANTED = {"matrix": "a*.gctx", "table": "b.txt|b.txt.gz"}


def touch(folder, *names):
    for name in names:
        (folder / name).touch()
    return {name: folder / name for name in names}


def test_files_are_found_by_name_in_a_folder_or_among_given_paths(tmp_path):
    paths = touch(tmp_path, "A_n3.gctx", "b.txt.gz", "c.txt")
    expected = {"matrix": tmp_path / "A_n3.gctx", "table": tmp_path / "b.txt.gz"}
    assert find_files(tmp_path, WANTED) == expected
    assert find_files({f"key of {name}": path for name, path in paths.items()}, WANTED) == expected
    touch(tmp_path, "b.txt")
    assert find_files(tmp_path, WANTED)["table"] == tmp_path / "b.txt"


def test_all_that_is_missing_is_said_at_once(tmp_path):
    touch(tmp_path, "a.gctx.gz", "c.txt")
    with pytest.raises(FileError, match=r"lacks 2 of 2 files: a\*.gctx, b.txt or b.txt.gz; found a.gctx.gz, c.txt"):
        find_files(tmp_path, WANTED)
    with pytest.raises(FileError, match="no folder"):
        find_files(tmp_path / "none", WANTED)


def test_two_of_a_kind_are_refused(tmp_path):
    touch(tmp_path, "a1.gctx", "a2.gctx", "b.txt")
    with pytest.raises(FileError, match=r"a1\.gctx, a2\.gctx are all"):
        find_files(tmp_path, WANTED)
