"""A model of a public compendium by one command, from a server to the card; killed anywhere, it goes on."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gse92743_files import ARRAYS, LANDMARKS, TARGETS, raw_files
from serving import Site

import dgex
from dgex.cli.app import run
from dgex.datasets.public.sources import find

GENES = "GSE92743_Broad_GTEx_gene_info.txt"


@pytest.fixture
def look_alike(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server with a small GSE92743 under its own names; an empty folder to work in."""
    folder = raw_files(tmp_path / "served")
    for name in (ARRAYS, GENES):
        site.files[f"/{name}.gz"] = gzip.compress((folder / name).read_bytes(), 1)
    monkeypatch.setenv("DGEX_BASE_GSE92743", site.url)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


# The command, killed before linear regression has its name: brought, prepared and trained, and not judged.
KILLED = """
import os, signal, sys
from dgex.__main__ import main

def hook(event, arguments):
    if event == "os.rename" and os.path.basename(str(arguments[1])) == "ols":
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
sys.argv[0] = "dgex"
main()
"""


def test_one_command_from_the_server_to_the_card_killed_on_the_way(site: Site, look_alike: Path) -> None:
    words = ["train", "gse92743", "model", "--method", "ridge"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "test" not in dgex.load("model").metrics_["sets"]
    words = [sys.executable, "-m", "dgex", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "model\n"
    assert {asked.path for asked in site.log} == {f"/{name}.gz" for name in (ARRAYS, GENES)}

    model, data = dgex.load("model"), dgex.read("model.data/gse92743.h5ad")
    assert set(model.landmark_genes().index) == {f"G{gene}" for gene in LANDMARKS}
    assert set(model.target_genes().index) == {f"G{gene}" for gene in TARGETS}
    test = data[data.obs["split"] == "test"]
    X = np.asarray(test[:, [*model.landmarks_]].X)
    np.testing.assert_array_equal(model.predict(X), dgex.train(data, "ridge").predict(X))
    result = dgex.evaluate({"ridge": model}, data, "test")
    error = result.overall.set_index("model").loc["ridge", "error"]
    assert model.metrics_["sets"]["test"] == {
        "overall": pytest.approx(error),
        "sd": pytest.approx(result.overall.set_index("model").loc["ridge", "sd"]),
        "profiles": len(test),
    }
    assert model.confidence_.judged["profiles"] == len(test)
    card, source = Path("model/README.md").read_text("utf-8"), find("gse92743")
    for told in (source.citation, source.licence, f"Overall error on test: {error:.4f}", "linear regression, 0."):
        assert told in card
    assert json.loads(Path("model.data/evaluation/evaluation.json").read_text("utf-8"))["overall"]

    # a panel of a scale of its own: infer ranks it, as it did the test profiles
    genes = [*LANDMARKS, *TARGETS]
    panel = dgex.read("model.data/" + ARRAYS)[:20, genes].copy()
    whole = dgex.infer(panel[:, LANDMARKS].copy(), model).X
    panel.X = np.exp2(np.asarray(panel.X)) + 100
    linear = dgex.infer(panel[:, LANDMARKS].copy(), model).X
    np.testing.assert_allclose(whole, linear, atol=1e-4)

    again = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "measured and described already" in again.stderr
    assert len(site.log) == 2


def test_what_it_refuses(look_alike: Path) -> None:
    def said(code: int, *words: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["dgex", "-q", "train", *words])
            with pytest.raises(SystemExit) as ended, contextlib.redirect_stderr(io.StringIO()) as told:
                run()
        assert ended.value.code == code
        return told.getvalue()

    assert "--grid" in said(2, "gse92743", "model", "--grid", "hidden=10", "layers=1,2")
    assert "does not exist" in said(1, "gse92742", "model")
    assert "dropout" in said(1, "gse92743", "model", "--method", "residual", "--dropout", "2")
    Path("taken").mkdir()
    Path("taken/notes.txt").write_text("mine")
    assert "is not a model folder" in said(1, "gse92743", "taken")
    assert not list(Path().glob("*.data"))
    Path("gse92743.h5ad").write_bytes(b"")
    assert "--raw" in said(2, "gse92743.h5ad", "model", "--raw", "raw")
    folder = Path("raw")
    for damage, told in ((None, "no gse92743.json tells what it was made of"), ({"seed": 1}, "seed: there 1, now 0")):
        folder.mkdir(exist_ok=True)
        (folder / "gse92743.h5ad").write_bytes(b"")
        if damage:
            (folder / "gse92743.json").write_text(json.dumps(damage))
        assert told in said(1, "gse92743", "model", "--raw", "raw")
    assert not Path("model").exists()
