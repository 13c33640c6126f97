"""Models to infer with: their list, and bringing one whole, checked, and loaded."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from serving import Site, Step

import dgex
from dgex.cli.app import run
from dgex.datasets.public.fetch import Patience
from dgex.errors import DataError, DgexError, FileError, ModelError, OutputExistsError, SettingsError
from dgex.shared.registry import find_model, shared_models

PARTS = ("model.json", "model.safetensors", "README.md")


@pytest.fixture
def served(site: Site, tmp_path: Path) -> Path:
    """A list of one model, `line`, whose files the server holds."""
    X = np.arange(12.0).reshape(6, 2)
    dgex.OLS().fit(X, X @ np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])).save(tmp_path / "made")
    entry = f"""[line]
title = "A line"
organism = "Homo sapiens"
kind = "ols"
landmarks = 2
targets = 3
data = "six profiles"
citation = "Ours 2026"
licence = "CC0-1.0"
split = "test: two profiles"
error = 0.25
base = "{site.url}/line"
"""
    for name in PARTS:
        body = (tmp_path / "made" / name).read_bytes()
        site.files[f"/line/{name}"] = body
        digest = hashlib.sha256(body).hexdigest()
        entry += f'[line.files.{name[:6].replace(".", "_")}{len(name)}]\naddress = "{name}"\n'
        entry += f'size = {len(body)}\nchecksum = "sha256:{digest}"\n'
    (tmp_path / "list.toml").write_text(entry, "utf-8")
    return tmp_path / "list.toml"


def changed(served: Path, old: str, new: str) -> Path:
    text = served.read_text("utf-8")
    assert old in text
    served.write_text(text.replace(old, new, 1), "utf-8")
    return served


def said(capsys: pytest.CaptureFixture[str], code: int, *words: object) -> tuple[str, str]:
    """What the command prints, to stdout and to stderr."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["dgex", "--quiet", "download", "models", *map(str, words)])
        try:
            run()
            ended = 0
        except SystemExit as stop:
            ended = int(stop.code or 0)
    captured = capsys.readouterr()
    assert ended == code, captured.err
    assert code != 1 or captured.err.count("\n") == 1
    return captured.out, captured.err


def test_a_model_arrives_as_it_was_saved(served: Path, tmp_path: Path, patience: Patience) -> None:
    folder = dgex.download_model("line", tmp_path / "mine", manifest=served, patience=patience)
    for name in PARTS:
        assert (folder / name).read_bytes() == (tmp_path / "made" / name).read_bytes()
    ours, theirs = dgex.load(folder), dgex.load(tmp_path / "made")
    X = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert not list(tmp_path.glob("*.partial"))


def test_a_finished_model_is_checked_and_not_fetched(
    site: Site, served: Path, tmp_path: Path, patience: Patience
) -> None:
    folder = dgex.download_model("line", tmp_path / "mine", manifest=served, patience=patience)
    asked = len(site.log)
    assert dgex.download_model("line", folder, manifest=served, patience=patience) == folder
    assert len(site.log) == asked
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(DataError, match=r"model\.safetensors is not the file of line"):
        dgex.download_model("line", folder, manifest=served, patience=patience)


def test_a_break_costs_only_the_missing_bytes(site: Site, served: Path, tmp_path: Path) -> None:
    site.plan["/line/model.safetensors"] = [Step(cut=100)]
    with pytest.raises(FileError, match="goes on from there"):
        dgex.download_model("line", tmp_path / "mine", manifest=served, patience=Patience(retries=0, timeout=5))
    assert not (tmp_path / "mine").exists()
    dgex.download_model("line", tmp_path / "mine", manifest=served)
    assert [asked.range for asked in site.asked("model.safetensors")] == [None, "bytes=100-"]
    assert len(site.asked("model.json")) == 1
    dgex.load(tmp_path / "mine")


@pytest.mark.parametrize("name", PARTS)
def test_a_tampered_file_is_refused(site: Site, served: Path, tmp_path: Path, patience: Patience, name: str) -> None:
    body = site.files[f"/line/{name}"]
    site.files[f"/line/{name}"] = body[:-1] + bytes([body[-1] ^ 1])
    with pytest.raises(FileError, match=r"its sha256 is .*, published is") as caught:
        dgex.download_model("line", tmp_path / "mine", manifest=served, patience=patience)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mine").exists()
    site.files[f"/line/{name}"] = body
    dgex.load(dgex.download_model("line", tmp_path / "mine", manifest=served, patience=patience))


def test_a_model_that_is_another_than_was_listed_is_refused(served: Path, tmp_path: Path, patience: Patience) -> None:
    changed(served, "targets = 3", "targets = 4")
    with pytest.raises(ModelError, match=r"line is not what its list says \(targets: there 4, now 3\)"):
        dgex.download_model("line", tmp_path / "mine", manifest=served, patience=patience)
    assert not (tmp_path / "mine").exists()
    # once the list is right, what came is used
    changed(served, "targets = 4", "targets = 3")
    dgex.load(dgex.download_model("line", tmp_path / "mine", manifest=served, patience=patience))


def test_files_that_are_right_and_no_model_are_refused(
    site: Site, served: Path, tmp_path: Path, patience: Patience
) -> None:
    body = site.files["/line/model.json"].replace(b'"kind": "ols"', b'"kind": "cnn"')
    old = hashlib.sha256(site.files["/line/model.json"]).hexdigest()
    site.files["/line/model.json"] = body
    changed(served, old, hashlib.sha256(body).hexdigest())
    with pytest.raises(ModelError, match="unknown kind 'cnn'"):
        dgex.download_model("line", tmp_path / "mine", manifest=served, patience=patience)
    assert not (tmp_path / "mine").exists()


def test_a_folder_of_something_else_stays(served: Path, tmp_path: Path, patience: Patience) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"exists and has no model\.json of line"):
        dgex.download_model("line", tmp_path / "mine", manifest=served, patience=patience)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


def test_a_model_of_the_hub_lies_at_its_revision(
    site: Site, served: Path, tmp_path: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = "0123456789abcdef" * 2 + "01234567"
    changed(served, f'base = "{site.url}/line"', f'hub = "lab/line@{revision}"')
    assert find_model("line", served).source.base == f"https://huggingface.co/lab/line/resolve/{revision}/"
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    for name in PARTS:
        site.files[f"/lab/line/resolve/{revision}/{name}"] = site.files.pop(f"/line/{name}")
    dgex.load(dgex.download_model("line", tmp_path / "mine", manifest=served, patience=patience))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('kind = "ols"\n', "", "no kind; needed: title, citation, licence, organism"),
        ("landmarks = 2", 'landmarks = "two"', "landmarks is 'two'; accepted: a whole number"),
        ("landmarks = 2", "landmarks = -1", "landmarks is -1; accepted: a number of genes, at least 1"),
        ("error = 0.25", "error = nan", "error is nan; accepted: standard deviations, above 0"),
        ("error = 0.25", "error = 1", "error is 1; accepted: a number with a point"),
        ('licence = "CC0-1.0"\n', "", "no licence"),
        ("base = ", "place = ", "'place' is unknown; accepted:"),
        ('split = "', 'hub = "lab/line@main"\nsplit = "', "both base and hub; accepted: one"),
        ('base = "http:', 'hub = "http:', "hub is 'http:.*; accepted: OWNER/NAME@REVISION, the revision 40 digits"),
        ('address = "model.safetensors"', 'address = "model.pkl"', "the file is model.pkl; accepted: model.json"),
        ('address = "model.json"', 'address = "../model.json"', "accepted: a path below the base"),
        ("size = ", "# ", "model.json needs both; accepted: size in bytes, and checksum sha256"),
        ("sha256:", "md5:", "checksum is 'md5:"),
        ("[line]", "[models]", r"\[models\]: (no|the name)"),
    ],
)
def test_a_bad_entry_is_told_in_one_line(served: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(DgexError) as caught:
        shared_models(changed(served, old, new))
    message = str(caught.value)
    assert re.search(told, message), message
    assert str(served) in message
    assert "\n" not in message


def test_a_list_without_the_weights(served: Path) -> None:
    text = served.read_text("utf-8")
    kept = "[line.files".join(part for part in text.split("[line.files") if "safetensors" not in part)
    served.write_text(kept, "utf-8")
    with pytest.raises(SettingsError, match=r"no model\.safetensors among the files"):
        shared_models(served)


def test_the_command(
    site: Site, served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    empty = said(capsys, 0)[0]
    assert "the list is empty" in empty
    assert "dgex train gse92743" in empty
    assert json.loads(said(capsys, 0, "--json")[0]) == {}
    assert "model 'line' is unknown; accepted: none is listed yet" in said(capsys, 1, "line", "mine")[1]
    assert "accepted: line" in said(capsys, 1, "curve", "mine", "--manifest", served)[1]
    listed = said(capsys, 0, "--manifest", served)[0]
    for text in ("A line", "2 landmark genes -> 3 target genes", "0.2500 on test: two profiles", "CC0-1.0"):
        assert text in listed
    described = json.loads(said(capsys, 0, "--manifest", served, "--json")[0])["line"]
    assert described["files"]["README9"]["address"] == f"{site.url}/line/README.md"
    assert "no folder to bring line" in said(capsys, 2, "line", "--manifest", served)[1]
    assert "--verify are for data sets" in said(capsys, 2, "line", "mine", "--manifest", served, "--verify")[1]
    assert said(capsys, 0, "line", "mine", "--manifest", served)[0] == "mine\n"
    dgex.load("mine")
    shutil.rmtree("mine")
    for name in PARTS:
        site.files[f"/mirror/{name}"] = site.files.pop(f"/line/{name}")
    assert "404" in said(capsys, 1, "line", "mine", "--manifest", served, "--retries", 0)[1]
    found = said(capsys, 0, "line", "mine", "--manifest", served, "--base", f"{site.url}/mirror", "--json")[0]
    assert json.loads(found)["path"] == "mine"
    assert sorted(os.listdir("mine")) == [".dgex.json", "README.md", "download.json", "model.json", "model.safetensors"]
