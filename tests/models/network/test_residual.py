"""The residual network as an estimator: units of the data, best epochs, ensembles, resuming, folders, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

import dgex
from dgex.errors import ModelError, OutputExistsError, SettingsError
from dgex.interpretation.layers import layers_of
from dgex.models.catalogue import new
from dgex.models.folder import load
from dgex.models.network.choices import OPEN
from dgex.models.network.residual import Residual
from dgex.training.learners.descent_step import DescentStep
from dgex.training.run import members as training

SMALL: dict[str, Any] = {"hidden": (12, 12), "batch_size": 20, "epochs": 5, "learning_rate": 0.01, "device": "cpu"}
Pair = tuple[np.ndarray, np.ndarray]


def problem(profiles: int = 120, seed: int = 0) -> Pair:
    """Targets that a line cannot follow: products and saturations of the landmarks."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, 5)).astype(np.float32)
    mix = np.random.default_rng(99).normal(size=(5, 4)).astype(np.float32)
    Y = np.concatenate([np.tanh(2 * X @ mix), X[:, :2] * X[:, 1:3]], axis=1)
    return X, (Y / Y.std(0)).astype(np.float32)


def sets() -> dict[str, Pair]:
    near, far = problem(50, seed=1), problem(30, seed=2)
    return {"near": near, "far": (far[0], far[1] * 0.01)}  # far is best before much is learned


def fit(options: dict[str, Any] | None = None, **settings: Any) -> Residual:
    return Residual(**SMALL | settings).fit(*problem(), sets(), **options or {})


def error(model: Any, X: np.ndarray, Y: np.ndarray) -> float:
    return float(np.abs(model.predict(X) - Y).mean())


@pytest.fixture(scope="module")
def fitted() -> Residual:
    return fit()


def test_it_learns_what_linear_regression_cannot() -> None:
    X, Y = problem(900)
    held_out = problem(300, seed=5)
    settings = {"hidden": (40, 40), "batch_size": 60, "epochs": 20, "dropout": 0.0, "noise": 0.0, "learning_rate": 0.01}
    model = Residual(**settings, landmark_dropout=0.0, device="cpu").fit(X, Y)
    assert error(model, *held_out) < 0.5 * error(LinearRegression().fit(X, Y), *held_out)


@pytest.mark.parametrize("ensemble", [1, 2])
def test_values_in_any_units_give_the_same_model(ensemble: int) -> None:
    """Units of 4 to 15 and of thousands: the model is that of standardised values, to rounding."""
    X, Y = problem()
    scales = [np.random.default_rng(n).uniform(0.5, 3, m.shape[1]).astype(np.float32) for n, m in enumerate((X, Y))]
    held = {name: (x * scales[0] + 9, y * scales[1] - 500) for name, (x, y) in sets().items()}
    plain = Residual(**SMALL, ensemble=ensemble).fit(X, Y, sets())
    raw = Residual(**SMALL, ensemble=ensemble).fit(X * scales[0] + 9, Y * scales[1] - 500, held)
    x = problem(40, seed=7)[0]
    expected = plain.predict(x) * scales[1] - 500
    np.testing.assert_allclose(raw.predict(x * scales[0] + 9), expected, atol=2e-3)


def test_each_set_has_its_best_epoch_and_predicts_with_it(fitted: Residual) -> None:
    assert fitted.best_["near"]["epoch"] != fitted.best_["far"]["epoch"]
    for name, (X, Y) in sets().items():
        errors = fitted.history_[f"{name}.error"]
        assert fitted.best_[name]["epoch"] == fitted.history_["epoch"][errors.idxmin()]
        found = np.abs(fitted.predict(X, best=name) - Y).mean(dtype=np.float64)
        assert found == pytest.approx(fitted.best_[name]["error"], rel=1e-5)
        by_default = np.abs(fitted.predict(X) - Y).mean(dtype=np.float64)
        assert fitted.metrics_["sets"][name]["overall"] == pytest.approx(by_default, rel=1e-5)
    with pytest.raises(SettingsError, match="accepted near, far"):
        fitted.predict(problem()[0], best="else")


def test_without_sets_the_last_epoch_predicts() -> None:
    X, Y = problem()
    model = Residual(**SMALL).fit(X, Y)
    assert model.best_ == {"last": {"epoch": 5, "error": None, "sd": None}}
    assert error(model, X, Y) == pytest.approx(model.history_["train.error"].iloc[-1], rel=1e-5)


def test_an_ensemble_is_the_mean_of_networks_of_its_seeds(tmp_path: Path) -> None:
    together = fit(ensemble=3, seed=4)
    alone = [fit(seed=seed) for seed in (4, 5, 6)]
    X, Y = sets()["near"]
    for best in ("near", "far"):
        expected = np.mean([model.predict(X, best=best) for model in alone], axis=0)
        np.testing.assert_allclose(together.predict(X, best=best), expected, rtol=1e-5, atol=1e-6)
    assert together.best_["near"]["epoch"] == [model.best_["near"]["epoch"] for model in alone]
    assert together.best_["near"]["error"] == pytest.approx(error(together, X, Y), rel=1e-5)
    assert together.history_["part"].value_counts().to_dict() == {1: 5, 2: 5, 3: 5}
    together.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert isinstance(loaded, Residual)
    np.testing.assert_array_equal(loaded.predict(X, best="far"), together.predict(X, best="far"))
    assert loaded.best_ == together.best_


def test_a_folder_holds_float32_arrays_and_all_that_was_chosen(fitted: Residual, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m")
    assert {str(array.dtype) for array in load_file(tmp_path / "m" / "model.safetensors").values()} == {"float32"}
    loaded = load(tmp_path / "m")
    X = problem(64, seed=9)[0]
    for best in ("near", "far"):
        np.testing.assert_array_equal(loaded.predict(X, best=best), fitted.predict(X, best=best))  # type: ignore[call-arg]
    assert {n: getattr(loaded, f"{n}_") for n in OPEN} == {n: getattr(fitted, f"{n}_") for n in OPEN}
    assert (loaded.dropout, loaded.dropout_, loaded.hidden_) == (None, 0.3, (12, 12))
    pd.testing.assert_frame_equal(loaded.history_, fitted.history_)


def test_same_seed_same_weights_and_global_generators_untouched(fitted: Residual) -> None:
    state = torch.get_rng_state()
    again = clone(fitted).fit(*problem(), sets())
    assert torch.equal(torch.get_rng_state(), state)
    X = problem(10, seed=9)[0]
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    from_memory = clone(fitted).set_params(placement="memory").fit(*problem(), sets())
    np.testing.assert_array_equal(from_memory.predict(X), fitted.predict(X))


@pytest.mark.parametrize(("profiles", "smaller"), [(100, 400), (400, 2_000), (2_000, 10_000), (10_000, 90_000)])
def test_more_profiles_get_networks_as_large_or_larger(profiles: int, smaller: int) -> None:
    from dgex.models.network.choices import choose

    few, many = choose(Residual(), profiles), choose(Residual(), smaller)
    assert sum(few["hidden"]) <= sum(many["hidden"])
    assert few["noise"] >= many["noise"]
    assert choose(Residual(noise=0.7), profiles)["noise"] == 0.7


def test_taaf_is_a_preset_that_settings_win_over() -> None:
    model = Residual(preset="taaf", hidden=(6, 5), epochs=1, device="cpu").fit(*problem(40))
    assert (model.units_, model.optimiser_, model.schedule_, model.batch_size_) == ("adaptive", "nadam", "steps", 64)
    assert (model.residual_, model.hidden_, model.dropout_) == (False, (6, 5), 0.25)
    assert {"stem_unit.a", "output_unit.d", "blocks.0.unit.b"} <= model._arrays().keys()


# ---- going on


class Killed(Exception):
    """The end of a process."""


def killed_in(monkeypatch: pytest.MonkeyPatch, epoch: int, seed: int, error: type[BaseException] = Killed) -> None:
    begin = DescentStep.begin_epoch

    def begin_epoch(self: DescentStep, now: int) -> None:
        if now == epoch and self.how.seed == seed:
            raise error
        begin(self, now)

    monkeypatch.setattr(DescentStep, "begin_epoch", begin_epoch)


@pytest.mark.parametrize("settings", [{}, {"ensemble": 2}, {"averaging": "exponential"}, {"optimiser": "nadam"}])
def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    options = {"checkpoint_dir": tmp_path / "c", "history_path": tmp_path / "h.jsonl"}
    killed_in(monkeypatch, 3, seed=settings.get("ensemble", 1) - 1)
    with pytest.raises(Killed):
        fit(options, **settings)
    monkeypatch.undo()
    resumed, whole = fit({**options, "resume": True}, **settings), fit(**settings)
    assert resumed._arrays().keys() == whole._arrays().keys()
    for name, array in whole._arrays().items():
        np.testing.assert_array_equal(resumed._arrays()[name], array)
    assert resumed.best_ == whole.best_
    with pytest.raises(OutputExistsError, match="holds a checkpoint"):
        fit({"checkpoint_dir": tmp_path / "c"}, **settings)


def test_a_checkpoint_goes_on_with_the_same_settings_alone(tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint_dir": tmp_path / "c", "resume": True}
    fit(options)
    for settings, words in (
        ({"epochs": 9}, "epochs: there 5, now 9"),  # the one-cycle rate spans them
        ({"noise": 0.5}, r"noise: there 0\.2, now 0\.5"),
        ({"ensemble": 2}, "ensemble: there 1, now 2"),
    ):
        with pytest.raises(ModelError, match=words):
            fit(options, **settings)
    other: dict[str, Any] = {"checkpoint_dir": tmp_path / "d", "resume": True}
    fit(other, schedule="constant", epochs=2)
    longer = fit(other, schedule="constant")
    np.testing.assert_array_equal(longer.predict(problem()[0]), fit(schedule="constant").predict(problem()[0]))
    with pytest.raises(SettingsError, match="checkpoint_dir"):
        fit({"resume": True})


@pytest.mark.parametrize(("epoch", "seed", "kept"), [(3, 0, 1), (3, 1, 1), (1, 1, 1), (3, 2, 2)])
def test_ctrl_c_keeps_the_first_network_or_those_that_were_finished(
    monkeypatch: pytest.MonkeyPatch, epoch: int, seed: int, kept: int
) -> None:
    killed_in(monkeypatch, epoch, seed, KeyboardInterrupt)
    model = fit(ensemble=3)
    assert (model.stopped_, model.interrupted_, len(model.members_)) == ("interrupted", True, kept)
    monkeypatch.undo()
    whole, X = fit(ensemble=kept), problem(10, seed=9)[0]
    if seed:
        np.testing.assert_array_equal(model.predict(X), whole.predict(X))
    else:
        assert len(model.history_) == 2


def test_ctrl_c_before_the_first_epoch_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    killed_in(monkeypatch, 1, 0, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        fit()


def test_patience_ends_a_run() -> None:
    X, Y = problem()
    model = Residual(**SMALL | {"epochs": 50}, patience=2).fit(X, Y, {"far": sets()["far"]})
    assert model.stopped_ == "patience"
    assert len(model.history_) == model.best_["far"]["epoch"] + 2


# ---- refusals


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"preset": "best"}, "preset: found 'best', accepted residual, taaf"),
        ({"hidden": ()}, "hidden: found"),
        ({"hidden": (8, 9)}, "blocks of one width"),
        ({"hidden": (True,)}, "hidden: found"),
        ({"hidden": 8.5}, "hidden: found 8.5"),
        ({"units": "relu"}, "units: found 'relu', accepted silu, tanh, adaptive"),
        ({"norm": "layer"}, "norm: found 'layer', accepted True or False"),
        ({"dropout": 1}, "dropout: found 1, accepted 0 or more, below 1"),
        ({"landmark_dropout": "x"}, "landmark_dropout: found 'x'"),
        ({"noise": -1}, "noise: found -1"),
        ({"noise": float("nan")}, "noise: found nan"),
        ({"weight_decay": float("inf")}, "weight_decay: found inf"),
        ({"loss": ["absolute"]}, "loss: found"),
        ({"optimiser": "adam"}, "optimiser: found 'adam', accepted adamw, nadam, sgd"),
        ({"schedule": "cosine"}, "schedule: found 'cosine'"),
        ({"averaging": 3}, "averaging: found 3"),
        ({"learning_rate": 0}, "learning_rate: found 0"),
        ({"epochs": 0}, "epochs: found 0"),
        ({"batch_size": 2.5}, "batch_size: found 2.5"),
        ({"ensemble": 0}, "ensemble: found 0"),
        ({"patience": 0}, "patience: found 0"),
        ({"seed": -1}, "seed: found -1"),
        ({"precision": "float16"}, "precision: found 'float16'"),
        ({"placement": "moon"}, "placement: found 'moon'"),
        ({"device": "tpu"}, "device: found 'tpu'"),
    ],
)
def test_settings_outside_what_is_accepted(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        new("residual", SMALL | setting)


def test_there_are_no_layers_to_interpret(fitted: Residual) -> None:
    with pytest.raises(ModelError, match="a model of kind residual has no weights to interpret; accepted: a network"):
        layers_of(fitted, None, torch.device("cpu"))


def test_a_gpu_too_small_is_told_with_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from dgex.models.network import members
    from dgex.training.machine import memory

    model = Residual(**SMALL | {"hidden": (40_000,)})
    statistics = {f"{k}_{n}": np.ones(5 if k == "x" else 6, np.float32) for k in "xy" for n in ("mean", "scale")}
    monkeypatch.setattr(members, "pick_device", lambda name: torch.device("cuda:0"))
    monkeypatch.setattr(memory, "free_memory", lambda device: 400 << 20)
    recipes = members.recipes_of(model, members.choose(model, 20), statistics, (20, 5), 6)
    with pytest.raises(SettingsError, match=r"network 5-40000-40000-6 .* free; what would fit: hidden=\(\d+,\), ") as e:
        training.train_members(recipes, *problem(20), {}, training.RunFiles())
    assert "target_parts" not in str(e.value)


@pytest.fixture
def folder(fitted: Residual, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "m")
    return tmp_path / "m"


def spoil(folder: Path, change: Any) -> None:
    from dgex.models.folder import _checksum

    described = json.loads((folder / "model.json").read_text("utf-8"))
    change(described["state"])
    described["checksum"] = _checksum(described)
    (folder / "model.json").write_text(json.dumps(described), "utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["chosen"].update(hidden=[12]), r"do not tell of: .*blocks\.1"),  # a block less
        (lambda s: s["chosen"].update(hidden=[12, 12, 12]), "blocks.2"),
        (lambda s: s["chosen"].update(hidden=[13, 13]), r"holds an array of shape \(12, 5\), accepted \(13, 5\)"),
        (lambda s: s["chosen"].update(hidden=[10**15, 10**15]), "units, more than the model's arrays hold"),
        (lambda s: s["chosen"].update(hidden=[12] * 1000), "fewer than its 1000 layers"),
        (lambda s: s["chosen"].update(units="relu"), "units: found 'relu'"),
        (lambda s: s["chosen"].pop("units"), "was changed or is incomplete"),
        (lambda s: s.update(chosen=3), "was changed or is incomplete"),
        (lambda s: s.update(members=[]), "do not tell of"),
        (lambda s: s["members"][0].update(best={"near": {"epoch": 77}}), "was kept for near, the model for near, far"),
        (lambda s: s["members"][0].update(best=4), "was changed or is incomplete"),
    ],
)
def test_a_changed_folder_is_refused(folder: Path, change: Any, message: str) -> None:
    spoil(folder, change)
    with pytest.raises(ModelError, match=message) as caught:
        dgex.load(folder)
    assert "\n" not in str(caught.value)


# ---- on a GPU


@pytest.mark.gpu
@pytest.mark.parametrize("settings", [{}, {"preset": "taaf", "hidden": (12, 12)}, {"ensemble": 2}])
def test_gpu_and_cpu_predict_alike(settings: dict[str, Any]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    X, model = problem(64, seed=9)[0], fit(**settings)
    on_cpu = model.predict(X)
    model.set_params(device="cuda")
    np.testing.assert_allclose(model.predict(X), on_cpu, rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("optimiser", ["adamw", "nadam", "sgd"])
def test_gpu_and_cpu_learn_alike(optimiser: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without random numbers, which differ between kinds of device; the last batch of an epoch is a shorter one."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    quiet = {"dropout": 0.0, "noise": 0.0, "landmark_dropout": 0.0, "optimiser": optimiser, "batch_size": 18}
    on_cpu, on_gpu = (fit(**quiet, device=device, precision="float32") for device in ("cpu", "cuda"))
    errors = [model.history_[["loss", "near.error"]].to_numpy() for model in (on_cpu, on_gpu)]
    np.testing.assert_allclose(errors[1], errors[0], rtol=2e-3)
    assert "could not be captured" not in caplog.text


@pytest.mark.gpu
def test_a_captured_step_learns_as_one_that_is_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from dgex.training.learners import descent_step

    X, settings = problem(10, seed=9)[0], {"device": "cuda", "precision": "float32", "averaging": "exponential"}
    captured = fit(**settings).predict(X)
    monkeypatch.setattr(descent_step, "_WARM", 10**9)
    np.testing.assert_allclose(captured, fit(**settings).predict(X), rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
def test_bfloat16_on_a_gpu_learns_and_its_outputs_are_not_rounded() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    exact, rounded = (fit(device="cuda", precision=precision) for precision in ("float32", "bf16"))
    assert rounded.best_["near"]["error"] == pytest.approx(exact.best_["near"]["error"], rel=0.03)
    predicted = rounded.predict(problem(400, seed=9)[0])
    assert len(np.unique(predicted[:, 0])) > 390
