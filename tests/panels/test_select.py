"""A panel from a matrix to a gene table: what is chosen, compared, written, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from panel_matrices import raw

import dgex
from dgex.errors import DataError, DgexError, GeneError, OutputExistsError, SettingsError
from dgex.panels.result import PanelChoice

FEW = {"splits": 1, "against": []}


@pytest.fixture
def data() -> AnnData:
    return raw()


def test_the_table_is_taken_by_prepare_as_it_is(data: AnnData, tmp_path: Path) -> None:
    found = dgex.select_landmarks(data, tmp_path / "panel", size=6, against=["random", "components"], splits=2)
    prepared = dgex.prepare(data, genes=tmp_path / "panel" / "panel.tsv", together=0)
    assert prepared.var_names[:6].tolist() == found.panel
    assert (prepared.var["role"] == "landmark").sum() == 6
    assert list(found.table().columns[:5]) == ["gene", "role", "rank", "gain", "also_inferred_from"]


def test_its_test_profiles_are_those_of_prepare(data: AnnData) -> None:
    test = [
        dgex.prepare(data, landmarks=["G0"], group=group, seed=3, together=0).obs["split"] for group in (None, "study")
    ]
    for split, group in zip(test, (None, "study")):
        changed = data.copy()
        changed.X[(split == "test").to_numpy()] += 3  # what is held out shapes no choice
        panels = [dgex.select_landmarks(one, size=8, group=group, seed=3, **FEW).panel for one in (data, changed)]
        assert panels[0] == panels[1]


def test_copies_of_a_profile_stay_on_one_side_as_prepare_keeps_them(data: AnnData) -> None:
    data.X[60:] = data.X[:60] + np.float32(0.001)
    split = dgex.prepare(data, landmarks=["G0"], seed=1).obs["split"].to_numpy()
    assert (split[:60] == split[60:]).all()
    found = dgex.select_landmarks(data, size=5, seed=1, **FEW)
    changed = data.copy()
    changed.X[split == "test"] += 3
    assert dgex.select_landmarks(changed, size=5, seed=1, **FEW).panel == found.panel


def test_a_dataset_keeps_its_own_split_and_group(data: AnnData) -> None:
    prepared = dgex.prepare(data, landmarks=["G0", "G1"], group="study", seed=5, together=0)
    found = dgex.select_landmarks(prepared, size=5, **FEW)
    assert found.settings["split"] == "by study"
    counts = prepared.obs["split"].value_counts()
    assert found.settings["profiles"] == {part: int(counts[part]) for part in ("train", "validation", "test")}
    assert found.panel == dgex.select_landmarks(data, size=5, group="study", seed=5, **FEW).panel


def test_the_panel_does_not_depend_on_units_of_genes_or_on_how_the_matrix_comes(data: AnnData, tmp_path: Path) -> None:
    panel = dgex.select_landmarks(data, size=6, **FEW).panel
    scaled = data.copy()
    scaled.X = (scaled.X - 7) * np.linspace(0.5, 2, data.n_vars, dtype=np.float32) + 8
    assert dgex.select_landmarks(scaled, size=6, **FEW).panel == panel
    dgex.io.write(data, tmp_path / "raw.gctx")
    assert dgex.select_landmarks(tmp_path / "raw.gctx", size=6, **FEW).panel == panel


def test_streamed_and_held_in_memory_it_is_the_same(data: AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    held = dgex.select_landmarks(data, size=6, against=["random", "variable"], splits=2)
    monkeypatch.setattr("dgex.panels.matrix.HELD", 0)
    streamed = dgex.select_landmarks(data, size=6, against=["random", "variable"], splits=2)
    assert streamed.panel == held.panel
    pd.testing.assert_frame_equal(streamed.curve, held.curve, rtol=1e-5)


def test_the_error_is_that_of_a_ridge_trained_and_evaluated(data: AnnData) -> None:
    found = dgex.select_landmarks(data, size=6, splits=1, against=[])
    prepared = dgex.prepare(data, landmarks=found.panel, together=0)
    model = dgex.train(prepared, "ridge")
    result = dgex.evaluate({"ridge": model}, prepared)
    expected = float(result.overall.set_index("model").loc["ridge", "error"])
    at_size = found.curve.query("size == 6 and panel == 'chosen'")["error"].iloc[0]
    assert at_size == pytest.approx(expected, rel=1e-3)


def test_genes_to_keep_come_first_and_added_ones_follow(data: AnnData) -> None:
    found = dgex.select_landmarks(data, keep=["G30", "G31"], add=3, **FEW)
    assert (set(found.panel[:2]), len(found.panel)) == ({"G30", "G31"}, 5)
    assert found.chosen["kept"].tolist() == [True, True, False, False, False]
    assert "Added" in found.text()


def test_thinning_leaves_genes_of_the_panel_and_loses_least(data: AnnData) -> None:
    start = [f"G{at}" for at in range(0, 40, 3)]
    found = dgex.select_landmarks(data, thin=start, size=5, **FEW)
    assert len(found.panel) == 5
    assert set(found.panel) < set(start)


def test_excluded_genes_are_not_chosen_but_stay_targets(data: AnnData) -> None:
    first = dgex.select_landmarks(data, size=3, **FEW).panel
    found = dgex.select_landmarks(data, size=3, exclude=[first[0], "G1?"], **FEW)
    assert not {first[0], *(f"G1{at}" for at in range(10))} & set(found.panel)
    assert found.table().set_index("gene").loc[first[0], "role"] == "target"


def test_genes_too_low_unexpressed_or_of_batches_are_not_chosen(data: AnnData) -> None:
    first = dgex.select_landmarks(data, size=3, **FEW).panel
    at = [data.var_names.get_loc(gene) for gene in first]
    low = data.copy()
    low.X[:, at[0]] -= 6  # its mean is 1
    low.X[: int(0.7 * 120), at[1]] = 0
    low.X[(low.obs["study"] == "S1").to_numpy(), at[2]] += 20
    found = dgex.select_landmarks(low, size=5, min_level=3, max_unexpressed=0.5, max_batch=0.5, batch="study", **FEW)
    assert not set(first) & set(found.panel)
    assert len(found.settings["excluded"]) == 3


def test_a_standardised_dataset_is_judged_in_the_units_of_measurement(data: AnnData) -> None:
    data.X *= np.linspace(0.5, 2, data.n_vars, dtype=np.float32)  # means 3.5 to 14, spreads alike
    prepared = dgex.prepare(data, landmarks=["G0", "G1"], seed=2, together=0)
    settings: dict[str, Any] = {"size": 5, "seed": 2, "min_level": 8.0, "splits": 1, "against": ["variable"]}
    of_raw, of_dataset = dgex.select_landmarks(data, **settings), dgex.select_landmarks(prepared, **settings)
    assert of_raw.settings["excluded"] == of_dataset.settings["excluded"]
    assert of_raw.settings["excluded"][0]["genes"] > 5
    assert of_raw.panel == of_dataset.panel
    errors = [one.curve.query("panel == 'variable'")["error"].tolist() for one in (of_raw, of_dataset)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-3)


def test_weights_turn_the_choice(data: AnnData) -> None:
    rng = np.random.default_rng(0)
    of_their_own = rng.normal(size=(120, 1)) + 0.3 * rng.normal(size=(120, 4))
    data.X[:, 36:] = 7 + of_their_own
    matter = [f"G{at}" for at in range(36, 40)]
    found = dgex.select_landmarks(data, size=1, weights=dict.fromkeys(matter, 100.0), **FEW)
    assert found.panel[0] in matter
    assert dgex.select_landmarks(data, size=1, **FEW).panel[0] not in matter


def test_genes_that_would_come_next_are_genes_to_infer_like_others(data: AnnData) -> None:
    found = dgex.select_landmarks(data[:, :12].copy(), size=4, **FEW)
    assert set(found.candidates["gene"]) <= set(found.genes["gene"])
    assert set(found.genes["gene"]) | set(found.panel) == set(data.var_names[:12])
    assert found.genes.loc[:, "chosen error"].notna().all()


def test_it_stops_at_the_error_asked_for(data: AnnData) -> None:
    whole = dgex.select_landmarks(data, size=10, splits=1, against=[], sizes=[5])
    found = dgex.select_landmarks(data, size=10, error=0.6, **FEW)
    assert found.panel == whole.panel[: len(found.panel)]
    assert 1 <= len(found.panel) < 10
    with pytest.raises(SettingsError, match=r"error: found 0\.01, accepted .* or more, which 10 genes reach"):
        dgex.select_landmarks(data, size=10, error=0.01, **FEW)


def test_constant_genes_are_other_and_never_chosen(data: AnnData) -> None:
    data.X[:, 4] = 5
    found = dgex.select_landmarks(data, size=4, per_group="study", **FEW)
    assert found.table().set_index("gene").loc["G4", "role"] == "other"


def test_a_panel_ties_with_itself(data: AnnData, tmp_path: Path) -> None:
    panel = dgex.select_landmarks(data, size=4, **FEW).panel
    (tmp_path / "same.txt").write_text("\n".join(panel))
    found = dgex.select_landmarks(data, size=4, splits=1, sizes=[4], against=[f"same={tmp_path / 'same.txt'}"])
    row = found.curve.query("panel == 'same'").iloc[0]
    assert (row["improvement"], bool(row["tie"])) == (0, True)


def test_intervals_are_over_groups_where_these_were_split() -> None:
    found = dgex.select_landmarks(raw(studies=20), size=4, group="study", splits=4, against=["random"])
    assert "groups of study" in found.settings["intervals"]
    row = found.curve.query("panel == 'random' and size == 4").iloc[0]
    assert row["improvement_low"] <= row["improvement"] <= row["improvement_high"]
    assert (row["low"] < row["error"] < row["high"], row["splits"]) == (True, 4)


def test_what_is_saved_is_read_back_and_not_overwritten(data: AnnData, tmp_path: Path) -> None:
    found = dgex.select_landmarks(data, tmp_path / "out", size=4, splits=2, against=["random"])
    again = PanelChoice.load(tmp_path / "out")
    assert (again.panel, again.text()) == (found.panel, found.text())
    pd.testing.assert_frame_equal(again.curve, found.curve, check_exact=False, rtol=1e-4)
    with pytest.raises(OutputExistsError):
        dgex.select_landmarks(data, tmp_path / "out", size=4, **FEW)
    dgex.select_landmarks(data, tmp_path / "out", size=3, overwrite=True, **FEW)
    assert len(PanelChoice.load(tmp_path / "out").panel) == 3


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"size": 41}, SettingsError, r"size: found 41, accepted 1 to 39: genes that vary"),
        ({"size": 39}, SettingsError, r"size: found 39, accepted fewer than 39: no other gene varies"),
        ({"size": 0}, SettingsError, r"size: found 0"),
        ({"keep": ["NOPE"]}, GeneError, r"1 of 1 genes to keep are not in the data: NOPE"),
        ({"keep": ["G4"]}, DataError, r"1 genes to keep are constant over the training profiles: G4"),
        ({"keep": ["G1", "G2"], "size": 1}, SettingsError, r"size: found 1, accepted 2"),
        ({"thin": ["G4", "G5"], "size": 1}, DataError, r"constant"),
        ({"thin": ["G1", "G5"], "size": 3}, SettingsError, r"size: found 3, accepted 1 to 2"),
        ({"per_group": "one"}, DataError, r"need several groups among the training profiles: found 1 \(a\)"),
        ({"per_group": "nope"}, DataError, r"no column 'nope' in obs"),
        ({"group": "one"}, DataError, r"1 groups cannot be split"),
        ({"against": ["nope"]}, SettingsError, r"against: found 'nope', accepted random, variable"),
        ({"against": ["random", "random"]}, SettingsError, r"each name once"),
        ({"against": ["roles"]}, GeneError, r"no landmark genes in var\['role'\]"),
        ({"sizes": [50], "size": 5}, SettingsError, r"sizes: found \[50\]"),
        ({"max_batch": 0.5}, SettingsError, r"max_batch needs batches"),
        ({"penalty": 0.0}, SettingsError, r"penalty: found 0"),
        ({"accuracy": 2.0}, SettingsError, r"accuracy: found 2"),
        ({"add": 3}, SettingsError, r"add is how many"),
    ],
)
def test_bad_input_is_told_in_one_line(data: AnnData, wrong: dict[str, object], error: type, says: str) -> None:
    data.X[:, 4] = 5
    data.obs["one"] = "a"
    with pytest.raises(error, match=says) as caught:
        dgex.select_landmarks(data, **({"splits": 1, "against": [], "size": None} | wrong))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_nothing_is_left_where_nothing_varies_or_too_little_is_there(data: AnnData, tmp_path: Path) -> None:
    flat = data.copy()
    flat.X[:] = 3
    for bad in (flat, data[:6].copy()):
        with pytest.raises(DgexError, match=r"no gene of|too little"):
            dgex.select_landmarks(bad, tmp_path / "out", size=2)
    assert not list(tmp_path.iterdir())


def test_rows_of_one_gene_become_one_and_linear_values_are_logged(data: AnnData) -> None:
    linear = AnnData(X=np.exp2(data.X) * 50, obs=data.obs, var=data.var)
    found = dgex.select_landmarks(linear, size=4, **FEW)
    assert "brought to log2" in found.settings["found"]["Scale"]
    twice = AnnData(X=np.hstack([data.X, data.X[:, :5]]), obs=data.obs)
    twice.var_names = [*data.var_names, *data.var_names[:5]]
    assert dgex.select_landmarks(twice, size=4, **FEW).panel == dgex.select_landmarks(data, size=4, **FEW).panel


def test_a_panel_for_e_coli_beats_random_genes(real_data: Path) -> None:
    found = dgex.select_landmarks(real_data / "ecoli.parquet", size=25, sizes=[25], splits=2, against=["random"])
    row = found.curve.query("panel == 'random'").iloc[0]
    assert row["improvement_low"] > 0.05
