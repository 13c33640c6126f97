"""The figures of a panel, read from their axes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dgex.report.figures.panels import error_by_size, gain_by_rank

CURVE = pd.DataFrame(
    {
        "size": [0, 50, 50, 100, 100],
        "panel": ["training mean", "chosen", "random", "chosen", "random"],
        "error": [0.7, 0.4, 0.45, 0.3, 0.36],
        "low": [0.6, 0.38, 0.4, 0.28, 0.3],
        "high": [0.8, 0.42, 0.5, 0.32, 0.4],
    }
)


def test_each_panel_is_a_line_and_the_sizes_are_the_ticks() -> None:
    axes = error_by_size(CURVE, "chosen").axes[0]
    lines = {str(line.get_label()): line for line in axes.lines}
    assert lines["chosen"].get_xdata().tolist() == [50, 100]
    assert lines["random"].get_ydata().tolist() == [0.45, 0.36]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50", "100"]
    assert len(axes.collections) == 1  # the interval of the panel chosen


def test_what_needs_no_panel_is_left_out_where_it_would_flatten_the_others() -> None:
    far = CURVE.assign(error=np.where(CURVE["panel"] == "training mean", 3.0, CURVE["error"]))
    labels = {str(line.get_label()) for line in error_by_size(far, "chosen").axes[0].lines}
    assert labels == {"chosen", "random"}


def test_gains_are_added_up() -> None:
    axes = gain_by_rank(np.array([0.2, 0.1, 0.05])).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [20, 30, 35])
