"""What was written once stays readable: folders of every earlier version, and what their own code inferred by them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dgex
from dgex.errors import ModelError
from dgex.summary import info

HOME = Path(__file__).parent / "earlier"
FOLDERS = sorted(path.parent for path in HOME.glob("*/*/model.json"))
PANEL = HOME / "panel.csv"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_a_folder_of_an_earlier_version_infers_what_its_own_code_did(folder: Path) -> None:
    then = pd.read_csv(folder / "inferred.csv", index_col=0)
    now = dgex.infer(PANEL, folder)
    assert now is not None
    assert list(now.obs_names) == list(then.index)
    np.testing.assert_allclose(np.asarray(now[:, then.columns].X), then, rtol=1e-5, atol=1e-5)
    assert info(folder)["model"] == folder.name


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_it_is_the_same_model_saved_anew(folder: Path, tmp_path: Path) -> None:
    old = dgex.load(folder)
    old.save(tmp_path / "new")
    x = np.linspace(-2, 2, 15, dtype=np.float32).reshape(3, 5)
    np.testing.assert_array_equal(dgex.load(tmp_path / "new").predict(x), old.predict(x))


def test_every_version_is_there() -> None:
    assert len(FOLDERS) == len(list(HOME.glob("*/*/inferred.csv")))
    assert {path.name for path in HOME.iterdir() if path.is_dir()} - {"__pycache__"} >= {"48a979f", "a32f26f"}


def test_a_later_folder_may_not_lose_its_checksum(tmp_path: Path) -> None:
    folder = shutil.copytree(HOME / "a32f26f" / "ols", tmp_path / "ols")
    description = json.loads((folder / "model.json").read_text())
    del description["checksum"]
    (folder / "model.json").write_text(json.dumps(description))
    with pytest.raises(ModelError, match="checksum"):
        dgex.load(folder)
