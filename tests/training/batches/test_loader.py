"""Batches: every profile once an epoch, in an order that only the seed and the epoch decide."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dgex.training.batches.loader import Batches, as_tensor


def made(profiles: int, batch_size: int, seed: int = 0) -> Batches:
    X = np.arange(profiles * 2, dtype=np.float32).reshape(profiles, 2)
    return Batches(X, -X[:, :1].copy(), batch_size, seed)


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 5), st.integers(1, 3))
def test_every_profile_comes_once_an_epoch_with_its_own_targets(
    profiles: int, batch_size: int, seed: int, epoch: int
) -> None:
    data = made(profiles, batch_size, seed)
    seen = [(x.clone(), y.clone()) for x, y in data.epoch(epoch)]
    assert len(seen) == len(data)
    assert all(len(x) == min(batch_size, profiles) for x, _ in seen[:-1])
    x, y = torch.cat([x for x, _ in seen]), torch.cat([y for _, y in seen])
    assert torch.equal(x[:, :1], -y)
    assert torch.equal(x, data.X[torch.from_numpy(data.order(epoch))])
    assert sorted(x[:, 0].tolist()) == data.X[:, 0].tolist()


def test_orders_differ_between_epochs_and_seeds_and_repeat() -> None:
    data = made(100, 7, seed=3)
    assert (data.order(1) == made(100, 9, seed=3).order(1)).all()
    assert (data.order(1) != data.order(2)).any()
    assert (data.order(1) != made(100, 7, seed=4).order(1)).any()


def test_the_matrices_are_viewed_not_copied() -> None:
    X = np.zeros((10, 3), dtype=np.float32)
    data = Batches(X, X, 4)
    assert data.X.data_ptr() == X.ctypes.data


def test_a_read_only_matrix_is_taken_without_a_warning(recwarn: object) -> None:
    X = np.ones((4, 3), dtype=np.float32)
    X.flags.writeable = False
    assert float(as_tensor(X).sum()) == 12
    assert not list(recwarn)  # type: ignore[call-overload]


def test_fixed_samples_are_distinct_ascending_and_all_where_few() -> None:
    data = made(50, 7, seed=1)
    rows = data.sample(20)
    assert len(rows) == 20
    assert (rows[1:] > rows[:-1]).all()
    assert torch.equal(rows, data.sample(20))
    assert data.sample(5000).tolist() == list(range(50))
