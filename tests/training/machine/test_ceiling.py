"""The ceiling: a floor that follows from two rates, and rates whose measuring leaves no trace."""

from __future__ import annotations

import pytest
import torch

from dgex.training.machine.ceiling import Ceiling, floor_seconds, measured_ceiling, worth_measuring

SIZES = [3, 5, 7, 2]
WEIGHTS = [15, 35, 14]


def test_the_floor_is_that_of_products_or_of_traffic_whichever_is_longer() -> None:
    products = (
        2 * 10 * (3 * sum(WEIGHTS) - WEIGHTS[0])
    )  # forward, gradient, and the error below but for the first layer
    assert floor_seconds(SIZES, 10, "float32", Ceiling(100.0, 1e12), "cpu") == pytest.approx(products / 100)
    for precision, device, moved in [
        ("float32", "cuda", 16 * sum(WEIGHTS)),
        ("tf32", "cuda", 16 * sum(WEIGHTS)),
        ("bf16", "cpu", 16 * sum(WEIGHTS)),
        ("bf16", "cuda", (16 + 2) * sum(WEIGHTS) + 2 * sum(WEIGHTS[1:])),
    ]:
        assert floor_seconds(SIZES, 10, precision, Ceiling(1e12, 50.0), device) == pytest.approx(moved / 50)


def test_the_paper_s_largest_network_is_bound_by_traffic_at_small_batches_and_by_products_at_large_ones() -> None:
    """On 760 TFLOP/s and 4 TB/s: 256 million weights of 20 bytes take 1.28 ms."""
    sizes, rates = [943, 9000, 9000, 9000, 9520], Ceiling(760e12, 4e12)
    assert floor_seconds(sizes, 200, "bf16", rates, "cuda") == pytest.approx(1.28e-3, rel=0.01)
    assert floor_seconds(sizes, 8192, "bf16", rates, "cuda") == pytest.approx(
        4 * floor_seconds(sizes, 2048, "bf16", rates, "cuda")
    )


def test_tiny_networks_are_not_worth_it() -> None:
    assert not worth_measuring(SIZES, 200)
    assert worth_measuring([943, 3000, 9520], 200)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_measuring_leaves_generators_and_settings_alone(precision: str) -> None:
    state, tf32 = torch.get_rng_state(), torch.backends.cuda.matmul.allow_tf32
    found = measured_ceiling(torch.device("cpu"), precision, torch.get_num_threads())
    assert found.operations_per_s > 0
    assert found.bytes_per_s > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.backends.cuda.matmul.allow_tf32 == tf32
    assert measured_ceiling(torch.device("cpu"), precision, torch.get_num_threads()) is found


@pytest.mark.gpu
def test_a_gpu_is_faster_in_lower_precision() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    device = torch.device("cuda", 0)
    state = torch.cuda.get_rng_state(device)
    found = [measured_ceiling(device, precision, 1).operations_per_s for precision in ("float32", "tf32", "bf16")]
    assert found == sorted(found)
    assert torch.equal(torch.cuda.get_rng_state(device), state)
