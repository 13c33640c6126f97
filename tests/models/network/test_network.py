"""The network estimator: what it learns, its best epochs, saving and loading, refusals."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from dgex.errors import ModelError, SettingsError
from dgex.models.folder import load
from dgex.models.network.dgex import DGEX
from dgex.training.run.history import read_history

SMALL = {"hidden": (12,), "learning_rate": 0.01, "batch_size": 20, "epochs": 4, "device": "cpu"}


def problem(profiles: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets that a line cannot follow: products and saturations of the landmarks."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, 5)).astype(np.float32)
    mix = np.random.default_rng(99).normal(size=(5, 4)).astype(np.float32)
    Y = np.concatenate([np.tanh(2 * X @ mix), X[:, :2] * X[:, 1:3]], axis=1)
    return X, (Y / Y.std(0)).astype(np.float32)


def sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {"GEO-va": problem(50, seed=1), "1000G-va": problem(30, seed=2)}


def error(model: Any, X: np.ndarray, Y: np.ndarray) -> float:
    return float(np.abs(model.predict(X) - Y).mean())


@pytest.fixture(scope="module")
def fitted() -> DGEX:
    return DGEX(**SMALL).fit(*problem(), sets())


def test_the_network_learns_what_linear_regression_cannot() -> None:
    X, Y = problem(1500)
    held_out = problem(300, seed=5)
    settings = {"hidden": (40,), "dropout": 0.0, "learning_rate": 0.02, "batch_size": 30, "epochs": 40}
    network = DGEX(**settings, device="cpu").fit(X, Y, {"va": problem(200, seed=4)})
    assert error(network, *held_out) < 0.5 * error(LinearRegression().fit(X, Y), *held_out)


@pytest.mark.parametrize(("hidden", "expected"), [((6,), 5e-4), ([6], 5e-4), (6, 5e-4), ((6, 5), 3e-4)])
def test_rate_follows_the_paper_unless_given(hidden: Any, expected: float) -> None:
    X, Y = problem(30)
    model = DGEX(hidden=hidden, epochs=1, device="cpu").fit(X, Y)
    assert model.history_["learning_rate"].iloc[0] == expected
    model = DGEX(hidden=hidden, epochs=1, learning_rate=0.007, device="cpu").fit(X, Y)
    assert model.history_["learning_rate"].iloc[0] == 0.007


def test_each_set_has_its_best_epoch_and_predicts_with_it(fitted: DGEX) -> None:
    for name, (X, Y) in sets().items():
        errors = fitted.history_[f"{name}.error"]
        assert fitted.best_[name]["epoch"] == fitted.history_["epoch"][errors.idxmin()]
        found = np.abs(fitted.predict(X, best=name) - Y).mean(dtype=np.float64)
        assert found == pytest.approx(fitted.best_[name]["error"], rel=1e-5)
    np.testing.assert_array_equal(fitted.predict(X), fitted.predict(X, best="GEO-va"))
    assert fitted.metrics_["sets"]["GEO-va"]["overall"] == fitted.best_["GEO-va"]["error"]


def test_sets_with_different_best_epochs_survive_the_folder(tmp_path: Path) -> None:
    X, Y = problem()
    far = (X[:30], Y[:30] * 0.01)  # best before anything is learned
    model = DGEX(**SMALL).fit(X, Y, {"near": problem(50, seed=1), "far": far})
    assert model.best_["near"]["epoch"] != model.best_["far"]["epoch"]
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert isinstance(loaded, DGEX)
    for best in (None, "near", "far"):
        np.testing.assert_array_equal(loaded.predict(X, best=best), model.predict(X, best=best))
    assert loaded.best_ == model.best_
    pd.testing.assert_frame_equal(loaded.history_, model.history_)
    with pytest.raises(SettingsError, match="accepted near, far"):
        loaded.predict(X, best="else")


def test_without_sets_the_last_epoch_predicts(tmp_path: Path) -> None:
    X, Y = problem()
    model = DGEX(**SMALL).fit(X, Y)
    assert model.best_ == {"last": {"epoch": 4, "error": None, "sd": None}}
    assert error(model, X, Y) == pytest.approx(model.history_["train.error"].iloc[-1], rel=1e-5)
    model.save(tmp_path / "model")


def test_same_seed_same_weights_and_global_generators_untouched(fitted: DGEX) -> None:
    state = torch.get_rng_state()
    again = clone(fitted).fit(*problem(), sets())
    assert torch.equal(torch.get_rng_state(), state)
    X = problem(10, seed=9)[0]
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    other = clone(fitted).set_params(seed=1).fit(*problem(), sets())
    assert (other.predict(X) != fitted.predict(X)).any()


def test_predictions_do_not_depend_on_the_blocks(fitted: DGEX, monkeypatch: pytest.MonkeyPatch) -> None:
    from dgex.training.learners import prediction

    X = problem(64, seed=9)[0]
    whole = fitted.predict(X)
    monkeypatch.setitem(prediction._BLOCKS, "float32", 7)
    fitted._predictors.clear()
    np.testing.assert_allclose(fitted.predict(X), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fitted.predict(X[5:6]), whole[5:6], rtol=1e-5, atol=1e-6)
    assert fitted.predict(X[:0]).shape == (0, 6)
    fitted._predictors.clear()  # of the small blocks


def test_fit_changes_nothing_of_what_it_was_given() -> None:
    X, Y = problem()
    before = X.copy(), Y.copy()
    X.flags.writeable = Y.flags.writeable = False
    DGEX(**SMALL).fit(X, Y, {"va": (X[:20], Y[:20])})
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


def test_a_checkpointed_run_resumes_and_logs(tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint_dir": tmp_path / "c", "history_path": tmp_path / "h.jsonl"}
    DGEX(**SMALL | {"epochs": 2}).fit(*problem(), sets(), **options)
    resumed = DGEX(**SMALL).fit(*problem(), sets(), **options, resume=True)
    whole = DGEX(**SMALL).fit(*problem(), sets())
    X = problem(10, seed=9)[0]
    np.testing.assert_array_equal(resumed.predict(X), whole.predict(X))
    assert pd.DataFrame(read_history(tmp_path / "h.jsonl")).equals(resumed.history_)
    with pytest.raises(ModelError, match=r"precision: there auto, now bf16"):
        DGEX(**SMALL, precision="bf16").fit(*problem(), sets(), **options, resume=True)
    with pytest.raises(ModelError, match=r"dropout: there 0\.1, now 0\.2"):
        DGEX(**SMALL, dropout=0.2).fit(*problem(), sets(), **options, resume=True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hidden": ()}, "hidden: found"),
        ({"hidden": (10, 0)}, "hidden: found"),
        ({"hidden": (10.5,)}, "hidden: found"),
        ({"dropout": 1.0}, "dropout: found 1.0"),
        ({"momentum": -0.1}, "momentum: found -0.1"),
        ({"rate_scale": 0.0}, "rate_scale: found 0.0"),
        ({"precision": "float16"}, "precision: found 'float16'"),
        ({"device": "tpu"}, "device: found 'tpu'"),
        ({"placement": "moon"}, "placement: found 'moon', accepted auto, device, memory, disk"),
        ({"epochs": 0}, "epochs: found 0"),
        ({"hidden": date(2020, 1, 1)}, "hidden: found 2020-01-01"),
        ({"dropout": "0.1"}, "dropout: found '0.1'"),
        ({"rate_scale": date(2020, 1, 1)}, "rate_scale: found 2020-01-01"),
        ({"placement": ({},)}, "placement: found"),
        ({"device": 3}, "device: found 3"),
        ({"device": "cuda:" + "9" * 5000}, "device: found 'cuda:999"),
        ({"patience": "x"}, "patience: found 'x'"),
        ({"learning_rate": 16**4999}, "learning_rate: found a number of thousands of digits"),
    ],
)
def test_settings_outside_what_is_accepted(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        DGEX(**SMALL | setting).fit(*problem(20))


def test_placement_changes_the_result_only_from_disk(fitted: DGEX, tmp_path: Path) -> None:
    X = problem(10, seed=9)[0]
    from_memory = clone(fitted).set_params(placement="memory").fit(*problem(), sets())
    np.testing.assert_array_equal(from_memory.predict(X), fitted.predict(X))
    options: dict[str, Any] = {"checkpoint_dir": tmp_path / "c"}
    large = problem(600)  # more than a block
    from_disk, whole = (clone(fitted).set_params(placement=kind, epochs=2) for kind in ("disk", "memory"))
    losses = from_disk.fit(*large, sets(), **options).history_["loss"]
    assert (losses != whole.fit(*large, sets()).history_["loss"]).all()
    with pytest.raises(ModelError, match=r"order: there blocks \(placement disk\), now whole"):
        clone(whole).fit(*large, sets(), **options, resume=True)


def test_memory_maps_are_trained_on_where_they_are(fitted: DGEX, tmp_path: Path) -> None:
    maps = []
    for number, matrix in enumerate(problem()):
        matrix.tofile(tmp_path / str(number))
        maps.append(np.memmap(tmp_path / str(number), np.float32, "r", shape=matrix.shape))
    again = clone(fitted).fit(*maps, sets())
    X = problem(10, seed=9)[0]
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.fingerprint_ == fitted.fingerprint_
    on_disk = [clone(fitted).set_params(placement="disk").fit(*pair, sets()) for pair in (maps, problem())]
    np.testing.assert_array_equal(on_disk[0].predict(X), on_disk[1].predict(X))


def test_a_gpu_too_small_is_told_before_anything_is_put_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dgex.models.network import recipe
    from dgex.training.machine import memory

    monkeypatch.setattr(recipe, "pick_device", lambda name: torch.device("cuda:0"))
    monkeypatch.setattr(memory, "free_memory", lambda device: 300 << 20)
    options: dict[str, Any] = {"checkpoint_dir": tmp_path / "c", "history_path": tmp_path / "h.jsonl"}
    with pytest.raises(SettingsError, match=r"network 5-40000-6 .* on cuda:0, where 0\.3 GiB are free; .* hidden="):
        DGEX(**SMALL | {"hidden": (40000,)}).fit(*problem(20), sets(), **options)
    assert not list(tmp_path.iterdir())


def test_the_learning_curve_has_the_share_where_steps_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from dgex.training.run import parts

    monkeypatch.setattr(parts, "worth_measuring", lambda *args: True)
    history = DGEX(**SMALL).fit(*problem(50)).history_
    assert (history["share_of_ceiling"] > 0).all()


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_the_precision_asked_for_trains_predicts_and_survives_the_folder(
    fitted: DGEX, tmp_path: Path, precision: str
) -> None:
    model = DGEX(**SMALL, precision=precision).fit(*problem(), sets())
    assert model.precision_ == precision
    assert fitted.precision_ == "float32"  # "auto" of a small network
    X = problem(64, seed=9)[0]
    expected, found = fitted.predict(X), model.predict(X)
    assert (found != expected).any() == (precision == "bf16")
    assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected)
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert isinstance(loaded, DGEX)
    assert (loaded.precision, loaded.precision_) == (precision, precision)
    np.testing.assert_array_equal(loaded.predict(X), found)


def test_a_model_from_before_there_was_a_choice_of_precision_is_read(fitted: DGEX) -> None:
    old = DGEX(device="cpu", precision="float32")
    old._set_genes(fitted.landmark_genes(), fitted.target_genes())
    old._restore(fitted._arrays(), {k: v for k, v in fitted._state().items() if k != "precision"})
    assert old.precision_ == "float32"
    X = problem(10, seed=9)[0]
    np.testing.assert_array_equal(old.predict(X), fitted.predict(X))


def test_a_resumed_run_keeps_the_arithmetic_of_its_checkpoint(tmp_path: Path) -> None:
    """ "auto" is float32 for so small a network; a record of bf16 (another trial, another machine) wins over it."""
    options: dict[str, Any] = {"checkpoint_dir": tmp_path / "c"}
    DGEX(**SMALL | {"epochs": 2}).fit(*problem(), sets(), **options)
    description = tmp_path / "c" / "checkpoint.json"
    described = json.loads(description.read_text())
    assert described["arithmetic"] == {"precision": "float32", "device": "cpu", "threads": torch.get_num_threads()}
    described["arithmetic"]["precision"] = "tf32"
    description.write_text(json.dumps(described))
    assert DGEX(**SMALL).fit(*problem(), sets(), **options, resume=True).precision_ == "tf32"
    assert json.loads(description.read_text())["arithmetic"]["precision"] == "tf32"


def test_resume_needs_a_folder() -> None:
    with pytest.raises(SettingsError, match="checkpoint_dir"):
        DGEX(**SMALL).fit(*problem(20), resume=True)


def test_an_unfitted_model_says_so() -> None:
    with pytest.raises(ModelError, match="not fitted"):
        DGEX().predict(np.zeros((1, 2)), best="GEO-va")


def test_layers_that_do_not_fit_are_refused(fitted: DGEX) -> None:
    arrays = fitted._arrays()
    other = DGEX(device="cpu")
    other._set_genes(fitted.landmark_genes(), fitted.target_genes().iloc[:-1])
    with pytest.raises(ModelError, match="the network ends in 6 units, accepted 5 target genes"):
        other._restore(arrays, fitted._state())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(SettingsError, match="sees no CUDA device"):
        DGEX(**SMALL | {"device": "cuda"}).fit(*problem(20))


@pytest.mark.gpu
def test_gpu_and_cpu_predict_alike(fitted: DGEX) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    X = problem(64, seed=9)[0]
    on_cpu = fitted.predict(X)
    on_gpu = DGEX(device="cuda", precision="float32")
    on_gpu._set_genes(fitted.landmark_genes(), fitted.target_genes())
    on_gpu._restore(fitted._arrays(), fitted._state())
    np.testing.assert_allclose(on_gpu.predict(X), on_cpu, rtol=1e-4, atol=1e-5)
