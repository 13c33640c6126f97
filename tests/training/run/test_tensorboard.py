"""TensorBoard scalars: every number of a row at its epoch, no epoch twice after a resumed run."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dgex.errors import FileError, SettingsError
from dgex.training.run import tensorboard as board
from dgex.training.run.tensorboard import ScalarBoard, check_tensorboard

ROW: dict[str, Any] = {"epoch": 3, "loss": 0.5, "GEO-va.error": 1, "note": "text"}


class Writer:
    """Stands in for SummaryWriter where TensorBoard is not installed."""

    made: list[Writer]

    def __init__(self, folder: str, purge_step: int) -> None:
        self.folder, self.purge_step = folder, purge_step
        self.said: list[tuple[Any, ...]] = []
        self.made.append(self)

    def add_scalar(self, *said: Any) -> None:
        self.said.append(said)

    def flush(self) -> None:
        self.said.append(("flush",))

    def close(self) -> None:
        self.said.append(("close",))


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    Writer.made = []
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(board, "find_spec", lambda name: name)
    return Writer.made


def test_numbers_are_written_at_their_epoch_and_flushed(writers: list[Writer], tmp_path: Path) -> None:
    with ScalarBoard(tmp_path, first=3) as log:
        log.append(ROW)
        assert writers[0].said == [("loss", 0.5, 3), ("GEO-va.error", 1, 3), ("flush",)]
    assert (writers[0].folder, writers[0].purge_step, writers[0].said[-1]) == (str(tmp_path), 3, ("close",))


def test_a_folder_that_cannot_be_written(
    writers: list[Writer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(self: Writer) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "flush", full)
    with pytest.raises(FileError, match="the disk is full"), ScalarBoard(tmp_path) as log:
        log.append(ROW)


def test_without_tensorboard_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(board, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'dgex-infer\[tensorboard\]'"):
        ScalarBoard(tmp_path / "tb")
    with pytest.raises(SettingsError, match="not installed"):
        check_tensorboard()
    with ScalarBoard(None) as log:
        log.append(ROW)
    assert not (tmp_path / "tb").exists()


def test_tensorboard_shows_a_resumed_run_s_epochs_once(tmp_path: Path) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="the extra [tensorboard] is not installed"
    )
    with ScalarBoard(tmp_path) as log:
        for epoch in (1, 2, 3):
            log.append({"epoch": epoch, "a.error": float(epoch)})
    with ScalarBoard(tmp_path, first=3) as log:
        for epoch in (3, 4):
            log.append({"epoch": epoch, "a.error": 10.0 * epoch})
    shown = reader.EventAccumulator(str(tmp_path))
    shown.Reload()
    assert shown.Tags()["scalars"] == ["a.error"]
    assert [(event.step, event.value) for event in shown.Scalars("a.error")] == [(1, 1), (2, 2), (3, 30), (4, 40)]
