"""A closer look: chosen without a look at the test profiles, honest of where, exact in its numbers."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from pages import Tree, embedded

import dgex
from dgex.errors import GeneError
from dgex.evaluation.evaluate import evaluate


@pytest.fixture(scope="module")
def by_study(compendium: ad.AnnData) -> ad.AnnData:
    return dgex.prepare(compendium.copy(), group="study", seed=0)


@pytest.fixture(scope="module")
def trained(by_study: ad.AnnData) -> dict[str, Any]:
    return {"neighbours": dgex.train(by_study, "knn"), "ridge": dgex.train(by_study, "ridge", alpha=10.0)}


@pytest.fixture(scope="module")
def result(by_study: ad.AnnData, trained: dict[str, Any]) -> Any:
    return evaluate(trained, by_study, "test,validation")


def test_the_model_told_of_is_the_best_on_profiles_of_its_training(result: Any, trained: dict[str, Any]) -> None:
    errors = {name: float(model.confidence_.accuracy["error"].mean()) for name, model in trained.items()}
    assert {look.model for look in result.looks.values()} == {min(errors, key=lambda name: errors[name])}


def test_without_judged_models_it_is_the_first(models: dict[str, Any], data: ad.AnnData) -> None:
    look = evaluate(models, data, "test").looks["test"]
    assert look.model == "LR"
    assert "the first one given" in look.because
    assert (look.genes["trust"] == "").all()


def test_errors_of_genes_in_original_units(result: Any, by_study: ad.AnnData) -> None:
    look = result.looks["test"]
    rows = (by_study.obs["split"] == "test").to_numpy()
    columns = by_study.var_names.get_indexer(look.genes.index)
    std = np.asarray(by_study.varm["std"])[columns, 0]
    np.testing.assert_allclose(look.genes["original"], look.genes["error"] * std, rtol=1e-5)
    assert look.original == "log2"
    raw = np.asarray(by_study.X)[np.ix_(rows, columns)] * std + np.asarray(by_study.varm["mean"])[columns, 0]
    at = [look.genes.index.get_loc(gene) for gene in look.points.genes]
    names = by_study.obs_names[rows].get_indexer(look.points.profiles)
    np.testing.assert_allclose(look.points.measured, raw[np.ix_(names, at)], rtol=1e-4, atol=1e-4)


def test_points_and_errors_by_group_are_those_of_the_table(result: Any) -> None:
    points = result.looks["test"].points
    apart = pd.DataFrame(np.abs(points.measured - points.inferred), columns=points.genes)
    expected = apart.groupby(points.groups).mean()
    np.testing.assert_allclose(points.by_group, expected.loc[points.by_group.index], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        apart.mean(), result.looks["test"].genes.loc[points.genes, "original"], rtol=1e-3, atol=1e-4
    )


def test_worst_profiles_come_first(result: Any) -> None:
    look = result.looks["test"]
    assert (np.diff(look.profiles["error"]) <= 0).all()
    overall = result.overall.query("split == 'test' and model == @look.model")["error"].iat[0]
    assert look.profiles["error"].mean() == pytest.approx(overall, rel=1e-5)


def test_where_a_split_by_study_measures(result: Any, by_study: ad.AnnData) -> None:
    assert result.looks["test"].where.startswith("studies it has never seen")
    mixed = by_study.copy()
    split, study = mixed.obs["split"].astype(str).to_numpy(), mixed.obs["study"].astype(str).to_numpy()
    split[np.flatnonzero(study == study[split == "test"][0])[0]] = "train"
    mixed.obs["split"] = split
    ridge = dgex.train(by_study, "ridge", alpha=10.0)
    assert "of which it knows" in evaluate({"ridge": ridge}, mixed, "test").looks["test"].where


def test_training_profiles_among_those_measured_are_told_first(trained: dict[str, Any], by_study: ad.AnnData) -> None:
    look = evaluate(trained, by_study, "train").looks["train"]
    assert "its own training profiles" in look.where
    assert look.beware.startswith("Beware: ")


def test_drivers_are_the_weights_of_a_linear_model(trained: dict[str, Any], by_study: ad.AnnData) -> None:
    model = trained["ridge"]
    points = evaluate({"ridge": model}, by_study, "test").looks["test"].points
    gene = points.genes[0]
    row = model.coef_[list(model.targets_).index(gene)]
    assert [name for name, _ in points.drivers[gene]] == [
        model.landmarks_[at] for at in np.argsort(-np.abs(row), kind="stable")[:8]
    ]


def test_the_page_tells_sets_apart_and_the_best_genes_first(result: Any) -> None:
    page = result.comparison().page().html()
    tree = Tree(page)
    assert tree.text("h2")[:2] == [result.comparison()._headline(s) for s in ("test", "validation")]
    assert sum(attributes.get("class") == "lead" for attributes in tree.all("p")) == 2
    (table,) = [part for part in embedded(page) if isinstance(part, dict) and "measures" in part]
    assert table["given"]
    first = table["measures"][0]
    assert first["columns"][:2] == ["Trust", "r"]
    order = {"high": 0, "medium": 1, "low": 2, "unknown": 3}
    ranks = [order[word] for word in first["values"][0]]
    assert ranks == sorted(ranks)
    assert page.count('<figure class="plot">') == 2
    assert 'aria-label="Card of a gene"' in page


def test_genes_asked_for_have_a_card(trained: dict[str, Any], by_study: ad.AnnData, monkeypatch: Any) -> None:
    from dgex.evaluation import closer

    monkeypatch.setattr(closer, "CELLS", 100)
    gene = trained["ridge"].targets_[7]
    points = evaluate(trained, by_study, "test", cards=[gene]).looks["test"].points
    assert gene in points.genes
    assert len(points.genes) < 30
    with pytest.raises(GeneError, match="nonsense"):
        evaluate(trained, by_study, "test", cards=["nonsense"])
