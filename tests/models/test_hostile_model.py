"""Model folders made to do harm: each is refused in one line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hostile import listing
from safetensors.numpy import load_file, save_file

import dgex
from dgex.errors import DgexError, ModelError
from dgex.models.folder import _checksum
from dgex.summary import info


@cache
def sound() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        X, Y = rng.normal(size=(40, 4)), rng.normal(size=(40, 3))
        model = dgex.Ridge(alpha=1.0).fit(X[:20], Y[:20]).calibrate(X[20:], Y[20:])
        model.save(Path(folder) / "model")
        return {path.name: path.read_bytes() for path in (Path(folder) / "model").iterdir()}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in sound().items():
        (folder / name).write_bytes(content)
    return folder


def refused(folder: Path) -> str:
    before = listing(folder.parent)
    said = ""
    for use in (dgex.load, info):
        with pytest.raises(DgexError) as caught:
            use(folder)
        said = str(caught.value)
        assert said.isprintable(), said
        assert len(said) < 1000
    assert listing(folder.parent) == before
    return said


def described(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "model.json").read_text("utf-8")))


def signed(description: dict[str, Any]) -> str:
    """The description with the checksum that belongs to it, as who makes a folder would write it."""
    return json.dumps(description | {"checksum": _checksum(description)})


NOT = {"number": 5, "null": None, "text": "text", "list": [1], "truth": True, "deep": [[[[["text"]]]]]}
WRONG = {
    "format": ("null", "text", "list", "truth"),
    "kind": ("number", "null", "text", "list"),
    "settings": ("number", "null", "text", "list"),
    "state": ("number", "null", "text", "list"),
    "metrics": ("number", "null", "text", "list"),
    "fingerprint": ("number", "null", "list"),
    "sha256": ("number", "null", "text", "list"),
    "genes": ("number", "null", "text", "list"),
    "normalization": ("number", "text", "list"),
    "training": ("number", "text", "list"),
    "confidence": ("number", "text", "list"),
    "dgex": ("number", "list"),
}


@pytest.mark.parametrize(("field", "kind"), [(field, kind) for field in WRONG for kind in WRONG[field]])
def test_a_field_of_another_kind(field: str, kind: str, model: Path) -> None:
    (model / "model.json").write_text(signed(described(model) | {field: NOT[kind]}))
    assert field in refused(model)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"colour": 1}},
        {"state": {}},
        {"state": {"alpha": [], "path": 1}},
        {"metrics": {"sets": 5}},
        {"metrics": {"sets": {"GEO-va": {"overall": "low", "sd": 1}}}},
        {"metrics": {"data": []}},
        {"genes": {"names": ["A", "B"], "role": ["landmark"]}},
        {"genes": {"names": ["A", "B"], "role": ["landmark", "landmark"]}},
        {"genes": {"names": ["A", "B"], "role": ["landmark", "target"]}},
        {"genes": {"names": ["A", 2], "role": ["landmark", "target"]}},
        {"genes": {"names": [], "role": []}},
        {"normalization": {"units": 5}},
        {"normalization": {"colour": "red"}},
        {"training": {"data": "x"}},
        {"format": 10**400},
        {"format": -1},
    ],
)
def test_fields_that_make_no_model(change: dict[str, Any], model: Path) -> None:
    (model / "model.json").write_text(signed(described(model) | change))
    assert refused(model)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[" * 100_000, "nested"),
        ('{"a":' * 100_000, "nested"),
        ('{"format": 1, "state": ' + "[" * 200 + "]" * 200 + "}", "nested"),
        ('{"format": ' + "9" * 5000 + "}", "digits"),
        ('{"format": 1, "kind": "\\ud800"}', "half a character"),
        ('{"format": 1, "\\udfff": 0}', "half a character"),
        ("[]", "does not describe"),
        ("null", "does not describe"),
        ("7", "does not describe"),
        ('"text"', "does not describe"),
        ("", "is damaged"),
        ("{", "is damaged"),
        ('{"format": 1, "kind": "\\u001b[2J\\u202e"}', r"\\x1b[2J"),
        ('{"format": 1, "kind": "' + "k" * 10**6 + '"}', "unknown kind"),
    ],
)
def test_a_description_that_is_none(content: str, words: str, model: Path) -> None:
    (model / "model.json").write_text(content)
    assert words.replace("\\\\", "\\") in refused(model)


def test_a_description_in_another_encoding(model: Path) -> None:
    (model / "model.json").write_bytes(b'{"format": "\xff"}')
    assert "UTF-8" in refused(model)


def test_a_description_without_end(model: Path) -> None:
    with (model / "model.json").open("r+b") as stream:
        stream.truncate(10**12)
    assert "DGEX_MAX_MEMORY" in refused(model)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_a_part_that_is_no_file(make: Any, name: str, model: Path) -> None:
    (model / name).unlink()
    make(model / name)
    with pytest.raises(ModelError, match="is missing"):
        dgex.load(model)


@pytest.mark.parametrize("name", ["coef", "intercept"])
def test_arrays_that_do_not_fit(name: str, model: Path) -> None:
    arrays = load_file(model / "model.safetensors")
    save_file(arrays | {name: np.zeros((2, 2), np.float32)}, model / "model.safetensors")
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    (model / "model.json").write_text(signed(described(model) | {"sha256": digest}))
    assert "do not fit" in refused(model)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0{}", b"\x00\0\0\0\0\0\0\x7f" + b"x" * 64])
def test_arrays_that_are_none(content: bytes, model: Path) -> None:
    (model / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (model / "model.json").write_text(signed(described(model) | {"sha256": digest}))
    assert refused(model)


@pytest.mark.parametrize("alpha", [{}, float("nan"), -1, "much"])
def test_settings_that_no_prediction_asks_for(alpha: Any, model: Path) -> None:
    (model / "model.json").write_text(signed(described(model) | {"settings": {"alpha": alpha}}))
    expected = dgex.load(model).predict(np.ones((1, 4)))
    (model / "model.json").write_bytes(sound()["model.json"])
    np.testing.assert_array_equal(dgex.load(model).predict(np.ones((1, 4))), expected)


def test_the_sound_one_is_read(model: Path) -> None:
    assert dgex.load(model).kind == "ridge"
    shutil.copytree(model, model.parent / "copy")
    assert dgex.load(model.parent / "copy").kind == "ridge"


def resaved(folder: Path, **changed: np.ndarray | None) -> None:
    """Other arrays under the digests that belong to them; None leaves one out."""
    arrays = load_file(folder / "model.safetensors")
    arrays |= {f"confidence.{name}": array for name, array in changed.items() if array is not None}
    save_file(
        {k: v for k, v in arrays.items() if changed.get(k.removeprefix("confidence."), v) is not None}, folder / "new"
    )
    os.replace(folder / "new", folder / "model.safetensors")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "model.json").write_text(signed(described(folder) | {"sha256": digest}), "utf-8")


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("accuracy", np.zeros((7, 14), np.float32)),
        ("accuracy", np.zeros((3, 2), np.float32)),
        ("accuracy", None),
        ("landmark_correlation", np.zeros((4, 3), np.float32)),
        ("landmark_mean", np.zeros(9, np.float32)),
        ("interval_exponents", np.full(3, 200, np.uint8)),
        ("interval_exponents", np.zeros(3, np.float64)),
        ("interval_heights", np.zeros((4, 3), np.float32)),
        ("interval_quantiles", np.zeros((1, 3), np.float32)),
        ("interval_more", np.zeros(3, np.float32)),
        ("distances", np.zeros(0, np.float32)),
        ("missing", np.zeros((5, 3))),
    ],
)
def test_a_confidence_of_other_shapes(model: Path, name: str, array: np.ndarray | None) -> None:
    resaved(model, **{name: array})
    assert "was changed or is incomplete" in refused(model)


def test_a_confidence_that_says_nothing(model: Path) -> None:
    for wrong in ({}, {"judged": 5}, {"columns": 3}):
        said = described(model)
        said["confidence"] = {} if not wrong else said["confidence"] | wrong
        (model / "model.json").write_text(signed(said), "utf-8")
        assert "was changed or is incomplete" in refused(model)
