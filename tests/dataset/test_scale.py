"""Scales are recognised, logs are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from dgex import io
from dgex.dataset import range as range_
from dgex.dataset.scale import Scale, as_log2, decide_scale, detect_scale, settled, to_log2
from dgex.errors import DataError
from dgex.io.base import ExpressionFile

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


def held(X: np.ndarray, uns: dict[str, Any] | None = None, unit: str = "") -> ExpressionFile:
    var = pd.DataFrame({"unit": unit} if unit else {}, index=[f"G{i}" for i in range(X.shape[1])])
    obs = pd.DataFrame(index=[f"s{i}" for i in range(len(X))])
    return io.open(AnnData(X.astype(np.float32), obs=obs, var=var, uns=uns or {}))


@pytest.mark.parametrize(
    ("X", "uns", "unit", "kind"),
    [
        (LOG2, {}, "", "log2"),
        (TPM, {}, "", "linear"),
        (np.rint(TPM / TPM.max() * 40), {}, "", "counts"),
        (LOG2, {"log1p": {"base": None}}, "", "ln"),
        (LOG2, {"log1p": {}}, "", "ln"),
        (LOG2, {"log1p": {"base": 2}}, "", "log2"),
        (LOG2 / 4, {"log1p": {"base": 10}}, "", "log10"),
        (np.rint(TPM), {"log1p": {}}, "", "counts"),
        (TPM / TPM.max() * 20, {"unit": "tpm"}, "", "linear"),
        (LOG2, {"unit": "log2(TPM+1)", "log1p": {}}, "", "log2"),
        (LOG2, {"dgex": {"kind": "dataset", "units": "log2 expression"}, "log1p": {}}, "", "log2"),
        (LOG2 - 6, {"dgex": {"kind": "dataset", "standardize": "inductive"}}, "", "standardized"),
        (LOG2, {"dgex": {"unit": "log2 expression"}}, "TPM", "log2"),
        (LOG2 / 10, {}, "TPM", "linear"),
        (LOG2, {"unit": "arbitrary"}, "", "log2"),
    ],
)
def test_what_the_file_says_comes_before_its_range(X: np.ndarray, uns: dict[str, Any], unit: str, kind: str) -> None:
    found = decide_scale(held(X, uns, unit))
    assert (found.kind, found.doubt) == (kind, "")
    assert settled(found, "it") is found
    for asked in ("log2", "ln", "linear", "counts"):
        assert decide_scale(held(X, uns, unit), asked).kind == asked


@pytest.mark.parametrize(
    ("X", "uns", "words"),
    [
        (FPKM, {"log1p": {}}, "but values reach"),
        (LOG2 - 5, {"log1p": {}}, "scaled since"),
        (np.rint(LOG2), {"unit": "log2 expression"}, "whole numbers"),
        (LOG2, {"log1p": {"base": 3}}, "base 3"),
        (TPM / TPM.max() * 40, {}, "small linear values"),
        (np.log2(np.maximum(LOG2 - 7, 0) + 0.001), {}, "logarithms of x"),
    ],
)
def test_doubt_names_what_settles_it(X: np.ndarray, uns: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=f"the scale of it is doubtful: .*{words}.*scale='log2'"):
        settled(decide_scale(held(X, uns)), "it")
    assert not decide_scale(held(X, uns), "log2").doubt


def test_large_files_are_sampled_over_all_of_their_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.tile(LOG2, (40, 1))
    X[700:] = np.exp2(X[700:])  # some late profiles are linear: so are all
    monkeypatch.setattr(range_, "_SAMPLED", 300 * 100)
    found = decide_scale(held(X))
    assert found.linear
    assert not decide_scale(held(X[:700])).linear


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        ("log2", lambda x: np.log2(x + 1)),
        ("ln", np.log1p),
        ("log10", lambda x: np.log10(x + 1)),
        ("linear", lambda x: x),
    ],
)
def test_every_scale_becomes_log2(kind: str, of: Any) -> None:
    expected = np.log2(FPKM.astype(np.float64) + 1)
    found = as_log2(of(FPKM.astype(np.float64)).astype(np.float32), Scale(kind, kind, 0, 1, 0))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    if kind != "linear":
        factor = np.log2(np.e) if kind == "ln" else np.log2(10) if kind == "log10" else 1
        small = (np.log2(FPKM.astype(np.float64) + 0.01) / factor).astype(np.float32)
        np.testing.assert_allclose(as_log2(small, Scale(kind, kind, 0, 1, 0, offset=0.01)), expected, atol=1e-4)
