"""The example to begin with: new profiles of a study that the compendium lacks, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dgex
from dgex.errors import OutputExistsError


def test_the_panel_is_part_of_what_was_measured_and_of_no_study_of_the_compendium(tmp_path: Path) -> None:
    folder = dgex.example(tmp_path / "first")
    whole, panel, measured = (dgex.read(folder / name) for name in ("compendium.h5ad", "panel.csv", "measured.csv"))
    landmarks = whole.var_names[whole.var["role"] == "landmark"]
    assert panel.var_names.tolist() == landmarks.tolist()
    assert measured.var_names.tolist() == whole.var_names.tolist()
    np.testing.assert_array_equal(measured[:, landmarks].X, panel.X)
    assert not set(panel.obs_names) & set(whole.obs_names)
    world = dgex.simulate(samples=1024, landmarks=100, targets=400)
    assert not set(world[panel.obs_names].obs["study"]) & set(whole.obs["study"])


def test_a_folder_with_something_else_stays(tmp_path: Path) -> None:
    dgex.example(tmp_path / "first", seed=1)
    with pytest.raises(OutputExistsError):
        dgex.example(tmp_path / "first")
    dgex.example(tmp_path / "first", overwrite=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="is not an example"):
        dgex.example(tmp_path / "notes", overwrite=True)
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"
