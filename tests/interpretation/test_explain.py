"""Why a value is what it is: contributions add up for every method, and values are those that are inferred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dgex
from dgex.errors import DataError, DgexError, GeneError, ModelError, OutputExistsError, SettingsError
from dgex.interpretation.contributions import contributions
from dgex.interpretation.walk import walked
from dgex.models.base import Estimator


class Squares(Estimator):
    """A method that says nothing of itself."""

    kind = "squares"

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Any) -> None:
        self.weights_ = np.linalg.lstsq(np.hstack([X, X * X]), Y, rcond=None)[0]

    def _predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(np.hstack([X, X * X]) @ self.weights_)

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"weights": self.weights_}


METHODS: list[tuple[str, dict[str, Any]]] = [
    ("ols", {}),
    ("lasso", {"alpha": 0.02}),
    ("knn-ge", {"n_neighbors": 3}),
    ("knn", {"n_neighbors": 7}),
    ("knn", {"n_neighbors": 7, "weights": "distance"}),
    ("sample-lasso", {"alpha": 0.1}),
    ("kernel", {"device": "cpu"}),
    ("kernel", {"device": "cpu", "centers": 40}),
    ("dgex", {"hidden": 16, "epochs": 8, "device": "cpu"}),
    ("dgex", {"hidden": (16, 12), "epochs": 3, "standardize": True, "device": "cpu"}),
    ("dgex", {"hidden": (16, 12), "epochs": 8, "target_parts": 2, "device": "cpu"}),
    ("residual", {"hidden": (16, 16), "epochs": 8, "device": "cpu"}),
    ("residual", {"preset": "taaf", "hidden": (16, 16), "epochs": 2, "ensemble": 2, "device": "cpu"}),
    ("auto", {"members": ("ridge", "kernel", "knn-ge", "knn"), "device": "cpu"}),
]


@pytest.fixture(scope="module")
def raw() -> ad.AnnData:
    return dgex.simulate(samples=300, landmarks=15, targets=12, seed=4)


@pytest.fixture(scope="module")
def data(raw: ad.AnnData) -> ad.AnnData:
    return dgex.prepare(raw.copy(), split=(0.6, 0.2, 0.2), seed=0)


@pytest.fixture(scope="module")
def ridge(data: ad.AnnData) -> Any:
    return dgex.train(data, "ridge", alpha=1.0)


@pytest.fixture
def panel(raw: ad.AnnData) -> ad.AnnData:
    return raw[:6, (raw.var["role"] == "landmark").to_numpy()].copy()


def sums(why: dgex.Explanation) -> np.ndarray:
    return why.landmarks.groupby(["profile", "gene"], sort=False)["contribution"].sum().to_numpy()


@pytest.mark.parametrize(("method", "settings"), METHODS)
def test_contributions_add_up_to_the_difference_from_the_mean_profile(
    data: ad.AnnData, panel: ad.AnnData, method: str, settings: dict[str, Any]
) -> None:
    model = dgex.train(data, method, **settings)
    genes, names = [model.targets_[3], model.targets_[0]], panel.obs_names[[4, 1]].tolist()
    why = dgex.explain(model, panel, genes=genes, profiles=names)
    assert why.values[["profile", "gene"]].to_numpy().tolist() == [[p, g] for p in names for g in genes]
    moved = (why.values["value"] - why.values["at_mean"]).to_numpy()
    np.testing.assert_allclose(sums(why), moved, atol=0.01 * np.abs(moved).max())
    np.testing.assert_allclose(why.values["unexplained"], moved - sums(why), atol=1e-9)
    full = dgex.infer(panel, model, interval=0.9)
    there = full[names, genes]
    np.testing.assert_allclose(why.values["value"], np.asarray(there.X).ravel(), atol=1e-5)
    np.testing.assert_allclose(
        (why.values["high"] - why.values["low"]) / 2, there.layers["halfwidth"].ravel(), rtol=1e-3
    )
    assert why.values["trust"].tolist() == there.var["trust"].tolist() * 2
    np.testing.assert_allclose(why.values["expected_error"], there.var["expected_error"].tolist() * 2)
    np.testing.assert_allclose(why.values["distance"], np.repeat(there.obs["distance"], 2), atol=1e-6)
    origin = dgex.infer(ad.AnnData(model.normalization_.landmark_mean[None], var=model.landmark_genes()), model)
    np.testing.assert_allclose(why.values["at_mean"], np.asarray(origin[:, genes].X).ravel().tolist() * 2, atol=1e-4)


def test_a_linear_model_adds_weight_times_difference(ridge: Any, panel: ad.AnnData) -> None:
    why = dgex.explain(ridge, panel, genes=ridge.targets_[2], profiles=panel.obs_names[0])
    ours = ridge.normalization_
    weights = ridge.coef_[2] * ours.target_std[2] / ours.landmark_std
    expected = pd.Series(weights * (np.asarray(panel.X)[0] - ours.landmark_mean), ridge.landmarks_)
    found = why.landmarks.set_index("landmark")
    np.testing.assert_allclose(found["contribution"], expected[found.index], rtol=1e-3, atol=1e-5)
    assert found["contribution"].abs().is_monotonic_decreasing
    np.testing.assert_allclose(found["value"], panel.to_df().iloc[0][found.index], rtol=1e-5)
    np.testing.assert_allclose(found["training_mean"], pd.Series(ours.landmark_mean, ridge.landmarks_)[found.index])


def test_through_a_stack_members_add_up_by_their_weights(data: ad.AnnData) -> None:
    model: Any = dgex.train(data, "auto", members=("ridge", "kernel", "knn-ge"), device="cpu")
    start, end = np.zeros(15, np.float32), np.linspace(-2, 2, 15, dtype=np.float32)
    targets = np.array([5, 1])
    parts = [contributions(member, start, end, targets).values for member in model.members_]
    expected = sum(model.weights_[targets, at][:, None] * part for at, part in enumerate(parts))
    np.testing.assert_allclose(contributions(model, start, end, targets).values, expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["ridge", "kernel", "residual", "dgex"])
def test_a_walk_finds_what_a_method_knows_of_itself(data: ad.AnnData, method: str) -> None:
    settings = {"ridge": {}, "kernel": {"device": "cpu"}}
    network = {"hidden": (16, 16), "epochs": 8, "device": "cpu"}
    model = dgex.train(data, method, **settings.get(method, network))  # type: ignore[arg-type]
    start, end = np.zeros(15, np.float32), np.random.default_rng(0).normal(size=15).astype(np.float32)
    targets = np.array([0, 7])
    known, found = contributions(model, start, end, targets).values, walked(model.predict, start, end, targets)
    np.testing.assert_allclose(found, known, atol=0.03 * np.abs(known).max())


def test_a_walk_adds_up_for_a_method_that_says_nothing(data: ad.AnnData) -> None:
    train = data[data.obs["split"] == "train"]
    model = Squares().fit(train[:, data.var["role"] == "landmark"], train[:, data.var["role"] == "target"])
    start, end = np.zeros(15, np.float32), np.random.default_rng(1).normal(size=15).astype(np.float32)
    found = contributions(model, start, end, np.array([2]))
    moved = np.diff(model.predict(np.stack([start, end]))[:, 2])
    assert found.values.sum() == pytest.approx(moved[0], rel=1e-4)
    exact = end * model.weights_[:15, 2] + end**2 * model.weights_[15:, 2]  # no gene depends on another
    np.testing.assert_allclose(found.values[0], exact, atol=1e-4)
    assert "a walk of 240 predictions" in found.how


def test_the_nearest_profile_changes_by_the_landmark_genes_that_part_the_two() -> None:
    model = dgex.SampleKNN(n_neighbors=1).fit([[0.0, 0.0, 0.0], [4.0, 2.0, 0.0]], [[1.0], [3.0]])
    found = contributions(model, np.zeros(3, np.float32), np.array([4, 2, 9], np.float32), np.array([0])).values
    np.testing.assert_allclose(found, [[2 * 16 / 20, 2 * 4 / 20, 0]])


def test_missing_landmark_genes_are_marked(ridge: Any, panel: ad.AnnData) -> None:
    less = panel[:, 2:].copy()
    asked = {"genes": ridge.targets_[0], "profiles": panel.obs_names[2]}
    with pytest.raises(GeneError, match="2 of 15 landmark genes are missing"):
        dgex.explain(ridge, less, **asked)
    why = dgex.explain(ridge, less, missing="impute", **asked)
    assert set(why.landmarks.loc[why.landmarks["filled"], "landmark"]) == set(panel.var_names[:2])
    full = dgex.infer(less, ridge, missing="impute")
    there = full[panel.obs_names[2], ridge.landmarks_].to_df().iloc[0]
    found = why.landmarks.set_index("landmark")["value"]
    np.testing.assert_allclose(found[there.index], there, rtol=1e-4)
    assert sums(why)[0] == pytest.approx(why.values["value"][0] - why.values["at_mean"][0], abs=1e-3)
    assert "missing, filled" in why.table()


def test_a_panel_by_its_own_statistics_and_a_whole_profile(ridge: Any, raw: ad.AnnData) -> None:
    asked = {"genes": ridge.targets_[0], "profiles": raw.obs_names[2]}
    own = dgex.explain(ridge, raw, standardize="own", **asked)
    full = dgex.infer(raw, ridge, standardize="own", measured="infer")
    expected = float(full[raw.obs_names[2], ridge.targets_[0]].X[0, 0])
    assert own.values["value"][0] == pytest.approx(expected, rel=1e-5)


def test_genes_and_profiles_by_other_names(ridge: Any, panel: ad.AnnData) -> None:
    panel.obs_names = ["a", "b", "c,d", "e", "f", "g"]
    ensembl = [name for name in ridge.genes_.columns if "ensembl" in name.lower()]
    genes = ridge.target_genes()
    other = f"{genes[ensembl[0]].iloc[1]}.7" if ensembl else genes.index[1]
    one = dgex.explain(ridge, panel, genes=f"{genes.index[0]}, {other}", profiles="a,b")
    many = dgex.explain(ridge, panel, genes=genes.index[:2].tolist(), profiles=["a", "b", "a"])
    pd.testing.assert_frame_equal(one.values, many.values)
    assert dgex.explain(ridge, panel, genes=genes.index[0], profiles="c,d").values["profile"].tolist() == ["c,d"]
    alone = dgex.explain(ridge, panel[1].copy(), genes=genes.index[0])
    assert alone.values["value"][0] == pytest.approx(one.values["value"][2], rel=1e-5)


def test_nearest_training_profiles_and_their_studies(ridge: Any, raw: ad.AnnData, data: ad.AnnData) -> None:
    train = data.obs_names[data.obs["split"] == "train"][3]
    near = dgex.explain(ridge, raw, genes=ridge.targets_[0], profiles=train, neighbours=4).neighbours
    assert near["training_profile"][0] == train
    assert near["distance"][0] < 0.01
    assert near["distance"].is_monotonic_increasing
    assert near["study"].tolist() == raw.obs.loc[near["training_profile"], "study"].astype(str).tolist()


def test_a_model_without_index_or_confidence_explains_the_rest(
    data: ad.AnnData, panel: ad.AnnData, capsys: pytest.CaptureFixture[str]
) -> None:
    from dgex import progress

    model = dgex.train(data, "ridge", alpha=1.0, index=False)
    model.confidence_ = None
    asked = {"genes": model.targets_[0], "profiles": panel.obs_names[0]}
    progress.enable(True)
    try:
        why = dgex.explain(model, panel, **asked)
    finally:
        progress.enable(False)
    said = capsys.readouterr().err
    assert "keeps no index of its training profiles" in said
    assert "dgex calibrate MODEL DATA" in said
    assert not len(why.neighbours)
    assert why.values[["low", "high", "distance", "expected_error"]].isna().all(axis=None)
    assert why.values["trust"].tolist() == ["unknown"]
    assert abs(why.values["unexplained"][0]) < 1e-4
    assert "trust unknown" in why.table()
    assert why.page().html()
    with pytest.raises(ModelError, match="dgex calibrate MODEL DATA"):
        dgex.explain(model, panel, interval=0.8, **asked)


def test_a_model_of_bare_values_needs_to_know_its_mean(panel: ad.AnnData) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = dgex.OLS().fit(X[:30], X[:30, :2])
    frame = pd.DataFrame(X[:1], index=["p"], columns=model.landmarks_)
    with pytest.raises(ModelError, match="mean training profile"):
        dgex.explain(model, frame, genes="Y0")
    model.calibrate(X[30:], X[30:, :2], training=X[:30])
    why = dgex.explain(model, frame, genes="Y0")
    assert why.landmarks["landmark"][0] == "X0"
    assert why.values["at_mean"][0] == pytest.approx(X[:30, 0].mean(), abs=1e-4)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"genes": "LANDMARK"}, GeneError, "is a landmark gene of the model: measured, not inferred"),
        ({"genes": "NOPE"}, GeneError, "no target gene named NOPE"),
        ({"genes": ""}, SettingsError, "genes: found 'none'"),
        ({"profiles": "nobody"}, DataError, "no profile named nobody"),
        ({"profiles": None}, DataError, "which profile"),
        ({"interval": 1.2}, SettingsError, "interval"),
        ({"top": 0}, SettingsError, "top"),
        ({"neighbours": 2.5}, SettingsError, "neighbours"),
        ({"missing": "guess"}, SettingsError, "missing"),
    ],
)
def test_what_cannot_be_explained_is_told_in_one_line(
    ridge: Any, panel: ad.AnnData, wrong: dict[str, Any], error: type[DgexError], says: str
) -> None:
    asked = {"genes": ridge.targets_[0], "profiles": panel.obs_names[0]} | wrong
    if asked["genes"] == "LANDMARK":
        asked["genes"] = ridge.landmarks_[3]
    with pytest.raises(error, match=says) as caught:
        dgex.explain(ridge, panel, **asked)
    assert "\n" not in str(caught.value)


def test_too_many_values_are_refused(ridge: Any, raw: ad.AnnData) -> None:
    with pytest.raises(SettingsError, match="2 genes in 300 profiles"):
        dgex.explain(ridge, raw, genes=ridge.targets_[:2], profiles=raw.obs_names.tolist())


def test_saved_as_tables_figures_and_one_page(ridge: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    asked = {"genes": ridge.targets_[:2], "profiles": panel.obs_names[:2].tolist(), "top": 4}
    why = dgex.explain(ridge, panel, tmp_path / "why", **asked)
    out = tmp_path / "why"
    tables = {name: pd.read_csv(out / f"{name}.tsv", sep="\t") for name in ("values", "landmarks", "neighbours")}
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, getattr(why, name), rtol=1e-4, atol=1e-4, check_dtype=False)
    drawn = sorted(path.name for path in (out / "figures").glob("*.png"))
    assert len(drawn) == 4
    assert all((out / "figures" / name).read_bytes().startswith(b"\x89PNG") for name in drawn)
    html = (out / "report.html").read_text()
    assert "http-equiv" in html
    assert html.count("<svg") == 4
    strongest = why.landmarks["landmark"][0]
    assert all(word in html for word in (strongest, ridge.targets_[0], panel.obs_names[1], "11 others"))
    with pytest.raises(OutputExistsError):
        dgex.explain(ridge, panel, out, **asked)
    dgex.explain(ridge, panel, out, overwrite=True, **asked)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="is not an explanation"):
        dgex.explain(ridge, panel, tmp_path / "mine", overwrite=True, **asked)
