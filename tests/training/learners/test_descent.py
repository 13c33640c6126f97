"""Residual networks and how they learn: against numpy in float64, and against PyTorch's optimisers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch

from dgex.training.learners.descent import OPTIMISERS, Descent
from dgex.training.learners.descent_step import DescentStep
from dgex.training.learners.mean import MeanPredictor
from dgex.training.learners.residual import Adaptive, ResidualNetwork, Shape
from dgex.training.learners.standard import Standard

Arrays = dict[str, np.ndarray]
SHAPES = [
    Shape(4, (6, 6), 3, units, norm, skip, residual)
    for units, (norm, skip, residual) in product(
        ("silu", "tanh", "adaptive"), ((True, True, True), (False, False, True), (True, False, False))
    )
]


def drawn(shape: Shape, seed: int = 0) -> ResidualNetwork:
    """A network in float64 whose weights are all drawn, so that none of them is without effect."""
    network = ResidualNetwork(shape).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64) + 0.3)
    return network


def statistics(shape: Shape, plain: bool = False) -> Arrays:
    rng = np.random.default_rng(3)
    genes = {"x": shape.landmarks, "y": shape.targets}
    found = {f"{k}_mean": rng.normal(size=n) + 7 for k, n in genes.items()}
    found |= {f"{k}_scale": rng.uniform(0.5, 3, size=n) for k, n in genes.items()}
    return {name: 0 * value + name.endswith("scale") if plain else value for name, value in found.items()}


def standard(shape: Shape, plain: bool = False) -> Standard:
    return Standard({name: torch.from_numpy(value) for name, value in statistics(shape, plain).items()})


def batch(shape: Shape, rows: int = 5, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(rows, shape.landmarks))), torch.from_numpy(
        rng.normal(size=(rows, shape.targets))
    )


# ---- the network, written out


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def unit(w: Arrays, prefix: str, kind: str) -> Callable[[np.ndarray], np.ndarray]:
    if kind == "adaptive":
        a, b, c, d = (w[f"{prefix}.{name}"] for name in "abcd")
        return lambda x: a * sigmoid(b * x + c) + d
    return np.tanh if kind == "tanh" else lambda x: x * sigmoid(x)


def normalised(w: Arrays, prefix: str, h: np.ndarray, norm: bool) -> np.ndarray:
    if not norm:
        return h
    centred = h - h.mean(1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * w[f"{prefix}.weight"] + w[f"{prefix}.bias"]


def by_hand(w: Arrays, shape: Shape, z: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    h, at = z @ w["stem.weight"].T + w["stem.bias"], 0
    if not shape.residual:
        h, at = unit(w, "stem_unit", shape.units)(h), h.shape[1]
        h = h if masks is None else h * masks[:, :at]
    for depth in range(len(shape.hidden) - (not shape.residual)):
        name = f"blocks.{depth}"
        sums = normalised(w, f"{name}.norm", h, shape.norm) @ w[f"{name}.linear.weight"].T + w[f"{name}.linear.bias"]
        added = unit(w, f"{name}.unit", shape.units)(sums)
        if masks is not None:
            added, at = added * masks[:, at : at + added.shape[1]], at + added.shape[1]
        h = h + added if shape.residual else added
    out = normalised(w, "norm", h, shape.norm) @ w["output.weight"].T + w["output.bias"]
    out = out + z @ w["skip.weight"].T if shape.skip else out
    return unit(w, "output_unit", "adaptive")(out) if shape.units == "adaptive" else out


def arrays(network: ResidualNetwork) -> Arrays:
    return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_network_is_the_one_written_out(shape: Shape) -> None:
    network, (z, _) = drawn(shape), batch(shape)
    masks = 1.25 * (torch.rand(len(z), network.dropped, generator=torch.Generator().manual_seed(5)) < 0.8).double()
    for given in (None, masks):
        expected = by_hand(arrays(network), shape, z.numpy(), None if given is None else given.numpy())
        np.testing.assert_allclose(network(z, given).detach().numpy(), expected, rtol=1e-10)


def test_adaptive_units_have_their_closed_form_and_start_as_a_line_through_zero() -> None:
    fresh, x = Adaptive(3), torch.linspace(-3, 3, 21, dtype=torch.float64)[:, None].expand(-1, 3)
    np.testing.assert_allclose(fresh.double()(x).detach().numpy(), 2 * np.tanh(x.numpy() / 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", ["absolute", "squared"])
@pytest.mark.parametrize("shape", SHAPES[::2], ids=str)
def test_a_step_goes_down_the_gradient_of_the_loss_written_out(shape: Shape, loss: str) -> None:
    """One step of plain descent (sgd's first: Nesterov's momentum makes it 1.9 times the gradient)."""
    network, (x, y) = drawn(shape), batch(shape)
    before, held = arrays(network), statistics(shape)
    x, y = x * 2 + 7, y * 2 + 7
    z, wanted = (x.numpy() - held["x_mean"]) / held["x_scale"], (y.numpy() - held["y_mean"]) / held["y_scale"]

    def cost(weights: Arrays) -> float:
        off = by_hand(weights, shape, z) - wanted
        return float(np.abs(off).mean() if loss == "absolute" else (off**2).mean())

    step = DescentStep(network, standard(shape), Descent(loss, "sgd"))
    assert float(step.step(x, y, 0.01)) == pytest.approx(cost(before) * y.numel(), rel=1e-9)
    after = arrays(network)
    rng = np.random.default_rng(0)
    for name, value in before.items():
        at = tuple(rng.integers(size) for size in value.shape)
        slopes = []
        for sign in (1, -1):
            moved = value.copy()
            moved[at] += sign * 1e-6
            slopes.append(cost(before | {name: moved}))
        gradient = (slopes[0] - slopes[1]) / 2e-6
        assert after[name][at] - value[at] == pytest.approx(-0.01 * 1.9 * gradient, rel=1e-4, abs=1e-9), name


# ---- learning


def learner(shape: Shape = SHAPES[0], **how: object) -> DescentStep:
    return DescentStep(drawn(shape), standard(shape), Descent(**{"total": 40, "steps": 4} | how))  # type: ignore[arg-type]


def run(step: DescentStep, epochs: range, steps: int = 4) -> DescentStep:
    for epoch in epochs:
        step.begin_epoch(epoch)
        for number in range(steps):
            step.step(*batch(step.network.shape, seed=100 * epoch + number), 0.01)
    return step


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("averaging", ["off", "exponential", "equal"])
def test_what_is_loaded_goes_on_bit_for_bit(optimiser: str, averaging: str) -> None:
    how = {"optimiser": optimiser, "averaging": averaging, "dropout": 0.2, "noise": 0.1, "landmark_dropout": 0.2}
    whole = run(learner(**how), range(1, 11))
    first = run(learner(**how), range(1, 9))
    kept = [{name: value.clone() for name, value in held.items()} for held in (first.weights(), first.velocity())]
    resumed = learner(**how)
    run(resumed, range(1, 2))  # of a state that is to be forgotten
    resumed.load(*kept)
    run(resumed, range(9, 11))
    for held in ("weights", "velocity"):
        expected, found = getattr(whole, held)(), getattr(resumed, held)()
        assert expected.keys() == found.keys()
        assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_a_state_that_does_not_fit_is_refused() -> None:
    step = run(learner(), range(1, 2))
    state = dict(step.velocity())
    with pytest.raises(KeyError):
        learner().load({}, state)
    state["stem.weight.exp_avg"] = torch.zeros(2, 2)
    with pytest.raises(RuntimeError, match=r"stem\.weight\.exp_avg"):
        learner().load(step.weights(), state)


def test_matrices_alone_decay() -> None:
    shape = Shape(4, (6,), 3)
    decays, not_ = (DescentStep(drawn(shape), standard(shape), Descent(weight_decay=w)) for w in (0.5, 0.0))
    for step in (decays, not_):
        step.step(*batch(shape), 0.1)
    for (name, one), other in zip(decays.network.named_parameters(), not_.network.parameters()):
        start = drawn(shape).get_parameter(name)
        expected = other - (0.05 * start if one.ndim > 1 else 0.0)
        np.testing.assert_allclose(one.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("averaging", "first"), [("equal", 30), ("exponential", 0)])
def test_the_mean_of_weights_is_the_mean_of_those_that_were(averaging: str, first: int) -> None:
    """Forgetting a twentieth of 40 steps is forgetting half at each: weights 1/2, 1/4, … back to the first."""
    step, raw = learner(averaging=averaging), []
    for epoch in range(1, 11):
        step.begin_epoch(epoch)
        for number in range(4):
            step.step(*batch(step.network.shape, seed=100 * epoch + number), 0.01)
            raw.append(step.network.stem.weight.detach().numpy().copy())
    if averaging == "equal":
        expected = np.mean(raw[first:], axis=0)
    else:
        expected = raw[0]
        for value in raw[1:]:
            expected = (expected + value) / 2
    np.testing.assert_allclose(step.weights()["stem.weight"].numpy(), expected, rtol=1e-9)
    x, _ = batch(step.network.shape)
    held = statistics(step.network.shape)
    weights = {name: value.numpy() for name, value in step.weights().items()}
    z = (x.numpy() - held["x_mean"]) / held["x_scale"]
    expected = by_hand(weights, step.network.shape, z) * held["y_scale"] + held["y_mean"]
    np.testing.assert_allclose(step.predict(x).numpy(), expected, rtol=1e-9)


def test_noise_and_masks_follow_from_seed_and_epoch_alone() -> None:
    losses = []
    for seed, epoch, before in ((0, 2, 0), (0, 2, 3), (1, 2, 0), (0, 3, 0)):
        step = learner(noise=0.5, landmark_dropout=0.3, dropout=0.4, seed=seed)
        run(step, range(1, 1 + bool(before)), steps=before)  # numbers that another epoch has drawn
        step.load(learner().weights(), {})
        step.begin_epoch(epoch)
        losses.append(float(step.step(*batch(SHAPES[0]), 0.0)))
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


def test_several_networks_predict_their_mean_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from dgex.training.learners import mean

    shape = SHAPES[0]
    members = [{k: v.astype(np.float32) for k, v in arrays(drawn(shape, seed)).items()} for seed in range(3)]
    held = {name: value.astype(np.float32) for name, value in statistics(shape).items()}
    X = np.random.default_rng(0).normal(7, 2, size=(20, 4)).astype(np.float32)

    def predict(chosen: list[Arrays]) -> np.ndarray:
        return MeanPredictor(shape, chosen, held, torch.device("cpu"))(X)

    together = predict(members)
    np.testing.assert_allclose(together, np.mean([predict([m]) for m in members], axis=0), rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(mean, "_BLOCK", 3)
    np.testing.assert_allclose(predict(members), together, rtol=1e-5, atol=1e-6)


def test_bfloat16_training_does_not_round_what_is_predicted() -> None:
    shape = Shape(4, (16,), 3)
    network = ResidualNetwork(shape, seed=0)
    held = Standard({name: value.float() for name, value in standard(shape).named_buffers()})
    step = DescentStep(network, held, Descent(), precision="bf16")
    x, y = (value.float() for value in batch(shape, rows=400))
    for _ in range(3):
        step.step(x, y, 0.01)
    predicted = step.predict(x)
    assert predicted.dtype == torch.float32
    assert (predicted[:, 0].unique().numel()) > 390  # bfloat16 has 256 values between two powers of two
    exact = network(held.landmarks(x)).detach()
    np.testing.assert_allclose(held.targets(predicted).numpy(), exact.numpy(), atol=0.02)
