"""What is fetched: byte for byte what was shared, or nothing at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hub_stand_in import Hub, Request

import dgex
from dgex import limits
from dgex.errors import DgexError, FileError, ModelError, OutputExistsError
from dgex.hub.client import SHARED
from dgex.summary import info

Files = dict[str, bytes]


@pytest.fixture
def files(hub: Hub, model: Path) -> Files:
    """The files of a model that was pushed as lab/ridge."""
    dgex.push(model, "lab/ridge", licence="mit")
    repository = hub.repositories["lab/ridge"]
    hub.received.clear()
    return dict(repository.commits[repository.branches["main"]])


def asked(hub: Hub) -> set[str]:
    """Names of files that were asked for."""
    return {path.split("/resolve/")[1].partition("/")[2] for _, path, _ in hub.received if "/resolve/" in path}


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"ridge", "huggingface"}


def test_it_is_byte_for_byte_what_was_shared(hub: Hub, files: Files, model: Path, tmp_path: Path) -> None:
    folder = dgex.pull("lab/ridge", tmp_path / "got")
    commit = hub.repositories["lab/ridge"].branches["main"]
    got = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: got[name] for name in SHARED if name in files} == {n: c for n, c in files.items() if n[0] != "."}
    assert set(got) - set(files) == {"source.json", ".dgex.json"}
    assert info(folder)["from"] == f"lab/ridge at {commit}"
    x = np.random.default_rng(1).normal(size=(5, 20)).astype(np.float32)
    np.testing.assert_array_equal(dgex.load(folder).predict(x), dgex.load(model).predict(x))
    with pytest.raises(OutputExistsError, match="exists already"):
        dgex.pull("lab/ridge", folder)
    assert dgex.pull("hf://lab/ridge", folder, overwrite=True) == folder


def test_a_revision_is_what_it_was(hub: Hub, files: Files, tmp_path: Path) -> None:
    old = hub.repositories["lab/ridge"].branches["main"]
    hub.put("lab/ridge", files | {"README.md": b"# later\n"})
    for revision, card in ((f"@{old}", files["README.md"]), ("", b"# later\n")):
        folder = dgex.pull(f"lab/ridge{revision}", tmp_path / "got", overwrite=True)
        assert (folder / "README.md").read_bytes() == card
    for wrong in ("v9", "0" * 40):
        with pytest.raises(FileError, match=f"has no revision {wrong}"):
            dgex.pull(f"lab/ridge@{wrong}", tmp_path / "new")
    assert left(tmp_path) == {"got"}


@pytest.mark.parametrize("folder", ["48a979f/ridge", "29266d3/knn", "a32f26f/adapted"])
@pytest.mark.parametrize("by_push", [False, True])
def test_folders_of_earlier_versions_are_shared_too(hub: Hub, tmp_path: Path, folder: str, by_push: bool) -> None:
    old = Path(__file__).parents[1] / "models" / "earlier" / folder
    if by_push:
        dgex.push(old, "lab/old", licence="mit")
    else:
        hub.put("lab/old", {path.name: path.read_bytes() for path in old.iterdir()})
    x = np.random.default_rng(2).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_array_equal(
        dgex.load(dgex.pull("lab/old", tmp_path / "got")).predict(x), dgex.load(old).predict(x)
    )


def changed_byte(files: Files) -> Files:
    content = bytearray(files["model.safetensors"])
    content[-1] ^= 1
    return files | {"model.safetensors": bytes(content)}


def cut(files: Files) -> Files:
    return files | {"model.safetensors": files["model.safetensors"][:-100]}


def edited(files: Files) -> Files:
    return files | {"model.json": files["model.json"].replace(b'"ridge"', b'"ols"')}


def renamed(files: Files) -> Files:
    return {("weights.safetensors" if n == "model.safetensors" else n): content for n, content in files.items()}


def foreign(files: Files) -> Files:
    said = json.loads(files["model.json"]) | {"kind": "theirs", "package": "their-methods 1.0"}
    return files | {"model.json": json.dumps(said).encode()}


def no_json(files: Files) -> Files:
    return files | {"model.json": b"import os"}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (changed_byte, "SHA-256"),
        (cut, "SHA-256"),
        (edited, "checksum"),
        (renamed, "no model.safetensors"),
        (foreign, "the package their-methods 1.0 brings it"),
        (no_json, "damaged"),
    ],
)
def test_what_was_changed_is_refused_and_nothing_is_left(
    hub: Hub, files: Files, tmp_path: Path, damage: Callable[[Files], Files], words: str
) -> None:
    hub.put("lab/ridge", damage(files))
    with pytest.raises(ModelError, match=words) as caught:
        dgex.pull("lab/ridge", tmp_path / "got")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert left(tmp_path) == set()


def test_files_by_other_names_are_never_asked_for(
    hub: Hub, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "dgex")
    others = ["../../x.json", "/etc/x", "a/../../model.json", "sub/model.json", "pytorch_model.bin", "run.py", "m.pkl"]
    hub.put("lab/ridge", files | dict.fromkeys(others, b"import os"))
    folder = dgex.pull("lab/ridge", tmp_path / "got")
    assert asked(hub) <= set(SHARED)
    assert "since they can run code: m.pkl, pytorch_model.bin, run.py" in caplog.text
    assert {path.name for path in folder.rglob("*")} <= {*SHARED, "source.json", ".dgex.json"}


def test_what_is_too_large_is_never_asked_for(
    hub: Hub, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits.LIMITS, "fetched", 1000)
    with pytest.raises(FileError, match=r"model.safetensors of lab/ridge .* more than"):
        dgex.pull("lab/ridge", tmp_path / "got")
    assert asked(hub) == set()


def test_a_file_that_comes_otherwise_than_told_is_refused(hub: Hub, files: Files, tmp_path: Path) -> None:
    def other(request: Request) -> bool:
        if request.command == "GET" and request.route.endswith("/README.md"):
            request.give(bytes(len(files["README.md"])), "0" * 40, "README.md")
            return True
        return False

    hub.fault = other
    with pytest.raises(FileError, match=r"README.md of lab/ridge .* came otherwise"):
        dgex.pull("lab/ridge", tmp_path / "got")
    assert left(tmp_path) == set()
    hub.fault = None
    folder = dgex.pull("lab/ridge", tmp_path / "got")  # what the package kept of it is fetched anew
    assert (folder / "README.md").read_bytes() == files["README.md"]


def test_a_download_that_broke_off_goes_on(hub: Hub, files: Files, tmp_path: Path) -> None:
    broken: list[str] = []

    def once(request: Request) -> bool:
        if request.command == "GET" and request.route.endswith(".safetensors") and not broken:
            broken.append(request.route)
            request.give(files["model.safetensors"], "0" * 40, "model.safetensors", cut=500)
            return True
        return False

    hub.fault = once
    folder = dgex.pull("lab/ridge", tmp_path / "got")
    assert broken
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_offline_takes_what_was_fetched_before(
    hub: Hub, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileError, match="was not fetched before"):
        dgex.pull("lab/ridge", tmp_path / "new", offline=True)
    dgex.pull("lab/ridge", tmp_path / "got")
    hub.received.clear()
    again = dgex.pull("lab/ridge", tmp_path / "again", offline=True)
    monkeypatch.setattr(sys.modules["huggingface_hub"].constants, "HF_HUB_OFFLINE", True)
    third = dgex.pull("lab/ridge", tmp_path / "third")
    assert not hub.received
    for folder in (again, third):
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
            p.name: p.read_bytes() for p in (tmp_path / "got").iterdir()
        }


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (401, {}, "refuses you"),
        (403, {"X-Error-Code": "GatedRepo"}, "accept its terms"),
        (404, {"X-Error-Code": "RepoNotFound"}, "does not exist"),
        (500, {}, "answers 500"),
        (429, {}, "answers 429"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: Hub, tmp_path: Path, status: int, headers: dict[str, str], words: str
) -> None:
    def refuse(request: Request) -> bool:
        request.answer(status, {"error": "no"}, headers)
        return True

    hub.fault = refuse
    with pytest.raises(FileError, match=words) as caught:
        dgex.pull("lab/ridge", tmp_path / "got")
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == set()


def test_who_answers_something_else_is_told_so(hub: Hub, tmp_path: Path) -> None:
    def page(request: Request) -> bool:
        request.answer(200, b"<html>Please log in to the network</html>", {"Content-Type": "text/html"})
        return True

    hub.fault = page
    with pytest.raises(DgexError) as caught:
        dgex.pull("lab/ridge", tmp_path / "got")
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == set()


def test_a_killed_pull_leaves_no_folder_and_the_next_one_succeeds(hub: Hub, files: Files, tmp_path: Path) -> None:
    reached, ended = threading.Event(), threading.Event()

    def hang(request: Request) -> bool:
        if request.command == "GET" and request.route.endswith(".safetensors"):
            reached.set()
            ended.wait(60)
        return False

    hub.fault = hang
    command = [sys.executable, "-m", "dgex", "pull", "lab/ridge", "got"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        assert reached.wait(60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        hub.fault = None
        ended.set()
    assert not (tmp_path / "got").exists()
    dgex.pull("lab/ridge", tmp_path / "got")
    assert left(tmp_path) == {"got"}


def test_the_command_line_does_it_all(hub: Hub, model: Path, tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dgex", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    pushed = run("push", "ridge", "lab/ridge", "--license", "mit")
    assert pushed.stdout == f"{hub.url}/lab/ridge/commit/{hub.repositories['lab/ridge'].branches['main']}\n"
    assert "training profiles are left out" in pushed.stderr
    pulled = run("pull", "lab/ridge@main", "got")
    assert (pulled.returncode, pulled.stdout) == (0, "got\n")
    refused = run("push", "ridge", "lab/other")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.endswith("give licence=SPDX (--licence SPDX), such as mit\n")
