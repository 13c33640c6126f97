"""Values of a layer: as if they were X, whatever is written of X itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from anndata import AnnData

import dgex
from dgex.errors import DataError, SettingsError


@pytest.fixture(scope="module")
def raw() -> AnnData:
    return dgex.simulate(samples=200, landmarks=12, targets=9, seed=0)


@pytest.fixture(scope="module")
def model(raw: AnnData) -> dgex.Estimator:
    return dgex.train(dgex.prepare(raw.copy(), group="study", seed=0), "ridge")


@pytest.fixture
def panel(raw: AnnData) -> AnnData:
    """Five profiles whose values are in layers; X and what is written of it are something else."""
    adata = raw[:5, raw.var["role"] == "landmark"].copy()
    adata.layers["log"] = np.asarray(adata.X).copy()
    adata.layers["tpm"] = sp.csr_matrix(np.exp2(np.asarray(adata.X, np.float64)) - 1)
    adata.raw = adata.copy()
    adata.X = np.zeros_like(adata.X)
    adata.uns["unit"] = "TPM"
    return adata


@pytest.mark.parametrize("suffix", ["", ".h5ad", ".zarr"])
def test_a_layer_is_taken_as_if_it_were_x(
    raw: AnnData, model: dgex.Estimator, panel: AnnData, tmp_path: Path, suffix: str
) -> None:
    given: AnnData | Path = panel
    if suffix:
        given = tmp_path / f"panel{suffix}"
        panel.write_h5ad(given) if suffix == ".h5ad" else panel.write_zarr(given)
    whole = dgex.infer(raw[:5, panel.var_names].copy(), model)
    np.testing.assert_array_equal(dgex.infer(given, model, layer="log").X, whole.X)
    np.testing.assert_allclose(dgex.infer(given, model, layer="tpm", normalize="none").X, whole.X, atol=1e-4)
    why = dgex.explain(model, given, layer="log", genes=[model.targets_[0]], profiles=[panel.obs_names[1]])
    assert why.values["value"].iloc[0] == pytest.approx(whole[1, model.targets_[0]].X.item(), abs=1e-5)
    with pytest.raises(DataError, match=r"no layer 'counts'.*accepted: layer='log'.*layer='tpm'.*layer='raw'"):
        dgex.infer(given, model, layer="counts")


def test_prepare_takes_a_layer(raw: AnnData) -> None:
    whole = raw.copy()
    whole.layers["log"], whole.X = np.asarray(raw.X).copy(), np.ones_like(raw.X)
    made, plain = dgex.prepare(whole, layer="log", seed=0), dgex.prepare(raw.copy(), seed=0)
    np.testing.assert_array_equal(made.X, plain.X)


def test_adapt_takes_a_layer(raw: AnnData, model: dgex.Estimator) -> None:
    whole = raw[:40].copy()
    plain = dgex.adapt(model, whole.copy(), seed=0)
    whole.layers["log"], whole.X = np.asarray(whole.X).copy(), np.ones_like(whole.X)
    x = np.asarray(raw[:3, model.landmarks_].X)
    np.testing.assert_array_equal(dgex.adapt(model, whole, layer="log", seed=0).predict(x), plain.predict(x))


def test_what_is_written_of_x_does_not_tell_the_base_of_a_layer(model: dgex.Estimator, panel: AnnData) -> None:
    del panel.uns["unit"]
    panel.uns["log1p"] = {"base": None}
    with pytest.raises(DataError, match=r"says ln of X, and of the layer 'log' nothing is known; scale='log2'"):
        dgex.infer(panel, model, layer="log")
    told = dgex.infer(panel, model, layer="log", scale="log2")
    del panel.uns["log1p"]
    np.testing.assert_array_equal(told.X, dgex.infer(panel, model, layer="log").X)


def test_a_file_without_layers_is_refused_in_one_line(panel: AnnData, model: dgex.Estimator, tmp_path: Path) -> None:
    dgex.write(panel, tmp_path / "panel.gctx")
    with pytest.raises(SettingsError, match=r"is GCTX and has no layers.*accepted AnnData"):
        dgex.infer(tmp_path / "panel.gctx", model, layer="log")
