"""Rows and columns are left out within the same memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex.arrays import packing as compact


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 30), columns=st.integers(1, 30), block=st.integers(1, 9), seed=st.integers(0, 99))
def test_as_with_a_copy(rows: int, columns: int, block: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, columns)).astype(np.float32)
    keep_rows, keep_columns = generator.random(rows) < 0.6, generator.random(columns) < 0.6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact, "_BLOCK", block)
        for function, expected, keep in (
            (compact.drop_rows, X[keep_rows], keep_rows),
            (compact.drop_columns, X[:, keep_columns], keep_columns),
        ):
            work = X.copy()
            result = function(work, keep)
            np.testing.assert_array_equal(result, expected)
            assert result.flags.c_contiguous
            assert result.size == 0 or np.shares_memory(result, work)
