"""A model of a public compendium by one command, from a server to the card; killed anywhere, it goes on."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
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


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "dgex", "train", "gse92743", *words]


def test_one_command_from_the_server_to_the_card(site: Site, look_alike: Path) -> None:
    words = command("model", "--method", "ridge")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "model\n"
    assert {asked.path for asked in site.log} == {f"/{name}.gz" for name in (ARRAYS, GENES)}

    model, data = dgex.load("model"), dgex.read("model.data/gse92743.h5ad")
    assert set(model.landmark_genes().index) == {f"G{gene}" for gene in LANDMARKS}
    assert set(model.target_genes().index) == {f"G{gene}" for gene in TARGETS}
    test = data[data.obs["split"] == "test"]
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
    np.testing.assert_array_equal(dgex.load("model").predict(test[:, :8].X), model.predict(test[:, :8].X))


KILLED = """
import os, signal, sys
from pathlib import Path
import dgex
from dgex.shared.make import train_public

def die_before(name, times):
    def hook(event, arguments):
        nonlocal times
        if event == "os.rename" and os.path.basename(str(arguments[1])) == name:
            times -= 1
            if times == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

def run(name, stop=None):
    pid = os.fork()
    if pid == 0:
        if stop:
            die_before(*stop)
        train_public("gse92743", "ridge", name, raw=name + ".data")
        os._exit(0)
    return os.waitpid(pid, 0)[1]

assert run("whole") == 0
whole = Path("whole/model.safetensors").read_bytes()
assert run("late", ("evaluation", 1)) == signal.SIGKILL
assert Path("late/model.safetensors").read_bytes() != whole  # not judged yet
assert run("late") == 0
assert Path("late/model.safetensors").read_bytes() == whole
assert "Overall error on test" in Path("late/README.md").read_text()
"""


def test_killed_before_it_is_judged_it_goes_on_to_the_same_model(look_alike: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
    assert not Path("model.data").exists()
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
