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


def test_pieces_side_by_side_move_one_bar_and_speak_apart(caplog: pytest.LogCaptureFixture) -> None:
    class Whole:
        done, said = 0.0, ""

        def advance(self, units: float = 1) -> None:
            self.done += units

        def text(self, message: str) -> None:
            self.said = message

    whole = Whole()
    together = progress.Together(whole)
    with together.piece("small", 3, bars=2):
        with progress.bar(10, "training") as bar:
            bar.advance(4)
            assert whole.done == pytest.approx(3 / 2 * 0.4)
            bar.text("epoch 4  train .5")
            assert whole.said == "small epoch 4  train .5"
        with together.piece("large", 5), progress.bar(2, "training") as other:
            other.text("epoch 1  train .7")
            assert whole.said == "small epoch 4 | large epoch 1"
            progress.warn("diverged")
        assert whole.done == pytest.approx(3 / 2 * 0.4 + 5)  # a piece that ends early is done all the same
    assert whole.done == pytest.approx(8)
    assert "large: diverged" in caplog.text
