"""Matrices that several networks share are on a device once, and only as long as they are asked to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from dgex.training.batches.loader import as_tensor
from dgex.training.batches.shared import held_copy, one_copy

META = torch.device("meta")  # a device that every machine has


def test_one_copy_for_all_threads_and_only_of_what_was_named() -> None:
    shared, own = np.ones((4, 3), np.float32), np.ones((4, 3), np.float32)
    with one_copy([shared]), ThreadPoolExecutor(4) as pool:
        copies = list(pool.map(lambda _: as_tensor(shared, META), range(20)))
        assert all(copy is copies[0] for copy in copies)
        assert copies[0].shape == (4, 3)
        assert as_tensor(shared[:], META) is copies[0]  # the same values at the same place
        assert held_copy(own, META) is None
        assert held_copy(shared[:2], META) is None
        assert as_tensor(shared).data_ptr() == shared.__array_interface__["data"][0]
    assert held_copy(shared, META) is None


@pytest.mark.gpu
def test_a_copy_made_on_one_stream_is_whole_on_another() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from dgex.training.machine.device import own_stream

    device = torch.device("cuda")
    X = np.arange(1 << 24, dtype=np.float32).reshape(1 << 12, -1)

    def total(_: int) -> float:
        with own_stream(device):
            return float(as_tensor(X, device).double().sum())

    with one_copy([X]), ThreadPoolExecutor(4) as pool:
        assert set(pool.map(total, range(8))) == {float(X.astype(np.float64).sum())}
