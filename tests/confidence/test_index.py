"""The index of training profiles: the nearest are found again, it stays small, and names stay out where asked."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import dgex
from dgex.confidence.index import MOST_INDEXED, TrainingIndex


def drawn(n: int, p: int, factors: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(n, factors)) @ rng.normal(size=(factors, p)) + 0.3 * rng.normal(size=(n, p))
    return (5 + made).astype(np.float32)


def brute_force(X: np.ndarray, new: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    z = [(values - X.mean(0)) / X.std(0) for values in (new, X)]
    far = np.sqrt(((z[0][:, None] - z[1][None]) ** 2).mean(2))
    places = np.argsort(far, axis=1)[:, :count]
    return places, np.take_along_axis(far, places, axis=1)


def test_few_landmark_genes_are_kept_whole() -> None:
    X = drawn(300, 30)
    index = TrainingIndex.of(X, [f"P{at}" for at in range(300)])
    assert index.share == pytest.approx(1.0, abs=1e-6)
    places, distance = index.nearest(drawn(20, 30, seed=1), 5)
    expected = brute_force(X, drawn(20, 30, seed=1), 5)
    assert np.mean(places == expected[0]) > 0.97  # float16 may turn round what is as far
    np.testing.assert_allclose(distance, expected[1], atol=5e-3)


def test_training_profiles_lie_on_the_map_where_they_are_kept() -> None:
    X = drawn(300, 30)
    index = TrainingIndex.of(X, [f"P{at}" for at in range(300)])
    np.testing.assert_allclose(index.on_map(X), index.coordinates[:, :2], atol=1e-2)
    spread = index.on_map(X).std(axis=0)
    assert spread[0] >= spread[1]
    one = TrainingIndex.of(X[:, :1], [f"P{at}" for at in range(300)])
    assert one.on_map(X[:, :1]).shape == (300, 2)


def test_main_directions_of_many_landmark_genes_find_the_nearest() -> None:
    both = drawn(820, 400)
    X, new = both[:800], both[800:]
    index = TrainingIndex.of(X, list(map(str, range(800))))
    assert index.coordinates.shape == (800, 256)
    assert 0.9 < index.share < 1
    places, distance = index.nearest(new, 5)
    expected = brute_force(X, new, 5)
    shared = [len(set(own) & set(other)) / 5 for own, other in zip(places, expected[0])]
    assert np.mean(shared) > 0.8
    np.testing.assert_allclose(distance, expected[1], rtol=0.05)
    places, distance = index.nearest(X[:9], 2)
    assert places[:, 0].tolist() == list(range(9))
    assert (distance[:, 0] < 0.01).all()


def test_what_does_not_change_tells_nothing() -> None:
    X = np.hstack([drawn(50, 4), np.full((50, 1), 7, np.float32)])
    index = TrainingIndex.of(X, list(map(str, range(50))))
    far = X[:1].copy()
    far[0, 4] = 1e4
    np.testing.assert_array_equal(index.nearest(far, 3)[0], index.nearest(X[:1], 3)[0])


def test_read_back_as_it_was() -> None:
    X = drawn(40, 6)
    names = [f"sample {at}, µ" for at in range(40)]
    index = TrainingIndex.of(X, names, np.repeat(["GSE1", "GSE2"], 20), "series")
    again = TrainingIndex.restore(index.arrays() | {"other": X}, index.state())
    assert again.names.tolist() == names
    assert again.study is not None
    assert again.study.tolist() == ["GSE1"] * 20 + ["GSE2"] * 20
    np.testing.assert_array_equal(again.nearest(X[:3], 4), index.nearest(X[:3], 4))
    broken = TrainingIndex.of(X[:39], names[:39]).arrays()["training_index.names"]
    with pytest.raises(ValueError, match="39 names"):
        TrainingIndex.restore(index.arrays() | {"training_index.names": broken}, index.state())


def test_of_many_profiles_some_are_kept_spread_evenly() -> None:
    n = 2 * MOST_INDEXED + 100
    X = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    index = TrainingIndex.of(X, np.arange(n).astype(str).tolist())
    kept = index.names.astype(int)
    assert (len(kept), index.total) == (MOST_INDEXED, n)
    assert np.diff(kept).max() <= 3
    assert kept[-1] == n - 1


@pytest.mark.parametrize("profiles", [5000, MOST_INDEXED])
def test_an_index_is_at_most_five_megabytes(profiles: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(profiles, 300)).astype(np.float32)
    names = [f"CPC006_A375_6H_X1:{at:06d}" for at in range(profiles)]
    index = TrainingIndex.of(X, names, names, "study")
    wider = 700 * index.coordinates.shape[1] * 4  # of 1,000 landmark genes
    assert sum(array.nbytes for array in index.arrays().values()) + wider < 5e6


@pytest.fixture(scope="module")
def data() -> ad.AnnData:
    raw = dgex.simulate(samples=150, landmarks=10, targets=8, seed=2)
    raw.obs_names = [f"PATIENT-{name}" for name in raw.obs_names]
    return dgex.prepare(raw, group="study", seed=0)


@pytest.mark.parametrize("method", ["ridge", "sample-lasso", "auto"])
def test_a_model_names_what_it_was_fitted_on_unless_names_are_private(
    data: ad.AnnData, method: str, tmp_path: Path
) -> None:
    settings = {"members": ("ridge", "knn-ge")} if method == "auto" else {"alpha": 0.1}
    dgex.train(data, method, tmp_path / "open", **settings)
    index = dgex.load(tmp_path / "open").training_index_
    assert index is not None
    fitted = data.obs["split"].isin(["train", "validation"] if method == "auto" else ["train"]).to_numpy()
    assert set(index.names) == set(data.obs_names[fitted])
    assert index.column == "study"
    assert index.study is not None
    assert dict(zip(index.names, index.study)) == data.obs["study"].astype(str)[fitted].to_dict()
    assert "`study`" in (tmp_path / "open" / "README.md").read_text()
    dgex.train(data, method, tmp_path / "private", index=False, **settings)
    assert dgex.load(tmp_path / "private").training_index_ is None
    assert all(b"PATIENT-" not in path.read_bytes() for path in (tmp_path / "private").iterdir() if path.is_file())


def test_a_finished_model_with_names_says_so_where_they_are_not_wanted(
    data: ad.AnnData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = {"hidden": 4, "epochs": 1, "device": "cpu"}
    dgex.train(data, "dgex", tmp_path / "m", **network)
    dgex.train(data, "dgex", tmp_path / "m", resume=True, **network)
    assert "holds names" not in caplog.text
    dgex.train(data, "dgex", tmp_path / "m", resume=True, index=False, **network)
    assert "holds names of its training profiles" in caplog.text


def test_a_fit_forgets_the_index(data: ad.AnnData) -> None:
    model = dgex.train(data, "ols")
    assert model.training_index_ is not None
    assert model.fit(np.eye(3), np.eye(3)).training_index_ is None
