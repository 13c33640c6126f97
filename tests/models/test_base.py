"""One face for all estimators: validation, alignment by name, and folders that predict alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

import dgex
from dgex.errors import DataError, GeneError, ModelError, OutputExistsError
from dgex.models.catalogue import METHODS, method

SETTINGS: dict[str, dict[str, Any]] = {
    "auto": {"members": ("ols", "knn-ge"), "folds": 3},
    "ols": {},
    "ridge": {"alpha": 1.0},
    "lasso": {"alpha": 0.01},
    "kernel": {"gamma": 1.0, "linear": 0.1, "alpha": 0.1},
    "knn-ge": {"n_neighbors": 3},
    "knn": {"n_neighbors": 3},
    "sample-lasso": {"alpha": 0.05},
    "dgex": {"hidden": (8,), "epochs": 2, "batch_size": 16},
    "residual": {"hidden": (8,), "epochs": 2, "batch_size": 16},
}
KINDS = sorted(SETTINGS)


def problem(seed: int = 0, profiles: int = 60, landmarks: int = 7, targets: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((profiles, landmarks)).astype(np.float32)
    Y = np.tanh(X @ rng.standard_normal((landmarks, targets))).astype(np.float32)
    return X, Y


def frames(X: np.ndarray, Y: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    columns = [f"L{i}" for i in range(X.shape[1])], [f"T{i}" for i in range(Y.shape[1])]
    return pd.DataFrame(X, columns=columns[0]), pd.DataFrame(Y, columns=columns[1])


def fitted(kind: str, X: Any, Y: Any) -> Any:
    return method(kind).load()(**SETTINGS[kind]).fit(X, Y)


def test_every_kind_is_covered() -> None:
    assert set(METHODS) == set(SETTINGS)


@pytest.mark.parametrize("kind", KINDS)
def test_clone_and_parameters(kind: str) -> None:
    model = method(kind).load()(**SETTINGS[kind])
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert not [name for name in vars(model) if name.endswith("_")], "__init__ must only store"


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_frames_and_anndata_give_the_same_model(kind: str) -> None:
    X, Y = problem()
    x, y = frames(X, Y)
    var = pd.DataFrame({"role": ["target"] * 5 + ["landmark"] * 7}, index=[*y.columns, *x.columns])
    whole = ad.AnnData(np.hstack([Y, X]), var=var)
    kept = X.copy(), Y.copy()
    predictions = [fitted(kind, *pair).predict(X) for pair in ((X, Y), (x, y), (whole, whole))]
    np.testing.assert_array_equal(predictions[0], predictions[1])
    np.testing.assert_array_equal(predictions[0], predictions[2])
    assert predictions[0].dtype == np.float32
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(Y, kept[1])


@pytest.mark.parametrize("kind", KINDS)
def test_genes_are_aligned_by_name(kind: str) -> None:
    x, y = frames(*problem())
    model = fitted(kind, x, y)
    shuffled = x[x.columns[::-1]].assign(further=1.0)
    np.testing.assert_array_equal(model.predict(x), model.predict(shuffled))
    with pytest.raises(GeneError, match="1 of 7 landmark genes are missing: L3"):
        model.predict(x.drop(columns="L3"))


@pytest.mark.parametrize("kind", KINDS)
def test_one_profile_equals_its_row_of_many(kind: str) -> None:
    X, Y = problem()
    model = fitted(kind, X, Y)
    np.testing.assert_allclose(model.predict(X[4:5]), model.predict(X)[4:5], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_predicts_alone(kind: str, tmp_path: Path) -> None:
    x, y = frames(*problem())
    model = fitted(kind, x, y)
    model.save(tmp_path / "model")
    loaded = dgex.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert loaded.get_params() == model.get_params()
    assert (loaded.landmarks_, loaded.targets_) == (model.landmarks_, model.targets_)
    files = {p.name for p in (tmp_path / "model").glob("[!.]*")} - {"history.jsonl"}  # only networks have one
    assert files == {"README.md", "config.json", "model.json", "model.safetensors"}
    assert "7 landmark genes" in (tmp_path / "model" / "README.md").read_text("utf-8")
    with pytest.raises(OutputExistsError):
        model.save(tmp_path / "model")
    loaded.save(tmp_path / "again")
    first, second = (json.loads((tmp_path / n / "model.json").read_text()) for n in ("model", "again"))
    assert first == second


@pytest.mark.parametrize(
    ("X", "Y", "error", "words"),
    [
        (np.full((4, 2), np.nan), np.ones((4, 2)), DataError, "NaN or infinity at profile 0, gene 0"),
        (np.ones((4, 2)), np.ones((5, 2)), DataError, "different numbers of profiles: found 4 and 5"),
        (np.ones((1, 2)), np.ones((1, 2)), DataError, "too few training profiles"),
        (np.ones(4), np.ones((4, 2)), DataError, r"found shape \(4,\)"),
        (np.array([["a", "b"]] * 3), np.ones((3, 2)), DataError, "cannot be read as numbers"),
        (np.ones((3, 2)), np.array([[1, 2], [3, -1e20], [5, 6]]), DataError, "Y: a value too large to be squared at"),
        (pd.DataFrame(np.ones((3, 2)), columns=["A", "A"]), np.ones((3, 2)), GeneError, "gene names repeat: A"),
    ],
)
def test_what_cannot_be_fitted(X: Any, Y: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        dgex.OLS().fit(X, Y)


@pytest.mark.parametrize("kind", ["ols", "ridge", "knn-ge"])
def test_the_largest_values_accepted_give_numbers(kind: str) -> None:
    X, Y = problem()
    big = X * np.float32(9e14 / np.abs(X).max())
    model = fitted(kind, big, Y)
    assert np.isfinite(model.predict(big)).all()
    with pytest.raises(DataError, match="X: a value too large to be squared at profile 0, gene 0: found '1e\\+20'"):
        model.predict(np.full((1, 7), 1e20))


def test_an_unfitted_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not fitted"):
        dgex.OLS().predict(np.ones((2, 2)))
    with pytest.raises(ModelError, match="not fitted"):
        dgex.OLS().save(tmp_path / "model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fitted("ols", *problem()).save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        dgex.load(folder)


def test_changed_arrays(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="changed or truncated"):
        dgex.load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "oracle"}, "unknown kind 'oracle'"),
        ({"format": 99}, "upgrade dgex"),
        ({"settings": {"colour": 1}}, "was changed since"),
        ({"genes": {}}, "was changed since"),
    ],
)
def test_a_changed_description(folder: Path, change: dict[str, Any], words: str) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=words) as caught:
        dgex.load(folder)
    assert "\n" not in str(caught.value)


def test_genes_changed_places(folder: Path) -> None:
    path = folder / "model.json"
    description = json.loads(path.read_text())
    names = description["genes"]["names"]
    names[0], names[1] = names[1], names[0]
    path.write_text(json.dumps(description))
    with pytest.raises(ModelError, match="was changed since it was saved"):
        dgex.load(folder)


def test_a_description_laid_out_anew_is_the_same(folder: Path) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert dgex.load(folder).kind == "ols"


def test_files_of_a_model_can_be_read_by_others(folder: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert len(set(modes.values())) == 1, modes


def test_profiles_in_another_order_are_refused() -> None:
    x, y = frames(*problem())
    x.index = y.index = pd.Index([f"S{i}" for i in range(len(x))])
    with pytest.raises(DataError, match="row 0 is S0 in X and S59 in Y"):
        dgex.OLS().fit(x, y.iloc[::-1])


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        dgex.load(tmp_path / "none")
    (tmp_path / "model.json").write_text("{")
    (tmp_path / "model.safetensors").write_text("")
    with pytest.raises(ModelError, match="is damaged"):
        dgex.load(tmp_path)


def test_a_folder_that_is_no_model_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExistsError, match="is not a model folder"):
        fitted("ols", *problem()).save(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_lists_and_the_score(kind: str) -> None:
    X, Y = problem()
    model = fitted(kind, X.tolist(), Y.tolist())
    np.testing.assert_array_equal(model.predict(X.tolist()), fitted(kind, X, Y).predict(X))
    expected = -np.abs(model.predict(X) - Y).mean()
    assert model.score(X.tolist(), Y.tolist()) == pytest.approx(expected, rel=1e-5)
    x, y = frames(X, Y)
    named = fitted(kind, x, y)
    assert named.score(x.iloc[:, ::-1], y.iloc[:, ::-1]) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(DataError, match="different numbers of profiles: found 60 and 59"):
        model.score(X, Y[1:])


@pytest.mark.parametrize("named", [False, True])
def test_scikit_learn_chooses_by_the_overall_error(named: bool) -> None:
    X, Y = frames(*problem()) if named else problem()
    by_hand = []
    for train, test in KFold(3).split(np.asarray(X)):
        part = [np.asarray(m)[rows] for rows in (train, test) for m in (X, Y)]
        by_hand.append(-np.abs(dgex.Ridge(alpha=3.0).fit(*part[:2]).predict(part[2]) - part[3]).mean())
    np.testing.assert_allclose(cross_val_score(dgex.Ridge(alpha=3.0), X, Y, cv=KFold(3)), by_hand, rtol=1e-5)
    search = GridSearchCV(dgex.Ridge(), {"alpha": [3.0, 1e6]}, cv=KFold(3)).fit(X, Y)
    assert search.best_params_ == {"alpha": 3.0}
    assert search.best_score_ == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_genes_whose_columns_are_categories() -> None:
    var = pd.DataFrame({"kind": pd.Categorical(["coding", "coding"])}, index=["A", "B"])
    X = ad.AnnData(np.arange(6, dtype=np.float32).reshape(3, 2), var=var)
    model = dgex.OLS().fit(X, np.arange(3)[:, None])
    assert model.landmark_genes()["kind"].tolist() == ["coding", "coding"]
