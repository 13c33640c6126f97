"""Rows on disk: filled once, taken again only where they are what they would be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dgex.arrays.stored import SpooledRows, identity_of
from dgex.errors import FileError

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


def filled(folder: Path, identity: dict[str, Any]) -> bool:
    """Spool VALUES; whether they had to be written."""
    with SpooledRows(folder, identity, VALUES.nbytes) as spool:
        matrix, new = spool.matrix("x", VALUES.shape), not spool.complete
        if new:
            matrix[:] = VALUES
        spool.finish()
    np.testing.assert_array_equal(matrix, VALUES)
    assert not matrix.flags.writeable
    return new


def test_rows_are_written_once_and_again_for_another_source(tmp_path: Path) -> None:
    assert filled(tmp_path / "rows", {"a": 1})
    assert not filled(tmp_path / "rows", {"a": 1})
    assert filled(tmp_path / "rows", {"a": 2})
    (tmp_path / "rows" / "rows.json").write_text("{")
    assert filled(tmp_path / "rows", {"a": 2})


def test_what_was_not_finished_is_not_taken(tmp_path: Path) -> None:
    with SpooledRows(tmp_path / "rows", {}, 48) as spool:
        spool.matrix("x", (4, 3))[:2] = 1
    assert not (tmp_path / "rows").exists()
    (tmp_path / "rows").mkdir()  # as a killed process leaves it
    (tmp_path / "rows" / "x.f32").write_bytes(bytes(20))
    assert filled(tmp_path / "rows", {})


def test_a_temporary_folder_goes_when_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with SpooledRows(None, {}, 48) as spool:
        spool.matrix("x", (4, 3))
        spool.finish()
        assert spool.folder.parent == tmp_path
        assert spool.folder.is_dir()
    assert not list(tmp_path.iterdir())


def test_damage_and_a_full_disk_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "rows", {})
    (tmp_path / "rows" / "x.f32").write_bytes(bytes(20))
    with SpooledRows(tmp_path / "rows", {}, 48) as spool, pytest.raises(FileError, match=r"x\.f32 is damaged"):
        spool.matrix("x", (4, 3))
    with pytest.raises(FileError, match=r"has no room .*: [\d.]+ GiB are needed"), SpooledRows(None, {}, 1 << 60):
        pass

    def full(*args: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with (
        pytest.raises(FileError, match=r"cannot write .*x\.f32: the disk is full"),
        SpooledRows(tmp_path / "other", {}, 48) as spool,
    ):
        spool.matrix("x", (4, 3))
    assert not (tmp_path / "other").exists()


def test_the_identity_is_of_the_file_and_of_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("abc")
    obs, var = pd.DataFrame(index=["p", "q"]), pd.DataFrame(index=["g", "h"])
    parts = {"train": np.array([0]), "validation": np.array([1])}
    found = [
        identity_of(path, obs, var, parts),
        identity_of(path, obs, var, parts | {"train": np.array([1])}),
        identity_of(path, obs.iloc[::-1], var, parts),
        identity_of(path, obs, pd.DataFrame(index=["g", "i"]), parts),
    ]
    assert identity_of(path, obs.copy(), var.copy(), dict(parts)) == found[0]
    path.write_text("abcd")
    found.append(identity_of(path, obs, var, parts))
    folder = tmp_path / "folder"
    (folder / "X").mkdir(parents=True)
    (folder / "X" / "0.0").write_text("abc")
    found.append(identity_of(folder, obs, var, parts))
    (folder / "X" / "0.1").write_text("abc")
    found.append(identity_of(folder, obs, var, parts))
    assert len({str(entry) for entry in found}) == len(found)
