from __future__ import annotations

import numpy as np
import pytest

from dgex.errors import DataError
from dgex.report.figures.evaluation import to_svg
from dgex.report.figures.study import architecture, curves_by_dropout, error_by_units

ERRORS = {2: {3000: 0.3377, 9000: 0.3227, 6000: np.nan}, 1: {6000: 0.33, 3000: 0.34}, 3: {3000: np.nan}}


def drawn(figure) -> dict[str, tuple[list[float], list[float]]]:
    return {str(a.get_label()): (list(a.get_xdata()), list(a.get_ydata())) for a in figure.axes[0].lines}


def words(figure) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]


def test_errors_by_units_are_the_finite_ones_in_order_of_units():
    figure = error_by_units(ERRORS, {"LR": 0.3784, "void": np.nan}, "cost $5")
    lines = drawn(figure)
    assert lines["1"] == ([3000, 6000], [0.34, 0.33])
    assert lines["2"] == ([3000, 9000], [0.3377, 0.3227])
    assert lines["LR"][1] == [0.3784, 0.3784]
    assert set(lines) == {"1", "2", "LR"}
    assert sorted(words(figure)) == ["1 hidden layer", "2 hidden layers", "LR"]
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["3,000", "6,000", "9,000"]


def test_labels_at_the_ends_keep_the_order_of_their_lines_and_do_not_meet():
    figure = error_by_units({n: {10: 0.3 + n * 1e-6} for n in range(1, 6)}, {"LR": 0.9})
    heights = [text.xyann[1] for text in figure.axes[0].texts]
    assert words(figure) == [*(f"{n} hidden layer{'s' * (n > 1)}" for n in range(1, 6)), "LR"]
    assert (np.diff(heights) > 0.05).all()


def test_curves_of_one_rate_share_a_colour_and_their_data():
    held_out = {"0%": ([1, 2, 3], [0.5, 0.3, 0.4]), "10%": ([1, 2], [0.6, np.nan])}
    figure = curves_by_dropout(held_out, training={"10%": ([1, 2], [0.5, 0.2])}, baselines={"LR": 0.35})
    lines = drawn(figure)
    assert lines["0%"] == ([1, 2, 3], [0.5, 0.3, 0.4])
    assert lines["10%"] == ([1], [0.6])
    assert lines["10%, train"] == ([1, 2], [0.5, 0.2])
    assert lines["LR"][1] == [0.35, 0.35]
    looks = {str(a.get_label()): (a.get_color(), a.get_linestyle()) for a in figure.axes[0].lines}
    assert looks["10%"][0] == looks["10%, train"][0] != looks["0%"][0]
    assert looks["10%"][1] == looks["0%"][1] == "-" != looks["10%, train"][1]
    low, high = figure.axes[0].get_ylim()
    assert low < 0.2
    assert high > 0.5


def test_the_first_epochs_do_not_press_the_later_ones_into_a_line():
    errors = 0.3 + 9 * np.exp(-np.arange(200) / 2)
    low, high = curves_by_dropout({"0%": (np.arange(1, 201), errors)}).axes[0].get_ylim()
    assert low < 0.3 < errors[12] < high < 1


@pytest.mark.parametrize(
    "draw",
    [
        lambda: error_by_units({}),
        lambda: error_by_units({1: {3000: np.nan}}),
        lambda: curves_by_dropout({}),
        lambda: curves_by_dropout({"0%": ([1, 2], [np.nan, np.nan])}),
        lambda: curves_by_dropout({"0%": ([1, 2], [1.0])}),
        lambda: architecture(0, [3], 5),
        lambda: architecture(3, [], 5),
        lambda: architecture(3, [2], 5, 6),
    ],
)
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(DataError):
        draw()


def test_the_network_tells_its_counts_and_draws_every_unit_of_a_small_layer():
    figure = architecture(943, [9000, 4], 9520, parts=2)
    text = words(figure)
    assert text[:9:3] + text[9:10] == ["Landmark genes", "Hidden layer 1", "Hidden layer 2", "Target genes"]
    assert [text[i] for i in (1, 4, 7, 10)] == ["943", "9,000", "4", "4,760"]
    assert [text[i] for i in (2, 5, 8, 11)] == ["measured", "tanh", "tanh", "linear"]
    assert "2 such networks" in text[12]
    assert "9,520" in text[12]
    assert len(figure.axes[0].patches) == 6 + 6 + 4 + 6
    single = words(architecture(5, [3], 9))
    assert "Hidden layer" in single
    assert not any("such networks" in word for word in single)
    assert "about 4" in words(architecture(5, [3], 7, 2))


def test_the_same_study_gives_the_same_drawing():
    for draw in (lambda: error_by_units(ERRORS), lambda: architecture(3, [9], 4)):
        assert to_svg(draw()) == to_svg(draw())
