from __future__ import annotations

from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from scipy.integrate import trapezoid

from dgex.errors import DataError, OutputExistsError
from dgex.report.figures import evaluation as figures
from dgex.report.style import PALETTE


@pytest.fixture
def errors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"training mean": rng.gamma(20, 0.04, 300), "LR": rng.gamma(9, 0.05, 300), "D-GEX": rng.gamma(8, 0.05, 300)}


def test_a_density_encloses_one_and_names_the_means(errors):
    axes = figures.density(errors, grey=["training mean"]).axes[0]
    assert len(axes.lines) == 3
    for line, (name, values) in zip(axes.lines, errors.items()):
        x, y = line.get_data()
        assert trapezoid(y, x) == pytest.approx(1, abs=0.03)
        assert line.get_label() == f"{name}  ({values.mean():.3f})"
    assert [line.get_color() for line in axes.lines[1:]] == list(PALETTE[:2])
    assert axes.lines[0].get_color() not in PALETTE


def test_a_density_of_equal_values_is_a_line_and_of_none_an_error():
    axes = figures.density({"flat": np.full(5, 0.5), "void": np.full(5, np.nan)}).axes[0]
    assert [line.get_xdata()[0] for line in axes.lines] == [0.5]
    with pytest.raises(DataError):
        figures.density({"void": np.array([np.nan])})


@pytest.mark.parametrize(
    ("better", "title"), [(60, "60.0%"), (100, "100.0%"), (0, "0.0%"), (9999, "99.99%")]
)  # fmt: skip
def test_a_scatter_counts_the_genes_above_the_diagonal(better, title):
    count = 10_000 if better == 9999 else 100
    baseline = np.full(count, 0.5)
    ours = np.where(np.arange(count) < better, 0.4, 0.6)
    axes = figures.scatter(np.append(ours, np.nan), np.append(baseline, 1.0), "D-GEX", "LR").axes[0]
    assert axes.get_title(loc="left") == f"D-GEX is better on {title} of {count:,} genes"
    offsets = axes.collections[0].get_offsets()
    assert (offsets[:, 1] > offsets[:, 0]).sum() == better
    assert axes.get_xlim() == axes.get_ylim()


def test_learning_curves_mark_the_best_epoch():
    axes = figures.learning_curves({"GEO-va": ([1, 2, 3, 4], [0.5, 0.3, 0.35, np.nan])}, baselines={"LR": 0.4}).axes[0]
    dot = next(line for line in axes.lines if line.get_marker() == "o")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (2, 0.3)
    assert any(text.get_text() == "LR 0.400" for text in axes.texts)
    with pytest.raises(DataError):
        figures.learning_curves({})


def test_saved_as_png_and_svg_with_text_as_text(errors, tmp_path):
    png, svg, values = figures.save(figures.density(errors, title="cost $5 <b>"), tmp_path / "v1.2-density")
    assert (png.name, svg.name, values.name) == ("v1.2-density.png", "v1.2-density.svg", "v1.2-density.csv")
    assert png.read_bytes().startswith(b"\x89PNG")
    texts = {e.text for e in ElementTree.parse(svg).iter() if e.tag.endswith("}text")}
    assert {"cost $5 <b>", "Density of target genes"} <= texts
    with pytest.raises(OutputExistsError):
        figures.save(figures.density(errors), tmp_path / "v1.2-density")
    assert len(list(tmp_path.iterdir())) == 3


def test_the_same_figure_gives_the_same_svg_and_settings_come_back(errors):
    before = dict(matplotlib.rcParams)
    a, b = (figures.to_svg(figures.scatter(errors["D-GEX"], errors["LR"], "D-GEX", "LR")) for _ in range(2))
    assert a == b
    assert dict(matplotlib.rcParams) == before


def test_many_methods_put_the_legend_below(errors):
    many = {f"method {i}": errors["LR"] + i / 10 for i in range(7)}
    few, figure = figures.density(errors), figures.density(many)
    assert not figure.axes[0].get_legend()
    assert len(figure.legends[0].get_texts()) == 7
    assert figure.get_figheight() > few.get_figheight()
