"""`dgex explain` as a user meets it."""

from __future__ import annotations

import sys
from pathlib import Path

import anndata as ad
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


def test_a_table_on_stdout_and_a_folder(
    dataset: ad.AnnData, compendium: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dgex.write(dataset, tmp_path / "data.h5ad")
    panel = compendium[:4, (compendium.var["role"] == "landmark").to_numpy()].copy()
    dgex.write(panel, tmp_path / "panel.gctx")
    model, file, out = (tmp_path / name for name in ("m", "panel.gctx", "why"))
    assert call("train", tmp_path / "data.h5ad", model, "--method", "ridge", "--set", "alpha=1", "--no-index") == 0
    capsys.readouterr()
    genes, names = dgex.load(model).targets_, panel.obs_names
    words = ["--gene", f"{genes[0]},{genes[1]}", "--gene", genes[2], "--profile", names[1], "--profile", names[3]]
    assert call("explain", model, file, out, *words) == 0
    said = capsys.readouterr()
    assert said.out.count("Landmark gene ") == 6
    assert f"{genes[2]} in {names[3]}: " in said.out
    assert "Training profiles nearest" not in said.out
    assert (out / "report.html").exists()
    for wrong, says, code in (
        (["--gene", dgex.load(model).landmarks_[0], "--profile", names[0]], "landmark gene of the model", 1),
        (["--gene", genes[0], "--profile", "nobody"], "no profile named nobody", 1),
        (["--gene", genes[0]], "which profile", 1),
        (["--profile", names[0]], "at least one target gene", 2),
    ):
        assert call("explain", model, file, *wrong) == code
        said = capsys.readouterr()
        assert says in " ".join(said.err.replace("│", " ").split())
        assert not said.out
