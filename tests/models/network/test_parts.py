"""Several networks for parts of the targets: each as if alone, the whole told correctly, killed and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dgex.errors import DataError, ModelError, OutputExistsError, SettingsError
from dgex.metrics import GeneErrors
from dgex.models.folder import load
from dgex.models.network.dgex import DGEX
from dgex.models.network.parts import overall
from dgex.training.run.checkpoint import Checkpoints
from dgex.training.run.history import read_history

SMALL: dict[str, Any] = {"hidden": (8,), "learning_rate": 0.02, "batch_size": 20, "epochs": 4, "device": "cpu"}
Pair = tuple[np.ndarray, np.ndarray]


def problem(profiles: int = 80, seed: int = 0) -> Pair:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, 5)).astype(np.float32)
    mix = np.random.default_rng(99).normal(size=(5, 7))
    return X, (np.tanh(X @ mix) * np.arange(1, 8) / 4).astype(np.float32)


def sets() -> dict[str, Pair]:
    near, far = problem(30, seed=1), problem(20, seed=2)
    return {"near": near, "far": (far[0], far[1] * 0.01)}  # far is best before much is learned


def fit(parts: int = 3, partition: str = "random", options: dict[str, Any] | None = None, **settings: Any) -> DGEX:
    model = DGEX(**SMALL | settings, target_parts=parts, partition=partition)
    return model.fit(*problem(), sets(), **options or {})


@pytest.fixture(scope="module", params=["random", "cluster"])
def fitted(request: pytest.FixtureRequest) -> DGEX:
    return fit(partition=request.param)


def test_one_part_is_the_joint_network() -> None:
    one, joint = fit(1, "cluster"), DGEX(**SMALL).fit(*problem(), sets())
    assert one._arrays().keys() == joint._arrays().keys()
    for name, array in joint._arrays().items():
        np.testing.assert_array_equal(one._arrays()[name], array)


def test_each_part_is_the_network_of_its_targets_alone(fitted: DGEX) -> None:
    X, Y = problem()
    assert sorted(np.concatenate([part.targets for part in fitted.parts_])) == list(range(7))
    for part in fitted.parts_:
        own = {name: (x, y[:, part.targets]) for name, (x, y) in sets().items()}
        alone = DGEX(**SMALL).fit(X, Y[:, part.targets], own)
        assert alone.best_ == part.best
        for best in sets():
            np.testing.assert_array_equal(fitted.predict(X, best)[:, part.targets], alone.predict(X, best))


def test_errors_of_the_whole_are_those_of_its_predictions(fitted: DGEX) -> None:
    assert fitted.best_["near"]["epoch"] != fitted.best_["far"]["epoch"]
    for name, (X, Y) in sets().items():
        for best, told in ((name, fitted.best_[name]), (None, fitted.metrics_["sets"][name])):
            errors = GeneErrors(7)
            errors.update(Y, fitted.predict(X, best))
            found = [told.get("error", told.get("overall")), told["sd"]]
            np.testing.assert_allclose(found, [errors.overall, errors.overall_std], rtol=1e-5)


def test_error_and_spread_over_genes_of_unequal_parts() -> None:
    genes = np.random.default_rng(0).uniform(size=23)
    parts = np.split(genes, [2, 11])
    found = overall([len(p) for p in parts], [(float(p.mean()), float(p.std())) for p in parts])
    np.testing.assert_allclose(found, (genes.mean(), genes.std()))


def test_history_tells_every_epoch_of_every_part(fitted: DGEX) -> None:
    assert fitted.history_.columns[0] == "part"
    assert fitted.history_[["part", "epoch"]].to_numpy().tolist() == [[p, e] for p in (1, 2, 3) for e in (1, 2, 3, 4)]
    for number, part in enumerate(fitted.parts_, start=1):
        rows = fitted.history_[fitted.history_["part"] == number].reset_index()
        assert rows["near.error"].min() == part.best["near"]["error"]


def test_the_folder_gives_the_model_back(fitted: DGEX, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    X = problem(10, seed=9)[0]
    for best in (None, "near", "far"):
        np.testing.assert_array_equal(loaded.predict(X, best), fitted.predict(X, best))
    assert loaded.best_ == fitted.best_
    pd.testing.assert_frame_equal(loaded.history_, fitted.history_)
    assert "3 networks, one a part: 3, 2, 2 target genes" in (tmp_path / "m" / "README.md").read_text()


def test_without_sets_every_part_predicts_with_its_last_epoch() -> None:
    X, Y = problem()
    model = DGEX(**SMALL, target_parts=2).fit(X, Y)
    assert model.best_ == {"last": {"epoch": [4, 4], "error": None, "sd": None}}
    error = float(np.abs(model.predict(X) - Y).mean())
    last = model.history_[model.history_["epoch"] == 4]["train.error"]
    assert error == pytest.approx(np.average(last, weights=[4, 3]), rel=1e-5)


def test_a_folder_whose_parts_do_not_fit_is_refused(fitted: DGEX) -> None:
    arrays = fitted._arrays()
    arrays["part-2.targets"] = arrays["part-1.targets"][:2]
    with pytest.raises(ModelError, match="do not hold each of its 7 target genes once"):
        fitted._restore(arrays, fitted._state())


@pytest.mark.parametrize("partition", ["random", "cluster"])
def test_killed_in_any_part_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partition: str) -> None:
    whole = fit(partition=partition)
    save, epochs = Checkpoints.save, []

    def killed(self: Any, run: Any, *others: Any) -> None:
        save(self, run, *others)
        epochs.append(self.folder.name)
        if len(epochs) in (2, 7):
            raise SystemError("killed")

    monkeypatch.setattr(Checkpoints, "save", killed)
    options: dict[str, Any] = {"checkpoint_dir": tmp_path / "c", "history_path": tmp_path / "c" / "h.jsonl"}
    for resume in (False, True):
        with pytest.raises(SystemError, match="killed"):
            fit(partition=partition, options=options | {"resume": resume})
    resumed = fit(partition=partition, options=options | {"resume": True})
    assert epochs == ["part-1"] * 4 + ["part-2"] * 4 + ["part-3"] * 4  # nothing was trained twice
    for name, array in whole._arrays().items():
        np.testing.assert_array_equal(resumed._arrays()[name], array)
    assert [row["epoch"] for row in read_history(tmp_path / "c" / "h-part-3.jsonl")] == [1, 2, 3, 4]


def test_a_part_that_ran_out_of_patience_is_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"checkpoint_dir": tmp_path / "c", "checkpoint_every": 3}
    first = fit(2, epochs=40, patience=2, learning_rate=0.2, options=options)
    assert first.stopped_ == "patience"
    monkeypatch.setattr(Checkpoints, "save", lambda *_: pytest.fail("trained again"))
    again = fit(2, epochs=40, patience=2, learning_rate=0.2, options=options | {"resume": True})
    assert again.best_ == first.best_


def test_clusters_stay_as_they_were_when_a_run_goes_on(tmp_path: Path) -> None:
    options = {"checkpoint_dir": tmp_path / "c"}
    fit(2, "cluster", options, epochs=1)
    path = tmp_path / "c" / "partition.json"
    held = json.loads(path.read_text())
    assert sorted(np.concatenate(held["targets"])) == list(range(7))
    path.write_text(json.dumps(held | {"targets": held["targets"][:1]}))
    with pytest.raises(ModelError, match="parts do not hold 7 targets"):
        fit(2, "cluster", options | {"resume": True})
    path.write_text("{}")
    with pytest.raises(ModelError, match="damaged"):
        fit(2, "cluster", options | {"resume": True})


def test_a_checkpoint_of_other_parts_is_refused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint_dir": tmp_path / "c", "resume": True}
    fit(2, options=options, epochs=1)
    with pytest.raises(OutputExistsError, match="resume"):
        fit(2, options={"checkpoint_dir": tmp_path / "c"})
    with pytest.raises(OutputExistsError, match="resume"):
        fit(1, options={"checkpoint_dir": tmp_path / "c"})
    with pytest.raises(ModelError, match="target_parts: there 2, now 3"):
        fit(3, options=options)
    with pytest.raises(ModelError, match="partition: there random, now cluster"):
        fit(2, "cluster", options)
    with pytest.raises(ModelError, match="target_parts: there several, now 1"):
        fit(1, options=options)
    fit(1, options={"checkpoint_dir": tmp_path / "d"}, epochs=1)
    with pytest.raises(ModelError, match="target_parts: there 1, now 2"):
        fit(2, options={"checkpoint_dir": tmp_path / "d", "resume": True})


def test_parts_that_cannot_be() -> None:
    with pytest.raises(SettingsError, match="target_parts: found 8, accepted 1 to 7"):
        fit(8)
    with pytest.raises(SettingsError, match=r"target_parts: found 1\.5, accepted a whole number"):
        fit(1.5)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="partition: found 'halves'"):
        fit(2, "halves")
    with pytest.raises(SettingsError, match=r"DGEX\.fit does not take folder; accepted: X, Y, eval_sets, check"):
        fit(2, options={"folder": "x"})


def test_a_part_that_diverges_ends_the_fit() -> None:
    with pytest.raises(DataError, match="diverged"):
        fit(2, learning_rate=1e9)
