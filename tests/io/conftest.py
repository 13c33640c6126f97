"""Small matrices for the tests of files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData


@pytest.fixture
def tiny() -> AnnData:
    """Seven profiles x five genes with metadata of every kind, gaps included."""
    random = np.random.default_rng(3)
    obs = pd.DataFrame(
        {
            "study": pd.Categorical(["a", "b", "a", "b", "a", "a", "b"]),
            "well": [f"00{i}" for i in range(7)],
            "note": ["x y", None, "ü", "-1 dose", "z", "q", "r"],
            "dose": np.array([0.5, np.nan, 2, 3, 4, 5, 1e-7], np.float64),
            "batch": np.arange(7, dtype=np.int64) - 3,
            "kept": [True, False, True, True, False, True, True],
        },
        index=[f"GSM{i}" for i in range(7)],
    )
    var = pd.DataFrame(
        {
            "symbol": ["PSME1", "CISD1", "TP53", "UBE2C", "AARS1"],
            "entrez": np.array([5720, 55847, 7157, 11065, 16], np.int64),
            "role": ["landmark", "target", "landmark", "target", "other"],
        },
        index=["200814_at", "218597_s_at", "201746_at", "202954_at", "201000_at"],
    )
    values = random.normal(8, 3, (7, 5)).astype(np.float32)
    values[1, 2] = -666  # a value like any other: only metadata uses it as a mark
    return AnnData(X=values, obs=obs, var=var)
