"""Where a study's data come from, and which sets select and test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import pytest

import dgex
from dgex.datasets.platforms import Platform
from dgex.errors import DataError, FileError, SettingsError
from dgex.paper.data import make_data, open_described
from dgex.paper.plan import resolve


def world(path: Path, **settings: Any) -> Path:
    dgex.simulate(path, **{"samples": 120, "landmarks": 6, "targets": 5, "studies": 12} | settings)
    return path


def dataset(path: Path, splits: dict[str, str] | None = None) -> Path:
    """A dataset whose test set is parted into named sets where asked."""
    raw = dgex.simulate(samples=120, landmarks=6, targets=5)
    assert raw is not None
    data = dgex.prepare(raw)
    if splits is not None:
        data.obs["split"] = [splits.get(name, name) for name in data.obs["split"].astype(str)]
    data.write_h5ad(path)
    return path


def made(tmp_path: Path, **changes: Any) -> Any:
    return make_data(tmp_path, resolve("demo", changes))


def test_a_dataset_is_taken_where_it_lies(tmp_path: Path) -> None:
    path = dataset(tmp_path / "d.h5ad")
    found = made(tmp_path, data=str(path))
    assert found.path == path
    assert found.platforms == [Platform("d", "validation", "test")]
    again = open_described(tmp_path)
    assert again is not None
    assert again.path == path.resolve()
    assert (again.platforms, again.facts, again.genes) == (found.platforms, found.facts, found.genes)


def test_sets_of_a_pair_form_a_platform(tmp_path: Path) -> None:
    path = dataset(tmp_path / "d.h5ad", {"validation": "blood-va", "test": "blood-te"})
    assert made(tmp_path, data=str(path)).platforms == [Platform("blood", "blood-va", "blood-te")]


def test_platforms_are_named_or_refused(tmp_path: Path) -> None:
    path = dataset(tmp_path / "d.h5ad", {"validation": "1000G", "test": "GTEx"})
    found = made(tmp_path, data=str(path), platforms=[("RNA-Seq", "1000G", "GTEx")])
    assert found.sets == ["1000G", "GTEx"]
    with pytest.raises(DataError, match=r"no set to select on.*found train, .*pairs NAME-va and NAME-te"):
        made(tmp_path, data=str(path))
    with pytest.raises(DataError, match="no set LINCS"):
        made(tmp_path, data=str(path), platforms=[("RNA-Seq", "1000G", "LINCS")])


def test_raw_matrices_of_two_platforms(tmp_path: Path) -> None:
    arrays = world(tmp_path / "a.h5ad", samples=240)
    other = world(tmp_path / "r.h5ad", seed=0, samples=160)
    found = made(tmp_path / "study", data=str(arrays), rnaseq=str(other), group="study")
    assert [p.name for p in found.platforms] == ["a", "RNA"]
    data = ad.read_h5ad(found.path)
    sides = [set(data.obs.loc[data.obs["split"] == name, "study"]) for name in ("RNA-va", "RNA-te")]
    assert all(sides)
    assert not sides[0] & sides[1]
    train = set(data.obs.loc[data.obs["split"] == "train", "study"])
    test = set(data.obs.loc[data.obs["split"] == "test", "study"])
    assert not train & test


def test_simulated_arrays_train_and_rnaseq_is_parted_by_study(tmp_path: Path) -> None:
    small = {"samples": 240, "rnaseq_samples": 200, "landmarks": 6, "targets": 5, "duplicates": 0.1}
    found = made(tmp_path, **small)
    data = ad.read_h5ad(found.path)
    assert set(data.obs["split"]) == {"train", "validation", "test", "RNA-va", "RNA-te"}
    assert set(data.obs.loc[data.obs["split"] == "train", "platform"]) == {"array"}
    sides = [set(data.obs.loc[data.obs["split"] == name, "study"]) for name in ("RNA-va", "RNA-te")]
    assert not sides[0] & sides[1]
    assert len(data) < 440  # near-duplicates are dropped
    assert (abs(data[data.obs["split"] == "RNA-te"].X.mean(0)) < 1e-4).all()  # each set by its own statistics


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"data": "gse92743"}, SettingsError, "needs the folder of its files"),
        ({"data": "paper", "raw": "nowhere"}, FileError, "no folder at nowhere"),
    ],
)
def test_folders_of_raw_files(tmp_path: Path, changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        made(tmp_path, **changes)


def test_a_second_platform_needs_its_groups_and_a_raw_matrix(tmp_path: Path) -> None:
    arrays, ready = world(tmp_path / "a.h5ad"), dataset(tmp_path / "d.h5ad")
    with pytest.raises(DataError, match="no column 'donor' in obs of the second platform"):
        made(tmp_path / "one", data=str(arrays), rnaseq=str(arrays), group="donor")
    with pytest.raises(SettingsError, match="is a dataset already"):
        made(tmp_path / "two", data=str(ready), rnaseq=str(arrays))
