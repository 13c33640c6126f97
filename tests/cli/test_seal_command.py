"""Inference by several processes, as their users start them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from test_cli import call, dgex_model, fails

import dgex


@pytest.fixture
def files(dataset: ad.AnnData, compendium: ad.AnnData, tmp_path: Path) -> Path:
    """A model and a panel of 40 profiles."""
    dgex_model(dataset, tmp_path / "model")
    dgex.write(compendium[:40, (compendium.var["role"] == "landmark").to_numpy()], tmp_path / "panel.gctx")
    return tmp_path


def test_a_lost_shard_is_named_with_the_command_that_makes_it(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    line = ["infer", "panel.gctx", "model", "out/", "--block", "8", "--measured", "infer", "--interval", ".9"]
    assert call(*line, "--shard", "1/3") == call(*line, "--shard", "3/3") == 0
    said = fails(capsys, "seal", "out/")
    assert "out cannot be sealed: 2 of 5 parts missing: profiles 9 to 24; `dgex infer" in said
    assert "sealed: `dgex seal out`" in fails(capsys, "info", "out")
    before = {path: path.stat().st_mtime_ns for path in (files / "out").glob("profiles*")}
    command = shlex.split(re.findall("`(.*)`", said)[0])
    for shard in (command[-1], *re.findall(r"then with (\d/5)", said)):
        assert call(*command[1:-1], shard) == 0
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    capsys.readouterr()
    assert call("seal", "out") == 0
    assert re.fullmatch(r"out: 5 parts, 40 profiles, values [0-9a-f]{16}\n", capsys.readouterr().out)
    alone = dgex.infer("panel.gctx", "model", measured="infer", interval=0.9, block=8)
    np.testing.assert_array_equal(dgex.read("out").X, alone.X)
