"""Groups of several columns are kept on one side of a split, and patients are known by their ids."""

from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dgex.dataset.studies import patients, split_by
from dgex.errors import DataError
from dgex.prepare.groups import group_column
from dgex.prepare.pipeline import prepare


def profiles(count: int = 120, seed: int = 0) -> ad.AnnData:
    rng = np.random.default_rng(seed)
    study = rng.integers(0, 30, count)
    # donors mostly stay in a study, some are in two
    donor = np.where(rng.random(count) < 0.1, 1000 + rng.integers(0, 8, count), study * 10 + rng.integers(0, 9, count))
    obs = pd.DataFrame(
        {"study": [f"S{s}" for s in study], "sample": [f"TCGA-AB-{d:04d}-01A-{i}" for i, d in enumerate(donor)]},
        index=[f"p{i}" for i in range(count)],
    )
    var = pd.DataFrame({"role": ["landmark"] * 4 + ["target"] * 6}, index=[f"G{i}" for i in range(10)])
    return ad.AnnData(rng.normal(8, 2, (count, 10)).astype(np.float32), obs=obs, var=var)


def test_no_value_of_any_column_is_on_two_sides(caplog: pytest.LogCaptureFixture) -> None:
    data = prepare(profiles(), group="study,patient", together=0)
    assert split_by(data.uns) == "study+patient"
    for column in ("study", "patient", "study+patient"):
        assert data.obs.groupby(column, observed=True)["split"].nunique().max() == 1
    assert set(data.obs["split"]) == {"train", "validation", "test"}


def test_joined_groups_are_as_small_as_they_can_be() -> None:
    obs = profiles().obs
    obs["donor"] = patients(obs)
    name = group_column(obs, "study,donor")
    label = obs[name].to_dict()  # by hand: labels spread along shared values until nothing changes
    hand = {p: i for i, p in enumerate(obs.index)}
    while True:
        before = dict(hand)
        for column in ("study", "donor"):
            for members in obs.groupby(column).groups.values():
                least = min(hand[p] for p in members)
                hand |= dict.fromkeys(members, least)
        if before == hand:
            break
    pairs = pd.DataFrame({"ours": label, "hand": hand}).drop_duplicates()
    assert pairs["ours"].is_unique
    assert pairs["hand"].is_unique
    assert len(pairs) > 1


def test_empty_values_link_nothing() -> None:
    obs = pd.DataFrame({"study": ["a", "b", "c", ""], "patient": ["", "", "x", "x"]})
    group_column(obs, "study,patient")
    assert obs["study+patient"].tolist() == ["a", "b", "c", "c"]


def test_patients_on_both_sides_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        data = prepare(profiles(), group="study", together=0)
    known = patients(data.obs)
    train = set(known[data.obs["split"] == "train"])
    count = int(known[data.obs["split"] == "test"].isin(train).sum())
    assert count > 0
    assert f"{count} of {int((data.obs['split'] == 'test').sum())} profiles of test" in caplog.text
    assert "group='study,patient'" in caplog.text


def test_a_column_that_is_not_there_is_named() -> None:
    raw = profiles()
    with pytest.raises(DataError, match="no column 'donor'"):
        prepare(raw, group="study,donor")
    raw.obs["sample"] = "x"
    with pytest.raises(DataError, match="patient"):
        prepare(raw, group="study,patient")
