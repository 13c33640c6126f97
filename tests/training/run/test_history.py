"""Learning curves as JSON lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgex.errors import FileError, OutputExistsError
from dgex.training.run.history import HistoryLog, epoch_text, read_history


def test_each_epoch_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    path, rows = tmp_path / "history.jsonl", [{"epoch": 1, "GEO-va.error": 0.1}, {"epoch": 2, "GEO-va.error": 1 / 3}]
    with HistoryLog(path) as log:
        assert read_history(path) == []
        for count, row in enumerate(rows, start=1):
            log.append(row)
            assert read_history(path) == rows[:count]


def test_a_resumed_run_starts_from_its_own_epochs(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with HistoryLog(path) as log:
        for epoch in (1, 2, 3):
            log.append({"epoch": epoch})
    with HistoryLog(path, rows=[{"epoch": 1}], overwrite=True) as log:
        log.append({"epoch": 2, "again": True})
    assert read_history(path) == [{"epoch": 1}, {"epoch": 2, "again": True}]


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("mine")
    with pytest.raises(OutputExistsError):
        HistoryLog(tmp_path / "history.jsonl")
    assert (tmp_path / "history.jsonl").read_text() == "mine"


def test_a_line_cut_short_is_left_out_and_other_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"epoch": 1}\n{"epo')
    assert read_history(path) == [{"epoch": 1}]
    path.write_text("epoch 1\n")
    with pytest.raises(FileError, match="one JSON object a line"):
        read_history(path)
    with pytest.raises(FileError, match="cannot read"):
        read_history(tmp_path / "absent.jsonl")


def test_no_path_keeps_nothing(tmp_path: Path) -> None:
    with HistoryLog(None) as log:
        log.append({"epoch": 1})


def test_a_line_says_where_the_run_stands_and_how_long_it_will_take() -> None:
    rows = [
        {"epoch": n, "train.error": 0.31, "GEO-va.error": 0.35, "seconds": 2.0, "profiles_per_s": 61234.5}
        for n in range(1, 13)
    ]
    assert epoch_text(rows, {"GEO-va": 0.34}, 112) == (
        "epoch 12/112  train 0.3100  GEO-va 0.3500 (best 0.3400)  61,234 profiles/s, 3 min left"
    )
    rows[-1] |= {"share_of_ceiling": 0.714, "seconds": 1.0}  # an epoch so far: (4 * 2 + 1) / 5 s
    assert epoch_text(rows, {}, 22).endswith("61,234 profiles/s, 71 % of this device's ceiling, 18 s left")
    assert "ceiling" not in epoch_text([rows[-1] | {"share_of_ceiling": 1.1}], {}, 22)
    assert epoch_text(rows, {}, 4012).endswith("2 h 00 min left")
    assert epoch_text(rows[:1], {}, 1).endswith(", 0 s left")
