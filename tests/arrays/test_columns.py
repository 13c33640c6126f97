"""A matrix taken in by rows and given out by columns."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest

from dgex.arrays.columns import Columns
from dgex.errors import FileError


@pytest.mark.parametrize("held", [0, 1 << 26])
@pytest.mark.parametrize("block", [1, 300, 700, 2000])
def test_columns_are_those_of_the_rows(monkeypatch, held, block):
    monkeypatch.setattr("dgex.arrays.columns._HELD", held)
    values = np.random.default_rng(0).normal(size=(1500, 140)).astype(np.float32)
    matrix = Columns(*values.shape)
    for start in range(0, len(values), block):
        matrix.append(values[start : start + block, ::-1])
    turned = values[:, ::-1].T
    assert np.array_equal(matrix.read(slice(0, 140)), turned)
    copy = matrix.copy()
    matrix.write(slice(5, 9), turned[50:54])
    assert np.array_equal(matrix.read(slice(4, 10)), turned[[4, 50, 51, 52, 53, 9]])
    assert np.array_equal(copy.read(slice(4, 10)), turned[4:10])


def test_a_full_disk_is_told_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(FileError, match=r"no room for .* TMPDIR names another folder"):
        Columns(1 << 30, 1 << 20)  # a petabyte
