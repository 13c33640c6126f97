"""Two ways to sort a profile give the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dgex.dataset.ranking import Ranker
from dgex.errors import DataError

VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, -1.0])


@given(row=arrays(np.float32, st.integers(0, 40), elements=VALUES))
def test_order_keys_and_values(row: np.ndarray) -> None:
    for packed in (False, True):
        ranker = Ranker(len(row), packed)
        order, keys = ranker(row, 0)
        np.testing.assert_array_equal(order, np.argsort(row, kind="stable"))
        ascending = row[order]
        np.testing.assert_array_equal(keys[1:] == keys[:-1], ascending[1:] == ascending[:-1])
        assert (keys[1:] >= keys[:-1]).all()
        np.testing.assert_array_equal(ranker.ascending(row, 0), np.sort(row))


def test_what_is_not_finite_is_refused() -> None:
    for packed in (False, True):
        for way in (Ranker(3, packed), Ranker(3, packed).ascending):
            with pytest.raises(DataError, match="profile 7 "):
                way(np.array([1, np.nan, 2], np.float32), 7)
