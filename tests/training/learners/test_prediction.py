"""Prediction in blocks: the network's own forward pass, whatever the blocks and the precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dgex.training.learners import prediction
from dgex.training.learners.perceptron import Perceptron
from dgex.training.learners.prediction import Predictor

SIZES = [20, 30, 25, 15]
CPU = torch.device("cpu")


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    network = Perceptron(SIZES, seed).requires_grad_(False)
    network.weight(2).mul_(5000)
    return {name: value.numpy() for name, value in network.state_dict().items()}


def profiles(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, SIZES[0])).astype(np.float32)


def by_hand(held: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    hidden = x.astype(np.float64)
    for depth in range(2):
        hidden = np.tanh(hidden @ held[f"layers.{depth}.weight"].T + held[f"layers.{depth}.bias"])
    return hidden @ held["layers.2.weight"].T + held["layers.2.bias"]


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("auto", 1e-6), ("bf16", 2.0**-7)])
def test_predictions_are_the_forward_pass(precision: str, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "bf16_instructions", lambda: True)
    held, x = weights(), profiles(40)
    predictor = Predictor(held, CPU, precision)
    assert predictor.precision == ("bf16" if precision == "bf16" else "float32")
    expected, found = by_hand(held, x), predictor(x)
    assert found.dtype == np.float32
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_blocks_do_not_change_a_profile(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "bf16_instructions", lambda: True)
    predictor, x = Predictor(weights(), CPU, precision), profiles(40)
    whole = predictor(x)
    # One float32 rounding may move a bf16 factor to its neighbour, 2^-8 away.
    close = {"rtol": 1e-5, "atol": 1e-6} if precision == "float32" else {"rtol": 0, "atol": 2.0**-6 * whole.std()}
    monkeypatch.setitem(prediction._BLOCKS, precision, 13)
    np.testing.assert_allclose(Predictor(weights(), CPU, precision)(x), whole, **close)
    np.testing.assert_allclose(predictor(x[7:8]), whole[7:8], **close)
    assert predictor(x[:0]).shape == (0, SIZES[-1])


def test_the_result_goes_where_it_is_wanted() -> None:
    predictor, x = Predictor(weights(), CPU), profiles(9)
    out = np.full((11, SIZES[-1]), np.nan, dtype=np.float32)
    assert predictor(x, out=out[1:10]).base is out
    np.testing.assert_array_equal(out[1:10], predictor(x))
    assert np.isnan(out[[0, 10]]).all()


def test_a_processor_without_bfloat16_predicts_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "bf16_instructions", lambda: False)
    plain, asked = (Predictor(weights(), CPU, p) for p in ("float32", "bf16"))
    assert asked.precision == "float32"
    np.testing.assert_array_equal(asked(profiles(5)), plain(profiles(5)))


def test_weights_that_bf16_would_spoil_are_predicted_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two units that are nearly opposites: what is left of their difference is below the rounding of either."""
    for seed, harm, expected in ((0, False, "bf16"), (0, True, "float32")):
        held = weights(seed)
        if harm:
            held["layers.1.weight"][1::2] = held["layers.1.weight"][:-1:2] * 1.0005
            held["layers.2.weight"][:, 1::2] = -held["layers.2.weight"][:, :-1:2]
            held["layers.2.weight"][:, -1] = 0
        monkeypatch.setattr(prediction, "resolve", lambda *_, **__: "bf16")  # as a trial would have it
        assert Predictor(held, CPU, "auto").precision == expected
