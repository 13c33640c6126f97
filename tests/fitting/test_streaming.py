"""Linear models from a file that memory does not hold: the same as in memory, in one pass, a block at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dgex
from dgex import io
from dgex.arrays.index import Index, size_of
from dgex.confidence.confidence import Confidence
from dgex.confidence.index import TrainingIndex
from dgex.errors import DataError, ModelError, SettingsError
from dgex.fitting import judging, splits, streaming
from dgex.fitting.streaming import FileSet
from dgex.fitting.train import train
from dgex.io.base import ExpressionFile
from dgex.models.matrices import fingerprint

METHODS = ["ols", "ridge", "lasso", "knn-ge"]
ROLES = "landmark", "target"
OTHERS = {"knn-ge": "neighbors_"}


class Watched(ExpressionFile):
    """An open file that remembers what was read of it."""

    format = "watched"

    def __init__(self, inner: ExpressionFile, stop_after: int = 1 << 60) -> None:
        super().__init__(inner.path, inner.obs, inner.var, notes={}, uns=inner.uns, varm=inner.varm)
        self._inner, self._left = inner, stop_after
        self.reads: list[np.ndarray] = []

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        self._left -= 1
        if self._left < 0:
            raise SystemExit(9)
        self.reads.append(np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows)
        out[:] = self._inner.read(genes, rows)

    def close(self) -> None:
        self._inner.close()


class Made(ExpressionFile):
    """Values that follow from row and column: as many as one likes, and none held."""

    format = "made"

    def __init__(self, profiles: int, genes: int) -> None:
        obs = pd.DataFrame(index=[f"P{i}" for i in range(profiles)])
        role = ["landmark"] * (genes // 2) + ["target"] * (genes - genes // 2)
        var = pd.DataFrame({"role": role}, index=[f"G{i}" for i in range(genes)])
        super().__init__(Path("made"), obs, var, notes={})
        self.largest = self.rows = 0

    def _fill(self, rows: Index, genes: Index, out: np.ndarray) -> None:
        at = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        columns = np.arange(genes.start, genes.stop) if isinstance(genes, slice) else genes
        out[:] = np.sin(np.outer(at + 1.0, columns + 1.0))
        self.largest, self.rows = max(self.largest, size_of(rows)), self.rows + size_of(rows)


@pytest.fixture(scope="module")
def large() -> ad.AnnData:
    """A dataset whose validation set is large enough to judge a model by, its roles mixed."""
    raw = dgex.simulate(samples=1500, landmarks=20, targets=30, programmes=5, tissues=4, seed=2)
    data = dgex.prepare(raw, seed=0)
    rng = np.random.default_rng(0)
    data.obs["split"] = rng.permutation(np.repeat(["train", "validation", "test"], [800, 600, len(data.obs) - 1400]))
    return data[:, rng.permutation(data.n_vars)].copy()


@pytest.fixture
def large_file(large: ad.AnnData, tmp_path: Path) -> Path:
    path = tmp_path / "data.h5ad"
    large.write_h5ad(path)
    return path


@pytest.fixture
def too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "fits_host", lambda size: False)


def learned(model: Any) -> np.ndarray:
    return np.asarray(getattr(model, OTHERS.get(model.kind, "coef_")))


@pytest.mark.parametrize("block", [4096, 64])
@pytest.mark.parametrize("method", METHODS)
def test_the_same_model_as_in_memory(
    method: str, block: int, large: ad.AnnData, large_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "ENOUGH", 1)  # both are judged by validation
    # where blocks are not those of matrices in memory, rounding may choose another of two penalties that tie
    settings = {"alpha": 3.0} if method == "ridge" and block < 4096 else {}
    held = train(large, method, large_file.parent / "held", **settings)
    monkeypatch.setattr(splits, "fits_host", lambda size: False)
    monkeypatch.setattr(streaming, "BLOCK", block)
    monkeypatch.setattr(streaming, "READ", min(block, 1024))
    model = train(large_file, method, large_file.parent / "model", **settings)
    difference = np.linalg.norm(learned(model) - learned(held)) / np.linalg.norm(learned(held))
    assert difference < 6e-6
    assert model.settled() == pytest.approx(held.settled(), rel=1e-5)
    for name in ("overall", "sd", "profiles"):
        assert model.metrics_["sets"]["validation"][name] == pytest.approx(
            held.metrics_["sets"]["validation"][name], rel=1e-5
        )
    assert model.genes_.equals(held.genes_)
    assert model.fingerprint_ == held.fingerprint_
    assert model.training_ is not None
    assert held.training_ is not None
    assert model.training_.data == held.training_.data
    for key, values in held.training_.signatures.items():
        np.testing.assert_allclose(model.training_.signatures[key], values, atol=1e-6)
    same_confidence(model.confidence_, held.confidence_)
    same_index(model.training_index_, held.training_index_)
    X = large[:, model.landmarks_]
    np.testing.assert_array_equal(dgex.load(large_file.parent / "model").predict(X), model.predict(X))


def same_confidence(one: Confidence | None, other: Confidence | None) -> None:
    assert one is not None
    assert other is not None
    assert one.judged == other.judged
    np.testing.assert_allclose(one.accuracy["error"], other.accuracy["error"], rtol=1e-4)
    np.testing.assert_array_equal(one.landmarks.correlation, other.landmarks.correlation)


def same_index(one: TrainingIndex | None, other: TrainingIndex | None) -> None:
    assert one is not None
    assert other is not None
    assert one.names.tolist() == other.names.tolist()
    np.testing.assert_array_equal(one.coordinates, other.coordinates)


@pytest.mark.parametrize("held", [True, False])
def test_training_rows_are_read_once_and_no_more_than_a_block(
    held: bool, large_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Watched] = []
    real = io.open

    def watched(data: Any) -> Watched:
        opened.append(Watched(real(data)))
        return opened[-1]

    monkeypatch.setattr(splits.io, "open", watched)
    monkeypatch.setattr(splits, "fits_host", lambda size: held and size < 4 * 1000 * 50)  # validation alone fits
    monkeypatch.setattr(splits, "EIGHTH", 1)
    monkeypatch.setattr(streaming, "BLOCK", 64)
    monkeypatch.setattr(streaming, "READ", 32)
    train(large_file, "ridge")
    split = opened[0].obs["split"].astype(str).to_numpy()
    times = np.bincount(np.concatenate(opened[0].reads), minlength=len(split))
    assert (times[split == "train"] == 1).all()
    assert (times[split == "test"] == 0).all()
    assert (times[split == "validation"] == 1).all() == held
    assert max(len(rows) for rows in opened[0].reads if (split[rows] == "train").any()) == 32


def test_a_pass_holds_a_block_and_what_is_asked_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Made(50_000, 6)
    columns = [np.arange(3), np.arange(3, 6)]
    profiles = FileSet(source, np.arange(50_000), columns, training=True)
    blocks = [len(x) for x, _ in profiles.pairs()]
    assert max(blocks) == streaming.BLOCK
    assert source.largest == streaming.READ
    assert source.rows == 50_000
    training = profiles.X
    few = np.linspace(0, 49_999, 20_000).astype(int)
    np.testing.assert_allclose(training[few[:9]], np.sin(np.outer(few[:9] + 1.0, [1, 2, 3])), atol=1e-6)
    assert len(training[few]) == 20_000
    TrainingIndex.of(training, source.obs.index.tolist())
    fingerprint(training, profiles.Y)
    profiles.digest()
    profiles.signatures()
    assert source.rows == 50_000  # all of it was taken along
    np.testing.assert_allclose(training[8], np.sin(9.0 * np.arange(1, 4)), atol=1e-6)
    assert source.rows > 50_000  # any other row is read
    with pytest.raises(TypeError, match="in blocks"):
        np.asarray(training)


def test_nearly_collinear_genes_are_gone_through_again_in_float64(
    large: ad.AnnData, tmp_path: Path, too_large: None
) -> None:
    data = large.copy()
    values = np.asarray(data.X).copy()
    one, other = np.flatnonzero((data.var["role"] == "landmark").to_numpy())[:2]
    values[:, other] = values[:, one] + 1e-3 * values[:, other]
    data.X = values
    data.write_h5ad(tmp_path / "data.h5ad")
    held = dgex.OLS().fit(
        *(data[(data.obs["split"] == "train").to_numpy(), (data.var["role"] == role).to_numpy()] for role in ROLES)
    )
    np.testing.assert_allclose(learned(train(tmp_path / "data.h5ad", "ols")), learned(held), rtol=1e-5)


def test_what_stops_midway_leaves_nothing(large_file: Path, monkeypatch: pytest.MonkeyPatch, too_large: None) -> None:
    temporary = large_file.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(streaming, "READ", 64)
    real = io.open
    monkeypatch.setattr(splits.io, "open", lambda data: Watched(real(data), stop_after=5))
    with pytest.raises(SystemExit):
        train(large_file, "ridge", large_file.parent / "model")
    assert {path.name for path in large_file.parent.iterdir()} == {"data.h5ad", "temporary"}
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN"), (1e20, "too large to be squared")])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_values_that_cannot_be_learned_from_are_refused(
    value: float, words: str, split: str, large: ad.AnnData, tmp_path: Path, too_large: None
) -> None:
    data = large.copy()
    values = np.asarray(data.X).copy()
    values[np.flatnonzero((data.obs["split"] == split).to_numpy())[-1], 7] = value
    data.X = values
    data.write_h5ad(tmp_path / "data.h5ad")
    with pytest.raises(DataError, match=words):
        train(tmp_path / "data.h5ad", "ridge", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["data.h5ad"]


def test_the_same_again_does_nothing_and_other_data_are_refused(
    large: ad.AnnData, large_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="dgex")
    output = large_file.parent / "model"
    train(large_file, "ridge", output)
    monkeypatch.setattr(splits, "fits_host", lambda size: False)
    train(large_file, "ridge", output, resume=True)
    assert "finished already" in caplog.text
    data = large.copy()
    values = np.asarray(data.X).copy()
    values[np.flatnonzero((data.obs["split"] == "train").to_numpy())[3], 2] += 0.5
    data.X = values
    data.write_h5ad(large_file)
    with pytest.raises(ModelError, match="data"):
        train(large_file, "ridge", output, resume=True)


def test_without_validation_a_penalty_must_be_given(large: ad.AnnData, tmp_path: Path, too_large: None) -> None:
    data = large[(large.obs["split"] != "validation").to_numpy()].copy()
    data.write_h5ad(tmp_path / "data.h5ad")
    with pytest.raises(SettingsError, match="alpha"):
        train(tmp_path / "data.h5ad", "ridge")
    model = train(tmp_path / "data.h5ad", "ridge", alpha=3.0)
    assert model.confidence_ is None
    np.testing.assert_allclose(learned(model), learned(train(large, "ridge", alpha=3.0)), rtol=1e-6)
