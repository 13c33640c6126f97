"""Intervals of comparisons: the draws by index, whole groups in closed form, ties, and who the baseline is."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from honest import Linear, dataset
from numpy.testing import assert_allclose

from dgex.evaluation.bootstrap import LEVEL, Resampled, profile_errors
from dgex.evaluation.evaluate import evaluate
from dgex.evaluation.result import TRIVIAL
from dgex.report.tables import cell
from dgex.summary import info


def errors(profiles: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    hard = rng.gamma(4, 0.1, profiles)  # what makes a profile hard for both
    return {"base": hard + 0.02 * rng.normal(size=profiles), "model": 0.99 * hard + 0.02 * rng.normal(size=profiles)}


def by_index(of: dict[str, np.ndarray], repeats: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Ends of the intervals of difference and improvement, with positions of profiles drawn one by one."""
    rng = np.random.default_rng(99)
    groups = np.arange(len(of["base"])) if groups is None else groups
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    found = []
    for _ in range(repeats):
        drawn = np.concatenate([members[at] for at in rng.integers(0, len(members), len(members))])
        base, model = of["base"][drawn].mean(), of["model"][drawn].mean()
        found.append((model - base, 1 - model / base))
    return np.percentile(found, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0).T


@pytest.mark.parametrize("grouped", [False, True])
def test_agrees_with_drawing_profiles_one_by_one(grouped: bool) -> None:
    of = errors(60)
    groups = np.repeat(["a", "b", "c", "d", "e", "f"], [3, 20, 7, 10, 5, 15]) if grouped else None
    found = Resampled(of, groups, repeats=40_000).against("model", "base")
    difference, improvement = by_index(of, 20_000, groups)
    for mine, theirs in (
        ((found.difference_low, found.difference_high), difference),
        ((found.improvement_low, found.improvement_high), improvement),
    ):
        assert_allclose(mine, theirs, atol=0.04 * np.ptp(theirs))  # of the draws: about one in a hundred


def test_two_groups_in_closed_form() -> None:
    """Of two groups a quarter of the draws holds one alone, which are then the ends of the interval."""
    of = {"base": np.array([1.0, 1.0, 1.0, 2.0]), "model": np.array([0.5, 0.5, 0.5, 1.8])}
    found = Resampled(of, np.array(["a", "a", "a", "b"])).against("model", "base")
    ends = found.difference_low, found.difference_high, found.improvement_low, found.improvement_high
    assert_allclose(ends, [-0.5, -0.2, 0.1, 0.5])
    assert found.difference == pytest.approx((1.5 + 1.8 - 5) / 4)


def test_groups_that_hold_their_profiles_twice_are_drawn_as_the_groups() -> None:
    of = errors(30)
    doubled = {name: np.repeat(values, 2) for name, values in of.items()}
    one, other = Resampled(of), Resampled(doubled, np.repeat(np.arange(30), 2))
    assert_allclose(np.array(list(vars(one.against("model", "base")).values()), float),
                    np.array(list(vars(other.against("model", "base")).values()), float))  # fmt: skip
    apart = Resampled(doubled).against("model", "base")  # as if they were 60 of their own: too narrow
    whole = other.against("model", "base")
    assert apart.difference_high - apart.difference_low < 0.8 * (whole.difference_high - whole.difference_low)


def test_the_same_error_is_a_tie_and_a_better_one_is_none() -> None:
    of = errors(200) | {"half": 0.5 * errors(200)["base"]}
    drawn = Resampled(of)
    same = drawn.against("base", "base")
    assert (same.difference, same.improvement_low, same.improvement_high, same.tie) == (0, 0, 0, True)
    half = drawn.against("half", "base")
    assert not half.tie
    assert_allclose([half.improvement_low, half.improvement_high], 0.5)
    assert not drawn.against("base", "half").tie  # clearly worse


def test_one_profile_or_group_has_no_interval_and_nan_stays() -> None:
    for drawn in (Resampled(errors(1)), Resampled(errors(9), np.zeros(9))):
        found = drawn.against("model", "base")
        assert np.isnan([found.difference_low, found.improvement_high]).all()
        assert not found.tie
    of = errors(20)
    of["model"][3] = np.nan
    assert np.isnan(Resampled(of).against("model", "base").difference_low)


def test_the_mean_over_profiles_is_the_overall_error(data, models) -> None:
    result = evaluate(models, data, spearman=False)
    rows = (data.obs["split"] == "test").to_numpy()
    targets = (data.var["role"] == "target").to_numpy()
    inferred = models["strong"].predict(data.X[rows][:, (data.var["role"] == "landmark").to_numpy()])
    found = profile_errors(data.X[rows][:, targets], inferred)
    assert found.mean() == pytest.approx(result.overall.set_index("model").at["strong", "error"], rel=1e-9)


def test_evaluations_tell_ties_and_intervals(data, models) -> None:
    twin = Linear(1e-6, "ols").fit(*(2 * [data[(data.obs["split"] == "train").to_numpy()].copy()]))
    result = evaluate({**models, "twin": twin}, data, baseline="LR", spearman=False)
    table = result.overall.set_index("model")
    assert table.at["twin", "tie"]
    assert not table.at[TRIVIAL, "tie"]  # clearly worse
    assert (table["improvement_low"] <= table["improvement"])[["twin", "strong", TRIVIAL]].all()
    assert (table["improvement"] <= table["improvement_high"])[["twin", "strong", TRIVIAL]].all()
    assert np.isnan(table.at["LR", "improvement_low"])
    lines = {line.split()[0]: line.split() for line in str(result).splitlines() if line.strip()}
    assert "tie" in lines["twin"]
    assert "tie" not in lines["training"]


def test_whole_groups_are_drawn_where_the_dataset_was_split_by_them(data, models, caplog) -> None:
    grouped = data.copy()
    grouped.obs["study"] = [f"s{i // 5}" for i in range(len(grouped))]
    grouped.uns["dgex"] = {"split": {"group": "study"}}
    with caplog.at_level(logging.WARNING, "dgex"):
        result = evaluate(models, grouped, "test", spearman=False)
    units = grouped.obs.loc[grouped.obs["split"] == "test", "study"].nunique()
    assert result.settings["intervals"]["of"]["test"] == {"over": "study", "units": units}
    assert f"20 profiles, {units} groups of study, 11 target genes" in str(result)
    assert result.settings["data"]["split"].startswith("by study: train ")
    assert "too few" in caplog.text
    grouped.obs["study"] = "one"
    with caplog.at_level(logging.WARNING, "dgex"):
        over = evaluate(models, grouped, "test", spearman=False).settings["intervals"]["of"]["test"]
    assert over["over"] == "profiles"
    assert "all are of one" in caplog.text


def test_the_baseline_is_the_better_on_validation() -> None:
    """With fewer profiles than landmark genes least squares is worse than no model."""
    data = dataset(profiles=60, landmarks=14)
    train = data[(data.obs["split"] == "train").to_numpy()].copy()
    poor = Linear(1e-9, "ols").fit(train, train)
    assert evaluate({"LR": poor}, data, spearman=False).settings["baseline"] == TRIVIAL
    good = dataset()
    fitted = Linear(1e-6, "ols").fit(*(2 * [good[(good.obs["split"] == "train").to_numpy()].copy()]))
    result = evaluate({"LR": fitted}, good, spearman=False)
    assert result.settings["baseline"] == "LR"
    assert "the better on validation" in result.settings["baseline_because"]
    without = good[(good.obs["split"] != "validation").to_numpy()].copy()
    result = evaluate({"LR": fitted}, without, spearman=False)
    assert (result.settings["baseline"], "no validation" in result.settings["baseline_because"]) == ("LR", True)


def test_what_was_chosen_is_told(tmp_path) -> None:
    import dgex

    world = dgex.simulate(samples=120, landmarks=6, targets=5, seed=0)
    data = dgex.prepare(world, tmp_path / "d.h5ad", group="study")
    assert data is None or data.n_obs == 120
    model = dgex.train(tmp_path / "d.h5ad", "ridge", tmp_path / "ridge")
    result = evaluate({"ridge": model}, tmp_path / "d.h5ad", spearman=False)
    assert result.settings["models"]["ridge"]["chosen"] == {"alpha": model.alpha_}
    result.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert f"alpha={cell(model.alpha_)} (chosen)" in page
    assert "by study: train " in page
    assert info(tmp_path / "ridge")["chosen on validation"] == {"alpha": model.alpha_}
    card = (tmp_path / "ridge" / "README.md").read_text("utf-8")
    assert "- Split: by study: train " in card


def test_interval_of_an_error_is_that_of_means_of_groups() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    errors = rng.normal(1, 0.3, 40)[groups]  # profiles of a group are alike, groups alike in size
    low, high = Resampled({"m": errors}, groups).interval("m")
    half = 1.96 * errors.std() / np.sqrt(40)
    assert [low, high] == pytest.approx([errors.mean() - half, errors.mean() + half], abs=0.15 * half)
    assert np.isnan(Resampled({"m": errors}, np.zeros(len(errors))).interval("m")).all()


def test_errors_by_group_make_up_the_whole() -> None:
    grouped = dataset()
    grouped.obs["study"] = [f"s{i // 5}" for i in range(len(grouped))]
    grouped.uns["dgex"] = {"split": {"group": "study"}}
    train = grouped[(grouped.obs["split"] == "train").to_numpy()].copy()
    result = evaluate({"m": Linear().fit(train, train)}, grouped, spearman=False)
    whole = result.overall.set_index("model")["error"]
    for name, rows in result.groups.groupby("model"):
        assert np.average(rows["error"], weights=rows["profiles"]) == pytest.approx(whole[name], rel=1e-6)
    assert "errors by study" in str(result)
    assert len(result.to_dict()["groups"]) == len(result.groups)
