"""GSE92743 in small: exact names and layout of the public files, and what must be true of the dataset."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from gse92743_files import ARRAYS, DONORS, GENES, L1000, LANDMARKS, RNASEQ, SAMPLES, TARGETS, matrix, raw_files, values
from numpy.testing import assert_allclose, assert_array_equal

from dgex import io
from dgex.dataset.standardize import unstandardize
from dgex.datasets.public.gse92743 import prepare_gse92743
from dgex.errors import DataError, FileError, OutputExistsError, SettingsError
from dgex.evaluation.evaluate import evaluate
from dgex.fitting.train import train
from dgex.models.published import convert_weights


def original(data: ad.AnnData, name: str) -> pd.DataFrame:
    """Values of a set before standardising, by sample and Entrez id."""
    rows = (data.obs["split"] == name).to_numpy()
    X = unstandardize(data.X[rows], data.varm["mean"][name], data.varm["std"][name])
    return pd.DataFrame(X, index=data.obs["sample"][rows].astype(str), columns=data.var["entrez"])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gse92743")
    platforms = prepare_gse92743(raw_files(folder / "raw"), folder / "data.h5ad")
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []  # nothing is left beside it
    return platforms, io.read(folder / "data.h5ad")


def test_sets_and_platforms(prepared):
    platforms, data = prepared
    sizes = data.obs["split"].value_counts()
    assert (sizes["train"], sizes["validation"], sizes["test"]) == (159, 20, 20)  # 200 and a near-duplicate
    assert "GSM7" not in data.obs_names
    assert sizes["GTEx-va"] == sizes["L1000-va"]
    assert sizes["GTEx-te"] == sizes["L1000-te"]
    assert sizes["GTEx-va"] + sizes["GTEx-te"] == len(SAMPLES)
    assert {name for p in platforms for name in (p.validation, p.test)} == set(sizes.index) - {"train"}
    assert [(p.name, p.published) for p in platforms] == [("GEO", "GEO-te"), ("GTEx", "GTEx-te"), ("L1000", "")]
    assert data.obs_names.is_unique


def test_roles_are_those_of_pr_is_lm(prepared):
    var = prepared[1].var
    assert var["entrez"][var["role"] == "landmark"].tolist() == LANDMARKS
    assert set(var["entrez"][var["role"] == "target"]) == set(TARGETS)
    assert (var.index == "G" + var["entrez"].astype(str)).all()


def test_no_donor_is_on_both_sides(prepared):
    obs = prepared[1].obs
    donors = {name: set(obs["donor"][obs["split"] == name]) for name in ("GTEx-va", "GTEx-te", "L1000-va", "L1000-te")}
    assert donors["GTEx-va"] | donors["GTEx-te"] == set(DONORS)
    assert not donors["GTEx-va"] & donors["GTEx-te"]
    assert donors["L1000-va"] == donors["GTEx-va"]
    assert donors["L1000-te"] == donors["GTEx-te"]


@pytest.mark.parametrize("part", ["va", "te"])
def test_l1000_sets_hold_measured_landmarks_and_rna_seq_targets(prepared, part):
    rnaseq = pd.DataFrame(values(len(SAMPLES), 1), index=SAMPLES, columns=GENES)
    l1000 = pd.DataFrame(values(len(SAMPLES), 2), index=SAMPLES, columns=GENES)
    one, other = original(prepared[1], f"GTEx-{part}"), original(prepared[1], f"L1000-{part}")
    assert one.index.tolist() == other.index.tolist()
    assert_allclose(one[GENES], rnaseq.loc[one.index], atol=1e-5)
    assert_allclose(other[LANDMARKS], l1000.loc[other.index, LANDMARKS], atol=1e-5)
    assert_array_equal(other[TARGETS], one[TARGETS])


def test_every_set_has_mean_zero_by_its_own_statistics(prepared):
    data = prepared[1]
    for name in data.obs["set"].unique():
        X = data.X[(data.obs["set"] == name).to_numpy()].astype(np.float64)
        assert_allclose(X.mean(0), 0, atol=1e-5)
        std = data.varm["std"][name].to_numpy()
        assert_allclose(X.std(0) * std, std - 1e-3, rtol=1e-4)
    assert set(data.obs["set"]) == {"compendium", "GTEx-va", "GTEx-te", "L1000-va", "L1000-te"}


def test_the_order_of_samples_and_genes_in_the_gtex_files_changes_nothing(prepared, tmp_path):
    raw = raw_files(tmp_path / "raw", seed=5)
    prepare_gse92743({str(i): path for i, path in enumerate(sorted(raw.iterdir()))}, tmp_path / "data.h5ad")
    again = io.read(tmp_path / "data.h5ad")
    assert_array_equal(again.X, prepared[1].X)
    pd.testing.assert_frame_equal(again.obs, prepared[1].obs)
    pd.testing.assert_frame_equal(again.var, prepared[1].var)


def test_samples_of_two_names_are_matched_by_inst_info(prepared, tmp_path):
    wells = [f"GTX001:{i}" for i in range(len(SAMPLES))]
    raw = raw_files(tmp_path / "raw", det_well=wells, subject_id=[name.rsplit("-", 3)[0] for name in SAMPLES])
    matrix(raw / "again.gctx", values(len(SAMPLES), 2), wells, seed=3)
    (raw / "again.gctx").replace(raw / L1000)
    prepare_gse92743(raw, tmp_path / "data.h5ad")
    again = io.read(tmp_path / "data.h5ad")
    assert_array_equal(again.X, prepared[1].X)
    assert again.obs["donor"].tolist() == prepared[1].obs["donor"].tolist()
    assert again.obs_names[-1].startswith("GTX001:")


def test_landmarks_that_l1000_did_not_measure_are_left_out(tmp_path, caplog):
    raw = raw_files(tmp_path / "raw")
    kept = [gene for gene in GENES if gene not in (LANDMARKS[2], TARGETS[3])]  # targets of L1000 are not used
    columns = [GENES.index(gene) for gene in kept]
    matrix(raw / "again.gctx", values(len(SAMPLES), 2)[:, columns], SAMPLES, genes=kept)
    (raw / "again.gctx").replace(raw / L1000)
    prepare_gse92743(raw, tmp_path / "data.h5ad")
    var = io.read(tmp_path / "data.h5ad").var
    assert var["entrez"][var["role"] == "landmark"].tolist() == [g for g in LANDMARKS if g != LANDMARKS[2]]
    assert (var["role"] == "target").sum() == len(TARGETS)
    assert "landmark genes that are not in every input are left out, 1" in caplog.text


def test_published_weights_are_a_row_beside_trained_models(prepared, tmp_path):
    """With weights that least squares finds on the arrays themselves, both rows are the same on the arrays."""
    data = prepared[1]
    ours = train(data, "ols")
    rows = (data.obs["split"] == "train").to_numpy()
    raw = unstandardize(data.X, data.varm["mean"]["compendium"], data.varm["std"]["compendium"])[rows].astype(float)
    role = data.var["role"].to_numpy()
    X, Y = raw[:, role == "landmark"], raw[:, role == "target"]
    solution = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X]), Y, rcond=None)[0]
    obs = pd.DataFrame(index=["OFFSET", *data.var["entrez"][role == "landmark"]])
    var = pd.DataFrame(index=data.var["entrez"][role == "target"].astype(str).to_numpy())
    io.write(ad.AnnData(solution.astype(np.float32), obs=obs, var=var), tmp_path / "weights.gctx")
    cmap = convert_weights(tmp_path / "weights.gctx", data=data)
    result = evaluate({"LR": ours, "CMap": cmap}, data, ["test", "L1000-te"], spearman=False)
    table = result.overall.set_index(["split", "model"])["error"]
    assert table["test", "CMap"] == pytest.approx(table["test", "LR"], rel=1e-4)
    assert np.isfinite(table["L1000-te", "CMap"])


def test_mistakes_are_said(tmp_path):
    raw = raw_files(tmp_path / "raw")
    with pytest.raises(SettingsError, match="validation_share"):
        prepare_gse92743(raw, tmp_path / "data.h5ad", validation_share=1.0)
    (tmp_path / "data.h5ad").touch()
    with pytest.raises(OutputExistsError):
        prepare_gse92743(raw, tmp_path / "data.h5ad")
    matrix(raw / "again.gctx", values(3, 2), ["a", "b", "c"])
    (raw / "again.gctx").replace(raw / L1000)
    with pytest.raises(DataError, match="no sample of the L1000 matrix"):
        prepare_gse92743(raw, tmp_path / "other.h5ad")
    matrix(raw / "again.gctx", values(3, 2), ["a", "b", "c"])
    (raw / "again.gctx").replace(raw / RNASEQ)
    with pytest.raises(DataError, match="3 of 3 GTEx samples have no donor"):
        prepare_gse92743(raw, tmp_path / "other.h5ad")
    (raw / ARRAYS).unlink()
    with pytest.raises(FileError, match="lacks 1 of 5 files: GSE92743_Broad_Affymetrix"):
        prepare_gse92743(raw, tmp_path / "other.h5ad")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.h5ad", "raw"]
