"""The page of an inference: of every gene and profile, apart from the output, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from pages import Tree

import dgex
from dgex.errors import OutputExistsError, SettingsError
from dgex.fitting.train import train
from dgex.inference.likeness import Likeness


@pytest.fixture(scope="module")
def model(dataset: ad.AnnData) -> Any:
    return train(dataset, "ridge", alpha=10.0)


@pytest.fixture
def panel(compendium: ad.AnnData) -> ad.AnnData:
    return compendium[:25, (compendium.var["role"] == "landmark").to_numpy()].copy()


@pytest.mark.parametrize("block", [4, 4096])
def test_tables_are_those_of_the_result(model: Any, panel: ad.AnnData, tmp_path: Path, block: int) -> None:
    result = dgex.infer(panel, model, block=block, report=tmp_path / "rep")
    assert result is not None
    assert {p.name for p in (tmp_path / "rep").glob("[!.]*")} == {
        "report.html", "genes.csv", "profiles.csv", "inference.json",
    }  # fmt: skip
    genes = pd.read_csv(tmp_path / "rep" / "genes.csv", index_col="gene")
    assert genes["trust"].tolist() == result.var["trust"].tolist()
    np.testing.assert_allclose(genes["expected_error"], result.var["expected_error"], rtol=1e-4)
    profiles = pd.read_csv(tmp_path / "rep" / "profiles.csv", index_col="profile")
    assert profiles.index.tolist() == result.obs_names.tolist()
    np.testing.assert_allclose(profiles["distance"], result.obs["distance"], rtol=1e-3, atol=1e-5)
    Tree((tmp_path / "rep" / "report.html").read_text("utf-8"))


def test_missing_landmark_genes_are_named_with_their_cost(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    dgex.infer(panel[:, 1:].copy(), model, tmp_path / "full.h5ad", missing="impute", report=tmp_path / "rep")
    page = (tmp_path / "rep" / "report.html").read_text("utf-8")
    assert "19 of 20 landmark genes are in the input. 1 missing gene is filled" in page
    assert "raises the expected error by" in page
    assert panel.var_names[0] in page


def test_a_file_that_looks_wrong_is_told_first(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    names = panel.var_names.to_numpy()
    shuffled = ad.AnnData(np.asarray(panel.X), panel.obs, pd.DataFrame(index=np.roll(names, 7)))
    dgex.infer(shuffled, model, report=tmp_path / "rep")
    page = (tmp_path / "rep" / "report.html").read_text("utf-8")
    assert page.index('class="warning"') < page.index("Do not rely") < page.index("Landmark genes found")


def test_going_on_tells_of_all_profiles(
    model: Any, panel: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dgex.inference import infer as module

    def stop(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_report", stop)
        with pytest.raises(KeyboardInterrupt):
            dgex.infer(panel, model, tmp_path / "full.h5ad", block=4, resume=True, report=tmp_path / "rep")
    assert not (tmp_path / "rep").exists()
    wanted = {"block": 4, "resume": True, "overwrite": True, "report": tmp_path / "rep"}
    dgex.infer(panel, model, tmp_path / "full.h5ad", **wanted)
    assert len(pd.read_csv(tmp_path / "rep" / "profiles.csv")) == 25


def test_the_folder_stands_apart_from_the_output_and_from_other_work(
    model: Any, panel: ad.AnnData, tmp_path: Path
) -> None:
    for output, report in (("rep/full.h5ad", "rep"), ("full.zarr", "full.zarr/rep"), ("rep.h5ad", "rep.h5ad")):
        with pytest.raises(SettingsError, match="apart from the output"):
            dgex.infer(panel, model, tmp_path / output, report=tmp_path / report)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExistsError, match="is not a report of an inference"):
        dgex.infer(panel, model, report=tmp_path / "mine", overwrite=True)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert not list(tmp_path.glob("*.h5ad"))


def test_a_file_is_doubted_where_half_its_profiles_are_unlike_or_its_middle_lies_far_out() -> None:
    def doubted(farther: list[float]) -> bool:
        found = Likeness(None, None)
        found.known(np.array(farther, np.float32))
        return found.doubted

    assert doubted([0.0] * 5 + [0.5] * 5)
    assert not doubted([0.0] * 4 + [0.5] * 6)
    assert doubted([0.1] * 10)
    assert not doubted([0.1] * 9)
    assert not doubted([])
    assert not doubted([np.nan] * 20)
