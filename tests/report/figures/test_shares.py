from __future__ import annotations

import numpy as np
import pytest

from dgex.errors import DataError
from dgex.report.figures.shares import distance_histogram, share_curves, shares_at


def test_shares_are_counts_of_all_genes() -> None:
    values = np.random.default_rng(0).normal(size=200)
    values[::10] = np.nan
    at = np.linspace(-3, 3, 17)
    np.testing.assert_allclose(shares_at(values, at), [(values <= a).sum() / 200 for a in at])
    np.testing.assert_allclose(shares_at(values, at, above=True), [(values >= a).sum() / 200 for a in at])


def test_the_mark_stands_at_the_share_of_its_method() -> None:
    values = {"a": np.array([0.1, 0.6, 0.9, 0.8]), "b": np.zeros(4)}
    (axes,) = share_curves(values, "r", above=True, mark=0.7, marked="a").axes
    (dot,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert dot.get_xydata().tolist() == [[0.7, 0.5]]
    assert [text.get_text() for text in axes.texts] == ["50%"]


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(DataError, match="found none"):
        share_curves({"a": np.array([np.nan])}, "x")
    with pytest.raises(DataError, match="found none"):
        distance_histogram(np.array([np.nan]), 0.99)


def test_every_profile_is_in_a_bar() -> None:
    distance = np.random.default_rng(1).random(57)
    (axes,) = distance_histogram(np.r_[distance, 0.0, 1.0, np.nan], 0.99).axes
    assert sum(bar.get_height() for bar in axes.patches) == 59
