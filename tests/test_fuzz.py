"""The mutation fuzzer of `fuzz/`: a few fixed cases of every kind, and that it sees what it is there to see."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from dgex.errors import DgexError

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
case = pytest.importorskip("case")

CASES = {"zarr": range(8), "panel": range(8), "model": range(15)}  # these take longest


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from seeds import make

    logging.disable()
    folder = tmp_path_factory.mktemp("seeds")
    make(folder)
    logging.disable(logging.NOTSET)
    return folder


@pytest.mark.parametrize("kind", case.KINDS)
def test_damaged_inputs_are_refused_in_one_line_or_read_alike_whichever_way(
    kind: str, seeds: Path, tmp_path: Path
) -> None:
    numbers = CASES.get(kind, range(60, 90))
    outcomes = [case.run_case(kind, number, seeds, tmp_path / str(number)) for number in numbers]
    assert [outcome for outcome in outcomes if outcome.result == "finding"] == []
    assert {outcome.result for outcome in outcomes} == {"accepted", "refused"}


def test_a_case_is_the_same_whenever_it_runs(seeds: Path, tmp_path: Path) -> None:
    inputs = []
    for again in range(2):
        folder = tmp_path / str(again)
        folder.mkdir()
        path, _, outcome = case.damaged("h5ad", 5, seeds, folder)
        inputs.append((path.name, path.read_bytes(), outcome.damage))
    assert inputs[0] == inputs[1]


class _Raw(DgexError):
    """An error that says what it is told, as it is."""

    def __str__(self) -> str:
        return self.message


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("act", "cause"),
    [
        (lambda: _raise(KeyError("x")), "KeyError"),
        (lambda: _raise(MemoryError()), "MemoryError"),
        (lambda: _raise(_Raw("")), "empty message"),
        (lambda: _raise(_Raw("one\ntwo")), "message of several lines"),
        (lambda: _raise(_Raw("x" * 3000)), "endless message"),
        (lambda: _raise(_Raw("a \x1b[31mred\x1b[0m gene")), "unprintable message"),
        (lambda: Path("victim").write_text("touched"), "files outside the output"),
        (lambda: Path("../../beside").write_text("there"), "reaches out: open"),
        (lambda: os.system("true"), "reaches out: os.system"),
    ],
)
def test_what_is_wrong_is_found(act, cause, seeds, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(case.TARGETS, "toml", lambda *_: act())
    outcome = case.run_case("toml", 1, seeds, tmp_path / "case")
    assert (outcome.result, outcome.cause.split(": test")[0]) == ("finding", cause)
