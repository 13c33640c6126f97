"""Reading parts of stored arrays: right, and no more than needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex.io import slabs


class Stored:
    """An array that notes how many values were read from it."""

    def __init__(self, values: np.ndarray, chunks: tuple[int, int] | None) -> None:
        self.values, self.chunks, self.read = values, chunks, 0

    def __getitem__(self, where: Any) -> np.ndarray:
        part = self.values[where]
        self.read += part.size
        return part


def _index(draw: st.DrawFn, size: int) -> slice | np.ndarray:
    if draw(st.booleans()):
        start = draw(st.integers(0, size - 1))
        return slice(start, draw(st.integers(start + 1, size)))
    return np.array(sorted(draw(st.sets(st.integers(0, size - 1), min_size=1))))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_part_comes_out_right(data: st.DataObject) -> None:
    draw = data.draw
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    values = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    chunks = draw(st.none() | st.tuples(st.integers(1, 12), st.integers(1, 12)))
    rows, columns = _index(draw, shape[0]), _index(draw, shape[1])
    expected = values[rows][:, columns]
    out = np.full(expected.shape, np.nan, np.float32)
    buffer, slabs._BUFFER = slabs._BUFFER, draw(st.sampled_from([64, 400, 8 << 20]))
    try:
        slabs.fill(Stored(values, chunks), rows, columns, out)
    finally:
        slabs._BUFFER = buffer
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("chunks", [None, (8, 32)])
def test_few_rows_or_columns_leave_the_rest_alone(chunks: tuple[int, int] | None) -> None:
    values = np.zeros((512, 16384), np.float32)
    rows = np.arange(0, 512, 64)
    stored = Stored(values, chunks)
    slabs.fill(stored, rows, slice(0, 16384), np.empty((len(rows), 16384), np.float32))
    assert stored.read <= len(rows) * 16384 * (1 if chunks is None else 8)
    columns = np.arange(0, 16384, 4096)
    stored = Stored(values, chunks)
    slabs.fill(stored, slice(0, 512), columns, np.empty((512, len(columns)), np.float32))
    assert stored.read <= 512 * len(columns) * (1 if chunks is None else 32)
