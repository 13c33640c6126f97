"""Columns that name studies are known, and a random split over them is told."""

from __future__ import annotations

import logging
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

import dgex
from dgex.dataset.studies import split_by, split_words, study_columns
from dgex.summary import info


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
    assert split_words(data.uns, data.obs).split("; ")[0] == (by if group else "at random")


def test_a_dataset_that_does_not_say() -> None:
    obs = pd.DataFrame({"split": ["train"]})
    assert [split_words(uns, obs) for uns in ({}, {"dgex": "text"}, {"dgex": {"split": 3}})] == ["not recorded"] * 3


@pytest.mark.parametrize("aside", [0, 2])
def test_near_duplicates_are_told_wherever_the_split_is(compendium: ad.AnnData, aside: int, tmp_path: Path) -> None:
    twins = compendium[:3].copy()
    twins.obs_names = [f"twin of {name}" for name in twins.obs_names]
    data = dgex.prepare(ad.concat([compendium, twins], merge="same"), tmp_path / "data.h5ad")
    assert data.uns["dgex"]["near_duplicates"] == {"distance": 1.0, "pairs": 3, "on_both_sides": 0}
    said = "at random; 3 pairs of profiles closer than 1, each on one side"
    assert split_words(data.uns, data.obs) == said
    assert info(tmp_path / "data.h5ad")["how it was split"] == said
    dgex.train(tmp_path / "data.h5ad", "ols", tmp_path / "model")
    assert said in (tmp_path / "model" / "README.md").read_text("utf-8")
    data.uns["dgex"]["near_duplicates"]["on_both_sides"] = aside
    assert ("2 of them on both sides" in split_words(data.uns, data.obs)) == bool(aside)


@pytest.mark.parametrize("found", [None, "text", {"pairs": 3}, {"distance": "near", "pairs": 1, "on_both_sides": 0}])
def test_a_record_that_is_odd_or_older_says_nothing_of_near_duplicates(found: object) -> None:
    obs = pd.DataFrame({"split": ["train"]})
    assert split_words({"dgex": {"split": {"group": ""}, "near_duplicates": found}}, obs) == "at random"
