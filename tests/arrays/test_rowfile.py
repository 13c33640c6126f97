"""Rows in a file without a name do what rows in memory do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex.arrays import rowfile
from dgex.arrays.packing import drop_columns, drop_rows
from dgex.arrays.passes import Regrouped, in_order
from dgex.arrays.rowfile import RowFile
from dgex.errors import FileError


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 30),
    columns=st.integers(1, 12),
    seed=st.integers(0, 99),
    kind=st.sampled_from(["", "pages", "map"]),
)
def test_as_an_array(rows: int, columns: int, seed: int, kind: str) -> None:
    """Rows end to end, in whole pages (past the cache where the system can), and to be mapped."""
    generator = np.random.default_rng(seed)
    held = np.zeros((rows, columns), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowfile, "_WIDE", 0 if kind == "pages" else 16)
        with RowFile(held.shape, Path.cwd(), mappable=kind == "map") as file:
            for _ in range(3):
                start, stop = sorted(generator.integers(0, rows + 1, 2))
                some = generator.permutation(rows)[: generator.integers(0, rows + 1)]
                for where in (slice(int(start), int(stop)), some):
                    values = generator.normal(size=held[where].shape).astype(np.float32)
                    held[where] = file[where] = values
                np.testing.assert_array_equal(file[:], held)
                repeated = generator.integers(0, rows, 7)
                np.testing.assert_array_equal(file[repeated], held[repeated])
            if kind == "map":
                np.testing.assert_array_equal(file.mapped(), held)
            for drop, size in ((drop_rows, rows), (drop_columns, columns)):
                keep = generator.random(size) < 0.7
                held = np.ascontiguousarray(held[keep] if drop is drop_rows else held[:, keep])
                assert drop(file, keep) is file
                assert (len(file), file.shape) == (len(held), held.shape)
                np.testing.assert_array_equal(file[:], held)


def test_it_has_no_name_and_errors_are_told(tmp_path: Path) -> None:
    with RowFile((3, 2), tmp_path) as file:
        assert os.listdir(tmp_path) == []
        with pytest.raises(IndexError):
            file[2:3] = np.zeros((2, 2), np.float32)
    with pytest.raises(FileError, match=r"cannot write to a temporary file in .*TMPDIR names another"):
        RowFile((3, 2), tmp_path / "none")


@pytest.mark.skipif(sys.platform != "linux", reason="a device that is always full")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    import resource
    import signal

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with RowFile((0, 100), tmp_path) as empty, RowFile((100, 100), tmp_path) as file:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
            with pytest.raises(FileError, match="File too large"):
                file[50:52] = np.ones((2, 100), np.float32)
            assert len(empty[:]) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@given(sizes=st.lists(st.integers(0, 9), max_size=12), size=st.integers(1, 7))
def test_groups_depend_on_no_block(sizes: list[int], size: int) -> None:
    rows, found = np.arange(sum(sizes))[:, None], []
    groups = Regrouped(size, lambda part: found.append(part.copy()))
    for at, count in zip(np.cumsum([0, *sizes]), sizes):
        groups.add(rows[at : at + count])
    groups.end()
    np.testing.assert_array_equal(np.concatenate([*found, rows[:0]]), rows)
    assert all(len(part) == size for part in found[:-1])


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_and_errors_too(threads: int) -> None:
    assert list(in_order(lambda at: at * at, range(50), threads)) == [at * at for at in range(50)]
    assert list(in_order(str, iter(()), threads)) == []
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda at: 1 // (3 - at), range(50), threads))
