"""The package as it is imported."""

from __future__ import annotations

import importlib

import anndata as ad

import dgex


def test_prepare_is_the_room_and_the_verb(compendium: ad.AnnData) -> None:
    importlib.import_module("dgex.dataset.quantile")
    data = dgex.prepare(compendium.copy(), seed=0)
    assert set(data.obs["split"]) == {"train", "validation", "test"}
    assert dgex.dataset.quantile is importlib.import_module("dgex.dataset.quantile")


def test_the_public_face_is_listed() -> None:
    assert set(dgex.__all__) <= set(dir(dgex))
    assert {"DGEX", "OLS", "Ridge", "Lasso", "KNNGE", "SampleKNN", "prepare", "infer", "evaluate"} <= set(dgex.__all__)
