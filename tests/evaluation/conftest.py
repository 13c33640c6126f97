"""A small dataset and two honest estimators of scikit-learn behind the package's own face."""

from __future__ import annotations

from typing import Any

import anndata as ad
import pytest
from honest import Linear, dataset


@pytest.fixture(scope="session")
def data() -> ad.AnnData:
    return dataset()


@pytest.fixture(scope="session")
def models(data: ad.AnnData) -> dict[str, Any]:
    train = data[(data.obs["split"] == "train").to_numpy()].copy()
    return {"LR": Linear(1e-6, "ols").fit(train, train), "strong": Linear(30.0).fit(train, train)}
