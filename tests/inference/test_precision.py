"""Networks infer in the precision that is asked for, and have their own setting back."""

from __future__ import annotations

import numpy as np
import pytest

import dgex
from dgex.errors import SettingsError
from dgex.inference.precision import in_precision
from dgex.models.base import Estimator

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def raw():
    return dgex.simulate(samples=120, landmarks=15, targets=12, seed=0)


@pytest.fixture(scope="module")
def network(raw):
    data = dgex.prepare(raw.copy(), seed=0, together=0)
    return dgex.train(data, "dgex", hidden=(16,), epochs=2, precision="bf16")


def test_float32_unless_told_and_recorded(raw, network) -> None:
    panel = raw[:20, raw.var["role"] == "landmark"].copy()
    result = dgex.infer(panel, network, units="standardized")
    assert result.uns["dgex"]["precision"] == "float32"
    assert network.precision == "bf16"
    values = result[:, result.var["role"] == "landmark"].X
    exact = network.set_params(precision="float32").predict(values)
    network.set_params(precision="bf16")
    np.testing.assert_allclose(result[:, result.var["role"] == "target"].X, exact, rtol=1e-6, atol=1e-6)
    rounded = dgex.infer(panel, network, units="standardized", precision="bf16")
    assert rounded.uns["dgex"]["precision"] == "bf16"
    assert np.abs(rounded.X - result.X).max() < 0.1
    with pytest.raises(SettingsError, match="float16"):
        dgex.infer(panel, network, precision="float16")


def test_what_is_no_network_says_nothing(raw) -> None:
    data = dgex.prepare(raw.copy(), seed=0, together=0)
    result = dgex.infer(raw[:5, raw.var["role"] == "landmark"].copy(), dgex.train(data, "ols"))
    assert "precision" not in result.uns["dgex"]


def test_networks_that_are_held_by_others_too(network) -> None:
    class Holder(Estimator):
        kind = "holder"

        def held_models(self) -> list[Estimator]:
            return [network]

    with in_precision(Holder(), "float32") as precision:
        assert (precision, network.precision) == ("float32", "float32")
    assert network.precision == "bf16"
