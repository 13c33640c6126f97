"""Errors of genes, measured in blocks and kept in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dgex.errors import ModelError
from dgex.paper.measured import Measured, errors_of, read_measured


def test_errors_are_those_of_float64_whatever_the_blocks() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2500, 4)).astype(np.float32), rng.normal(size=(2500, 7)).astype(np.float32)
    W = rng.normal(size=(4, 7)).astype(np.float32)
    genes, profiles = errors_of(lambda x: x @ W, X, Y)
    wrong = np.abs((X @ W).astype(float) - Y)
    np.testing.assert_allclose(genes, wrong.mean(0), rtol=1e-6)
    np.testing.assert_allclose(profiles, wrong.mean(1), rtol=1e-6)


def test_genes_that_are_not_inferred_have_no_error() -> None:
    Y = np.arange(12, dtype=np.float32).reshape(3, 4)
    X = np.zeros((3, 1), np.float32)
    genes, profiles = errors_of(lambda x: np.zeros((len(x), 2), np.float32), X, Y, genes=[3, 1])
    np.testing.assert_array_equal(genes, [np.nan, 5, np.nan, 7])
    np.testing.assert_array_equal(profiles, [2, 6, 10])  # over those that are inferred


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    history = pd.DataFrame({"epoch": [1, 2], "GEO-va.error": [0.5, 0.4]})
    errors = {"GEO-te": np.array([0.25, np.nan, 0.75], np.float32)}
    profiles = {"GEO-te": np.array([0.5, 0.25], np.float32)}
    Measured("GEO/ridge", {"settings": {"alpha": np.float64(2)}}, errors, profiles, history).save(tmp_path)
    back = read_measured(tmp_path, "GEO/ridge")
    assert back is not None
    assert back.facts == {"settings": {"alpha": 2.0}}
    np.testing.assert_array_equal(back.errors["GEO-te"], errors["GEO-te"])
    np.testing.assert_array_equal(back.profiles["GEO-te"], profiles["GEO-te"])
    assert set(back.errors) == set(back.profiles) == {"GEO-te"}
    pd.testing.assert_frame_equal(back.history, history)  # type: ignore[arg-type]
    assert back.overall("GEO-te") == (0.5, 0.25)
    assert np.isnan(back.overall("elsewhere")).all()
    assert read_measured(tmp_path, "GEO/lasso") is None


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    Measured("ols", {}, {"a": np.zeros(3, np.float32)}).save(tmp_path)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ModelError, match=r"ols.errors is damaged.*remove it to measure anew"):
        read_measured(tmp_path, "ols")
