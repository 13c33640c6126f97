"""Columns that name studies are known, and a random split over them is told."""

from __future__ import annotations

import logging

import anndata as ad
import pandas as pd
import pytest

import dgex
from dgex.dataset.studies import split_by, split_words, study_columns


def test_columns_that_bring_profiles_together() -> None:
    obs = pd.DataFrame({"Study": list("aabb"), "series_id": list("abcd"), "batch": list("xxxx"), "age": [1, 1, 2, 2]})
    assert study_columns(obs) == {"Study": 2}  # not one a profile, nor the same for all


@pytest.mark.parametrize("group", [None, "study"])
def test_a_random_split_over_studies_is_told(
    compendium: ad.AnnData, group: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "dgex"):
        data = dgex.prepare(compendium.copy(), group=group)
    assert ("group='study' keeps each on one side" in caplog.text) == (group is None)
    assert split_by(data.uns) == (group or "")
    counts = data.obs.groupby("split", observed=True)["study"].nunique()
    by = f"by study: train {counts['train']}, validation {counts['validation']}, test {counts['test']} groups"
    assert split_words(data.uns, data.obs) == (by if group else "at random")


def test_a_dataset_that_does_not_say() -> None:
    obs = pd.DataFrame({"split": ["train"]})
    assert [split_words(uns, obs) for uns in ({}, {"dgex": "text"}, {"dgex": {"split": 3}})] == ["not recorded"] * 3
