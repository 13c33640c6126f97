"""The demonstration: goes on where it stopped, does finished work once, and touches nothing that is not its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dgex
from dgex import tour
from dgex.errors import FileError, OutputExistsError, SettingsError
from dgex.locks import alone


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tour.SCALES, "tiny", tour.Scale(200, 12, 15, 30, (8,), 2, 50, 3e-3))
    # with and without settings of their own, the best of several; the others are trained and drawn as these are
    kept = [method for method in tour.METHODS if method in ("ols", "ridge", tour.NETWORK, tour.BEST)]
    monkeypatch.setattr(tour, "METHODS", tuple(kept))


def test_everything_is_there_and_finished_work_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, trained = tmp_path / "demo", []
    train = tour.train

    def counted(data: Path, method: str, *arguments: Any, **settings: Any) -> Any:
        trained.append(method)
        if trained == list(tour.METHODS)[:3]:
            raise KeyboardInterrupt
        return train(data, method, *arguments, **settings)

    monkeypatch.setattr(tour, "train", counted)
    with pytest.raises(KeyboardInterrupt):
        dgex.demo(folder, scale="tiny")
    assert not (folder / "report.html").exists()
    result = dgex.demo(folder, scale="tiny")
    methods = list(tour.METHODS)
    assert trained == [*methods[:3], *methods[2:]]
    assert set(result.overall["split"]) == {"test", "RNA-Seq"}
    assert set(tour.METHODS) < set(result.overall["model"])
    page = (folder / "report.html").read_text("utf-8")
    assert "off by" in page
    assert page.count('class="lead"') == 3  # two sets of profiles, and the panel
    assert '"Trust"' in page
    assert 'class="cards"' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    origin = dgex.read(folder / "full.gctx").var["origin"].value_counts().to_dict()
    assert origin == {"inferred": 15, "measured": 12}
    with pytest.raises(OutputExistsError, match="finished demonstration"):
        dgex.demo(folder, scale="tiny")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="is not a demonstration"):
            dgex.demo(tmp_path, scale="tiny", overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unknown_scale(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="tiny, laptop"):
        dgex.demo(tmp_path / "demo", scale="galaxy")
    assert list(tmp_path.iterdir()) == []


def test_a_second_demonstration_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with alone(tmp_path, "dgex demo"), pytest.raises(FileError, match="another dgex demo is at work"):
        dgex.demo(tmp_path, scale="tiny")
