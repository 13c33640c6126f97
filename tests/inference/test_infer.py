"""Inference: by name, in blocks, in either unit, one profile alone, resumable, and never half-written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dgex
from dgex.errors import DataError, DgexError, FileError, GeneError, ModelError, OutputExistsError, SettingsError
from dgex.fitting.train import train
from dgex.inference import likeness
from dgex.locks import alone
from dgex.ownership import PARTIAL


@pytest.fixture(scope="module")
def model(dataset: ad.AnnData) -> Any:
    return train(dataset, "ridge", alpha=10.0)


@pytest.fixture
def panel(compendium: ad.AnnData) -> ad.AnnData:
    """Raw landmark values of some profiles, as a laboratory would bring them."""
    return compendium[:25, (compendium.var["role"] == "landmark").to_numpy()].copy()


def targets_of(result: ad.AnnData) -> np.ndarray:
    return np.asarray(result.X)[:, (result.var["origin"] == "inferred").to_numpy()]


def test_values_follow_from_the_models_own_steps(model: Any, panel: ad.AnnData) -> None:
    mean, std = model.normalization_.landmark_mean, model.normalization_.landmark_std
    standardised = (np.asarray(panel.X) - mean) / std
    expected = model.predict(standardised) * model.normalization_.target_std + model.normalization_.target_mean
    result = dgex.infer(panel, model)
    np.testing.assert_allclose(targets_of(result), expected, rtol=1e-5, atol=1e-4)
    measured = (result.var["origin"] == "measured").to_numpy()
    np.testing.assert_array_equal(np.asarray(result.X)[:, measured], panel.X)
    assert result.var["origin"].value_counts().to_dict() == {"inferred": 30, "measured": 20}


def test_standardised_units(model: Any, panel: ad.AnnData) -> None:
    original, standard = dgex.infer(panel, model), dgex.infer(panel, model, units="standardized")
    back = targets_of(standard) * model.normalization_.target_std + model.normalization_.target_mean
    np.testing.assert_allclose(back, targets_of(original), rtol=1e-5, atol=1e-4)


def test_inferred_values_are_near_the_truth(model: Any, dataset: ad.AnnData, compendium: ad.AnnData) -> None:
    test = (dataset.obs["split"] == "test").to_numpy()
    whole = compendium[dataset.obs_names[test]]
    result = dgex.infer(whole[:, model.landmarks_].copy(), model)
    truth = np.asarray(whole[:, model.targets_].X)
    assert np.abs(targets_of(result) - truth).mean() < 0.8 * np.abs(truth - truth.mean(0)).mean()


@pytest.mark.parametrize("block", [1, 7, 25, 1000])
def test_blocks_do_not_matter(model: Any, panel: ad.AnnData, block: int) -> None:
    np.testing.assert_allclose(
        np.asarray(dgex.infer(panel, model, block=block).X),
        np.asarray(dgex.infer(panel, model).X),
        rtol=1e-5,
        atol=1e-5,
    )


def test_one_profile_alone(model: Any, panel: ad.AnnData) -> None:
    np.testing.assert_allclose(
        np.asarray(dgex.infer(panel[3:4].copy(), model).X), np.asarray(dgex.infer(panel, model).X)[3:4], rtol=1e-5
    )


def test_order_and_further_genes(model: Any, panel: ad.AnnData) -> None:
    further = pd.DataFrame(np.arange(25.0), index=panel.obs_names, columns=["SPIKE"])
    mixed = ad.AnnData(pd.concat([further, panel.to_df().iloc[:, ::-1]], axis=1).astype(np.float32))
    dropped, carried = (dgex.infer(mixed, model, extra=extra) for extra in ("drop", "carry"))
    np.testing.assert_allclose(np.asarray(dropped.X), np.asarray(dgex.infer(panel, model).X), rtol=1e-6)
    assert carried.var_names[-1] == "SPIKE"
    assert carried.var["origin"].iloc[-1] == "carried"
    np.testing.assert_array_equal(np.asarray(carried.X)[:, -1], np.arange(25.0))


@pytest.mark.parametrize("suffix", [".gctx", ".h5ad", ".gct", ".tsv.gz", ".parquet", ".zarr"])
def test_any_format_in_and_out(model: Any, panel: ad.AnnData, tmp_path: Path, suffix: str) -> None:
    source, output = tmp_path / f"panel{suffix}", tmp_path / f"full{suffix}"
    dgex.write(panel, source)
    assert dgex.infer(source, model, output) is None
    result = dgex.read(output)
    expected = dgex.infer(panel, model)
    assert result.var_names.tolist() == expected.var_names.tolist()
    np.testing.assert_allclose(np.asarray(result.X), np.asarray(expected.X), rtol=1e-4, atol=1e-3)


def test_missing_landmarks(model: Any, panel: ad.AnnData) -> None:
    part = panel[:, 2:].copy()
    with pytest.raises(
        GeneError, match=r"2 of 20 landmark genes are missing from the input: LM.*the expected error by \d"
    ):
        dgex.infer(part, model)
    result = dgex.infer(part, model, missing="impute")
    assert (result.var["origin"] == "imputed").sum() == 2
    true, filled = np.asarray(panel.X)[:, :2], np.asarray(result.X)[:, :2]
    assert np.abs(filled - true).mean() < np.abs(model.normalization_.landmark_mean[:2] - true).mean()
    whole = dgex.infer(panel, model)
    ratio = (result.var["expected_error"] / whole.var["expected_error"]).dropna()
    assert (ratio >= 1).all()
    np.testing.assert_allclose(ratio, model.confidence_.missing.factor(0.1), rtol=1e-5)


def test_a_model_without_confidence_takes_the_training_mean(model: Any, panel: ad.AnnData) -> None:
    unjudged = copy.copy(model)
    unjudged.confidence_ = None
    with pytest.raises(GeneError, match=r"missing='impute' takes the training mean"):
        dgex.infer(panel[:, 2:].copy(), unjudged)
    result = dgex.infer(panel[:, 2:].copy(), unjudged, missing="impute")
    np.testing.assert_allclose(
        np.asarray(result.X)[:, :2], np.tile(model.normalization_.landmark_mean[:2], (25, 1)), rtol=1e-5
    )
    assert set(result.var["trust"][20:]) == {"unknown"}
    assert "distance" not in result.obs
    for asked in ({"interval": 0.9}, {"min_trust": "high"}):
        with pytest.raises(ModelError, match="dgex calibrate MODEL DATA"):
            dgex.infer(panel, unjudged, **asked)


def test_no_common_genes(model: Any, panel: ad.AnnData) -> None:
    panel.var_names = [f"{i}_at" for i in range(20)]
    panel.var = panel.var[[]]
    with pytest.raises(GeneError, match=r"no landmark gene of the model is in the input: .*0_at, 1_at"):
        dgex.infer(panel, model, missing="impute")


def test_own_statistics_undo_a_shift_of_platform(model: Any, panel: ad.AnnData) -> None:
    moved = panel.copy()
    moved.X = np.asarray(panel.X) * np.float32(2) + np.float32(10)
    ours, theirs = (dgex.infer(x, model, standardize="own", block=7) for x in (panel, moved))
    np.testing.assert_allclose(targets_of(ours), targets_of(theirs), atol=2e-2)
    with pytest.raises(DataError, match="no statistics of its own"):
        dgex.infer(panel[:1].copy(), model, standardize="own")


def test_nan_is_refused_and_nothing_is_left(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    values = np.asarray(panel.X).copy()
    values[20, 4] = np.nan
    panel.X = values
    with pytest.raises(DataError, match=f"gene {panel.var_names[4]}, sample {panel.obs_names[20]}"):
        dgex.infer(panel, model, tmp_path / "full.gctx", block=8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong", [{"units": "yards"}, {"extra": "x"}, {"missing": "x"}, {"block": 0}, {"block": "x"}, {"resume": True}]
)
def test_settings_that_are_not_accepted(model: Any, panel: ad.AnnData, wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        dgex.infer(panel, model, **wrong)


def test_an_output_that_exists_or_has_no_format(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    (tmp_path / "full.gctx").write_text("precious")
    with pytest.raises(OutputExistsError):
        dgex.infer(panel, model, tmp_path / "full.gctx")
    with pytest.raises(DgexError, match="accepted"):
        dgex.infer(panel, model, tmp_path / "full.docx")
    assert (tmp_path / "full.gctx").read_text() == "precious"


def test_work_goes_on_where_it_stopped(
    model: Any, panel: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, seen = tmp_path / "full.h5ad", []
    predict = type(model).predict

    def counted(self: Any, X: np.ndarray) -> np.ndarray:
        seen.append(len(X))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return predict(self, X)

    monkeypatch.setattr(type(model), "predict", counted)
    with pytest.raises(KeyboardInterrupt):
        dgex.infer(panel, model, output, block=5, resume=True)
    assert not output.exists()
    with pytest.raises(ModelError, match="block: there 5, now 6"):
        dgex.infer(panel, model, output, block=6, resume=True)
    dgex.infer(panel, model, output, block=5, resume=True)
    assert seen == [5, 5, 5, 5, 5, 5], "two blocks were kept, the third was done again"
    monkeypatch.undo()
    np.testing.assert_allclose(np.asarray(dgex.read(output).X), np.asarray(dgex.infer(panel, model, block=5).X))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full.h5ad"]


def test_a_far_platform_is_told(model: Any, panel: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(likeness, "warn", said.append)
    dgex.infer(panel, model)
    assert not said
    panel.X = np.asarray(panel.X) + np.float32(10)
    result = dgex.infer(panel, model)
    assert "training standard deviations off" in said[0]
    assert result.obs["unlike"].all()
    assert (result.obs["distance"] == 1).all()


@pytest.mark.parametrize(
    ("to", "uns", "asked"),
    [
        (lambda x: np.exp2(x) - 1, {}, {}),
        (lambda x: np.exp2(x) - 1, {}, {"log2": "auto"}),
        (lambda x: np.exp2(x) - 1, {}, {"scale": "linear"}),
        (lambda x: x * np.log(2), {"log1p": {"base": None}}, {}),
        (lambda x: x * np.log(2), {"log1p": {}}, {}),
        (lambda x: x * np.log(2), {"unit": "ln(TPM + 1)"}, {}),
        (lambda x: x * np.log(2), {}, {"scale": "ln"}),
        (lambda x: x * np.log10(2), {"log1p": {"base": 10}}, {}),
        (lambda x: x, {"log1p": {"base": 2}}, {}),
        (lambda x: np.log2(np.exp2(x) - 1 + 0.001), {"unit": "log2(TPM+0.001)"}, {}),
    ],
)
def test_any_scale_gives_the_same_result(
    model: Any, panel: ad.AnnData, to: Any, uns: dict[str, Any], asked: dict[str, Any], tmp_path: Path
) -> None:
    other = ad.AnnData(to(np.asarray(panel.X)).astype(np.float32), obs=panel.obs, var=panel.var, uns=uns)
    expected, found = dgex.infer(panel, model), dgex.infer(other, model, **asked)
    np.testing.assert_allclose(np.asarray(found.X), np.asarray(expected.X), atol=2e-3)
    assert set(found.var["unit"]) == {"log2 expression"} == {found.uns["unit"]}
    raw = found.layers["measured"] if "measured" in found.layers else np.asarray(found.X)
    measured = (found.var["origin"] == "measured").to_numpy()
    np.testing.assert_allclose(raw[:, measured], other.X, rtol=1e-6)
    other.write_h5ad(tmp_path / "other.h5ad")
    dgex.infer(tmp_path / "other.h5ad", model, tmp_path / "full.h5ad", block=7, **asked)
    written = dgex.read(tmp_path / "full.h5ad")
    np.testing.assert_allclose(np.asarray(written.X), np.asarray(found.X), rtol=1e-6, atol=1e-6)
    assert set(written.layers) == set(found.layers)
    for name in filter(None, found.layers):  # None is X for anndata 0.13
        np.testing.assert_array_equal(written.layers[name], found.layers[name])


def test_one_shallow_profile_is_logged_as_the_others_are(model: Any, panel: ad.AnnData) -> None:
    linear = panel.copy()
    values = np.exp2(np.asarray(panel.X, np.float64)) - 1
    values[3] *= 40 / values[3].max()
    linear.X = values.astype(np.float32)
    panel.X = np.log2(values + 1).astype(np.float32)
    np.testing.assert_allclose(
        np.asarray(dgex.infer(linear, model).X), np.asarray(dgex.infer(panel, model).X), atol=2e-3
    )


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda x: np.exp2(x), {"log2": "never"}, "the input is on the linear scale.*scale='auto'"),
        (lambda x: x - x.mean(0), {}, "the input is standardized .*scale='log2'"),
        (
            lambda x: np.exp2(x),
            {"uns": {"log1p": {}}},
            "doubtful: uns.'log1p'. says ln, but values reach",
        ),
        (lambda x: x - 8, {"uns": {"log1p": {}}}, "doubtful: .* values go down to .*scale='log2'"),
        (lambda x: np.where(x == x.max(), 30, x * 0.01), {}, "doubtful: up to 30, and .* times the mean"),
        (lambda x: np.exp2(x) - 50, {}, "linear scale and holds values below zero"),
    ],
)
def test_what_is_doubtful_is_refused(
    model: Any, panel: ad.AnnData, change: Any, options: dict[str, Any], words: str
) -> None:
    panel = ad.AnnData(change(np.asarray(panel.X)).astype(np.float32), var=panel.var, uns=options.pop("uns", {}))
    with pytest.raises(DataError, match=words) as caught:
        dgex.infer(panel, model, **options)
    assert "\n" not in str(caught.value)


def test_missing_genes_and_a_doubtful_scale_are_told_in_one_go(model: Any, panel: ad.AnnData) -> None:
    part = ad.AnnData(np.asarray(panel.X)[:, 2:] * 1, var=panel.var.iloc[2:], uns={"log1p": {"base": 3}})
    with pytest.raises(GeneError, match=r"2 of 20 landmark genes are missing.*; besides, the scale of .* is doubtful"):
        dgex.infer(part, model)


def test_a_standardised_dataset_is_refused(model: Any, dataset: ad.AnnData) -> None:
    with pytest.raises(DataError, match="takes values as they were measured"):
        dgex.infer(dataset, model)


def test_too_few_landmarks_are_not_imputed(model: Any, panel: ad.AnnData) -> None:
    with pytest.raises(GeneError, match="only 9 of 20 landmark genes"):
        dgex.infer(panel[:, :9].copy(), model, missing="impute")


def test_the_input_is_never_overwritten(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    dgex.write(panel, tmp_path / "panel.h5ad")
    before = (tmp_path / "panel.h5ad").read_bytes()
    with pytest.raises(DgexError, match="is the file to read"):
        dgex.infer(tmp_path / "panel.h5ad", model, tmp_path / "panel.h5ad", overwrite=True)
    with pytest.raises(DgexError, match="is the file to read"):
        dgex.prepare(tmp_path / "panel.h5ad", tmp_path / "panel.h5ad", overwrite=True)
    assert (tmp_path / "panel.h5ad").read_bytes() == before


def begun(model: Any, panel: ad.AnnData, output: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    """Infer two blocks of five, as a killed process leaves them."""
    predict, calls = type(model).predict, []

    def two(self: Any, X: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return np.asarray(predict(self, X))

    with monkeypatch.context() as killed:
        killed.setattr(type(model), "predict", two)
        with pytest.raises(KeyboardInterrupt):
            dgex.infer(panel, model, output, block=5, resume=True, **settings)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"units": "standardized"}, "units: there original, now standardized"),
        ({"scale": "linear"}, "scale: there log2, now linear"),
        ({"measured": "raw"}, "measured: there keep, now raw"),
        ({"standardize": "own"}, "standardize: there model, now own"),
        ({"extra": "carry"}, "extra: there drop, now carry"),
        ({"missing": "impute"}, "missing: there error, now impute"),
    ],
)
def test_other_settings_are_not_gone_on_with(
    model: Any,
    panel: ad.AnnData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    differs: str,
) -> None:
    begun(model, panel, tmp_path / "full.h5ad", monkeypatch)
    with pytest.raises(ModelError, match=differs):
        dgex.infer(panel, model, tmp_path / "full.h5ad", block=5, resume=True, **change)
    assert not (tmp_path / "full.h5ad").exists()


@pytest.mark.parametrize("own", [False, True])
def test_another_model_or_input_is_not_gone_on_with(
    model: Any, dataset: ad.AnnData, panel: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    output, how = tmp_path / "full.h5ad", {"standardize": "own" if own else "model"}
    begun(model, panel, output, monkeypatch, **how)
    with pytest.raises(ModelError, match="model: there"):
        dgex.infer(panel, train(dataset, "ridge", alpha=11.0), output, block=5, resume=True, **how)
    renamed = panel.copy()
    renamed.obs_names = ["another", *panel.obs_names[1:]]
    with pytest.raises(ModelError, match="profiles: there"):
        dgex.infer(renamed, model, output, block=5, resume=True, **how)
    changed = panel.copy()
    changed.X[7, 3] += np.float32(1e-3)
    with pytest.raises(ModelError, match="own statistics: there" if own else "profiles 6 to 10 have other values now"):
        dgex.infer(changed, model, output, block=5, resume=True, **how)
    dgex.infer(panel, model, output, block=5, resume=True, **how)
    np.testing.assert_array_equal(
        np.asarray(dgex.read(output).X), np.asarray(dgex.infer(panel, model, block=5, **how).X)
    )


def test_notes_among_finished_blocks_stay(
    model: Any, panel: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "full.h5ad.parts" / "notes.txt"
    begun(model, panel, tmp_path / "full.h5ad", monkeypatch)
    notes.write_text("mine")
    (notes.parent / f"{PARTIAL}killed-0.npz").write_text("half")
    dgex.infer(panel, model, tmp_path / "full.h5ad", block=5, resume=True)
    assert [path.name for path in notes.parent.glob("[!.]*")] == ["notes.txt"]
    with pytest.raises(OutputExistsError, match=r"it holds notes\.txt"):  # without finished blocks it is the user's
        dgex.infer(panel, model, tmp_path / "full.h5ad", block=5, resume=True, overwrite=True)


def test_a_second_process_on_the_same_output_is_refused(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    with alone(tmp_path / "full.h5ad", "dgex infer"), pytest.raises(FileError, match="another dgex infer is at work"):
        dgex.infer(panel, model, tmp_path / "full.h5ad")


def test_arguments_may_be_swapped_or_are_told(
    model: Any, panel: ad.AnnData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "dgex")
    model.save(tmp_path / "model")
    dgex.write(panel, tmp_path / "panel.h5ad")
    expected = np.asarray(dgex.infer(panel, model).X)
    for source, what in ((panel, model), (tmp_path / "panel.h5ad", tmp_path / "model")):
        caplog.clear()
        np.testing.assert_array_equal(np.asarray(dgex.infer(what, source).X), expected)  # type: ignore[arg-type]
        assert "the model was named before the input" in caplog.text
    for frame in (panel.to_df(), panel.to_df().T):  # the model's genes say how it is turned
        np.testing.assert_array_equal(np.asarray(dgex.infer(frame, model).X), expected)
    with pytest.raises(DataError, match="cannot be read as numbers"):
        dgex.infer(panel.to_df().assign(G="x"), model)
    with pytest.raises(DataError, match="found 'list', accepted the path of an expression file"):
        dgex.infer([1, 2], model)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="found 'AnnData', accepted the path of a model folder"):
        dgex.infer(panel, panel)  # type: ignore[arg-type]


@pytest.fixture
def whole(compendium: ad.AnnData) -> ad.AnnData:
    """Raw values of landmark and target genes of some profiles."""
    return compendium[:25].copy()


def test_measured_targets_are_kept_and_check_the_model(model: Any, panel: ad.AnnData, whole: ad.AnnData) -> None:
    kept, guessed = (dgex.infer(whole, model, measured=how) for how in ("keep", "infer"))
    only = dgex.infer(panel, model)
    names = model.targets_
    np.testing.assert_allclose(np.asarray(kept[:, names].X), np.asarray(whole[:, names].X), rtol=1e-6)
    np.testing.assert_allclose(np.asarray(guessed.X), np.asarray(only.X), rtol=1e-6)
    assert set(kept.var["origin"]) == {"measured"}
    apart = np.abs(np.asarray(guessed[:, names].X) - np.asarray(whole[:, names].X)).mean(0)
    check = kept.uns["dgex"]["check"]
    assert (check["genes"], check["profiles"]) == (30, 25)
    assert check["median_difference"] == pytest.approx(np.median(apart), rel=1e-4)
    by_numpy = [np.corrcoef(guessed[:, n].X[:, 0], whole[:, n].X[:, 0])[0, 1] for n in names]
    assert check["median_correlation"] == pytest.approx(np.median(by_numpy), abs=1e-4)
    assert "check" not in only.uns["dgex"]


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_linear_profiles_come_out_in_one_unit_and_as_they_were_beside(
    model: Any, whole: ad.AnnData, tmp_path: Path, suffix: str
) -> None:
    linear = whole[:, whole.var_names[::-1]].copy()
    linear.X = np.exp2(np.asarray(linear.X)) - 1
    linear = linear[:, [name for name in linear.var_names if name not in model.targets_[3:9]]].copy()
    dgex.write(linear, tmp_path / "linear.h5ad")
    dgex.infer(tmp_path / "linear.h5ad", model, tmp_path / f"full{suffix}", block=6)
    result = dgex.read(tmp_path / f"full{suffix}")
    measured = result.var_names[result.var["origin"] == "measured"]
    assert len(measured) == 44
    np.testing.assert_allclose(np.asarray(result[:, measured].X), np.asarray(whole[:, measured].X), atol=1e-3)
    np.testing.assert_allclose(result[:, measured].layers["measured"], linear[:, measured].X, rtol=1e-6)
    others = ~result.var_names.isin(measured)
    assert np.isnan(result.layers["measured"][:, others]).all()
    assert set(result.var["unit"]) == {result.uns["unit"]} == {"log2 expression"}
    assert result.uns["dgex"]["check"]["genes"] == 24
    again = dgex.infer(result, model, measured="infer")  # a result names its unit
    np.testing.assert_allclose(targets_of(again), targets_of(dgex.infer(linear, model, measured="infer")), atol=1e-3)
    old = dgex.infer(linear, model, measured="raw")
    np.testing.assert_array_equal(np.asarray(old[:, measured].X), linear[:, measured].X)
    assert set(old.var["unit"]) == {"log2 expression", "FPKM or intensity"}
    assert "unit" not in old.uns
    with pytest.raises(DataError, match="names several units"):
        dgex.infer(ad.AnnData(old.X, obs=old.obs, var=old.var), model)


@pytest.mark.parametrize("own", ["model", "own"])
def test_standardised_units_of_measured_genes(model: Any, whole: ad.AnnData, own: str) -> None:
    norm = model.normalization_
    result = dgex.infer(whole, model, units="standardized", standardize=own)
    assert set(result.var["unit"]) == {"standardized"}
    values = np.asarray(whole[:, model.targets_].X, np.float64)
    expected = (values - norm.target_mean) / norm.target_std
    if own == "own":
        expected = (values - values.mean(0)) / (values.std(0) + 1e-3)
    np.testing.assert_allclose(np.asarray(result[:, model.targets_].X), expected, atol=1e-3)


def test_a_quantile_normalised_model_maps_measured_genes_too(compendium: ad.AnnData) -> None:
    data = dgex.prepare(compendium.copy(), quantile=True, seed=0)
    model = train(data, "ridge", alpha=10.0)
    raw = compendium[data.obs_names[:20]].copy()
    result = dgex.infer(raw, model)
    original = np.asarray(data[:20].X) * data.varm["std"]["train"].to_numpy() + data.varm["mean"]["train"].to_numpy()
    targets = pd.DataFrame(original, columns=data.var_names)[model.targets_].to_numpy()
    np.testing.assert_allclose(np.asarray(result[:, model.targets_].X), targets, atol=1e-3)
    few = raw[:, [*model.landmarks_, *model.targets_[:4]]].copy()
    few.X = np.asarray(few.X)[:, [*range(20), 3, 7, 0, 19]]  # few targets go along with the landmark genes they equal
    mapped = np.asarray(dgex.infer(few, model).X)[:, [*range(20), *range(20, 24)]]
    np.testing.assert_allclose(mapped[:, 20:], mapped[:, [3, 7, 0, 19]], atol=1e-5)
    scaled = few.copy()
    scaled.X = np.exp2(np.asarray(few.X)) - 1  # ranks do not depend on the scale
    np.testing.assert_allclose(
        np.asarray(dgex.infer(scaled, model)[:, model.landmarks_].X),
        np.asarray(dgex.infer(few, model)[:, model.landmarks_].X),
        atol=1e-3,
    )


def test_missing_values_of_a_profile_are_imputed_alone(model: Any, whole: ad.AnnData) -> None:
    full = dgex.infer(whole, model)
    holed = whole.copy()
    values = np.asarray(whole.X).copy()
    landmark, target = (holed.var_names.get_loc(name) for name in (model.landmarks_[5], model.targets_[2]))
    values[7, landmark] = values[9, target] = np.nan
    holed.X = values
    with pytest.raises(DataError, match=f"gene {model.landmarks_[5]}, sample {whole.obs_names[7]}.*missing='impute'"):
        dgex.infer(holed, model)
    for how in ("impute", "auto"):
        result = np.asarray(dgex.infer(holed, model, missing=how).X)
        z = model.normalization_.standardize_landmarks(np.asarray(whole[7, model.landmarks_].X))
        z[0, 5] = np.nan
        filled = model.normalization_.invert_landmarks(model.confidence_.landmarks.fill(z))
        assert result[7, 5] == pytest.approx(float(filled[0, 5]), rel=1e-4)
        others = np.ones(result.shape, bool)
        others[7, 5] = others[9, 22] = False
        np.testing.assert_array_equal(result[others], np.asarray(full.X)[others])
        inferred = dgex.infer(whole, model, measured="infer").X[9, 22]
        assert result[9, 22] == pytest.approx(float(inferred), rel=1e-5)
    values[7, [whole.var_names.get_loc(name) for name in model.landmarks_[:3]]] = np.nan
    holed.X = values
    with pytest.raises(DataError, match="4 of its landmark genes are missing"):
        dgex.infer(holed, model, missing="auto")


def test_few_missing_genes_are_imputed_with_a_warning(model: Any, panel: ad.AnnData) -> None:
    result = dgex.infer(panel[:, 1:].copy(), model, missing="auto")
    assert (result.var["origin"] == "imputed").sum() == 1
    with pytest.raises(GeneError, match=r"2 of 20 .* missing='auto' imputes up to 5%"):
        dgex.infer(panel[:, 2:].copy(), model, missing="auto")


@pytest.mark.parametrize("rule", ["mean", "median", "max-mean"])
def test_rows_of_one_gene_are_collapsed_as_in_training(compendium: ad.AnnData, rule: str) -> None:
    rng = np.random.default_rng(3)
    genes = compendium.var_names
    frame = pd.DataFrame({"role": compendium.var["role"], "probes": [f"{i}_at,{i}_s_at,{i}_x_at" for i in range(50)]})
    names = [probe for probes in frame["probes"] for probe in probes.split(",")]
    values = np.repeat(np.asarray(compendium.X), 3, axis=1) + rng.normal(0, 1, (240, 150))
    probes = ad.AnnData(values.astype(np.float32), obs=compendium.obs, var=pd.DataFrame(index=names))
    data = dgex.prepare(probes, genes=dgex.prepare.pipeline.GeneTable(frame.set_index(genes)), collapse=rule, seed=0)
    model = train(data, "ridge", alpha=10.0)
    assert model.normalization_.collapse == rule
    order = rng.permutation(150)
    result = dgex.infer(probes[:, order].copy(), model)
    expected = np.asarray(data.X) * data.varm["std"]["train"].to_numpy() + data.varm["mean"]["train"].to_numpy()
    np.testing.assert_allclose(np.asarray(result[data.obs_names].X), expected, atol=1e-3)
    other = dgex.infer(probes, model, collapse="mean" if rule != "mean" else "median")
    assert np.abs(np.asarray(other.X) - np.asarray(result.X)).max() > 0.05


def test_copies_on_y_blank_names_and_repeats_do_not_matter(model: Any, panel: ad.AnnData) -> None:
    ids = [f"ENSG{i:011d}" for i in range(20)]
    model = train_with_ids(model, ids)
    more = [f"{ids[4]}.7_PAR_Y", "ENSGR0000000005", "", "", "SPIKE", "SPIKE"]
    values = np.concatenate([np.asarray(panel.X), np.zeros((25, 6), np.float32)], axis=1)
    frame = pd.DataFrame(values, index=panel.obs_names, columns=[*(f"{i}.7" for i in ids), *more])
    result = dgex.infer(frame, model, extra="carry")
    np.testing.assert_array_equal(np.asarray(result.X)[:, :20], np.asarray(panel.X))
    assert result.n_vars == 50 + 2, "the copies have names of their own, repeats and blanks have none"


def train_with_ids(model: Any, ids: list[str]) -> Any:
    from copy import deepcopy

    copied = deepcopy(model)
    copied.genes_["ensembl"] = [*ids, *[""] * 30]
    return copied


@pytest.mark.parametrize("rule", ["cpm", "size-factors"])
def test_depth_does_not_matter_where_it_is_normalised(compendium: ad.AnnData, rule: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = np.exp2(np.asarray(compendium.X, np.float64))
    compendium = ad.AnnData(counts.astype(np.float32), obs=compendium.obs[["study"]], var=compendium.var[["role"]])
    data = dgex.prepare(compendium, normalize=rule, seed=0)
    deeper = ad.AnnData((counts * rng.uniform(0.2, 5, (240, 1))).astype(np.float32), compendium.obs, compendium.var)
    train(data, "ridge", tmp_path / "model", alpha=10.0)
    model = dgex.load(tmp_path / "model")
    assert model.normalization_.normalize == rule
    one, other = (dgex.infer(x, model) for x in (compendium, deeper))
    np.testing.assert_allclose(np.asarray(one.X), np.asarray(other.X), atol=1e-3)
    expected = np.asarray(data.X) * data.varm["std"]["train"].to_numpy() + data.varm["mean"]["train"].to_numpy()
    np.testing.assert_allclose(np.asarray(one[data.obs_names].X), expected, atol=1e-3)
    if rule == "cpm":
        plain = np.log2(counts / counts.sum(1, keepdims=True) * 1e6 + 1)
        np.testing.assert_allclose(np.asarray(one[:, compendium.var_names].X), plain, atol=1e-3)
    panels = [dgex.infer(x[:, model.landmarks_].copy(), model) for x in (compendium, deeper)]
    np.testing.assert_allclose(*(np.asarray(panel.X) for panel in panels), atol=1e-3)
    if rule == "size-factors":
        np.testing.assert_allclose(np.asarray(panels[0].X)[:, :20], np.asarray(one.X)[:, :20], atol=1e-3)
    off = dgex.infer(deeper, model, normalize="none")
    assert np.abs(np.asarray(off.X) - np.asarray(other.X)).max() > 1
    logged = ad.AnnData(np.log2(counts + 1).astype(np.float32), compendium.obs, compendium.var)
    with pytest.raises(SettingsError, match="takes counts or other linear values"):
        dgex.infer(logged, model, normalize="cpm")


def test_intervals_in_every_format(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    memory = dgex.infer(panel, model, interval=0.9)
    half = np.asarray(memory.layers["halfwidth"])
    z = model.normalization_.standardize_landmarks(np.asarray(panel.X))
    low, high = model.predict_interval(z, 0.9)
    np.testing.assert_allclose(half[:, 20:], (high - low) / 2 * model.normalization_.target_std, rtol=1e-3)
    assert (half[:, :20] == 0).all()
    lacking = dgex.infer(panel[:, 1:].copy(), model, interval=0.9, missing="impute").layers["halfwidth"]
    assert (lacking[:, 0] > 0).all()
    assert np.asarray(lacking)[:, 20:].mean() > half[:, 20:].mean()
    for name in ("a.h5ad", "a.zarr"):
        dgex.infer(panel, model, tmp_path / name, interval=0.9, block=7)
        read = dgex.read(tmp_path / name)
        np.testing.assert_allclose(np.asarray(read.layers["halfwidth"]), half, rtol=1e-3)
        assert read.obs["distance"].tolist() == pytest.approx(memory.obs["distance"].tolist(), abs=1e-5)
        assert read.uns["dgex"]["interval"] == 0.9
    for name in ("a.gctx", "a.gct"):
        dgex.infer(panel, model, tmp_path / name, interval=0.9)
        beside = dgex.read(tmp_path / name.replace("a.", "a.halfwidth."))
        np.testing.assert_allclose(np.asarray(beside.X)[:, 20:], half[:, 20:], rtol=1e-3)
    some = model.targets_[:2]
    dgex.infer(panel, model, tmp_path / "a.csv", interval=0.9, genes=some)
    table = dgex.read(tmp_path / "a.csv")[panel.obs_names]
    for at, gene in enumerate(some):
        bounds = [np.asarray(table[:, f"{gene} ({end})"].X)[:, 0] for end in ("low", "high")]
        np.testing.assert_allclose((bounds[1] - bounds[0]) / 2, half[:, 20 + at], rtol=2e-3)


def test_genes_of_the_result_are_chosen_by_name_and_trust(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    full = dgex.infer(panel, model)
    trusted = dgex.infer(panel, model, min_trust="high")
    high = full.var["trust"].isin(["high", "measured"])
    assert trusted.var_names.tolist() == full.var_names[high].tolist()
    np.testing.assert_array_equal(np.asarray(trusted.X), np.asarray(full.X)[:, high])
    wanted = [model.targets_[3], model.landmarks_[1]]
    (tmp_path / "genes.txt").write_text("\n".join(wanted) + "\n")
    for asked in (wanted, tmp_path / "genes.txt"):
        assert dgex.infer(panel, model, genes=asked).var_names.tolist() == wanted[::-1]
    with pytest.raises(GeneError, match="1 of 2 genes that are asked for are not in the result: NOPE"):
        dgex.infer(panel, model, genes=[model.targets_[0], "NOPE"])
    with pytest.raises(SettingsError, match="min_trust"):
        dgex.infer(panel, model, min_trust="good")


def test_what_is_known_of_profiles_survives_a_resumed_run(
    model: Any, panel: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = dgex.infer(panel, model, interval=0.8, block=5)
    append, left = dgex.io.registry.find(tmp_path / "a.h5ad").writer.append, [3]

    def dies(writer: Any, block: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        append(writer, block)

    with monkeypatch.context() as patch:
        patch.setattr(dgex.io.registry.find(tmp_path / "a.h5ad").writer, "append", dies)
        with pytest.raises(KeyboardInterrupt):
            dgex.infer(panel, model, tmp_path / "a.h5ad", interval=0.8, block=5, resume=True)
    dgex.infer(panel, model, tmp_path / "a.h5ad", interval=0.8, block=5, resume=True)
    again = dgex.read(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(np.asarray(again.X), np.asarray(once.X))
    half = np.asarray(once.layers["halfwidth"]).astype(np.float16)
    np.testing.assert_array_equal(np.asarray(again.layers["halfwidth"]), half)
    np.testing.assert_array_equal(again.obs["distance"], once.obs["distance"])


def test_a_file_of_shuffled_names_is_told(model: Any, compendium: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(likeness, "warn", said.append)
    part = compendium[:40, model.landmarks_].copy()
    part.var = part.var[[]]
    part.var_names = np.roll(part.var_names, 7)
    result = dgex.infer(part, model)
    assert result.obs["unlike"].mean() > 0.9
    assert "unlike the training profiles" in said[0]


def test_a_file_that_is_far_out_as_a_whole_is_told(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(likeness, "warn", said.append)
    known = likeness.Likeness(None, None)
    rng = np.random.default_rng(0)
    known.add(rng.normal(size=(40, 20)).astype(np.float32), rng.uniform(0.02, 0.12, size=40))
    known.told([f"P{i}" for i in range(40)])
    assert "as a whole the file lies far out: half of its 40 profiles are farther" in said[0]
    near = likeness.Likeness(None, None)
    near.add(rng.normal(size=(40, 20)).astype(np.float32), rng.uniform(0.02, 1, size=40))
    assert near.told([f"P{i}" for i in range(40)]) is None


def test_a_list_of_genes_that_is_no_text_or_empty(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    (tmp_path / "bytes.txt").write_bytes(b"\x94\xff\x00")
    (tmp_path / "empty.txt").write_text("\n")
    for name, said in (("bytes.txt", "no list of genes at .*it is no text"), ("empty.txt", "names no gene")):
        with pytest.raises(DgexError, match=said):
            dgex.infer(panel, model, genes=tmp_path / name)
