"""The study as a whole: one page, the same whatever interrupted it, and nothing done twice."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import NETWORKS, SMALL
from together import CONTEXT

import dgex
from dgex.errors import DataError, FileError, ModelError, OutputExistsError, SettingsError
from dgex.locks import alone
from dgex.models.base import Estimator
from dgex.models.catalogue import METHODS, Method
from dgex.models.folder import save
from dgex.ownership import PARTIAL
from dgex.paper import fit, stages
from dgex.paper.folder import MEASURED
from dgex.paper.measured import read_measured
from dgex.paper.tables import text

pytestmark = pytest.mark.xdist_group("study")  # which takes seconds to make: once

MEASURING = SMALL | {"stages": list(stages.STAGES)[:-1]}  # the page measures nothing


def errors_of(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Everything that was measured, by model and set."""
    names = [path.name.removesuffix(".errors").replace("--", "/") for path in sorted((folder / MEASURED).iterdir())]
    read = {name: read_measured(folder / MEASURED, name) for name in names}
    both = {name: m.errors | {f"{k} by profile": v for k, v in m.profiles.items()} for name, m in read.items() if m}
    return {name: {key: values.tolist() for key, values in errors.items()} for name, errors in both.items()}


def measure(folder: Path) -> None:
    """A process that makes the study and is killed over it."""
    dgex.reproduce(folder, **MEASURING)


def test_everything_is_there(study: Path) -> None:
    measured = errors_of(study)
    assert len([name for name in measured if re.match(r"\d", name)]) == NETWORKS
    assert {"ols", "Arrays/ridge", "RNA-Seq/knn"} <= set(measured)
    assert any(name.startswith("halves/") for name in measured)
    sets = ("validation", "test", "RNA-va", "RNA-te")
    assert set(measured["ols"]) == {*sets, *(f"{name} by profile" for name in sets)}
    assert {"Arrays/kernel", "RNA-Seq/auto"} <= set(measured)
    assert set(json.loads((study / "times.json").read_text())) == set(stages.STAGES) - {
        "page",
        "retraining",
    }  # all genes are there
    with dgex.open(study / "l1000" / "inferred.gctx") as inferred, dgex.open(study / "arrays.h5ad") as arrays:
        assert inferred.shape == arrays.shape


def test_the_page_holds_every_table_and_figure_and_asks_for_nothing(study: Path) -> None:
    page = (study / "report.html").read_text("utf-8")
    for words in ("Table 1", "Table 2", "Table S2", "Table S5", "Figure S1"):
        assert words in page
    for figure in ("Figure 1:", "Figure 2:", "Figure 3a:", "Figure 3b:", "Figure 4a:", "Figure 4b:", "Figure 5:"):
        assert figure in page, figure  # panels as the paper has them
    for figure in ("As figure 1:", "As figure 2:", "As figure 5:"):
        assert figure in page, figure
    for number in (
        "15.33%",
        "45.38%",
        "99.97%",
        "99.99%",
        "6.57%",
        "32.62%",
        "81.31%",
        "95.54%",
        "427,000,000",
        "0.3204",
    ):
        assert number in page, number
    assert "instead of 3,000, 6,000, 9,000" in page  # what is cut is said
    assert "served nothing else" not in page  # by the paper's rule every set is standardised by its own statistics
    assert "which trained and chose nothing, but entered how values are normalised" in page
    assert "95 %, by bootstrap over" in page
    fetched = re.findall(r"(?:src|href)=\"(?!#|data:)([^\"]*)\"", page)
    assert fetched == []
    headings = re.findall(r"<h([1-6])", page)
    assert all(int(b) <= int(a) + 1 for a, b in pairwise(headings))  # no level is skipped


def test_a_study_cut_short_at_every_unit_ends_the_same(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after every record of a measurement and after every stage; each time the same call goes on."""
    folder, done = tmp_path / "study", []
    save = fit.Measured.save

    def interrupted(self: Any, where: Path) -> None:
        save(self, where)
        done.append(self.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(fit.Measured, "save", interrupted)
    for _ in range(60):
        try:
            dgex.reproduce(folder, **MEASURING)
            break
        except KeyboardInterrupt:
            continue
    assert len(done) == len(set(done))  # nothing was measured twice
    assert errors_of(folder) == errors_of(study)
    assert (
        json.loads((folder / "times.json").read_text()).keys() == json.loads((study / "times.json").read_text()).keys()
    )


def test_a_killed_process_loses_no_finished_work(study: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    for least in (1, 12):
        process = CONTEXT.Process(target=measure, args=(folder,))
        process.start()
        while process.is_alive() and len(list((folder / MEASURED).glob("[!.]*.errors"))) < least:
            process.join(0.02)  # leaves the processor to the process, unlike a busy loop
        process.kill()
        process.join()
    half_written = folder / MEASURED / f"{PARTIAL}abc-ols.errors"
    half_written.write_bytes(b"what a kill leaves")
    before = {path: path.stat().st_mtime_ns for path in (folder / MEASURED).glob("[!.]*.errors")}
    dgex.reproduce(folder, **MEASURING)
    assert not half_written.exists()
    assert errors_of(folder) == errors_of(study)
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


def test_a_finished_study_trains_nothing_and_makes_its_page_anew(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(study, tmp_path / "study")
    for name in ("networks", "models", "data.h5ad", "arrays.h5ad", "report.html"):  # the small results suffice
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.setattr(fit, "train", lambda *a, **k: pytest.fail("trained again"))
    monkeypatch.setattr(fit, "train_grid", lambda *a, **k: pytest.fail("trained again"))
    dgex.reproduce(folder, **SMALL)
    assert "Table S5" in (folder / "report.html").read_text("utf-8")


def test_another_raw_matrix_of_the_same_name_is_noticed(tmp_path: Path) -> None:
    for place, seed in (("one", 0), ("two", 1)):
        (tmp_path / place).mkdir()
        dgex.simulate(tmp_path / place / "raw.h5ad", samples=80, landmarks=6, targets=5, seed=seed)
    small = {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "epochs": 1, "methods": ("ols",), "stages": ["data"]}
    dgex.reproduce(tmp_path / "study", data=tmp_path / "one" / "raw.h5ad", **small)
    with pytest.raises(ModelError, match="data: another content"):
        dgex.reproduce(tmp_path / "study", data=tmp_path / "two" / "raw.h5ad", **small)


def test_overwrite_refuses_a_link_in_the_study_which_the_user_made(study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(study, tmp_path / "study")
    shutil.move(folder / MEASURED, tmp_path / "large-disk")
    (folder / MEASURED).symlink_to(tmp_path / "large-disk")
    small = SMALL | {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "methods": ("ols",), "seed": 5}
    with pytest.raises(OutputExistsError, match="holds measured, which dgex did not write there"):
        dgex.reproduce(folder, stages=["data", "baselines"], overwrite=True, **small)
    assert (folder / "report.html").exists()
    assert (tmp_path / "large-disk" / "ols.errors").exists()
    (folder / MEASURED).unlink()
    dgex.reproduce(folder, stages=["data", "baselines"], overwrite=True, **small)
    assert errors_of(folder)["ols"] != errors_of(study)["ols"]


def test_a_study_measured_before_intervals_is_measured_again_and_trains_nothing(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(study, tmp_path / "study")
    described = json.loads((folder / "data.json").read_text())
    del described["drawn"]
    (folder / "data.json").write_text(json.dumps(described))
    for name in errors_of(folder):
        measured = read_measured(folder / MEASURED, name)
        assert measured is not None
        replace(measured, profiles={}).save(folder / MEASURED)
    carried = tmp_path / "carried"
    shutil.copytree(folder / MEASURED, carried / MEASURED)
    for name in ("data.json", "study.json", "times.json"):
        shutil.copy(folder / name, carried / name)
    results = dgex.reproduce(carried, stages=["page"], **SMALL)  # without models: no intervals, and said
    assert "No intervals: these were measured before" in (carried / "report.html").read_text("utf-8")
    assert results.table(results.data.platforms[0])["improvement_low"].isna().all()
    monkeypatch.setattr(fit, "train_grid", lambda *a, **k: pytest.fail("trained again"))
    dgex.reproduce(folder, **SMALL)
    assert errors_of(folder) == errors_of(study)
    one, other = ((at / "tables" / "methods-RNA-te.csv").read_text("utf-8") for at in (folder, study))
    improved = [[row.split(",")[:7] for row in text.splitlines()] for text in (one, other)]
    assert improved[0] == improved[1]


def test_methods_may_be_added_and_what_is_there_stays(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    small = SMALL | {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "stages": ["data", "baselines"]}
    dgex.reproduce(folder, **small | {"methods": ("ols", "knn")})
    before = {path.name: path.stat().st_mtime_ns for path in (folder / MEASURED).iterdir()}
    dgex.reproduce(folder, **small | {"methods": ("ols", "ridge", "knn")})
    after = {path.name: path.stat().st_mtime_ns for path in (folder / MEASURED).iterdir()}
    assert set(after) - set(before) == {"Arrays--ridge.errors", "RNA-Seq--ridge.errors"}
    assert after.items() >= before.items()
    with pytest.raises(ModelError, match=r"other settings \(methods: there"):
        dgex.reproduce(folder, **small | {"methods": ("ols", "knn")})


def test_a_residual_network_cut_short_goes_on_and_serves_all_platforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = SMALL | {"methods": ("ols", "residual"), "stages": ["data", "baselines"]}
    train, cuts = fit.train, [False, True, False]

    def cut(data: Any, method: str, output: Any, **settings: Any) -> Any:
        model = train(data, method, output, **settings | ({"epochs": 2} if method == "residual" else {}))
        if method == "residual" and cuts.pop(0):
            model.stopped_ = "interrupted"  # as Ctrl-C leaves it
            save(model, output, overwrite=True)
        return model

    monkeypatch.setattr(fit, "train", cut)
    whole = dgex.reproduce(tmp_path / "whole", **small)
    with pytest.raises(KeyboardInterrupt):
        dgex.reproduce(tmp_path / "cut", **small)
    assert "residual" not in errors_of(tmp_path / "cut")
    dgex.reproduce(tmp_path / "cut", **small)
    assert errors_of(tmp_path / "cut") == errors_of(tmp_path / "whole")
    for platform in whole.data.platforms:
        row = whole.table(platform).set_index("method").loc["residual network"]
        assert np.isfinite(row[["validation", "error"]].to_numpy(float)).all()
        assert row["chosen"].startswith("epoch ")


def test_intervals_are_those_of_an_evaluation(study: Path) -> None:
    """The same models on the same profiles: `evaluate` draws as the study does."""
    results = dgex.reproduce(study, stages=["page"], **SMALL)
    arrays = results.data.platforms[0]
    rows = results.table(arrays).set_index("method")
    models = {"LR": study / "models" / "ols", "LR-L2": study / "models" / "Arrays" / "ridge"}
    found = dgex.evaluate(models, study / "data.h5ad", baseline="LR", spearman=False, as_prepared=True).overall
    found = found.set_index("model")
    for name in ("improvement", "improvement_low", "improvement_high"):
        assert rows.loc["LR-L2", name] == pytest.approx(found.loc["LR-L2", name], abs=2e-6)
        assert rows.loc["training mean", name] == pytest.approx(found.loc["training mean", name], abs=2e-6)


def test_what_a_stage_ran_on_stays_where_it_had_nothing_to_do(study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(study, tmp_path / "study")
    times = json.loads((folder / "times.json").read_text())
    for stage in times.values():
        stage["device"] = "another machine"
    (folder / "times.json").write_text(json.dumps(times))
    dgex.reproduce(folder, **SMALL)
    assert json.loads((folder / "times.json").read_text()) == times


def test_another_plan_may_follow_one_that_made_nothing(tmp_path: Path) -> None:
    small = SMALL | {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "methods": ("ols",)}
    with pytest.raises(FileError, match="the stage data makes it"):
        dgex.reproduce(tmp_path / "study", stages=["page"], **small)
    dgex.reproduce(tmp_path / "study", stages=["data"], **small | {"seed": 1})


def test_one_stage_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    small = SMALL | {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "methods": ("ols",)}
    dgex.reproduce(folder, stages=["data", "baselines", "page"], **small)
    page = (folder / "report.html").read_text("utf-8")
    assert "Not measured yet: 4x1-dropout0.1" in page
    results = dgex.reproduce(folder, stages=["networks"], **small)
    assert results.missing == ["halves/4x1-dropout0.1"]


def test_a_second_process_is_kept_out(study: Path) -> None:
    with alone(study, "dgex reproduce"), pytest.raises(FileError, match="another dgex reproduce is at work"):
        dgex.reproduce(study, **SMALL)


def test_the_first_stages_alone_and_their_page(tmp_path: Path) -> None:
    small = SMALL | {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "methods": ("ols",)}
    for count in range(1, len(stages.STAGES), 2):  # a stage more or less, the page is the same code
        first = list(stages.STAGES)[:count]
        results = dgex.reproduce(tmp_path / "study", stages=[*first, "page"], **small)
        assert set(json.loads((tmp_path / "study" / "times.json").read_text())) == set(first) - {"retraining"}
        assert "Arrays: selected on Arrays-va" in text(results)
        assert "How it was made" in (tmp_path / "study" / "report.html").read_text("utf-8")
        (tmp_path / "study" / "report.html").unlink()


def test_what_is_interpreted_and_inferred_follows_the_selection(study: Path, tmp_path: Path) -> None:
    """With one network measured it is selected; with all of them another one may be, and everything follows."""
    folder = shutil.copytree(study, tmp_path / "study")
    whole = dgex.reproduce(folder, stages=["data"], **SMALL)
    arrays = whole.data.platforms[0]
    chosen = whole.selected(arrays)
    assert chosen is not None
    shutil.rmtree(folder / "interpretation")
    (folder / "l1000" / "l1000.json").unlink()
    hidden = folder / MEASURED / f"{chosen}.errors"
    content = hidden.read_bytes()
    hidden.unlink()
    dgex.reproduce(folder, stages=["interpretation", "inference"], **SMALL)
    assert json.loads((folder / "l1000" / "l1000.json").read_text())["network"] != chosen
    hidden.write_bytes(content)
    dgex.reproduce(folder, **SMALL)
    assert json.loads((folder / "l1000" / "l1000.json").read_text())["network"] == chosen
    assert (folder / "interpretation" / f"Arrays-{chosen}").exists()
    assert "This network was not interpreted" not in (folder / "report.html").read_text("utf-8")


def test_inputs_in_the_folder_of_the_study_are_refused_and_stay(study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(study, tmp_path / "study")
    for overwrite in (False, True):
        with pytest.raises(SettingsError, match=r"lies in .*, where the study writes"):
            dgex.reproduce(folder, data=folder / "data.h5ad", overwrite=overwrite)
    assert (folder / "data.h5ad").exists()


def test_carried_results_of_given_data_make_a_page_without_the_data(tmp_path: Path) -> None:
    world = dgex.simulate(samples=80, landmarks=6, targets=5)
    assert world is not None
    dgex.prepare(world, tmp_path / "d.h5ad")
    small = {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "epochs": 1, "methods": ("ols",)}
    dgex.reproduce(tmp_path / "study", data=tmp_path / "d.h5ad", **small)
    for name in ("measured", "interpretation"):
        shutil.copytree(tmp_path / "study" / name, tmp_path / "carried" / name)
    for name in ("data.json", "study.json"):
        shutil.copy(tmp_path / "study" / name, tmp_path / "carried" / name)
    dgex.reproduce(tmp_path / "carried", data=tmp_path / "elsewhere" / "d.h5ad", stages=["page"], **small)
    one, other = (pd.read_csv(tmp_path / place / "tables" / "genes-d-te.csv") for place in ("study", "carried"))
    pd.testing.assert_frame_equal(one, other)


def test_tables_beside_the_page_are_what_was_measured(study: Path) -> None:
    genes = pd.read_csv(study / "tables" / "genes-RNA-te.csv", index_col="gene")
    methods = pd.read_csv(study / "tables" / "methods-RNA-te.csv", index_col="method")
    assert len(genes) == SMALL["targets"]
    pd.testing.assert_series_equal(genes.mean(), methods["error"], check_names=False, rtol=1e-4)
    assert methods.loc[["auto", "kernel ridge"], "improvement_low"].notna().all()
    assert (methods["tie"] == ((methods["improvement_low"] <= 0) & (methods["improvement_high"] >= 0))).all()
    assert {"training mean", "LR", "LR-L1", "LR-L2", "KNN-GE", "sample-KNN"} < set(methods.index)


def test_the_training_mean_is_the_mean_absolute_deviation_from_it(study: Path) -> None:
    data = dgex.read(study / "data.h5ad")
    target, split = (data.var["role"] == "target").to_numpy(), data.obs["split"].to_numpy()
    mean = data.X[split == "train"][:, target].mean(0, dtype=float)
    expected = np.abs(data.X[split == "RNA-te"][:, target] - mean).mean(0)
    np.testing.assert_allclose(errors_of(study)["mean"]["RNA-te"], expected, rtol=1e-5)


def test_a_run_killed_before_it_said_what_it_was_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / f"{PARTIAL}abc-study.json").write_text("{")
    small = SMALL | {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "methods": ("ols",)}
    dgex.reproduce(tmp_path / "study", stages=["data"], **small)
    assert not (tmp_path / "study" / f"{PARTIAL}abc-study.json").exists()


def test_what_is_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"other settings \(epochs: there 2, now 3\)"):
        dgex.reproduce(study, **SMALL | {"epochs": 3})
    for stages_, found in ((["lunch"], "lunch"), ([], r"\(none\)")):
        with pytest.raises(SettingsError, match=f"unknown stage {found}; accepted: data"):
            dgex.reproduce(tmp_path / "new", stages=stages_)
    with pytest.raises(FileError, match="the stage data makes it"):
        dgex.reproduce(tmp_path / "new", stages=["page"], **SMALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="is not a study"):
            dgex.reproduce(tmp_path / "mine", overwrite=overwrite)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_beginning_anew_removes_what_is_ours_and_refuses_anything_else(study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(study, tmp_path / "study")
    (folder / "notes.txt").write_text("mine")
    small = SMALL | {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "methods": ("ols",)}
    before = sorted(folder.rglob("*"))
    with pytest.raises(OutputExistsError, match=r"holds notes\.txt, which dgex did not write there"):
        dgex.reproduce(folder, stages=["data"], overwrite=True, **small)
    assert sorted(folder.rglob("*")) == before
    (folder / "notes.txt").rename(tmp_path / "notes.txt")
    dgex.reproduce(folder, stages=["data"], overwrite=True, **small)
    assert not (folder / MEASURED).exists()
    assert not (folder / "report.html").exists()


def test_a_dataset_that_changed_is_noticed(tmp_path: Path) -> None:
    world = dgex.simulate(samples=80, landmarks=6, targets=5)
    assert world is not None
    dgex.prepare(world, tmp_path / "d.h5ad", standardize="paper")
    small = {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "epochs": 1, "methods": ("ols",), "stages": ["data"]}
    dgex.reproduce(tmp_path / "study", data=str(tmp_path / "d.h5ad"), **small)
    dgex.prepare(world, tmp_path / "d.h5ad", standardize="paper", seed=1, overwrite=True)  # another split, same values
    with pytest.raises(ModelError, match=r"data: another content of .*d\.h5ad"):
        dgex.reproduce(tmp_path / "study", data=str(tmp_path / "d.h5ad"), **small)
    (tmp_path / "study" / "inputs.json").unlink()  # as in a study that was carried elsewhere
    with pytest.raises(DataError, match="is not the dataset that this study began with"):
        dgex.reproduce(tmp_path / "study", data=str(tmp_path / "d.h5ad"), **small)


class Mean(Estimator):
    """The mean of the training profiles, as another package might bring it."""

    kind = "theirs"

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Any) -> None:
        self.mean_ = Y.mean(axis=0)

    def _predict(self, X: np.ndarray) -> np.ndarray:
        return np.tile(self.mean_, (len(X), 1))

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean_}

    def _restore(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        self.mean_ = arrays["mean"]


def test_a_method_of_another_package_has_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "theirs", Method("theirs", f"{__name__}:Mean", "their method", "Theirs"))
    small = SMALL | {"hidden": (4,), "layers": (1,), "dropout": (0.1,), "methods": ("ols", "theirs")}
    results = dgex.reproduce(tmp_path / "study", stages=["data", "baselines"], **small)
    errors = results.table(results.data.platforms[0]).set_index("method")["error"]
    assert errors["Theirs"] == pytest.approx(errors["training mean"], rel=1e-5)
