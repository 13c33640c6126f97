"""Training from a dataset: the same in memory and from disk, honest choices on validation, clear refusals."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

import dgex
from dgex.dataset.roles import landmarks
from dgex.dataset.signatures import signatures
from dgex.errors import DataError, DgexError, FileError, GeneError, ModelError, OutputExistsError, SettingsError
from dgex.fitting import splits
from dgex.fitting.splits import read_splits
from dgex.fitting.train import train
from dgex.locks import alone
from dgex.models.catalogue import METHODS, defaults


@pytest.mark.parametrize("method", sorted(METHODS))
def test_file_and_memory_give_the_same_model(method: str, dataset: ad.AnnData, dataset_file: Path) -> None:
    settings = {"hidden": (8,), "epochs": 2} if method in ("dgex", "residual") else {}
    model = train(dataset_file, method, dataset_file.parent / "model", **settings)
    again = train(dataset, method, **settings)
    X = dataset[:, model.landmarks_]
    np.testing.assert_array_equal(model.predict(X), again.predict(X))
    loaded = dgex.load(dataset_file.parent / "model")
    np.testing.assert_array_equal(model.predict(X), loaded.predict(X))
    assert loaded.normalization_ is not None
    assert not (dataset_file.parent / "model.checkpoint").exists()


def test_the_reported_error_is_the_validation_error(dataset: ad.AnnData) -> None:
    model = train(dataset, "ols")
    rows = (dataset.obs["split"] == "validation").to_numpy()
    part = dataset[rows]
    error = np.abs(model.predict(part) - np.asarray(part[:, model.targets_].X)).mean(axis=0)
    found = model.metrics_["sets"]["validation"]
    np.testing.assert_allclose([found["overall"], found["sd"]], [error.mean(), error.std()], rtol=1e-5)


@pytest.mark.parametrize("method", ["ridge", "lasso", "knn-ge", "knn"])
def test_penalties_are_chosen_on_validation(method: str, dataset: ad.AnnData) -> None:
    chosen = train(dataset, method).metrics_["sets"]["validation"]["overall"]
    name = "alpha" if method in {"ridge", "lasso"} else "n_neighbors"
    for value in (1e-3, 1.0, 1e3) if name == "alpha" else (1, 5, 15):
        other = train(dataset, method, **{name: value}).metrics_["sets"]["validation"]["overall"]
        assert chosen <= other * 1.002


def test_test_profiles_do_not_matter(dataset: ad.AnnData) -> None:
    changed = dataset.copy()
    rows = (changed.obs["split"] == "test").to_numpy()
    values = np.asarray(changed.X).copy()
    values[rows] += 50
    changed.X = values
    X = dataset[:, train(dataset, "ols").landmarks_]
    np.testing.assert_array_equal(train(dataset, "ridge").predict(X), train(changed, "ridge").predict(X))


def test_the_folder_tells_what_it_was_trained_on(dataset_file: Path) -> None:
    train(dataset_file, "dgex", dataset_file.parent / "m", hidden=(8,), epochs=3, learning_rate=0.01)
    description = json.loads((dataset_file.parent / "m" / "model.json").read_text())
    assert description["settings"]["learning_rate"] == 0.01
    assert description["metrics"]["data"]["name"] == "data.h5ad"
    assert description["normalization"]["standardize"] == "inductive"
    history = (dataset_file.parent / "m" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in history] == [1, 2, 3]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ({"method": "oracle"}, SettingsError, "unknown method 'oracle'; accepted: auto, ols"),
        ({"method": "ridge", "hidden": (3,)}, SettingsError, "ridge does not take hidden; accepted: alpha"),
        ({"method": "ols", "validation": ["mars"]}, SettingsError, "no set named mars .* accepted: .*train"),
        ({"method": "ols", "validation": ["train"]}, SettingsError, "cannot validate themselves"),
    ],
)
def test_settings_that_are_not_accepted(
    dataset: ad.AnnData, call: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        train(dataset, **call)


def test_settings_are_refused_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="epochs"):
        train(tmp_path / "not-there.h5ad", "dgex", epochs=0)


def test_a_matrix_that_is_no_dataset(compendium: ad.AnnData, dataset: ad.AnnData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="split"):
        train(compendium, "ols", tmp_path / "m")
    bare = dataset.copy()
    del bare.var["role"]
    with pytest.raises(GeneError, match="role"):
        train(bare, "ols", tmp_path / "m")
    few = dataset[(dataset.obs["split"] != "train").to_numpy()].copy()
    with pytest.raises(DataError, match="training samples"):
        train(few, "ols", tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_and_a_finished_run(dataset_file: Path) -> None:
    output = dataset_file.parent / "m"
    train(dataset_file, "ols", output)
    written = (output / "model.json").stat().st_mtime_ns
    with pytest.raises(OutputExistsError):
        train(dataset_file, "ols", output)
    train(dataset_file, "ols", output, resume=True)
    assert (output / "model.json").stat().st_mtime_ns == written
    train(dataset_file, "ridge", output, overwrite=True)
    assert dgex.load(output).kind == "ridge"


def test_a_killed_run_goes_on_to_the_same_weights(dataset_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dgex.training.run.checkpoint import Checkpoints

    whole, part = dataset_file.parent / "whole", dataset_file.parent / "part"
    settings: dict[str, Any] = {"hidden": (8,), "epochs": 6, "batch_size": 32, "learning_rate": 0.01}
    train(dataset_file, "dgex", whole, **settings)
    save, saved = Checkpoints.save, []

    def killed_after_three(self: Any, run: Any, *others: Any) -> None:
        save(self, run, *others)
        saved.append(run.epoch)
        if len(saved) == 3:
            raise SystemExit(9)

    monkeypatch.setattr(Checkpoints, "save", killed_after_three)
    with pytest.raises(SystemExit):
        train(dataset_file, "dgex", part, **settings)
    monkeypatch.undo()
    assert not part.exists()
    with pytest.raises(DgexError, match="resume"):
        train(dataset_file, "dgex", part, **settings)
    train(dataset_file, "dgex", part, resume=True, **settings)
    assert (part / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not (dataset_file.parent / "part.checkpoint").exists()


NETWORK: dict[str, Any] = {"hidden": (8,), "epochs": 4, "batch_size": 32, "learning_rate": 0.01}


def test_profiles_that_memory_does_not_hold_are_worked_on_from_disk(
    dataset: ad.AnnData, dataset_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from dgex.arrays import host

    caplog.set_level("INFO", logger="dgex")
    monkeypatch.setattr(host, "host_memory", lambda: 1000)
    output = dataset_file.parent / "m"
    model = train(dataset_file, "dgex", output, **NETWORK)
    assert f"their rows are written in {output}.checkpoint/rows" in caplog.text
    assert "training from disk" in caplog.text
    again = train(dataset, "dgex", placement="disk", **NETWORK)
    X = dataset[:, model.landmarks_]
    np.testing.assert_array_equal(model.predict(X), again.predict(X))
    assert {p.name for p in dataset_file.parent.iterdir()} == {"data.h5ad", "m"}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_other_methods_take_rows_from_a_temporary_folder(
    method: str, dataset: ad.AnnData, dataset_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dgex.fitting import splits

    settings = {"hidden": (8,), "epochs": 2, "placement": "device"} if method in ("dgex", "residual") else {}
    plain = train(dataset, method, **settings)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(splits, "fits_host", lambda size: False)
    if method in ("knn", "sample-lasso"):  # the model is as large as the data
        with pytest.raises(DataError, match="its model holds the training profiles"):
            train(dataset_file, method, **settings)
        return
    model = train(dataset_file, method, **settings)
    X = dataset[:, model.landmarks_]
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    assert not list((tmp_path / "temporary").iterdir())


def test_a_killed_run_takes_the_rows_that_it_wrote(dataset_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dgex.fitting import splits
    from dgex.training.run.checkpoint import Checkpoints

    whole, part = dataset_file.parent / "whole", dataset_file.parent / "part"
    settings = {**NETWORK, "placement": "disk"}
    train(dataset_file, "dgex", whole, **settings)
    save = Checkpoints.save

    def killed(self: Any, run: Any, *others: Any) -> None:
        save(self, run, *others)
        raise SystemExit(9)

    monkeypatch.setattr(Checkpoints, "save", killed)
    with pytest.raises(SystemExit):
        train(dataset_file, "dgex", part, **settings)
    monkeypatch.undo()

    def unread(*args: Any) -> None:
        raise AssertionError("the file was read again")

    monkeypatch.setattr(splits, "_fill", unread)
    train(dataset_file, "dgex", part, resume=True, **settings)
    assert (part / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not (dataset_file.parent / "part.checkpoint").exists()


def test_a_run_that_cannot_write_its_rows_leaves_nothing(dataset_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dgex.arrays import stored as spooled

    monkeypatch.setattr(spooled.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 5}))
    with pytest.raises(DgexError, match="has no room for them either"):
        train(dataset_file, "dgex", dataset_file.parent / "m", placement="disk", **NETWORK)
    assert [p.name for p in dataset_file.parent.iterdir()] == ["data.h5ad"]


def test_scalars_go_beside_those_of_other_runs(dataset_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dgex.training.run import tensorboard as board

    with pytest.raises(SettingsError, match="tensorboard: ols has no learning curve"):
        train(dataset_file, "ols", tensorboard="tb")
    monkeypatch.setattr(board, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'dgex-infer\[tensorboard\]'"):
        train(dataset_file, "dgex", dataset_file.parent / "m", tensorboard="tb", **NETWORK)
    monkeypatch.undo()
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed")
    train(dataset_file, "dgex", dataset_file.parent / "m", tensorboard=dataset_file.parent / "tb", **NETWORK)
    assert list((dataset_file.parent / "tb" / "m").glob("events.out.tfevents.*"))


def test_an_interrupted_run_goes_on_though_its_best_so_far_is_saved(
    dataset_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dgex.training.run.interrupt import StopRequest

    whole, part = dataset_file.parent / "whole", dataset_file.parent / "part"
    settings: dict[str, Any] = {"hidden": (8,), "epochs": 4, "batch_size": 32, "learning_rate": 0.01}
    train(dataset_file, "dgex", whole, **settings)
    deferred, calls = StopRequest.deferred, [0]

    def pressed(self: Any) -> Any:  # Ctrl-C while the first epoch is kept and while it is written
        calls[0] += 1
        self.requested = calls[0] == 2
        return deferred(self)

    monkeypatch.setattr(StopRequest, "deferred", pressed)
    assert train(dataset_file, "dgex", part, **settings).stopped_ == "interrupted"
    monkeypatch.undo()
    assert (part / "model.json").exists()
    train(dataset_file, "dgex", part, resume=True, **settings)
    assert (part / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not (dataset_file.parent / "part.checkpoint").exists()


def test_what_was_read_once_serves_several_models(dataset: ad.AnnData) -> None:
    read = read_splits(dataset, ["validation"], ExitStack())
    for method in ("ols", "dgex"):
        settings = {"hidden": (4,), "epochs": 1} if method == "dgex" else {}
        model, again = train(read, method, **settings), train(dataset, method, **settings)
        X = dataset[:, model.landmarks_]
        np.testing.assert_array_equal(model.predict(X), again.predict(X))
        assert model.metrics_["sets"] == again.metrics_["sets"]


def test_defaults_are_those_of_the_estimator() -> None:
    assert defaults("ridge")["alpha"] is None
    assert {"hidden", "dropout", "epochs", "batch_size"} <= set(defaults("dgex"))


def test_a_folder_of_the_users_in_the_place_of_checkpoints_is_refused(dataset_file: Path) -> None:
    output = dataset_file.parent / "m"
    notes = dataset_file.parent / "m.checkpoint" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    for flags in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputExistsError, match=r"holds notes\.txt, which dgex did not write there"):
            train(dataset_file, "dgex", output, hidden=(8,), epochs=2, **flags)
    assert [path.name for path in notes.parent.iterdir()] == ["notes.txt"]
    assert not output.exists()


def test_a_run_stopped_before_its_first_checkpoint_is_not_finished(
    dataset_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dgex.training.run import loop

    output = dataset_file.parent / "m"
    measure, calls = loop.gene_errors, []  # twice an epoch: on the fixed training samples, and on validation

    def stopped(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return measure(*args)

    settings: dict[str, Any] = {"hidden": (8,), "epochs": 5, "checkpoint_every": 100}
    monkeypatch.setattr(loop, "gene_errors", stopped)
    assert len(train(dataset_file, "dgex", output, **settings).history_) == 2
    monkeypatch.undo()
    assert len(train(dataset_file, "dgex", output, resume=True, **settings).history_) == 5


NETWORK: dict[str, Any] = {"hidden": (8,), "epochs": 2, "batch_size": 20, "learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("method", "settings", "validation", "differs"),
    [
        ("ridge", {"alpha": 1.0}, ["validation"], "method: there ols, now ridge"),
        ("ridge", {"alpha": 1.0}, ["validation"], "method: there dgex, now ridge"),
        ("dgex", {**NETWORK, "hidden": (9,)}, ["validation"], "hidden: there"),
        ("dgex", {**NETWORK, "epochs": 1}, ["validation"], "epochs: there 2, now 1"),
        ("dgex", {**NETWORK, "seed": 1}, ["validation"], "seed: there 0, now 1"),
        ("dgex", NETWORK, ["test"], "validation: there"),
        ("ridge", {"alpha": 2.0}, ["validation"], "alpha: there 1.0, now 2.0"),
    ],
)
def test_a_finished_model_of_something_else_is_not_gone_on_with(
    dataset_file: Path, method: str, settings: dict[str, Any], validation: list[str], differs: str
) -> None:
    output = dataset_file.parent / "m"
    before = "ols" if "ols" in differs else "ridge" if "alpha" in differs else "dgex"
    train(dataset_file, before, output, **{"ols": {}, "ridge": {"alpha": 1.0}, "dgex": NETWORK}[before])
    held = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    with pytest.raises(ModelError, match=differs):
        train(dataset_file, method, output, validation=validation, resume=True, **settings)
    assert held == {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}


@pytest.mark.parametrize("change", ["value", "name of a profile", "name of a gene"])
@pytest.mark.parametrize("method", ["ols", "dgex"])
def test_other_data_are_not_gone_on_with(dataset_file: Path, method: str, change: str) -> None:
    output, settings = dataset_file.parent / "m", NETWORK if method == "dgex" else {}
    train(dataset_file, method, output, **settings)
    data = dgex.read(dataset_file)
    row = int(np.flatnonzero(data.obs["split"] == "validation")[0])
    if change == "value":
        data.X[row, -1] += 1e-3
    elif change == "name of a profile":
        data.obs_names = [name if at != row else "another" for at, name in enumerate(data.obs_names)]
    else:
        data.var_names = [*data.var_names[:-1], "ANOTHER"]
    dgex.write(data, dataset_file, overwrite=True)
    with pytest.raises(ModelError, match="data: there"):
        train(dataset_file, method, output, resume=True, **settings)


def test_the_same_again_does_nothing(dataset_file: Path) -> None:
    output = dataset_file.parent / "m"
    first = train(dataset_file, "ridge", output, alpha=1.0)
    written = (output / "model.json").stat().st_mtime_ns
    again = train(dataset_file, "ridge", output, alpha=1.0, resume=True)
    np.testing.assert_array_equal(again.coef_, first.coef_)
    assert (output / "model.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_finished_network_is_trained_on(dataset_file: Path, keep: bool, parts: int) -> None:
    folder, settings = dataset_file.parent, {**NETWORK, "target_parts": parts}
    whole = train(dataset_file, "dgex", folder / "whole", **settings | {"epochs": 4})
    train(dataset_file, "dgex", folder / "m", keep_checkpoint=keep, **settings)
    assert (folder / "m" / "checkpoint").exists() == keep
    longer = train(dataset_file, "dgex", folder / "m", resume=True, **settings | {"epochs": 4})
    assert len(longer.history_) == 4 * parts
    for part, other in zip(longer.parts_, whole.parts_):
        assert part.weights.keys() == other.weights.keys()
        for epoch, weights in part.weights.items():
            for name, values in weights.items():
                np.testing.assert_array_equal(values, other.weights[epoch][name])
    assert not (folder / "m.checkpoint").exists()


def test_a_second_process_on_the_same_output_is_refused(dataset_file: Path) -> None:
    output = dataset_file.parent / "m"
    with alone(output, "dgex train"), pytest.raises(FileError, match="another dgex train is at work"):
        train(dataset_file, "ols", output)
    train(dataset_file, "ols", output)
    assert [path.name for path in dataset_file.parent.iterdir() if path.name.startswith(".")] == []


def test_a_model_that_knows_its_units_refuses_measured_values(dataset_file: Path) -> None:
    data = dgex.read(dataset_file)
    model = train(dataset_file, "ols")
    measured = data.copy()
    for name in ("mean", "std"):
        del measured.varm[name]
    del measured.uns["dgex"]
    with pytest.raises(DataError, match="as they were measured"):
        model.predict(measured)
    np.testing.assert_array_equal(model.predict(data[:5]), model.predict(data.X[:5][:, landmarks(data)]))


def test_a_network_ends_with_what_ridge_regression_reaches(
    dataset: ad.AnnData, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="dgex")
    network = train(dataset, "dgex", hidden=(8,), epochs=2, learning_rate=1e-4)
    ridge = train(dataset, "ridge").metrics_["sets"]["validation"]["overall"]
    assert network.metrics_["ridge"]["validation"] == pytest.approx(ridge, rel=1e-4)
    assert f"overall error on validation: ridge {ridge:.4f}, this network " in caplog.text
    assert "the error on validation was still falling in the last epoch" in caplog.text


def test_auto_is_trained_without_a_method_and_the_network_where_its_settings_are_given(dataset: ad.AnnData) -> None:
    assert train(dataset, members=("ols", "ridge"), device="cpu").kind == "auto"
    assert train(dataset, hidden=(4,), epochs=1).kind == "dgex"
    with pytest.raises(SettingsError, match="auto does not take colour"):
        train(dataset, colour="red")


def test_folds_hold_whole_studies_where_the_split_did(compendium: ad.AnnData) -> None:
    dataset = dgex.prepare(compendium.copy(), group="study", seed=0)
    model = train(dataset, "auto", members=("ridge",), device="cpu")
    studies = dataset.obs["study"][dataset.obs["split"].isin(["train", "validation"])].nunique()
    assert model.expected_["judged"].endswith(f"by group ({studies} groups)")  # type: ignore[attr-defined]


def test_validation_profiles_that_were_learned_from_are_known_again(
    dataset_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = dataset_file.parent
    model = train(dataset_file, "auto", folder / "auto", members=("ridge",), device="cpu")
    error = model.metrics_["sets"]["validation"]
    assert error["judged"] == "when held out; fitted on it since"
    split = ad.read_h5ad(dataset_file).obs["split"]
    held = int((split == "validation").sum())
    told = model.metrics_["data"]
    assert (told["fitted_profiles"], told["training_profiles"]) == (
        held + (split == "train").sum(),
        (split == "train").sum(),
    )
    dgex.evaluate({"auto": folder / "auto"}, dataset_file, split="validation")
    assert f"{held:,} of {held:,} profiles of validation were training profiles of auto" in caplog.text


@pytest.mark.parametrize(
    ("method", "settings", "known"),
    [
        ("ridge", {}, ["train"]),
        ("auto", {"members": ("ridge",), "device": "cpu"}, ["train", "validation"]),
    ],
)
def test_only_what_is_learned_from_is_made_to_be_known_again(
    method: str, settings: dict[str, Any], known: list[str], dataset: ad.AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(source: Any, rows: np.ndarray, *others: Any) -> dict[str, np.ndarray]:
        made.append(len(rows))
        return signatures(source, rows, *others)

    monkeypatch.setattr(splits, "signatures", counted)
    model = train(dataset, method, validation=("validation", "test"), **settings)
    counts = dataset.obs["split"].value_counts()
    assert made == [counts[name] for name in known]
    assert model.training_ is not None
    assert len(model.training_.signatures["ids"]) == sum(made)
