"""Workbooks that would unpack to far more than their size allows."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import dgex
from dgex.errors import FileError
from dgex.io.zip_guard import refuse_bomb


def archive(path: Path, size: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("xl/worksheets/sheet1.xml", bytes(size))
    return path


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "bomb.xlsx", 64 << 20)
    with pytest.raises(FileError, match="unpacks to"):
        refuse_bomb(bomb)
    pytest.importorskip("openpyxl")
    with pytest.raises(FileError, match="unpacks to"):
        dgex.open(bomb)


def test_what_is_small_or_no_archive_passes(tmp_path: Path) -> None:
    refuse_bomb(archive(tmp_path / "small.xlsx", 1 << 20))
    (tmp_path / "text.xlsx").write_text("no archive")
    refuse_bomb(tmp_path / "text.xlsx")


def test_who_trusts_it_may_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = archive(tmp_path / "bomb.xlsx", 64 << 20)
    monkeypatch.setenv("DGEX_MAX_MEMORY", "1G")
    refuse_bomb(bomb)
