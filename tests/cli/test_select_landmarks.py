"""`dgex select-landmarks` as a user meets it."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

import dgex
from dgex.cli.app import run


def call(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["dgex", "--quiet", *map(str, arguments)])
        try:
            run()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "raw.h5ad"
    dgex.simulate(path, samples=120, landmarks=10, targets=30, seed=0)
    return path


def test_from_a_raw_matrix_to_a_dataset_of_the_panel(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = raw.parent / "panel"
    words = ["--size", 6, "--splits", 2, "--against", "random,roles", "--exclude", "G00001,T*1", "--sizes", "3,6"]
    assert call("select-landmarks", raw, out, *words) == 0
    printed = capsys.readouterr()
    assert f"gene table: {out / 'panel.tsv'}" in printed.out
    assert printed.err == ""
    table = pd.read_csv(out / "panel.tsv", sep="\t")
    assert list(table.columns[:5]) == ["gene", "role", "rank", "gain", "also_inferred_from"]
    assert (table["role"] == "landmark").sum() == 6
    written = {path.name for path in out.iterdir()}
    assert written >= {"report.html", "curve.csv", "genes.csv", "candidates.csv", "figures"}
    assert call("prepare", raw, raw.parent / "data.h5ad", "--genes", out / "panel.tsv") == 0
    panel = table.loc[table["role"] == "landmark", "gene"].tolist()
    assert call("select-landmarks", raw, out, "--keep", ",".join(panel), "--add", 2, "--splits", 1, "--overwrite") == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--size", 4000], "size: found 4000, accepted 1 to"),
        (["--keep", "NOPE"], "genes to keep are not in the data: NOPE"),
        (["--keep", "nope.txt"], "no list of genes at nope.txt: the file does not exist"),
        (["--per-group", "nope"], "no column 'nope' in obs"),
        (["--against", "nope"], "against: found 'nope'"),
    ],
)
def test_mistakes_become_one_line_and_leave_nothing(
    raw: Path, capsys: pytest.CaptureFixture[str], words: list[object], says: str
) -> None:
    assert call("select-landmarks", raw, raw.parent / "panel", "--splits", 1, *words) == 1
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert (printed.out, [path.name for path in raw.parent.iterdir()]) == ("", ["raw.h5ad"])


def test_wrong_usage_exits_with_2(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("select-landmarks", raw, raw.parent / "panel", "--sizes", "a,b") == 2
    assert "accepted whole numbers" in capsys.readouterr().err
