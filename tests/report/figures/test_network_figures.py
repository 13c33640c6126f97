from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex

from dgex.errors import DataError
from dgex.report.figures.evaluation import to_svg
from dgex.report.figures.network import NEGATIVE, POSITIVE, adjusted_r2, weight_map


def major(inputs: int, outputs: int, last: int = 1, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    count = inputs + outputs
    frame = pd.DataFrame(
        {
            "layer": np.repeat([1, last], [inputs, outputs]),
            "unit": rng.integers(0, 25, count),
            "role": np.repeat(["landmark", "target"], [inputs, outputs]),
            "gene": [f"g{i}" for i in rng.integers(0, 40, count)],
            "z": rng.choice([-1, 1], count) * (5 + rng.random(count)),
        }
    )
    return frame.assign(weight=frame["z"] / 10)


def lines(figure) -> tuple[np.ndarray, list[str]]:
    drawn = [item for item in figure.axes[0].collections if isinstance(item, LineCollection)]
    ends = [np.asarray(segment) for item in drawn for segment in item.get_segments()]
    return np.array(ends), [to_hex(colour) for item in drawn for colour in item.get_colors()]


def test_every_major_weight_is_a_line_of_its_colour():
    weights = major(30, 70)
    ends, colours = lines(weight_map(weights, [40, 25, 40], {1: [3, 4]}))
    assert len(ends) == 100
    assert colours.count(POSITIVE.lower()) == (weights["weight"] > 0).sum()
    assert colours.count(NEGATIVE.lower()) == (weights["weight"] < 0).sum()
    levels = sorted(map(tuple, np.sort(ends[:, :, 1], axis=1).tolist()))
    assert levels == [(0.0, 1.0)] * 30 + [(1.0, 2.0)] * 70


def test_a_gene_or_unit_stands_in_one_place():
    weights = major(30, 70)
    ends, _ = lines(weight_map(weights, [40, 25, 40], {}))
    for level, count in ((0.0, 30), (1.0, 100), (2.0, 70)):
        x = ends[ends[:, :, 1] == level][:, 0]
        rows = {0.0: weights.iloc[:30]["gene"], 1.0: weights["unit"], 2.0: weights.iloc[30:]["gene"]}[level]
        assert len(x) == count
        assert len(np.unique(x)) == rows.nunique()
        assert x.min() >= 0
        assert x.max() <= 1


def test_deep_networks_draw_first_and_last_layer_apart():
    ends, _ = lines(weight_map(major(20, 30, last=3), [40, 25, 25, 25, 40], {1: [2], 3: [4]}))
    assert sorted(set(map(tuple, np.sort(ends[:, :, 1], axis=1).tolist()))) == [(0.0, 1.0), (1.5, 2.5)]


def test_no_more_lines_than_asked_and_the_farthest_of_them():
    weights = major(300, 700)
    figure = weight_map(weights, [40, 25, 40], {1: [1]}, max_lines=50)
    assert len(lines(figure)[0]) == 100
    assert "100 largest of 1,000" in figure.axes[0].get_title(loc="left")
    far = weights.assign(weight=np.where(weights["z"].abs() > 5.97, 1.0, -1.0))
    few = int((far["weight"] > 0).sum())
    colours = lines(weight_map(far, [40, 25, 40], {}, max_lines=50))[1]
    assert colours.count(POSITIVE.lower()) == few


@pytest.mark.parametrize("sizes", [(40, 25, 40), (40, 25, 25, 40)])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 0), (0, 1), (12, 0)])
def test_few_weights_and_one_side_alone_are_drawn(sizes, inputs, outputs):
    figure = weight_map(major(inputs, outputs, last=len(sizes) - 2), sizes, {1: [0]})
    assert ElementTree.fromstring(to_svg(figure)).tag.endswith("svg")
    assert len(lines(figure)[0]) == inputs + outputs


def test_nothing_to_draw_is_told():
    with pytest.raises(DataError, match="no weight is major"):
        weight_map(major(0, 0), [40, 25, 40], {})
    with pytest.raises(DataError, match="no gene has a finite"):
        adjusted_r2(np.array([np.nan, 0.5]), np.array([0.5, np.nan]))


def test_the_share_that_rises_stands_in_the_title():
    figure = adjusted_r2(np.array([0.1, 0.5, 0.6, np.nan, 0.7]), np.array([0.2, 0.4, 0.9, 0.5, 0.8]))
    assert "75.0% of 4 genes" in figure.axes[0].get_title(loc="left")
    (dots,) = (item for item in figure.axes[0].collections if isinstance(item, PathCollection))
    assert np.asarray(dots.get_offsets()).tolist() == [[0.1, 0.2], [0.5, 0.4], [0.6, 0.9], [0.7, 0.8]]
