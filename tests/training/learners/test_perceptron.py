"""The step of the paper's network against gradients worked out by hand and by autograd, in float64."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from dgex.seeds import torch_stream
from dgex.training.learners.perceptron import OUTPUT_RANGE, MomentumStep, Perceptron, draw_mask


def batches(sizes: list[int], count: int = 2, rows: int = 7) -> list[tuple[torch.Tensor, torch.Tensor]]:
    rng = np.random.default_rng(1)
    return [
        (torch.from_numpy(rng.normal(size=(rows, sizes[0]))), torch.from_numpy(rng.normal(size=(rows, sizes[-1]))))
        for _ in range(count)
    ]


def by_hand(network: Perceptron, data: list, masks: list, rates: list[float], momentum: float) -> dict[str, np.ndarray]:
    """The paper's update for one hidden layer, written out in numpy."""
    w1, b1, w2, b2 = (p.detach().numpy().copy() for p in network.parameters())
    v1, c1, v2, c2 = (np.zeros_like(a) for a in (w1, b1, w2, b2))
    for (x, y), mask, rate in zip(data, masks, rates):
        x, y, mask = x.numpy(), y.numpy(), mask.numpy()
        h = np.tanh(x @ w1.T + b1)
        d = h * mask
        out = 2 * (d @ w2.T + b2 - y) / len(x)
        back = (out @ w2) * mask * (1 - h**2)
        v2, c2 = momentum * v2 - 3 * rate * out.T @ d, momentum * c2 - rate * out.sum(0)
        v1, c1 = momentum * v1 - rate * back.T @ x, momentum * c1 - rate * back.sum(0)
        w1, b1, w2, b2 = w1 + v1, b1 + c1, w2 + v2, b2 + c2
    return {"layers.0.weight": w1, "layers.0.bias": b1, "layers.1.weight": w2, "layers.1.bias": b2}


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_two_steps_follow_the_update_written_out_by_hand(dropout: float) -> None:
    sizes = [4, 6, 5]
    network = Perceptron(sizes, seed=3).double()
    with torch.no_grad():  # an output layer within 1e-4 would hide errors in the first layer's gradient
        network.weight(1).mul_(5000)
    data, rates = batches(sizes), [0.05, 0.02]
    generator = torch_stream(9, "dropout", 1)
    masks = [draw_mask(7, 6, dropout, generator) for _ in data]
    expected = by_hand(network, data, [m.double() for m in masks], rates, 0.5)
    learner = MomentumStep(network, momentum=0.5, dropout=dropout, seed=9)
    for (x, y), rate in zip(data, rates):
        learner.step(x, y, rate)
    for name, value in learner.weights().items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-6 if dropout else 1e-12, atol=1e-15)


def test_deeper_networks_follow_autograd() -> None:
    """Three hidden layers, dropout, three steps with changing rates: gradients by autograd, update as documented."""
    sizes, dropout = [5, 7, 6, 4, 3], 0.5
    network = Perceptron(sizes, seed=0).double()
    plain = [p.detach().clone().requires_grad_() for p in network.state_dict().values()]
    velocity = [torch.zeros_like(p) for p in plain]
    learner = MomentumStep(network, momentum=0.5, dropout=dropout, rate_scale=3.0, seed=2)
    generator = torch_stream(2, "dropout", 1)
    for (x, y), rate in zip(batches(sizes, count=3), [0.1, 0.1, 0.03]):
        hidden = x
        for depth in range(3):
            hidden = torch.tanh(hidden @ plain[2 * depth].T + plain[2 * depth + 1])
            hidden = hidden * draw_mask(len(x), hidden.shape[1], dropout, generator).double()
        loss = (hidden @ plain[6].T + plain[7] - y).square().sum(1).mean()
        gradients = torch.autograd.grad(loss, plain)
        assert float(learner.step(x, y, rate)) / len(x) == pytest.approx(loss.item(), rel=1e-12)
        for i, (p, g) in enumerate(zip(plain, gradients)):
            scale = 3.0 if i % 2 == 0 and i > 0 else 1.0
            velocity[i] = 0.5 * velocity[i] - rate * scale * g
            p.data += velocity[i]
    for p, value in zip(plain, learner.weights().values()):
        torch.testing.assert_close(value, p.detach(), rtol=1e-10, atol=1e-13)


def test_equals_torch_sgd_while_the_rate_stays() -> None:
    sizes = [4, 6, 5]
    network = Perceptron(sizes, seed=3).double()
    other = Perceptron(sizes, seed=3).double()
    groups = [{"params": [other.weight(0), other.bias(0), other.bias(1)]}, {"params": [other.weight(1)], "lr": 0.06}]
    sgd = torch.optim.SGD(groups, lr=0.02, momentum=0.5)
    learner = MomentumStep(network, momentum=0.5)
    for x, y in batches(sizes, count=4):
        learner.step(x, y, 0.02)
        sgd.zero_grad()
        (other(x) - y).square().sum(1).mean().backward()
        sgd.step()
    for ours, theirs in zip(learner.weights().values(), other.parameters()):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-15)


def test_start_is_uniform_within_its_bounds() -> None:
    sizes = [50, 80, 60, 40]
    network = Perceptron(sizes, seed=0)
    for depth, (inputs, outputs) in enumerate(pairwise(sizes)):
        bound = OUTPUT_RANGE if depth == 2 else np.sqrt(6 / (inputs + outputs))
        weight = network.weight(depth).detach()
        assert float(weight.abs().max()) <= bound * (1 + 1e-6)
        # 2,400 and more draws: mean and variance of the uniform distribution within five standard errors
        n = weight.numel()
        assert abs(float(weight.mean())) < 5 * bound / np.sqrt(3 * n)
        assert float(weight.double().square().mean()) == pytest.approx(bound**2 / 3, rel=5 * np.sqrt(0.8 / n))
        assert not network.bias(depth).any()


def test_seed_decides_the_start_and_global_generators_are_left_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, same, other = (Perceptron([5, 4, 3], seed=s) for s in (1, 1, 2))
    learner = MomentumStep(first, dropout=0.5)
    learner.step(torch.ones(2, 5), torch.ones(2, 3), 0.0)
    assert torch.equal(first.weight(0), same.weight(0))
    assert not torch.equal(first.weight(0), other.weight(0))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_masks_silence_the_share_they_should_and_keep_the_mean() -> None:
    mask = draw_mask(400, 500, 0.25, torch_stream(0, "dropout", 1))
    assert set(mask.unique().tolist()) == {0.0, float(torch.tensor(1.0) * (1 / 0.75))}
    assert float((mask == 0).double().mean()) == pytest.approx(0.25, abs=0.005)  # five standard errors
    assert (draw_mask(5, 6, 0.0, torch_stream(0, "dropout", 1)) == 1).all()


def test_small_signals_make_a_linear_network() -> None:
    """tanh(z) = z + O(z^3): on inputs of size e the network is its weights' product, up to e^3."""
    network = Perceptron([6, 5, 4, 3], seed=1).double().requires_grad_(False)
    network.weight(2).mul_(1e4)
    x = 1e-4 * batches([6, 3], count=1)[0][0]
    product = network.weight(2) @ network.weight(1) @ network.weight(0)
    torch.testing.assert_close(network(x), x @ product.T, rtol=1e-5, atol=1e-11)


def test_a_network_built_around_weights_uses_them_in_place() -> None:
    network = Perceptron([5, 4, 3], seed=7)
    weights = dict(network.state_dict())
    held = Perceptron.holding(weights)
    assert torch.equal(held(torch.ones(2, 5)), network(torch.ones(2, 5)))
    assert held.weight(0).data_ptr() == weights["layers.0.weight"].data_ptr()
