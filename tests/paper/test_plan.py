"""Settings of a study: those of the paper, changed by name, refused in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dgex.errors import SettingsError
from dgex.paper.plan import METHODS, SCALES, resolve


def test_the_paper_has_27_networks_and_its_sizes() -> None:
    plan = SCALES["paper"]
    names = [member.name for member in plan.members()]
    assert len(set(names)) == 27
    assert {"3000x1-dropout0", "9000x3-dropout0.25"} <= set(names)
    assert (plan.landmarks, plan.targets, plan.epochs, plan.batch_size) == (943, 9520, 200, 200)
    assert round(plan.samples * (1 - plan.duplicates)) == 111009
    assert plan.members()[0].model().learning_rate is None  # the paper's rule


def test_settings_come_back_from_json_as_they_are_compared() -> None:
    plan = resolve("demo", {"platforms": [("a", "b", "c")], "dropout": (0, 0.5), "device": "cpu"})
    state = plan.state()
    assert json.loads(json.dumps(state)) == state
    assert "device" not in state


def test_given_data_take_the_rates_of_the_paper() -> None:
    plan = resolve("demo", {"data": "some.h5ad", "epochs": 3})
    assert (plan.samples, plan.learning_rate, plan.batch_size, plan.epochs) == (0, None, 200, 3)
    whole = resolve("paper", {"data": "gse92743"})
    assert (whole.samples, whole.hidden, whole.epochs) == (0, (3000, 6000, 9000), 200)


def test_held_out_groups_enter_no_statistics_unless_asked() -> None:
    assert resolve("demo", {"data": "a.h5ad"}).standardize == "paper"
    assert resolve("demo", {"data": "a.h5ad", "group": "study"}).standardize == "inductive"
    assert resolve("demo", {"data": "a.h5ad", "group": "study", "standardize": "paper"}).standardize == "paper"


def test_the_papers_methods_are_there_at_every_scale_and_newer_ones_where_they_cost_little() -> None:
    assert SCALES["paper"].methods == METHODS
    assert SCALES["demo"].methods == (*METHODS, "kernel", "auto")


@pytest.mark.parametrize(
    ("scale", "changes", "words"),
    [
        ("galaxy", {}, "demo, paper"),
        ("demo", {"colour": 1}, "does not take colour"),
        ("demo", {"methods": ["ols", "forest"]}, "unknown method forest"),
        ("demo", {"methods": ["ridge"]}, "ols must be among"),
        ("demo", {"hidden": (0,)}, "whole numbers"),
        ("demo", {"dropout": (0.1, 0.1)}, "twice"),
        ("demo", {"dropout": (1.5,)}, "dropout"),
        ("demo", {"epochs": 0}, "epochs: found 0, accepted 1 or more"),
        ("demo", {"attributed": -1}, "accepted 1 or more"),
        ("demo", {"hidden": 5}, "hidden: found 5, accepted a value such as"),
        ("demo", {"data": 5}, "data: found 5"),
        ("demo", {"halves": "no"}, "halves: found 'no'"),
        ("demo", {"platforms": "x"}, "platforms: found 'x'"),
        ("demo", {"methods": "ols"}, "methods: found 'ols'"),
        ("demo", {"samples": True}, "samples: found True"),
    ],
)
def test_refusals(scale: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        resolve(scale, changes)
    assert "\n" not in str(caught.value)
