from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from given import dataset, drawn, layers, network, simple, training
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import dgex
from dgex.errors import GeneError, ModelError, SettingsError
from dgex.interpretation.attribution import Gap, attribute
from dgex.interpretation.layers import layers_of
from dgex.models.network.dgex import DGEX


def adjusted(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    r2 = r2_score(Y, LinearRegression().fit(X, Y).predict(X), multioutput="raw_values")
    return 1 - (1 - r2) * (len(X) - 1) / (len(X) - X.shape[1] - 1)


def test_adjusted_r2_is_that_of_scikit_learn_on_raw_genes_and_on_the_last_hidden_layer():
    model, data = simple([6, 20, 9, 14]), dataset(120, 6, 14)
    found = dgex.interpret(model, data, samples=3)
    X, Y = training(data)
    hidden = layers(model.parts_[0].weights[1]).units(torch.from_numpy(X))[-1].numpy()
    assert found.adjusted_r2["gene"].tolist() == model.targets_
    np.testing.assert_allclose(found.adjusted_r2["landmarks"], adjusted(X, Y), rtol=1e-6)
    np.testing.assert_allclose(found.adjusted_r2["hidden"], adjusted(hidden, Y), rtol=1e-4)
    share = (adjusted(hidden, Y) > adjusted(X, Y)).mean()
    assert found.summary["adjusted_r2"]["share_rising"] == pytest.approx(share)
    assert found.summary["adjusted_r2"]["regressors_hidden"] == [9]


def test_attributions_start_from_the_mean_training_profile_and_rank_landmark_genes():
    model, data = simple([6, 20, 14]), dataset(60, 6, 14)
    found = dgex.interpret(model, data, samples=1000, top=4)
    X, _ = training(data)
    own = attribute(layers(model.parts_[0].weights[1]), X, X.mean(0), 1, Gap())
    rows = found.attributions
    assert len(rows) == 14 * 4
    for at, gene in enumerate(model.targets_):
        part = rows[rows["gene"] == gene]
        order = np.argsort(-own.mean_absolute[at])[:4]
        assert part["landmark"].tolist() == [f"L{i}" for i in order]
        assert part["rank"].tolist() == [1, 2, 3, 4]
        for name in ("mean", "mean_absolute", "effect"):
            np.testing.assert_allclose(part[name], getattr(own, name)[at, order], rtol=1e-3, atol=1e-5)
    assert found.summary["attributions"]["gap_share"] < 1e-5
    assert found.summary["attributions"]["profiles"] == 55


def test_blocks_change_nothing():
    model, data = simple([6, 20, 9, 14]), dataset(90, 6, 14)
    one, other = (dgex.interpret(model, data, samples=11, block=block) for block in (4096, 7))
    pd.testing.assert_frame_equal(one.adjusted_r2, other.adjusted_r2, rtol=1e-9)
    pd.testing.assert_frame_equal(one.attributions, other.attributions, rtol=1e-4, atol=1e-7)
    again = dgex.interpret(model, data, samples=11)
    pd.testing.assert_frame_equal(one.attributions, again.attributions, check_exact=True)


def test_too_few_steps_are_told(caplog):
    with caplog.at_level(logging.WARNING, "dgex"):
        dgex.interpret(simple([6, 20, 9, 14], scale=3.0), dataset(60, 6, 14), samples=9, steps=1)
    assert "more are needed" in caplog.text


def test_parts_are_networks_of_their_own():
    targets = [np.array([0, 3, 4, 9]), np.array([1, 2, 5, 6, 7, 8])]
    weights = [drawn([6, 30, len(own)], seed) for seed, own in enumerate(targets)]
    weights[1]["layers.1.weight"][2:5, 17] = 30.0  # targets 5, 6, 7
    model, data = network([{1: part} for part in weights], {"last": 1}, targets), dataset(90, 6, 10)
    found = dgex.interpret(model, data, samples=8, top=6, input_threshold=9)
    assert found.hubs[["part", "unit", "targets"]].to_numpy().tolist() == [[2, 17, 3]]
    assert set(found.gene_sets["gene"]) == {"T5", "T6", "T7"}
    assert found.attributions["gene"].unique().tolist() == model.targets_
    X, Y = training(data)
    for part, own in zip(weights, targets):
        hidden = layers(part).units(torch.from_numpy(X))[-1].numpy()
        np.testing.assert_allclose(found.adjusted_r2["hidden"].iloc[own], adjusted(hidden, Y[:, own]), rtol=1e-4)
        names = [f"T{i}" for i in own]
        alone = network([{1: part}], {"last": 1}, [np.arange(len(own))])
        alone._set_genes(alone.landmark_genes().drop(columns="role"), pd.DataFrame(index=pd.Index(names, dtype=str)))
        expected = dgex.interpret(alone, data, samples=8, top=6).attributions
        rows = found.attributions[found.attributions["gene"].isin(names)].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, expected)
    assert {"major-weights-part-2", "adjusted-r2"} <= set(found.figures())


def test_every_kept_epoch_can_be_chosen():
    both = [{2: drawn([6, 20, 5], 0), 3: drawn([6, 20, 5], 1)}]
    model, data = network(both, {"GEO-va": 3, "1000G-va": 2}, [np.arange(5)]), dataset(60, 6, 5)
    kept = {best: dgex.interpret(model, data, best=best, samples=4) for best in (None, "GEO-va", "1000G-va")}
    assert [kept[best].summary["model"]["epoch"] for best in kept] == [[3], [3], [2]]
    pd.testing.assert_frame_equal(kept[None].attributions, kept["GEO-va"].attributions)
    alone = dgex.interpret(simple([6, 20, 5], 0), data, samples=4)
    pd.testing.assert_frame_equal(kept["1000G-va"].attributions, alone.attributions)
    with pytest.raises(SettingsError, match="found 'GTEx', accepted GEO-va, 1000G-va"):
        dgex.interpret(model, data, best="GTEx")


def test_linear_models_have_the_closed_form():
    data = dataset(80, 6, 5)
    model = dgex.OLS().fit(data[:75].copy(), data[:75].copy())
    found = dgex.interpret(model, data, samples=80, top=6)
    X, _ = training(data)
    order = [int(name[1:]) for name in model.landmarks_]
    X = X[:, order]
    expected = pd.DataFrame(np.abs(model.coef_) * np.abs(X - X.mean(0)).mean(0), model.targets_, model.landmarks_)
    for row in found.attributions.itertuples():
        assert row.mean_absolute == pytest.approx(expected.loc[row.gene, row.landmark], rel=1e-4)
        assert abs(row.mean) < 1e-5  # both sides of the mean cancel
    assert found.hubs.empty
    assert not found.figures()
    with pytest.raises(SettingsError, match="best: found 'x' for ols, accepted for networks only"):
        dgex.interpret(model, data, best="x")


def test_too_few_profiles_leave_the_rest(caplog):
    with caplog.at_level(logging.WARNING, "dgex"):
        found = dgex.interpret(simple([30, 8, 5]), dataset(25, 30, 5), samples=4)
    assert "adjusted R2 of the landmark genes is not defined: found 20 training profiles" in caplog.text
    assert found.adjusted_r2["landmarks"].isna().all()
    assert found.adjusted_r2["hidden"].notna().all()
    assert found.summary["adjusted_r2"]["share_rising"] is None
    assert len(found.attributions) == 50
    assert "adjusted-r2" not in found.figures()


def test_genes_are_found_by_name_and_missing_ones_are_told(caplog):
    model, data = simple([6, 20, 5]), dataset(60, 6, 5)
    some = dgex.interpret(model, data, genes=["T3", "T1", "T3"], samples=4)
    assert some.attributions["gene"].unique().tolist() == ["T1", "T3"]
    with pytest.raises(GeneError, match="no target gene named TP53"):
        dgex.interpret(model, data, genes=["T1", "TP53"])
    with pytest.raises(GeneError, match="1 of 6 landmark genes of the model are missing from the data: L2"):
        dgex.interpret(model, data[:, data.var_names != "L2"].copy())
    with caplog.at_level(logging.WARNING, "dgex"):
        fewer = dgex.interpret(model, data[:, data.var_names != "T2"].copy(), samples=4)
    assert "4 of 5 target genes in the data" in caplog.text
    assert fewer.adjusted_r2["gene"].tolist() == ["T0", "T1", "T3", "T4"]
    assert len(fewer.attributions["gene"].unique()) == 5


def test_what_cannot_be_interpreted_is_refused():
    data = dataset(60, 6, 5)
    neighbours = dgex.KNNGE(n_neighbors=2).fit(data, data)
    with pytest.raises(ModelError, match=r"a model of kind knn-ge has no weights.*accepted: a network"):
        dgex.interpret(neighbours, data)
    with pytest.raises(ModelError, match="not fitted"):
        dgex.interpret(dgex.DGEX(), data)
    for settings in ({"samples": 0}, {"steps": 0}, {"top": 0}, {"hubs": 0}, {"input_threshold": 0.0}, {"genes": []}):
        with pytest.raises(SettingsError, match=next(iter(settings))):
            dgex.interpret(simple([6, 20, 5]), data, **settings)


def test_values_in_other_units_are_told(caplog, dataset):
    model = dgex.train(dataset, "ols")
    other = dataset.copy()
    other.varm["mean"] = dataset.varm["mean"] + 1.0
    with caplog.at_level(logging.WARNING, "dgex"):
        dgex.interpret(model, dataset, samples=4)
        assert "normalised otherwise" not in caplog.text
        dgex.interpret(model, other, samples=4)
    assert "normalised otherwise" in caplog.text


def standardised_inside(best: DGEX, seed: int = 5) -> tuple[DGEX, dict[str, np.ndarray]]:
    """The same network for genes in other units, which it standardises; and the means and scales."""
    rng, genes = np.random.default_rng(seed), {"x": best.n_features_in_, "y": best.n_targets_}
    of = {f"{k}_mean": rng.normal(9, 2, n).astype(np.float32) for k, n in genes.items()}
    of |= {f"{k}_scale": rng.uniform(0.5, 3, n).astype(np.float32) for k, n in genes.items()}
    model = simple([6, 20, 9, 14])
    model._keep(best.parts_, of)
    return model, of


def test_a_network_that_standardises_inside_is_that_of_standardised_genes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    model, data = simple([6, 20, 9, 14]), dataset(120, 6, 14)
    inside, of = standardised_inside(model)
    other = data.copy()
    order = {
        name: at for kind, names in (("x", model.landmarks_), ("y", model.targets_)) for at, name in enumerate(names)
    }
    for at, (name, role) in enumerate(zip(other.var_names, other.var["role"])):
        kind = "x" if role == "landmark" else "y"
        other.X[:, at] = other.X[:, at] * of[f"{kind}_scale"][order[name]] + of[f"{kind}_mean"][order[name]]
    one = dgex.interpret(model, data, samples=9, input_threshold=1.5, output_threshold=1.5, top=6)
    assert "standard units" not in caplog.text
    two = dgex.interpret(inside, other, samples=9, input_threshold=1.5, output_threshold=1.5, top=6)
    assert "its weights are read in standard units" in caplog.text
    pd.testing.assert_frame_equal(two.major_weights, one.major_weights)
    pd.testing.assert_frame_equal(two.adjusted_r2, one.adjusted_r2, atol=1e-4)
    keys = ["gene", "landmark"]
    scale = of["y_scale"][
        [order[gene] for gene in one.attributions.set_index(keys).sort_index().index.get_level_values(0)]
    ]
    first, second = (found.attributions.set_index(keys).sort_index() for found in (one, two))
    for name in ("mean", "mean_absolute", "effect"):
        np.testing.assert_allclose(second[name], first[name] * scale, rtol=2e-3, atol=1e-4)
    assert two.summary["attributions"]["gap_share"] < 1e-3
    assert two.summary["major_weights"]["units"] == "standard"


def test_layers_in_the_units_of_the_data_predict_what_the_model_predicts() -> None:
    inside, _ = standardised_inside(simple([6, 20, 9, 14]))
    X = np.random.default_rng(1).normal(9, 3, size=(30, 6)).astype(np.float32)
    whole = layers_of(inside, None, torch.device("cpu"))[0].in_units()
    np.testing.assert_allclose(whole.forward(torch.from_numpy(X)), inside.predict(X), rtol=1e-4, atol=1e-4)
    few = layers_of(inside, None, torch.device("cpu"))[0].only(np.array([2, 5])).in_units()
    np.testing.assert_allclose(few.forward(torch.from_numpy(X)), inside.predict(X)[:, [2, 5]], rtol=1e-4, atol=1e-4)
