"""The learner of the CPU against the plain loop, over whole runs with dropout, changing rates and short batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain import PlainLearner

from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.run.loop import train
from dgex.training.run.settings import TrainingSettings


def problem(profiles: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, 6)).astype(np.float32)
    return X, np.sin(X @ np.random.default_rng(9).normal(size=(6, 5))).astype(np.float32)


@pytest.mark.parametrize("hidden", [(12,), (9, 8, 7)])
def test_float32_equals_the_plain_loop_to_rounding(hidden: tuple[int, ...]) -> None:
    sizes, settings = [6, *hidden, 5], TrainingSettings(0.01, epochs=6, batch_size=32)
    results = [
        train(kind(Perceptron(sizes, seed=1), dropout=0.2, seed=1), *problem(150, 0), {"a": problem(40, 1)}, settings)
        for kind in (MomentumStep, PlainLearner)
    ]
    for name, value in results[1].last.weights.items():
        torch.testing.assert_close(results[0].last.weights[name], value, rtol=1e-4, atol=1e-6)
    curves = [[row["a.error"] for row in result.history] for result in results]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)
