"""Progress: on in notebooks, off in scripts, lines in a log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from dgex import progress, settings
from dgex.errors import SettingsError


@pytest.fixture(autouse=True)
def by_the_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a script of its own, whatever ran before."""
    monkeypatch.delenv(settings.VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    settings.verbosity = None
    progress.enable(False)
    yield
    settings.verbosity = None


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


def test_a_notebook_gets_notes_unless_told_otherwise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    progress.note("said")
    progress.hint("how")
    with progress.bar(4, "working") as bar:
        bar.advance(3)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("said\nworking: 75%")
    assert "how" not in err
    settings.verbosity = "warning"
    progress.note("said")
    assert capsys.readouterr().err == ""
    settings.verbosity = None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))  # imported, not running
    progress.note("said")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("level", range(4))
@pytest.mark.parametrize("how", ["number", "word", "numpy", "variable"])
def test_what_is_told_at_each_level(
    level: int, how: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    word = ("error", "warning", "info", "hint")[level]
    if how == "variable":
        monkeypatch.setenv(settings.VARIABLE, word)
    else:
        settings.verbosity = {"number": level, "word": word.upper(), "numpy": np.int64(level)}[how]
    progress.note("done")
    progress.hint("how")
    assert settings.verbosity == level
    assert capsys.readouterr().err.split() == ["done", "how"][: max(0, level - 1)]


@pytest.mark.parametrize("value", [4, -1, 1.0, True, "loud", "", [1], np.arange(2)])
def test_other_levels_are_refused(value: object) -> None:
    settings.verbosity = 2
    with pytest.raises(SettingsError, match=r"verbosity: found .*, accepted 0 to 3"):
        settings.verbosity = value
    assert settings.verbosity == 2


def test_a_setting_that_there_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match="accepted verbosity"):
        settings.verbose = 2


def test_who_logs_is_told_once(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    settings.verbosity = "info"
    with caplog.at_level(logging.INFO, "dgex"):
        progress.note("done")
        progress.warn("look")
    assert [record.getMessage() for record in caplog.records] == ["done", "look"]
    assert capsys.readouterr().err == ""


def test_the_quiet_command_line_is_quiet_whatever_the_surroundings_ask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.VARIABLE, "hint")
    settings.verbosity = "warning"  # what --quiet says
    progress.note("said")
    assert capsys.readouterr().err == ""
