"""Memory maps: recognised through views, read without faults, let go of without loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dgex.arrays.maps import RowReader, gathered, map_of, release
from dgex.training.batches.loader import Rows

VALUES = np.arange(400, dtype=np.float32).reshape(100, 4)


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    VALUES.tofile(tmp_path / "x")
    return np.memmap(tmp_path / "x", np.float32, "r", shape=VALUES.shape)


def test_a_map_is_known_through_its_views_and_a_copy_is_none(mapped: np.memmap) -> None:
    views = [mapped, mapped[3:], np.ascontiguousarray(mapped), np.asarray(mapped)[::2], mapped[5:][:, 1:]]
    assert all(map_of(view) is not None for view in views)
    assert all(map_of(copy) is None for copy in (VALUES, mapped + 1, mapped[[1, 2]], np.array(mapped)))


def test_rows_are_those_of_the_array(mapped: np.memmap) -> None:
    index = np.array([7, 3, 99, 3])
    for array, values in [(mapped, VALUES), (mapped[1:], VALUES[1:]), (mapped[:, 1:], VALUES[:, 1:]), (VALUES, VALUES)]:
        index = np.minimum(index, len(values) - 1)
        np.testing.assert_array_equal(gathered(array, index), values[index])
        assert torch.equal(Rows(array, "cpu", index)[1:3], torch.from_numpy(values[index[1:3]]))
        assert torch.equal(Rows(array, "cpu")[1:30], torch.from_numpy(values[1:30].copy()))
        out = np.empty((10, values.shape[1]), np.float32)
        with RowReader(array) as reader:
            reader.read(60, out)
        np.testing.assert_array_equal(out, values[60:70])


def test_letting_go_loses_nothing(mapped: np.memmap, tmp_path: Path) -> None:
    written = np.memmap(tmp_path / "y", np.float32, "w+", shape=(5, 2))
    written[:] = 3
    private = np.memmap(tmp_path / "x", np.float32, "c", shape=VALUES.shape)
    private[:] = 4
    for array in (mapped, written, private, VALUES):
        before = np.array(array)
        release(array)
        np.testing.assert_array_equal(array, before)
