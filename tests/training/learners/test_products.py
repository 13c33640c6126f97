"""bf16 products against the same step in float64: exact where nothing is rounded, within rounding elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dgex.errors import SettingsError
from dgex.training.learners import products
from dgex.training.learners.perceptron import MomentumStep, Perceptron

UNIT = 2.0**-8  # largest relative error of rounding to bfloat16


def whole_numbers(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-2, 3, (rows, columns)).astype(np.float32))


def drawn(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, columns)))


@pytest.mark.parametrize("elements", [1, 7, 1 << 20])
def test_small_whole_numbers_are_exact_in_any_pieces(monkeypatch: pytest.MonkeyPatch, elements: int) -> None:
    """No hidden layer, whole numbers and rates that are powers of two: every factor and product fits into 8 bits."""
    monkeypatch.setattr(products, "_PIECE", elements)
    x, y = whole_numbers(4, 6, seed=0), whole_numbers(4, 5, seed=1)
    learners = []
    for precision in ("bf16", "float32"):
        network = Perceptron([6, 5], seed=None)
        network.weight(0).data.copy_(whole_numbers(5, 6, seed=2))
        network.bias(0).data.copy_(whole_numbers(1, 5, seed=3)[0])
        learners.append(MomentumStep(network, momentum=0.5, precision=precision))
        learners[-1].step(x, y, 0.25)
    ours, exact = learners
    assert ours.velocity()["layers.0.weight"].any()
    for name, value in exact.weights().items():
        assert torch.equal(ours.weights()[name], value)
        assert torch.equal(ours.velocity()[name], exact.velocity()[name])


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_a_bf16_step_is_the_float64_step_within_rounding(dropout: float) -> None:
    sizes = [30, 50, 40, 20]
    reference = Perceptron(sizes, seed=0).double()
    with torch.no_grad():  # an output layer within 1e-4 would hide errors in the layers below
        reference.weight(2).mul_(5000)
    network = Perceptron(sizes, seed=None)
    network.load_state_dict({name: value.float() for name, value in reference.state_dict().items()})
    start = {name: value.clone() for name, value in reference.state_dict().items()}
    ours = MomentumStep(network, dropout=dropout, seed=5, precision="bf16")
    exact = MomentumStep(reference, dropout=dropout, seed=5)
    for seed in range(3):
        x, y = drawn(25, 30, seed), drawn(25, 20, seed + 9)
        found, expected = ours.step(x.float(), y.float(), 1e-3), exact.step(x, y, 1e-3)
        assert float(found) == pytest.approx(float(expected), rel=2 * UNIT)
    for name, value in exact.weights().items():
        move = value - start[name]
        assert ours.weights()[name].dtype == torch.float32
        # Each of the few roundings on the way moves the result by less than UNIT in the mean.
        assert (ours.weights()[name].double() - value).norm() < 4 * UNIT * move.norm()
    x = drawn(25, 30, seed=50)
    expected, found = exact.predict(x), ours.predict(x.float())
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 2 * UNIT * expected.norm()


def test_predictions_follow_weights_that_are_loaded_and_updated() -> None:
    sizes, x, y = [6, 8, 4], drawn(9, 6, seed=0).float(), drawn(9, 4, seed=1).float()
    one, other = (MomentumStep(Perceptron(sizes, seed), precision="bf16") for seed in (1, 2))
    one.step(x, y, 0.05)
    other.load(one.weights(), one.velocity())
    assert torch.equal(other.predict(x), one.predict(x))
    one.step(x, y, 0.05)
    other.step(x, y, 0.05)
    assert torch.equal(other.predict(x), one.predict(x))


def test_tf32_on_the_cpu_is_float32() -> None:
    x, y = drawn(9, 6, seed=0).float(), drawn(9, 4, seed=1).float()
    plain, tf32 = (MomentumStep(Perceptron([6, 8, 4], 1), precision=p) for p in ("float32", "tf32"))
    plain.step(x, y, 0.05)
    tf32.step(x, y, 0.05)
    assert all(torch.equal(value, tf32.weights()[name]) for name, value in plain.weights().items())


def test_other_precisions_are_refused() -> None:
    with pytest.raises(SettingsError, match="precision: found 'float16', accepted 'float32', 'tf32', 'bf16'"):
        MomentumStep(Perceptron([2, 2]), precision="float16")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_steps_on_a_gpu_are_the_float64_steps_within_rounding(precision: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    allowed = torch.backends.cuda.matmul.allow_tf32
    reference = MomentumStep(Perceptron([64, 128, 96], seed=0).double())
    start = {name: value.clone() for name, value in reference.weights().items()}
    ours = MomentumStep(Perceptron([64, 128, 96], seed=0).cuda(), precision=precision)
    x, y = drawn(32, 64, seed=1), drawn(32, 96, seed=2)
    for _ in range(2):
        reference.step(x, y, 1e-3)
        ours.step(x.float().cuda(), y.float().cuda(), 1e-3)
    assert torch.backends.cuda.matmul.allow_tf32 == allowed
    for name, value in reference.weights().items():
        error = ours.weights()[name].double().cpu() - value
        assert error.norm() < 4 * UNIT * (value - start[name]).norm()


def test_small_differences_survive_prediction_in_bf16() -> None:
    """A change of a few landmark genes changes every target as it does in float32; rounded outputs would lose it."""
    network = Perceptron([40, 64, 64, 500], seed=0).requires_grad_(False)
    rng = torch.Generator().manual_seed(1)
    for depth in range(3):
        network.weight(depth).normal_(0, 0.2, generator=rng)
    x = torch.randn(200, 40, generator=rng)
    moved = x.clone()
    moved[:, :4] += 0.05
    changes = [
        made.predict(moved) - made.predict(x) for made in (products.Products(network), products.Bf16Products(network))
    ]
    correlation = torch.corrcoef(torch.stack([change.flatten() for change in changes]))[0, 1]
    assert float(correlation) > 0.99
    assert all(len(torch.unique(gene)) > 195 for gene in products.Bf16Products(network).predict(x).T)
