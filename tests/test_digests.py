"""A digest tells any two apart that differ in a name, a value, an order or a shape, however they lie in memory."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex import digests
from dgex.digests import RowsDigest, of_file, of_matrices, of_matrix, of_names
from dgex.errors import FileError


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(1, 6), data=st.data())
def test_one_value_anywhere_counts(rows: int, columns: int, data: st.DataObject) -> None:
    X = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    changed = X.copy()
    changed[data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))] += 0.5
    assert of_matrix(X) != of_matrix(changed)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(0, 40), cuts=st.lists(st.integers(0, 40), max_size=4), size=st.sampled_from([8, 100, 1 << 20]))
def test_rows_in_any_blocks_give_the_digest_of_the_matrix(rows: int, cuts: list[int], size: int) -> None:
    X = np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "_BLOCK", size)
        digest = RowsDigest((rows, 3))
        edges = [0, *sorted(min(cut, rows) for cut in cuts), rows]
        for start, stop in pairwise(edges):
            digest.update(np.asfortranarray(X)[start:stop])
        assert digest.hexdigest() == of_matrix(X)


@pytest.mark.parametrize("threads", [1, 4])
def test_blocks_in_threads_give_one_digest(monkeypatch: pytest.MonkeyPatch, threads: int, tmp_path: Path) -> None:
    monkeypatch.setattr(digests, "_BLOCK", 1000)
    X = np.random.default_rng(0).normal(size=(1000, 7)).astype(np.float32)
    whole = of_matrix(X)
    monkeypatch.setattr(digests, "_THREADS", threads)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for same in (X.copy(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], mapped):
        assert of_matrix(same) == whole
    changed = X.copy()
    changed[-1, -1] += 1e-6
    for other in (changed, X[::-1], X[:-1], X.reshape(7, 1000), X.astype(np.float64), X[:, ::-1]):
        assert of_matrix(other) != whole
    with (tmp_path / "x.npy").open("r+b") as file:
        file.truncate(2000)
    with pytest.raises(FileError, match="cut short"):
        of_matrix(mapped)


def test_names_and_order_count() -> None:
    one = np.zeros((2, 2))
    assert of_matrices({"a": one, "b": one}) != of_matrices({"b": one, "a": one})
    assert of_names(["a", "bc"]) != of_names(["ab", "c"])
    assert of_names(["a"], []) != of_names([], ["a"])
    assert of_names(["a", "b"]) == of_names(("a", "b"))


def test_a_folder_is_its_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one").write_text("1")
    before = of_file(tmp_path / "a")
    (tmp_path / "a" / "b" / "one").write_text("2")
    assert of_file(tmp_path / "a") != before
    (tmp_path / "a" / "b" / "one").write_text("1")
    assert of_file(tmp_path / "a") == before
    (tmp_path / "a" / "b" / "one").rename(tmp_path / "a" / "b" / "two")
    assert of_file(tmp_path / "a") != before


def test_what_was_changed_in_a_private_copy_of_a_file_counts(tmp_path: Path) -> None:
    np.zeros((4, 3), np.float32).tofile(tmp_path / "rows")
    private = np.memmap(tmp_path / "rows", np.float32, "c", shape=(4, 3))
    private[3, 1] = 1
    assert of_matrix(private) == of_matrix(np.array(private)) != of_matrix(np.zeros((4, 3), np.float32))
