"""Scales are recognised, logs are right."""

from __future__ import annotations

import numpy as np
import pytest

from dgex.dataset.scale import detect_scale, to_log2
from dgex.errors import DataError

GENERATOR = np.random.default_rng(0)
LOG2 = GENERATOR.gamma(3, 1.2, (20, 300)).astype(np.float32) + 3
FPKM = np.expm1(GENERATOR.gamma(1, 2.0, (20, 300))).astype(np.float32)
TPM = FPKM / FPKM.sum(1, keepdims=True) * 1e6


@pytest.mark.parametrize(
    ("X", "linear", "unit"),
    [
        (LOG2, False, "log2"),
        (LOG2 - 4, False, "log2"),
        (GENERATOR.normal(size=(20, 300)).astype(np.float32) * 30, False, "standardized"),
        (np.exp2(LOG2), True, "FPKM or intensity"),
        (FPKM, True, "FPKM or intensity"),
        (TPM, True, "TPM"),
        (np.rint(FPKM), True, "counts"),
        (GENERATOR.poisson(3, (20, 300)), True, "counts"),
    ],
)
def test_units(X: np.ndarray, linear: bool, unit: str) -> None:
    found = detect_scale(X)
    assert (found.linear, found.unit) == (linear, unit)
    assert detect_scale(iter([X[:7], X[7:]])) == found


def test_absurd_and_missing_values_do_not_matter() -> None:
    X = FPKM.copy()
    X[3, 3] = 6.7e9
    X[4, 4] = np.nan
    assert detect_scale(X).linear
    with pytest.raises(DataError, match="no finite value"):
        detect_scale(np.full((2, 2), np.nan))


def test_log2() -> None:
    expected = np.log2(FPKM.astype(np.float64) + 1)
    np.testing.assert_allclose(to_log2(FPKM), expected, rtol=1e-6)
    X = FPKM.copy()
    assert to_log2(X, out=X) is X
    np.testing.assert_allclose(X, expected, rtol=1e-6)
    assert not detect_scale(X).linear
    with pytest.raises(DataError, match="below zero"):
        to_log2(np.array([[1.0, -2.0]]))
