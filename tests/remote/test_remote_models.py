"""Model folders at URLs: the same predictions, the same refusals, results sent back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from misbehaving import Request, Web

import dgex
from dgex.errors import DgexError, FileError, ModelError, OutputExistsError, SettingsError
from dgex.limits import LIMITS
from dgex.summary import info


@pytest.fixture
def model(web: Web, dataset: Any) -> Any:
    """A model in the folder `ridge` on the web."""
    return dgex.train(dataset, "ridge", web.folder / "ridge")


def test_a_model_on_the_web_infers_as_the_local_one(web: Web, model: Any, compendium: Any, tmp_path: Path) -> None:
    panel = compendium[:9, compendium.var["role"] == "landmark"].copy()
    dgex.write(panel, web.folder / "panel.gctx")
    for at, base in enumerate((web.url, str(web.folder))):
        dgex.infer(f"{base}/panel.gctx", f"{base}/ridge", tmp_path / f"{at}.gctx")
    assert (tmp_path / "0.gctx").read_bytes() == (tmp_path / "1.gctx").read_bytes().replace(b"1.gctx", b"0.gctx")
    told = info(f"{web.url}/ridge")
    assert told["model"] == "ridge"
    assert {path.split("/")[-1] for path, _ in web.asked} == {"panel.gctx", "model.json", "model.safetensors"}


def test_evaluate_and_train_take_urls(web: Web, model: Any, dataset: Any, tmp_path: Path) -> None:
    dgex.write(dataset, web.folder / "data.h5ad")
    there = dgex.evaluate(f"{web.url}/ridge", f"{web.url}/data.h5ad")
    here = dgex.evaluate(web.folder / "ridge", web.folder / "data.h5ad")
    np.testing.assert_array_equal(there.overall["error"], here.overall["error"])
    again = dgex.train(f"{web.url}/data.h5ad", "ridge", tmp_path / "again")
    x = np.asarray(dataset.X[:5, dataset.var["role"] == "landmark"])
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_a_changed_model_is_refused(web: Web, model: Any) -> None:
    arrays = web.folder / "ridge" / "model.safetensors"
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256") as refusal:
        dgex.load(f"{web.url}/ridge")
    assert f"{web.url}/ridge" in str(refusal.value)


def test_a_model_beyond_the_limits_is_not_fetched(web: Web, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "fetched", 100)
    with pytest.raises(FileError, match="fetched whole"):
        dgex.load(f"{web.url}/ridge")
    monkeypatch.setitem(LIMITS, "record", 100)
    with pytest.raises(DgexError):
        dgex.load(f"{web.url}/ridge")
    assert web.sent < (web.folder / "ridge" / "model.safetensors").stat().st_size


def test_what_is_no_model_is_refused(web: Web) -> None:
    with pytest.raises(ModelError, match="no model at"):
        dgex.load(f"{web.url}/nothing")
    folder = web.folder / "bad"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"")
    for text in ("[" * 10**5, json.dumps({"format": 99}), "no JSON"):
        (folder / "model.json").write_text(text, "utf-8")
        with pytest.raises(ModelError) as refusal:
            dgex.load(f"{web.url}/bad")
        assert str(refusal.value).isprintable()


def test_a_folder_that_may_not_be_listed_says_403_of_what_is_not_there(web: Web, model: Any) -> None:
    def refuses(request: Request, number: int) -> bool:
        if not (web.folder / request.path.lstrip("/")).is_file():
            request.answer(403)
            return True
        return False

    web.fault = refuses
    assert dgex.load(f"{web.url}/ridge").kind == "ridge"


@pytest.mark.parametrize("name", ["a.gctx", "a.h5ad", "a.zarr", "a.parquet", "a.tsv.gz"])
def test_results_are_sent_whole_and_replace_nothing_unasked(name: str, memory: str, compendium: Any) -> None:
    url = f"{memory}/{name}"
    dgex.write(compendium, url)
    np.testing.assert_allclose(dgex.read(url).X, compendium.X, rtol=1e-6)
    with pytest.raises(OutputExistsError, match="exists already"):
        dgex.write(compendium, url)
    if name != "a.zarr":  # a folder may hold what others put there
        dgex.write(compendium[:10].copy(), url, overwrite=True)
        assert dgex.read(url).n_obs == 10


def test_the_whole_way_in_memory(memory: str, compendium: Any) -> None:
    dgex.write(compendium, f"{memory}/raw.h5ad")
    dgex.convert(f"{memory}/raw.h5ad", f"{memory}/raw.zarr")
    dgex.prepare(f"{memory}/raw.zarr", f"{memory}/data.h5ad", seed=0)
    dgex.train(f"{memory}/data.h5ad", "ridge", f"{memory}/model")
    dgex.infer(f"{memory}/raw.h5ad", f"{memory}/model", f"{memory}/full.parquet")
    assert dgex.read(f"{memory}/full.parquet").shape == compendium.shape
    with pytest.raises(OutputExistsError, match="folders there are not replaced"):
        dgex.train(f"{memory}/data.h5ad", "ridge", f"{memory}/model", overwrite=True)
    with pytest.raises(SettingsError, match="resume needs a local output"):
        dgex.infer(f"{memory}/raw.h5ad", f"{memory}/model", f"{memory}/again.h5ad", resume=True)
    with pytest.raises(FileError, match="is to be read"):
        dgex.convert(f"{memory}/raw.h5ad", f"{memory}/raw.h5ad", overwrite=True)


def test_a_command_that_fails_sends_nothing(memory: str, compendium: Any) -> None:
    import fsspec

    with pytest.raises(DgexError):
        dgex.prepare(compendium.copy(), f"{memory}/data.h5ad", landmarks=["no such gene"])
    assert not fsspec.filesystem("memory").exists(memory.removeprefix("memory:/"))


def test_the_web_is_read_only(web: Web, compendium: Any) -> None:
    with pytest.raises(FileError, match="read only"):
        dgex.write(compendium, f"{web.url}/a.h5ad")
    assert web.asked == []


def test_the_command_line_takes_urls_in_arguments_and_options(web: Web, compendium: Any, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from dgex.cli.app import app

    dgex.write(compendium, web.folder / "raw.h5ad")
    lines = [f"{gene}\t{role}" for gene, role in compendium.var["role"].items()]
    (web.folder / "genes.tsv").write_text("\n".join(["gene\trole", *lines]) + "\n")
    data, model, full = (str(tmp_path / name) for name in ("data.h5ad", "model", "full.gctx"))
    for words in (
        ["prepare", f"{web.url}/raw.h5ad", data, "--genes", f"{web.url}/genes.tsv?q=//"],
        ["train", data, model, "--method", "ridge"],
        ["infer", f"{web.url}/raw.h5ad", model, full],
        ["info", f"{web.url}/raw.h5ad", "--genes", f"{web.url}/genes.tsv", "--model", model],
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (words, result.output, result.exception)
    assert f"{web.url}/raw.h5ad" in result.output
    assert "20 of 20" in result.output
