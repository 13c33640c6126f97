from __future__ import annotations

import numpy as np
import pytest
import torch
from given import drawn, layers

from dgex.interpretation import attribution
from dgex.interpretation.attribution import Gap, attribute, path_gradient
from dgex.interpretation.layers import Layers

# few targets are walked to from the outputs, many from the inputs
SIZES = [[6, 9, 4], [6, 9, 15], [6, 9, 8, 4], [6, 9, 8, 15], [6, 9, 8, 7, 5, 11]]


def profiles(count: int, landmarks: int = 6, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, landmarks)), 0.2 * rng.normal(size=landmarks)


def averaged(network: Layers, x: np.ndarray, baseline: np.ndarray, points: int = 2000) -> np.ndarray:
    """The mean gradient on the path by torch's own differentiation, at the middle of many pieces."""
    start, end = torch.from_numpy(baseline), torch.from_numpy(x)
    total = torch.zeros(len(network.targets), len(x), dtype=torch.float64)
    for share in (np.arange(points) + 0.5) / points:
        total += torch.autograd.functional.jacobian(
            lambda value: _plain(network, value), start + share * (end - start), vectorize=True
        )
    return (total / points).numpy()


def _plain(network: Layers, x: torch.Tensor) -> torch.Tensor:
    for weight, bias in zip(network.weights[:-1], network.biases[:-1]):
        x = torch.tanh(weight @ x + bias)
    return network.weights[-1] @ x + network.biases[-1]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_gradient_is_that_of_finite_differences(sizes):
    network = layers(drawn(sizes, scale=1.5))
    (x,), _ = profiles(1)
    found = path_gradient(network, *[torch.from_numpy(x)] * 2, steps=3).numpy()  # a path of length zero
    step = 1e-5 * np.eye(len(x))
    above, below = (network.forward(torch.from_numpy(x + side * step)).numpy() for side in (1, -1))
    np.testing.assert_allclose(found, ((above - below) / 2e-5).T, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_path_is_integrated(sizes):
    network = layers(drawn(sizes, scale=1.5))
    (x,), baseline = profiles(1)
    found = path_gradient(network, torch.from_numpy(x), torch.from_numpy(baseline), 24).numpy()
    np.testing.assert_allclose(found, averaged(network, x, baseline, 500), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_attributions_add_up(sizes):
    network, gap = layers(drawn(sizes, scale=1.5)), Gap()
    X, baseline = profiles(20)
    found = attribute(network, X, baseline, 64, gap)
    moved = network.forward(torch.from_numpy(X)) - network.forward(torch.from_numpy(baseline)[None])
    np.testing.assert_allclose(found.mean.sum(1), moved.mean(0), atol=1e-7)
    assert 0 < gap.largest < 1e-6
    assert gap.share < 1e-7


def test_fewer_steps_leave_a_larger_gap_that_is_told():
    network, (X, baseline) = layers(drawn(SIZES[2], scale=3.0)), profiles(5)
    gaps = [Gap() for _ in range(3)]
    for gap, steps in zip(gaps, (1, 4, 32)):
        attribute(network, X, baseline, steps, gap)
    assert gaps[0].share > 2 * gaps[1].share > 20 * gaps[2].share


def test_saturated_units_and_units_that_do_not_move_are_exact():
    weights = drawn([6, 9, 4], scale=200.0)
    weights["layers.0.weight"][:4] = 0.0
    weights["layers.0.weight"][4] *= 1e-8
    gap = Gap()
    attribute(layers(weights), *profiles(5), 1, gap)
    assert gap.share < 1e-9


def test_a_linear_model_has_the_closed_form():
    X, baseline = profiles(70)
    network = layers(drawn([6, 4]))
    found = attribute(network, X, baseline, 1, Gap())
    own = network.weights[0].numpy() * (X - baseline)[:, None]
    np.testing.assert_allclose(found.mean, own.mean(0))
    np.testing.assert_allclose(found.mean_absolute, np.abs(own).mean(0))
    np.testing.assert_allclose(found.effect, network.weights[0].numpy() * np.abs(X - baseline).mean(0))


def test_a_network_of_tiny_weights_is_the_product_of_its_matrices():
    weights = drawn([6, 9, 8, 5], scale=1e-4)
    for depth in range(3):
        weights[f"layers.{depth}.bias"][:] = 0.0
    X, baseline = profiles(7)
    found = attribute(layers(weights), X, baseline, 4, Gap())
    product = np.linalg.multi_dot([weights[f"layers.{depth}.weight"].astype(np.float64) for depth in (2, 1, 0)])
    np.testing.assert_allclose(found.mean_absolute, np.abs(product) * np.abs(X - baseline).mean(0), rtol=1e-5)


def test_pieces_of_the_path_and_of_the_sums_change_nothing(monkeypatch):
    network, (X, baseline) = layers(drawn([6, 9, 8, 7, 11])), profiles(9)
    whole = attribute(network, X, baseline, 12, Gap())
    monkeypatch.setattr(attribution, "_VALUES", 120)
    monkeypatch.setattr(attribution, "_FLUSH", 2)
    pieces = attribute(network, X, baseline, 12, Gap())
    np.testing.assert_allclose(pieces.effect, whole.effect, rtol=1e-12, atol=1e-15)


def test_some_targets_are_attributed_as_among_all():
    network, (X, baseline) = layers(drawn([6, 9, 8, 15])), profiles(4)
    some = attribute(network.only(np.array([3, 11])), X, baseline, 16, Gap())
    np.testing.assert_allclose(some.mean, attribute(network, X, baseline, 16, Gap()).mean[[3, 11]], atol=1e-12)
