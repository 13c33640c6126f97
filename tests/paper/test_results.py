"""Selection, improvements and tables, from errors that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dgex.dataset.platforms import Platform
from dgex.errors import ModelError
from dgex.paper.data import Described
from dgex.paper.fit import halves_name
from dgex.paper.folder import MEASURED
from dgex.paper.intervals import gain_words, interval_words, resampled
from dgex.paper.measured import Measured, read_measured
from dgex.paper.notes import order_words
from dgex.paper.plan import resolve
from dgex.paper.published import table
from dgex.paper.results import Results
from dgex.paper.tables import comparison, counterparts, every_dropout, main_table, method_table, text

GEO, GTEX = Platform("GEO", "validation", "test", "GEO-te"), Platform("GTEx", "1000G-va", "GTEx-te", "GTEx-te")
# name -> errors of two genes on validation, test, 1000G-va, GTEx-te
KNOWN = {
    "ols": ([0.4, 0.6], [0.4, 0.6], [0.5, 0.5], [0.5, 0.5]),
    "3000x1-dropout0.1": ([0.3, 0.3], [0.5, 0.4], [0.9, 0.9], [0.2, 0.2]),  # selected for GEO
    "9000x1-dropout0.1": ([0.4, 0.4], [0.1, 0.1], [0.4, 0.4], [0.6, 0.2]),  # best on test; selected for GTEx
}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    plan = resolve("paper", {"layers": (1,), "dropout": (0.1, 0.25), "methods": ("ols", "ridge")})
    data = Described(tmp_path / "data.h5ad", [GEO, GTEX], {"title": "known", "landmarks": 3, "targets": 2}, ["A", "B"])
    for name, values in KNOWN.items():
        errors = {key: np.array(v, np.float32) for key, v in zip(data.sets, values)}
        best = {"validation": {"epoch": 7}, "1000G-va": {"epoch": 9}}
        Measured(name, {"method": name if name == "ols" else "dgex", "best": best}, errors).save(_made(tmp_path))
    Measured("6000x1-dropout0.1", {"method": "dgex", "diverged": True}, {}).save(_made(tmp_path))
    Measured("cmap", {"method": "cmap"}, {"test": np.array([0.1, np.nan], np.float32)}).save(_made(tmp_path))
    return Results(tmp_path, plan, data)


def _made(folder: Path) -> Path:
    (folder / MEASURED).mkdir(exist_ok=True)
    return folder / MEASURED


def test_a_network_is_selected_on_validation_and_best_on_test(results: Results) -> None:
    assert results.selected(GEO) == "3000x1-dropout0.1"
    assert results.best(GEO) == "9000x1-dropout0.1"
    assert results.selected(GTEX) == "9000x1-dropout0.1"
    assert results.best(GTEX) == "3000x1-dropout0.1"


def test_what_diverged_and_what_is_missing(results: Results) -> None:
    assert results.diverged == ["6000x1-dropout0.1"]
    rates = [f"{units}x1-dropout0.25" for units in (3000, 6000, 9000)]
    halves = ["halves/3000x1-dropout0.1", "halves/9000x1-dropout0.1"]  # of the selected ones
    assert results.missing == ["GEO/ridge", "GTEx/ridge", *rates, *halves]


def test_improvement_and_share_of_genes_are_over_lr(results: Results) -> None:
    rows = {row.label: row for row in results.rows(GEO)}
    network = rows["D-GEX-10%-3000×1"]
    assert network.test == pytest.approx((0.45, 0.05), abs=1e-6)
    assert network.improvement == pytest.approx(0.1, abs=1e-6)
    assert network.better == 0.5
    assert np.isnan(rows["LR"].improvement)


def drawn(results: Results, members: list[int] | None = None) -> Results:
    """The same results, with errors of four profiles of GEO-te by LR and the selected network."""
    folder = results.folder / MEASURED
    for name, by_profile in (("ols", [0.4, 0.5, 0.6, 0.5]), ("3000x1-dropout0.1", [0.36, 0.45, 0.54, 0.45])):
        known = read_measured(folder, name)
        assert known is not None
        replace(known, profiles={"test": np.array(by_profile, np.float32)}).save(folder)
    units = 4 if members is None else len(set(members))
    over = {"over": "profiles" if members is None else "study", "units": units, "members": members}
    facts = results.data.facts | {"profiles": {"test": 4}}
    data = Described(results.data.path, results.data.platforms, facts, results.data.genes, {"test": over})
    return Results(results.folder, results.plan, data)


def test_a_gain_that_is_the_same_in_every_profile_has_an_interval_of_its_own_width(results: Results) -> None:
    row = next(row for row in drawn(results).rows(GEO) if row.label == "D-GEX-10%-3000×1")
    assert row.interval is not None
    ends = row.interval.improvement_low, row.interval.improvement_high, row.improvement
    assert ends == pytest.approx((0.1, 0.1, 0.1), abs=1e-6)
    assert not row.interval.tie


def test_groups_are_drawn_whole(results: Results) -> None:
    """With all profiles in one group there is nothing to draw; in two groups as many samples are of one alone."""
    one = next(row for row in drawn(results, [0, 0, 0, 0]).rows(GEO) if row.label == "D-GEX-10%-3000×1")
    assert one.interval is not None
    assert np.isnan(one.interval.improvement_low)
    two = drawn(results, [0, 0, 1, 1])
    mine = replace(two.row("x", two.methods(GEO)["LR"], GEO).measured, name="x")
    mine = replace(mine, profiles={"test": np.array([0.2, 0.3, 0.9, 0.8], np.float32)})
    mine.save(results.folder / MEASURED)
    found = resampled([mine, two.methods(GEO)["LR"]], GEO, two.data)
    assert found is not None
    interval = found.against("x", "ols")
    assert (interval.improvement_low, interval.improvement_high) == pytest.approx((-0.6 / 1.1, 0.4 / 0.9), abs=1e-6)
    assert interval.tie
    assert interval_words(interval) == "tie (−54.5 to 44.4%)"
    assert gain_words(-0.1, interval) == "tie (−54.5 to 44.4%)"


def test_the_page_says_ties_and_the_order_marks_them(results: Results) -> None:
    with_intervals = drawn(results)
    frame, _ = method_table(with_intervals, GEO)
    assert frame.set_index("method").loc["D-GEX-10%-3000×1", "interval"] == "10.0 to 10.0%"
    assert "D-GEX-10%-3000×1 0.4500 < LR 0.5000" in order_words(with_intervals, GEO)
    assert "D-GEX-10%-3000×1 0.4500 ≲ LR 0.5000" in order_words(results, GEO)
    row = comparison(with_intervals).set_index("quantity").loc["GEO-te: relative improvement over LR"]
    assert row["measured"] == "10.00% (10.0 to 10.0%)"


def test_errors_of_another_number_of_profiles_are_refused(results: Results) -> None:
    shorter = drawn(results)
    shorter.data.facts["profiles"]["test"] = 3
    with pytest.raises(ModelError, match="test has 3 profiles, it has 4; remove it to measure anew"):
        shorter.rows(GEO)


def test_a_model_of_some_genes_is_compared_on_these(results: Results) -> None:
    row = next(row for row in results.rows(GEO) if row.label == "CMap OLS")
    assert row.genes == 1
    assert row.test[0] == pytest.approx(0.1)
    assert row.improvement == pytest.approx(0.75)  # 0.1 against LR's 0.4 on the gene that both infer
    assert row.better == 1.0


def test_the_network_in_halves_has_a_row_of_its_own(results: Results) -> None:
    name = halves_name("3000x1-dropout0.1")
    Measured(name, {"method": "dgex"}, {"test": np.full(2, 0.2, np.float32)}).save(results.folder / MEASURED)
    assert [row.label for row in results.rows(GEO)][-1] == "D-GEX-10%-3000×1, in halves"


def test_table_1_has_the_published_cell_of_the_same_size(results: Results) -> None:
    cells, rows, columns = main_table(results, GEO, 0.1)
    assert (rows, columns) == (["1 hidden layer"], ["3,000", "6,000", "9,000"])
    small, lost, large = cells[0]
    assert small is not None
    assert lost is not None
    assert large is not None
    assert (small.selected, small.best, small.published) == (True, False, 0.3421)
    assert (large.selected, large.best, large.published, large.published_spread) == (False, True, 0.33, 0.0874)
    assert (lost.value, lost.published) == (None, 0.3337)  # diverged: only the paper's


def test_tables_of_every_dropout_rate_mark_the_selected_on_validation(results: Results) -> None:
    cells, rows, _ = every_dropout(results, GEO, "validation")
    assert rows == ["10%, 1 hidden layer", "25%, 1 hidden layer"]
    first = cells[0][0]
    assert first is not None
    assert first.best
    assert first.selected
    assert not any(cell and cell.published for line in cells for cell in line)


def test_the_abstract_is_measured_again(results: Results) -> None:
    frame = comparison(results).set_index("quantity")
    row = frame.loc["GEO-te: relative improvement over LR"]
    assert (row["published"], row["measured"]) == ("15.33%", "10.00%")
    assert frame.loc["GTEx-te: overall error, D-GEX", "measured"] == "0.4000"
    assert frame.loc["GTEx-te: relative improvement over LR", "measured"] == "20.00%"


def test_the_table_of_methods_marks_the_selected_network(results: Results) -> None:
    frame, selected = method_table(results, GTEX)
    assert frame["method"].tolist()[selected[0]] == "D-GEX-10%-9000×1"
    assert frame.loc[selected[0], "chosen"] == "epoch 9"
    assert frame.loc[selected[0], "published"] == 0.4393
    shown = text(results)
    assert "GEO: selected on GEO-va, tested on GEO-te" in shown
    assert "20.00%" in shown


def test_the_method_of_least_error_is_told_whatever_it_is(results: Results) -> None:
    least = results.lowest(GEO)
    assert least is not None
    assert least.label == "CMap OLS"
    order = order_words(results, GEO)
    assert order.index("CMap OLS 0.1000") < order.index("D-GEX-10%-3000×1 0.4500") < order.index("LR 0.5000")


@pytest.mark.parametrize(
    ("hidden", "pairs"),
    [
        ((3000, 6000, 9000), {3000: 3000, 6000: 6000, 9000: 9000}),
        ((1000, 3000, 6000), {3000: 3000, 6000: 6000}),  # the same size where any is shared, never another
        ((100, 200, 300), {100: 3000, 200: 6000, 300: 9000}),  # by rank
        ((100, 200), {}),
    ],
)
def test_the_published_network_beside_one_of_ours(
    results: Results, hidden: tuple[int, ...], pairs: dict[int, int]
) -> None:
    other = Results(results.folder, resolve("paper", {"hidden": hidden}), results.data)
    assert counterparts(other, table("GEO-te")) == pairs


def test_a_record_of_other_genes_or_another_model_is_refused(results: Results) -> None:
    Measured("ols", {}, {"test": np.zeros(3, np.float32)}).save(results.folder / MEASURED)
    with pytest.raises(ModelError, match=r"genes of its sets: test 3.*remove it to measure anew"):
        results.rows(GEO)
    Measured("cmap", {}, {"test": np.zeros(2, np.float32)}).save(results.folder / MEASURED)
    (results.folder / MEASURED / "cmap.errors").rename(results.folder / MEASURED / "ols.errors")
    with pytest.raises(ModelError, match="it is about cmap"):
        results.rows(GEO)
