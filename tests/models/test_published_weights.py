"""Published weights as a model: the layout of CMap's file, its names, and what is left out where genes are missing."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

import dgex
from dgex import io
from dgex.cli.app import app
from dgex.errors import DataError, GeneError, OutputExistsError
from dgex.models.published import convert_weights
from dgex.prepare.pipeline import prepare

LANDMARKS, TARGETS = ["780", "7849", "6193", "23"], ["16", "9552", "387509"]
SYMBOLS = dict(zip(LANDMARKS + TARGETS, ["DDR1", "PAX8", "RPS5", "ABCF1", "AARS", "SPAG7", "GPR153"]))
W = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
B = np.array([1.5, -2.0, 7.0], np.float32)


def weight_file(path: Path, constant: str = "OFFSET", at: int = 0, turned: bool = False, **metadata) -> Path:
    """The layout of the real file: a constant and the landmark genes are columns, target genes are rows."""
    columns = [*LANDMARKS[:at], constant, *LANDMARKS[at:]]
    values = np.insert(W, at, B, axis=1)  # [targets, constant and landmark genes]
    obs = pd.DataFrame(metadata, index=columns)
    adata = ad.AnnData(values.T, obs=obs, var=pd.DataFrame(index=TARGETS))
    io.write(adata.T if turned else adata, path)
    return path


def gene_info(path: Path) -> Path:
    rows = [[i, s, "a gene", str(int(i in LANDMARKS)), "1"] for i, s in SYMBOLS.items()]
    names = ["pr_gene_id", "pr_gene_symbol", "pr_gene_title", "pr_is_lm", "pr_is_bing"]
    pd.DataFrame(rows, columns=names).to_csv(path, sep="\t", index=False)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return weight_file(tmp_path / "GSE92743_Broad_OLS_WEIGHTS_n5x3.gctx")


@pytest.mark.parametrize(
    ("constant", "at", "turned"), [("OFFSET", 0, False), ("Intercept", 4, False), ("offset", 2, True)]
)
def test_predicts_what_the_weights_say_wherever_the_constant_is(tmp_path, constant, at, turned):
    model = convert_weights(weight_file(tmp_path / "w.gctx", constant, at, turned))
    assert (model.landmarks_, model.targets_) == (LANDMARKS, TARGETS)
    X = np.random.default_rng(1).uniform(4, 15, (6, 4)).astype(np.float32)
    assert_allclose(model.predict(X), X.astype(np.float64) @ W.T.astype(np.float64) + B, rtol=1e-5)


def test_a_saved_model_infers_raw_values_by_symbol_or_entrez_id(tmp_path, weights):
    convert_weights(weights, tmp_path / "model", genes=gene_info(tmp_path / "gene_info.txt"))
    model = dgex.load(tmp_path / "model")
    assert model.landmarks_ == ["DDR1", "PAX8", "RPS5", "ABCF1"]
    assert model.genes_["entrez"].tolist() == LANDMARKS + TARGETS
    X = np.random.default_rng(1).uniform(4, 15, (6, 4)).astype(np.float32)
    order = [2, 0, 3, 1]
    for names in (LANDMARKS, model.landmarks_):
        panel = ad.AnnData(X[:, order], var=pd.DataFrame(index=[names[i] for i in order]))
        full = dgex.infer(panel, model)
        assert_allclose(full[:, "SPAG7"].X.ravel(), X @ W[1] + B[1], rtol=1e-5)
        assert_array_equal(full[:, "DDR1"].X.ravel(), X[:, 0])


def test_names_come_from_the_metadata_of_the_weights(tmp_path):
    symbols = ["OFFSET", *(SYMBOLS[i] for i in LANDMARKS)]
    model = convert_weights(weight_file(tmp_path / "w.gctx", "0", pr_gene_symbol=symbols))
    assert model.landmarks_ == symbols[1:]  # the constant is known by its name, too
    assert model.targets_ == TARGETS


def test_probes_keep_their_ids_and_are_known_by_gene(tmp_path):
    probes = ["200000_s_at", "200001_at", "200002_at"]
    values = np.insert(W, 0, B, axis=1).T
    io.write(
        ad.AnnData(
            values[:, :2],
            obs=pd.DataFrame(index=["OFFSET", *probes, "200003_at"]),
            var=pd.DataFrame(index=["1_at", "2_at"]),
        ),
        tmp_path / "w.gctx",
    )
    rows = [["A", "200000_s_at", "landmark"], ["B", "200001_at,200002_at", "landmark"], ["C", "2_at", "target"]]
    pd.DataFrame(rows, columns=["symbol", "probes", "role"]).to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    model = convert_weights(tmp_path / "w.gctx", genes=tmp_path / "genes.tsv")
    assert model.landmarks_ == ["A", "B", "200002_at", "200003_at"]
    assert model.targets_ == ["1_at", "C"]
    assert model.genes_["probe"].tolist() == [*probes, "200003_at", "1_at", "2_at"]


def test_without_a_constant_it_says_what_was_looked_for(tmp_path):
    with pytest.raises(
        GeneError, match=r"no constant among the 5 columns \(slope, 780, 7849 .*3 rows .*offset, intercept"
    ):
        convert_weights(weight_file(tmp_path / "w.gctx", "slope"))


def test_targets_without_finite_weights_are_left_out_and_said(tmp_path, caplog):
    values = np.insert(W, 0, B, axis=1).T
    values[2, 1] = np.nan
    io.write(
        ad.AnnData(values, obs=pd.DataFrame(index=["OFFSET", *LANDMARKS]), var=pd.DataFrame(index=TARGETS)),
        tmp_path / "w.gctx",
    )
    model = convert_weights(tmp_path / "w.gctx")
    assert model.targets_ == ["16", "387509"]
    assert "1 target genes have weights that are NaN" in caplog.text
    values[:] = np.nan
    io.write(
        ad.AnnData(values, obs=pd.DataFrame(index=["OFFSET", *LANDMARKS]), var=pd.DataFrame(index=TARGETS)),
        tmp_path / "n.gctx",
    )
    with pytest.raises(DataError, match="no target gene with finite weights"):
        convert_weights(tmp_path / "n.gctx")


def test_a_table_of_other_genes_is_refused(tmp_path, weights):
    (tmp_path / "genes.tsv").write_text("symbol\tentrez\trole\nA\t1\tlandmark\nB\t2\ttarget\n")
    with pytest.raises(GeneError, match="knows none of the 7 genes"):
        convert_weights(weights, genes=tmp_path / "genes.tsv")


@pytest.mark.parametrize("standardize", ["inductive", "paper"])
def test_landmarks_that_a_dataset_lacks_are_held_at_their_mean(tmp_path, weights, standardize):
    rng = np.random.default_rng(3)
    X = rng.uniform(4, 15, (40, 4)).astype(np.float32)
    Y = X @ W.T + B + rng.normal(size=(40, 3)).astype(np.float32) * 0.1
    Y += (X @ W.T + B - Y).mean(0)  # least squares meets the mean, as the weights of this compendium do
    role = ["landmark"] * 3 + ["target"] * 2
    raw = ad.AnnData(
        np.hstack([X[:, :3], Y[:, :2]]), var=pd.DataFrame({"role": role}, index=LANDMARKS[:3] + TARGETS[:2])
    )
    data = prepare(raw, standardize=standardize, split=(1.0, 0, 0))
    model = convert_weights(weights, data=data)
    assert (model.landmarks_, model.targets_) == (LANDMARKS[:3], TARGETS[:2])
    held = X.copy()
    held[:, 3] = X[:, 3].mean()
    assert_allclose(model.predict(X[:, :3]), (held @ W.T + B)[:, :2], rtol=2e-5)
    with pytest.raises(DataError, match="not standardised"):
        convert_weights(weights, data=prepare(raw, standardize="none", split=(1.0, 0, 0)))


def test_a_panel_that_lacks_landmarks_is_not_imputed_without_means(weights):
    panel = ad.AnnData(np.full((2, 3), 8, np.float32), var=pd.DataFrame(index=LANDMARKS[:3]))
    with pytest.raises(GeneError, match=r"1 of 4 landmark genes .*knows no training means"):
        dgex.infer(panel, convert_weights(weights), missing="impute")


def test_command(tmp_path, weights):
    table = gene_info(tmp_path / "g.txt")
    arguments = ["--quiet", "convert-weights", str(weights), str(tmp_path / "model"), "--genes", str(table)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stdout.strip() == str(tmp_path / "model")
    assert "published weights" in (tmp_path / "model" / "README.md").read_text()
    with pytest.raises(OutputExistsError):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_weights_with_categorical_metadata_as_h5ad_keeps_them(tmp_path, weights):
    held = io.read(weights)
    held.obs["kind"] = pd.Categorical(["a"] * held.n_obs)
    held.write_h5ad(tmp_path / "weights.h5ad")
    one, other = convert_weights(weights), convert_weights(tmp_path / "weights.h5ad")
    np.testing.assert_array_equal(one.coef_, other.coef_)


def test_targets_that_a_dataset_lacks_are_left_out_also_where_no_landmark_is_missing(tmp_path, weights):
    model = convert_weights(weights)
    rng = np.random.default_rng(0)
    genes = [*model.landmarks_, *model.targets_[1:]]
    var = pd.DataFrame(
        {"role": ["landmark"] * len(model.landmarks_) + ["target"] * (len(genes) - len(model.landmarks_))}
    )
    raw = ad.AnnData(rng.normal(8, 1, (40, len(genes))).astype(np.float32), var=var.set_index(pd.Index(genes)))
    fitted = convert_weights(weights, data=prepare(raw))
    assert fitted.targets_ == model.targets_[1:]
    np.testing.assert_array_equal(fitted.coef_, model.coef_[1:])
