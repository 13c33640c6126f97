"""A method of another package: built, installed and used as docs/write-a-method.md says; held to its word."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anndata import AnnData

import dgex
from dgex import io
from dgex.cli.app import run
from dgex.errors import DgexError, ModelError, SettingsError
from dgex.models.catalogue import GROUP, METHODS, method, methods

PAGE = Path(__file__).parents[2] / "docs" / "write-a-method.md"


def package(folder: Path) -> Path:
    """Write the files that the page shows."""
    text = PAGE.read_text("utf-8")
    blocks = re.findall(r"`([\w.-]+)`:\n\n```\w+\n(.*?)```", text, flags=re.DOTALL)
    assert {name for name, _ in blocks} == {"pyproject.toml", "dgex_kernel.py"}
    folder.mkdir()
    for name, content in blocks:
        (folder / name).write_text(content, "utf-8")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of the page, built and installed by pip."""
    pytest.importorskip("setuptools", reason="the package is built without the network: setuptools must be there")
    base = tmp_path_factory.mktemp("plug-in")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    command = [
        *pip,
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(base / "site"),
        str(package(base / "source")),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return base / "site"


#: Runs command lines one after the other, and prints what became of each.
RUNNER = """
import contextlib, io, json, sys
from dgex.cli.app import run
ends = []
for words in json.loads(sys.argv[1]):
    sys.argv[1:], code, out, err = words, 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run()
        except SystemExit as stop:
            code = int(stop.code or 0)
    ends.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(ends))
"""


@pytest.fixture(scope="module")
def used(installed: Path, dataset: AnnData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A folder of models and how commands ended: all of them in one process that has the package."""
    folder = tmp_path_factory.mktemp("used")
    data, train = folder / "data.h5ad", ("train", folder / "data.h5ad")
    io.write(dataset, data)
    commands = [
        [*train, folder / "kernel", "--method", "kernel-ridge", "--set", "alpha=.5"],
        [*train, folder / "ols", "--method", "ols"],
        ["evaluate", data, folder / "kernel", folder / "ols"],
        [*train, folder / "m", "--method", "kernel-ridge", "--set", "alfa=1"],
    ]
    paths = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps([list(map(str, words)) for words in commands])],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_the_package_of_the_page_from_training_to_a_table(used: tuple[Path, list[Any]]) -> None:
    folder, (trained, other, table, unknown) = used
    assert trained[0] == other[0] == table[0] == 0, used
    assert "kernel-ridge (of dgex-kernel 0.1)" in (folder / "kernel" / "README.md").read_text("utf-8")
    assert re.search(r"^\s*kernel\b", table[1], flags=re.MULTILINE)
    assert (unknown[0], unknown[2].count("\n")) == (1, 2)  # a note, and the line
    assert "kernel-ridge does not take alfa; accepted: alpha, width" in unknown[2]


def test_without_the_package_its_model_says_who_brings_it(
    used: tuple[Path, list[Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = used
    for words, code in ((["info"], 1), (["train", folder / "data.h5ad", "--method", "kernel-ridge"], 2)):
        monkeypatch.setattr(sys, "argv", ["dgex", "--quiet", *map(str, words), str(folder / "kernel")])
        with pytest.raises(SystemExit) as stop:
            run()
        assert stop.value.code == code
        said = capsys.readouterr().err
        if code == 1:
            assert "the package dgex-kernel 0.1 brings it, and is not installed here" in said
            assert said.count("\n") == 1


class Liar(dgex.Estimator):
    """A method that does not keep its word, in the way that is asked for."""

    kind = "liar"

    def __init__(self, lie: str = "none") -> None:
        self.lie = lie

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: dict[str, Any]) -> None:
        if self.lie == "raises":
            raise ZeroDivisionError("nobody\nexpected this")
        self.mean_ = Y.mean(axis=0)

    def _predict(self, X: np.ndarray) -> Any:
        lies = {
            "shape": np.zeros((len(X), 1)),
            "nan": np.full((len(X), len(self.mean_)), np.nan),
            "words": "no numbers",
        }
        return lies.get(self.lie, np.tile(self.mean_, (len(X), 1)))

    def _arrays(self) -> Any:
        return {"mean": "no array"} if self.lie == "arrays" else {"mean": self.mean_}

    def _restore(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        self.mean_ = arrays["mean"]


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "liar", METHODS["ols"].__class__("liar", f"{__name__}:Liar", "a liar", "liar"))


@pytest.mark.usefixtures("liar")
@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ("raises", "the method liar failed to fit: ZeroDivisionError: nobody expected this"),
        ("shape", r"the method liar predicted ndarray of shape \(\d+, 1\), accepted: \d+ profiles x 30 targets"),
        ("nan", "the method liar predicted [0-9,]+ values that are NaN or infinite"),
        ("words", "the method liar predicted str of shape None"),
        ("arrays", "the method liar gives mean, accepted: a dict of names to plain arrays"),
    ],
)
def test_a_method_that_lies_is_told_under_its_name(lie: str, said: str, dataset: AnnData, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        dgex.train(dataset, "liar", tmp_path / "m", lie=lie)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("liar")
def test_an_honest_one_is_a_model_as_any(dataset: AnnData, tmp_path: Path) -> None:
    model = dgex.train(dataset, "liar", tmp_path / "m")
    np.testing.assert_array_equal(dgex.load(tmp_path / "m").predict(dataset), model.predict(dataset))


def test_what_cannot_be_loaded_or_is_no_estimator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = METHODS["ols"].__class__
    for home, said in (
        ("nowhere:X", "cannot be loaded from nowhere:X"),
        ("pathlib:Path", "is no subclass of dgex.Estimator"),
        (f"{__name__}:Liar", "its class calls itself 'liar'"),
    ):
        monkeypatch.setitem(METHODS, "other", entry("other", home, "", "", package="dgex-other 1"))
        with pytest.raises(ModelError, match=said):
            method("other").load()
    with pytest.raises(SettingsError, match="unknown method 'another'; accepted: auto, ols"):
        method("another")
    with pytest.raises(DgexError, match="method: found 'OLS', accepted a name"):
        method(dgex.OLS())  # type: ignore[arg-type]
    assert GROUP == "dgex.methods"
    assert list(methods())[: len(METHODS)] == list(METHODS)
