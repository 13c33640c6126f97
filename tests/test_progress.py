"""Progress: silent in the library, lines in a log."""

from __future__ import annotations

import pytest

from dgex import progress


def test_the_library_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar(3, "working") as bar:
        bar.advance()
    progress.note("said")
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    progress.enable()
    try:
        with progress.bar(4, "working") as bar:
            bar.text("error 0.5")
            bar.advance(3)
    finally:
        progress.enable(False)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("working: 75%")
    assert "error 0.5" in said.err
