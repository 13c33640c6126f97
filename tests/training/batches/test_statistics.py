"""Means and deviations of genes: against float64, far from zero, and of genes that do not vary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dgex.training.batches import statistics
from dgex.training.batches.statistics import gene_statistics

CPU = torch.device("cpu")


@pytest.mark.parametrize("offset", [0.0, 8.0, 1e6])
def test_statistics_are_those_of_numpy_in_blocks(offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_BYTES", 4 * 5 * 7)
    matrix = (np.random.default_rng(0).normal(size=(101, 5)) * 30 + offset).astype(np.float32)
    mean, scale = gene_statistics(matrix, CPU)
    np.testing.assert_allclose(mean, matrix.mean(0, dtype=np.float64), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scale, matrix.std(0, dtype=np.float64), rtol=1e-6)


def test_a_constant_gene_has_the_scale_one() -> None:
    matrix = np.tile(np.float32([0.0, 3.7, -2e6]), (9, 1))
    matrix[4, 2] = np.nextafter(np.float32(-2e6), np.float32(0))  # rounding
    mean, scale = gene_statistics(matrix, CPU)
    np.testing.assert_array_equal(mean[:2], matrix[0, :2])
    np.testing.assert_array_equal(scale, [1, 1, 1])


def test_a_memory_map_has_the_statistics_of_its_values(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    matrix.tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", np.float32, "r", shape=matrix.shape)
    for one, other in zip(gene_statistics(mapped, CPU), gene_statistics(matrix, CPU)):
        np.testing.assert_array_equal(one, other)
