"""What is shared: one commit of known files, without places, people and what was not asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hub_stand_in import Hub

import dgex
from dgex.errors import FileError, ModelError, SettingsError
from dgex.hub.client import SHARED, named
from dgex.hub.scrub import scrubbed_text
from dgex.models.front_matter import body_of, licence_of

if TYPE_CHECKING:
    from anndata import AnnData


def shared(hub: Hub, name: str = "lab/ridge", branch: str = "main") -> dict[str, bytes]:
    repository = hub.repositories[name]
    return {
        path: content for path, content in repository.commits[repository.branches[branch]].items() if path[0] != "."
    }


def test_known_files_go_there_in_one_commit_and_predict_the_same(hub: Hub, model: Path, tmp_path: Path) -> None:
    (model / "train.py").write_text("print('ours')")
    (model / "weights.pt").write_bytes(b"x")
    (model / "notes").mkdir()
    (model / "history.jsonl").write_text('{"epoch": 1, "from": "/srv/lab/plate.h5ad"}\n')
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    address = dgex.push(model, "lab/ridge", licence="CC-BY-4.0", message="a first")
    repository = hub.repositories["lab/ridge"]
    assert repository.messages == ["initial commit", "a first"]
    assert address == f"{hub.url}/lab/ridge/commit/{repository.branches['main']}"
    assert set(shared(hub)) == set(SHARED)
    assert shared(hub)["history.jsonl"] == b'{"epoch": 1, "from": "plate.h5ad"}\n'
    assert before == {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in shared(hub).items():
        (copy / name).write_bytes(content)
    x = np.random.default_rng(0).normal(size=(5, 20)).astype(np.float32)
    np.testing.assert_array_equal(dgex.load(copy).predict(x), dgex.load(model).predict(x))


@pytest.mark.parametrize("with_names", [False, True])
def test_names_of_training_profiles_go_along_only_when_asked_for(
    hub: Hub, model: Path, dataset: AnnData, with_names: bool
) -> None:
    dgex.push(model, "lab/ridge", licence="mit", with_names=with_names)
    name = str(dataset.obs_names[dataset.obs["split"] == "train"][0]).encode()
    assert name in (model / "model.safetensors").read_bytes()
    received = b"".join([*shared(hub).values(), *(body for _, _, body in hub.received)])
    assert (name in received) == with_names


def test_neither_places_nor_people_leave(
    hub: Hub, dataset: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/janedoe")
    monkeypatch.setenv("LOGNAME", "janedoe")
    fitted = dgex.train(dataset, "ridge")
    data = fitted.metrics_["data"]
    data |= {
        "name": "/home/janedoe/secret project/plate.h5ad",
        "from": "file:///srv/store/janedoe/a.gctx",
        "host": r"C:\Users\janedoe\b.h5ad",
        "by": "janedoe@lab.example, JaneDoe",
        "also": "s3://store-of-lab/raw/c.zarr and janedoe@cluster7:/scratch/d.csv",
    }
    fitted.metrics_["sets"]["/home/janedoe/e.h5ad"] = fitted.metrics_["sets"]["validation"]
    fitted.save(tmp_path / "m")
    dgex.push(tmp_path / "m", "lab/ridge", licence="mit")
    received = b"".join([*shared(hub).values(), *(body for _, _, body in hub.received)]).lower()
    for word in (
        b"janedoe",
        b"/home",
        b"secret project",
        b"/srv",
        b"cluster7",
        b"store-of-lab",
        b"users",
        b"lab.example",
    ):
        assert word not in received, word
    said = json.loads(shared(hub)["model.json"])["metrics"]
    assert said["data"]["name"] == "plate.h5ad"
    assert said["data"]["also"] == "c.zarr and d.csv"
    assert set(said["sets"]) == {"validation", "e.h5ad"}


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("split at random; 14/15 pairs, and/or TPM/FPKM", "split at random; 14/15 pairs, and/or TPM/FPKM"),
        ("log2(counts/million), see https://doi.org/10.1/x", "log2(counts/million), see https://doi.org/10.1/x"),
        ("from ../plates/a.gctx and ~/b.h5ad", "from a.gctx and b.h5ad"),
        ("/data/x y/plate.h5ad", "plate.h5ad"),
        ("/home/someoneelse", "someone"),
        ("https://me:pass@host.example/a.h5ad?token=abc", "https://host.example/a.h5ad"),
    ],
)
def test_only_places_and_people_are_taken_out_of_a_text(text: str, without: str) -> None:
    assert scrubbed_text(text) == without


def test_a_card_that_somebody_wrote_stays(hub: Hub, model: Path) -> None:
    written = "---\nlicense: mit\ntags:\n- blood\n---\n\n# Ours\n\nTrained on /srv/a/b/plate.h5ad, see https://lab.example/x\n"
    (model / "README.md").write_text(written)
    dgex.push(model, "lab/ridge")
    card = shared(hub)["README.md"].decode()
    assert licence_of(card) == "mit"
    assert "tags:\n- blood\n" in card
    assert body_of(card) == "# Ours\n\nTrained on plate.h5ad, see https://lab.example/x\n"
    dgex.push(model, "lab/ridge", licence="CC0-1.0")
    card = shared(hub)["README.md"].decode()
    assert licence_of(card) == "cc0-1.0"
    assert card.count("license") == 1


def test_a_second_push_changes_what_changed_and_a_branch_stands_beside(hub: Hub, model: Path) -> None:
    hub.put("lab/ridge", {"history.jsonl": b"{}", "LICENSE": b"x"})
    dgex.push(model, "lab/ridge", licence="mit")
    assert set(shared(hub)) == {*SHARED, "LICENSE"} - {"history.jsonl"}
    first = hub.repositories["lab/ridge"].branches["main"]
    dgex.push(model, "lab/ridge", licence="mit")
    assert hub.repositories["lab/ridge"].branches["main"] == first  # nothing new, no commit
    dgex.push(model, "lab/ridge", licence="cc0-1.0", revision="v1")
    assert hub.repositories["lab/ridge"].branches["main"] == first
    assert b"cc0-1.0" in shared(hub, branch="v1")["README.md"]


def test_nothing_is_sent_without_a_licence_a_login_or_a_whole_model(
    hub: Hub, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="needs a licence"):
        dgex.push(model, "lab/ridge")
    for branch in ("a b", "../x", ""):
        with pytest.raises(SettingsError):
            dgex.push(model, "lab/ridge", licence="mit", revision=branch)
    with pytest.raises(SettingsError, match="licence: found 'my own; rules'"):
        dgex.push(model, "lab/ridge", licence="my own; rules")
    with monkeypatch.context() as patch:
        patch.delenv("HF_TOKEN")
        with pytest.raises(FileError, match="not logged in"):
            dgex.push(model, "lab/ridge", licence="mit")
    content = bytearray((model / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (model / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        dgex.push(model, "lab/ridge", licence="mit")
    assert not hub.received


def test_a_link_in_the_folder_is_refused(hub: Hub, model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    (model / "README.md").unlink()
    (model / "README.md").symlink_to(tmp_path / "secret")
    with pytest.raises(FileError, match="is a link"):
        dgex.push(model, "lab/ridge", licence="mit")
    assert not hub.received


def test_a_private_repository_is_private(hub: Hub, model: Path) -> None:
    dgex.push(model, "lab/private", licence="mit", private=True)
    assert hub.repositories["lab/private"].private
    hub.put("lab/open", {"a": b""})
    with pytest.raises(FileError, match="is public; nothing was sent"):
        dgex.push(model, "lab/open", licence="mit", private=True)
    assert set(shared(hub, "lab/open")) == {"a"}


@pytest.mark.parametrize(("status", "words"), [(401, "logged in|log in"), (403, "refuses you"), (500, "answers 500")])
def test_what_the_hub_refuses_is_one_line_without_the_token(hub: Hub, model: Path, status: int, words: str) -> None:
    def refuse(request: object) -> bool:
        request.answer(status, {"error": "no"})  # type: ignore[attr-defined]
        return True

    hub.fault = refuse
    with pytest.raises(FileError, match=words) as caught:
        dgex.push(model, "lab/ridge", licence="mit")
    assert "\n" not in str(caught.value)
    assert "hf_stand_in" not in str(caught.value)


@pytest.mark.parametrize(
    "repo", ["ridge", "lab/ridge/x", "../ridge", "lab/..", "lab/a b", "lab/", "", "-lab/x", "lab/x.git"]
)
def test_names_that_are_no_repository(repo: str) -> None:
    with pytest.raises(SettingsError, match="OWNER/NAME"):
        named(repo)


def test_without_the_package_one_line_names_the_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: dgex.push(model, "lab/x", licence="mit"), lambda: dgex.pull("lab/x", model.parent / "new")):
        with pytest.raises(SettingsError, match=r"dgex-infer\[hub\]"):
            call()
    assert not (model.parent / "new").exists()
