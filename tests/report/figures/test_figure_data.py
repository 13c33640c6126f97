"""The CSV beside a figure holds what the figure draws: its values against those of the artists."""

from __future__ import annotations

import io
import re
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pages import HOSTILE

from dgex.report.figures.data import csv_of, data_of
from dgex.report.figures.evaluation import density, gene_scatter, learning_curves, new_figure, save, scatter
from dgex.report.figures.explanation import why
from dgex.report.figures.network import adjusted_r2, weight_map
from dgex.report.figures.panels import error_by_size, gain_by_rank
from dgex.report.figures.shares import distance_histogram, share_curves
from dgex.report.figures.study import architecture, curves_by_dropout, error_by_units
from dgex.report.page.page import Page

RNG = np.random.default_rng(0)
VALUES = {"LR, plain": RNG.gamma(4, 0.1, 80), HOSTILE: RNG.gamma(3, 0.1, 80)}
CURVES = {"GEO-va": ([1, 2, 3], [0.5, 0.4, 0.45]), "1000G-va": ([1, 2], [0.9, 0.8])}
ONE_TWO = ["1 hidden layer", "2 hidden layers", "LR"]
PANELS = pd.DataFrame(
    [
        (size, name, error, error - 0.1, error + 0.1)
        for size, error in ((5, 0.9), (10, 0.7))
        for name in ("ours", "L1000")
    ]
    + [(0, "training mean", 1.0, 0.9, 1.1)],
    columns=["size", "panel", "error", "low", "high"],
)


def column(table: pd.DataFrame, at: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a curve of the table, without what other curves have alone."""
    x, y = table.iloc[:, 0].to_numpy(float), table.iloc[:, at].to_numpy(float)
    return x[~np.isnan(y)], y[~np.isnan(y)]


def read(figure: Figure) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(csv_of(figure)))


@pytest.mark.parametrize(
    ("figure", "names"),
    [
        (density(VALUES, "Error"), list(VALUES)),
        (share_curves(VALUES, "Error"), list(VALUES)),
        (share_curves(VALUES, "Expected r", above=True, mark=0.5, marked=HOSTILE), list(VALUES)),
        (learning_curves(CURVES, baselines={"LR": 0.6}), [*CURVES, "LR"]),
        (error_by_units({1: {10: 0.5, 20: 0.4}, 2: {10: 0.45}}, {"LR": 0.6}), ONE_TWO),
        (
            curves_by_dropout(CURVES, training={"GEO-va": CURVES["GEO-va"]}, baselines={"LR": 0.6}),
            [*CURVES, "GEO-va, training", "LR"],
        ),
    ],
)
def test_curves(figure: Figure, names: list[str]) -> None:
    table, axes = read(figure), figure.axes[0]
    assert list(table) == [axes.get_xlabel(), *(f"{axes.get_ylabel()}: {name}" for name in names)]
    for at in range(1, len(table.columns)):
        assert any(same(column(table, at), line) for line in axes.lines), table.columns[at]


def same(values: tuple[np.ndarray, np.ndarray], line: Line2D) -> bool:
    """Whether a line is drawn through these values; a horizontal one goes from edge to edge."""
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    if x.tolist() == [0, 1] and y[0] == y[1]:
        return np.allclose(values[1], y[0])
    return len(x) == len(values[0]) and np.allclose(x, values[0], rtol=1e-5) and np.allclose(y, values[1], rtol=1e-5)


def test_gains_added_up() -> None:
    figure = gain_by_rank(np.array([0.3, 0.2, 0.1]))
    table, axes = read(figure), figure.axes[0]
    assert list(table) == [axes.get_xlabel(), axes.get_ylabel()]
    assert same((table.iloc[:, 0].to_numpy(), table.iloc[:, 1].to_numpy()), axes.lines[0])


def test_a_method_without_spread_is_an_endless_density() -> None:
    figure = density({"mean": np.full(9, 0.5), "LR": VALUES["LR, plain"]})
    x, y = column(read(figure), 1)
    assert (x.tolist(), y.tolist()) == ([0.5], [np.inf])
    assert figure.axes[0].lines[0].get_xdata()[0] == 0.5


def test_dots() -> None:
    x, y = RNG.random(30), RNG.random(30)
    x[3] = np.nan
    genes = [f"=G{at}" for at in range(30)]
    r2 = adjusted_r2(x, y, genes)
    for figure in (
        gene_scatter(x, y, "Error by A", "Error by B", genes=genes),
        scatter(x, y, "A", "B", unit="SD", genes=genes),
        r2,
    ):
        table, axes = read(figure), figure.axes[0]
        assert list(table) == ["Gene", axes.get_xlabel(), axes.get_ylabel()]
        assert table["Gene"].tolist() == genes[:3] + genes[4:]
        np.testing.assert_allclose(table.iloc[:, 1:], axes.collections[0].get_offsets(), rtol=1e-5)
    assert list(read(scatter(x, y, "A", "B"))) == ["Error by A", "Error by B"]


def test_bars() -> None:
    figure = distance_histogram(RNG.random(50), 0.95)
    table = read(figure)
    bars = next(held for held in figure.axes[0].containers if isinstance(held, BarContainer))
    assert [bar.get_x() for bar in bars] == pytest.approx(table.iloc[:, 0].tolist())
    assert [bar.get_x() + bar.get_width() for bar in bars] == pytest.approx(table.iloc[:, 1].tolist())
    assert [bar.get_height() for bar in bars] == table["Profiles"].tolist()


def test_panels_with_their_interval() -> None:
    figure = error_by_size(PANELS, "ours")
    table, axes = read(figure), figure.axes[0]
    label = axes.get_ylabel()
    for line in axes.lines:
        np.testing.assert_allclose(table[f"{label}: {line.get_label()}"], np.broadcast_to(line.get_ydata(), 2))
    band = axes.collections[0].get_paths()[0].vertices
    for end, extreme in (("low", band[:, 1].min()), ("high", band[:, 1].max())):
        found = table[f"{label}: ours, {end} end of the interval"]
        assert extreme in (pytest.approx(found.min()), pytest.approx(found.max()))


def test_an_explained_value() -> None:
    value = pd.Series(
        {"gene": "MYC", "profile": "p", "value": 7.5, "at_mean": 6.0, "low": 7.0, "high": 8.5, "trust": "high"}
    )
    landmarks = pd.DataFrame({"landmark": list("ABC"), "value": [1.0, 2.0, 3.0], "filled": False})
    figure = why(value, landmarks.assign(contribution=[1.0, -0.5, 0.25]), "SD", 0.9, top=2)
    table = read(figure)
    contributions = table[figure.axes[1].get_xlabel()].dropna()
    assert contributions.tolist() == [bar.get_width() for bar in figure.axes[1].patches]
    assert table["What"].tolist()[-3:] == [text.get_text() for text in figure.axes[1].get_yticklabels()]
    interval, mean, inferred = (np.asarray(line.get_xdata(), float) for line in figure.axes[0].lines[:3])
    assert table["SD"].dropna().tolist() == [*inferred, *mean, *interval]


def test_weights_and_layers() -> None:
    major = pd.DataFrame(
        {"layer": 1, "unit": [0, 1, 1], "role": ["landmark", "landmark", "target"], "gene": list("abc"), "z": 5.0}
    ).assign(weight=[0.5, -0.25, 0.125])
    pd.testing.assert_frame_equal(read(weight_map(major, [4, 2, 3], {})), major, check_dtype=False)
    table = read(architecture(943, [3000, 2000], 9520))
    assert dict(zip(table["Layer"], table["Units"])) == {
        "Landmark genes": 943,
        "Hidden layer 1": 3000,
        "Hidden layer 2": 2000,
        "Target genes": 9520,
    }


def test_beside_the_picture_and_behind_a_link_of_the_page(tmp_path) -> None:
    figure = density(VALUES, "Error, in %")
    *_, beside = save(figure, tmp_path / "density")
    html = Page("t").add_figure(figure, "Density.").html()
    name, address = re.findall(r'<a class="data" download="([^"]+)" href="data:text/csv;charset=utf-8,([^"]+)"', html)[
        0
    ]
    assert name.endswith(".csv")
    assert unquote(address) == beside.read_text("utf-8") == csv_of(figure)
    assert "<" not in address
    assert 'class="data"' not in Page("t").add_figure("<svg xmlns='http://www.w3.org/2000/svg'/>", "c").html()


def test_a_figure_of_somebody_else_has_none(tmp_path) -> None:
    figure, _ = new_figure()
    assert data_of(figure) is None
    assert csv_of(figure) == ""
    assert [path.suffix for path in save(figure, tmp_path / "f")] == [".png", ".svg"]


def test_a_page_holds_no_more_than_is_good_for_it() -> None:
    many = RNG.random(30_000)
    assert 'class="data"' not in Page("t").add_figure(gene_scatter(many, many, "a", "b"), "c").html()
