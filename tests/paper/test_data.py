"""Where a study's data come from, and which sets select and test."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import pytest

import dgex
from dgex.dataset.platforms import Platform
from dgex.errors import DataError, FileError, GeneError, ModelError, SettingsError
from dgex.paper.data import FACTS, make_data, open_described
from dgex.paper.notes import served_words
from dgex.paper.plan import resolve
from dgex.paper.study import Study


def world(path: Path, **settings: Any) -> Path:
    dgex.simulate(path, **{"samples": 120, "landmarks": 6, "targets": 5, "studies": 12} | settings)
    return path


@cache
def prepared() -> ad.AnnData:
    raw = dgex.simulate(samples=120, landmarks=6, targets=5)
    assert raw is not None
    return dgex.prepare(raw)


def dataset(path: Path, splits: dict[str, str] | None = None) -> Path:
    """A dataset whose test set is parted into named sets where asked."""
    data = prepared().copy()
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
    again = open_described(tmp_path, resolve("demo", {"data": str(path)}))
    assert again is not None
    assert again.path == path
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


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind that a study is made of."""
    folder = tmp_path_factory.mktemp("sources")
    world(folder / "a.h5ad")
    dataset(folder / "d.h5ad")
    world(folder / "one.h5ad", samples=1, studies=1)
    dgex.read(folder / "a.h5ad").to_df().T.to_csv(folder / "t.tsv", sep="\t")  # no roles
    dgex.train(folder / "d.h5ad", "ols", folder / "trained")
    return folder


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"data": "gse92743"}, SettingsError, "needs the folder of its files"),
        ({"data": "paper", "raw": "nowhere"}, FileError, "no raw at nowhere"),
        ({"l1000": "nowhere.gctx"}, FileError, r"no l1000 at nowhere\.gctx"),
        ({"data": "nowhere.h5ad"}, FileError, r"no data at nowhere\.h5ad.*accepted: simulated, gse92743, paper, or"),
        (
            {"group": "study"},
            SettingsError,
            "simulated as the data .* not take group; accepted: standardize",
        ),
        (
            {"data": "d.h5ad", "group": "study"},
            SettingsError,
            "a dataset .* not take group; accepted: platforms",
        ),
        ({"data": "d.h5ad", "rnaseq": "a.h5ad"}, SettingsError, "does not take rnaseq"),
        ({"data": "d.h5ad", "standardize": "inductive"}, SettingsError, "does not take standardize"),
        ({"data": "a.h5ad", "group": "donor"}, DataError, "no column 'donor' in obs of a"),
        ({"data": "d.h5ad", "platforms": [("x", "nope", "test")]}, DataError, "has no set nope"),
        ({"data": "t.tsv"}, GeneError, "t.tsv has no roles of genes"),
        ({"data": "a.h5ad", "l1000": "one.h5ad"}, DataError, "holds one profile"),
        ({"cmap": "trained"}, SettingsError, "trained was trained here"),
        ({"data": "a.h5ad", "platforms": [("x", "a", "b")]}, SettingsError, "a raw matrix .* not take platforms"),
    ],
)
def test_a_source_is_checked_before_anything_is_made(
    sources: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    shutil.copytree(sources, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        dgex.reproduce("study", **changes)
    assert not Path("study").exists()


@pytest.mark.parametrize(("standardize", "served"), [(None, "served nothing else"), ("paper", "entered how values")])
def test_held_out_groups_are_normalised_as_a_users_profiles_unless_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, standardize: str | None, served: str
) -> None:
    raw = world(tmp_path / "a.h5ad", samples=240, studies=40)
    plan = resolve("demo", {"data": str(raw), "group": "study", "standardize": standardize})
    found = make_data(tmp_path / "study", plan)
    values = ad.read_h5ad(found.path)
    alone = abs(values[values.obs["split"] == "train"].X.mean(axis=0)).max() < 1e-4  # of the training profiles alone
    assert alone == (standardize is None)
    assert ("is then not what a user gets" in caplog.text) == (standardize == "paper")
    assert served in served_words(Study(tmp_path / "study", plan), found.platforms[0])
    assert found.drawn["test"]["over"] == "study"
    test = values[values.obs["split"] == "test"].obs["study"]
    assert len(set(zip(found.drawn["test"]["members"], test))) == test.nunique() == found.drawn["test"]["units"]


def test_a_second_platform_needs_its_groups(tmp_path: Path) -> None:
    arrays = world(tmp_path / "a.h5ad")
    with pytest.raises(DataError, match="no column 'donor' in obs of the second platform"):
        made(tmp_path / "one", data=str(arrays), rnaseq=str(arrays), group="donor")


@pytest.mark.parametrize(
    ("platforms", "words"),
    [
        ([("x", "test", "test")], "test both selects and tests"),
        ([("x", "validation", "test"), ("y", "test", "validation")], "both selects and tests"),
        ([("x", "train", "test")], "the training profiles can neither select nor test"),
        ([("x", "validation", "test"), ("X", "validation", "test")], "is there twice"),
        ([("../x", "validation", "test")], "accepted are letters, digits"),
        ([("halves", "validation", "test")], "none of halves, ols"),
        ([("x", "validation", "test"), ("y", "validation", "test")], "test tests two platforms"),
    ],
)
def test_platforms_that_would_lead_astray(tmp_path: Path, platforms: list[Any], words: str) -> None:
    path = dataset(tmp_path / "d.h5ad")
    with pytest.raises(SettingsError, match=words):
        made(tmp_path, data=str(path), platforms=platforms)
    assert open_described(tmp_path, resolve("demo", {"data": str(path)})) is None


def test_a_damaged_description_is_named(tmp_path: Path) -> None:
    for content in ("[]", "xx", "null", '{"a": 1}'):
        (tmp_path / "data.json").write_text(content)
        with pytest.raises(ModelError, match=r"data.json is damaged.*remove it"):
            open_described(tmp_path, resolve("demo", {}))


def test_a_description_whose_platforms_would_lead_out_of_the_study(tmp_path: Path) -> None:
    platform = {"name": "../victim", "validation": "validation", "test": "test"}
    described = {"given": False, "platforms": [platform], "facts": dict.fromkeys(FACTS, ""), "genes": ["G"]}
    (tmp_path / "data.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match=r"data.json is damaged.*platform '../victim'"):
        open_described(tmp_path, resolve("demo", {}))


def test_a_panel_without_landmark_genes_is_refused_before_training(tmp_path: Path) -> None:
    path, other = dataset(tmp_path / "d.h5ad"), world(tmp_path / "few.h5ad", landmarks=3)
    with pytest.raises(GeneError, match="lacks 3 landmark genes of the data: LM0004"):
        dgex.reproduce(tmp_path / "study", data=str(path), l1000=other, stages=["data"])


@pytest.mark.parametrize(
    ("stem", "name"), [("halves", "data"), ("élan", "lan"), ("my data (2)", "my data -2"), ("x", "x")]
)
def test_a_platform_is_named_by_its_file_where_that_makes_a_name(tmp_path: Path, stem: str, name: str) -> None:
    found = made(tmp_path, data=str(dataset(tmp_path / f"{stem}.h5ad")))
    assert [platform.name for platform in found.platforms] == [name]
