"""Which networks a grid holds, and how they are dealt out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex.errors import SettingsError
from dgex.fitting.grid_plan import deal, plan
from dgex.models.network.dgex import DGEX
from dgex.models.network.residual import Residual
from dgex.training.learners.perceptron import Perceptron
from dgex.training.learners.residual import ResidualNetwork, Shape


def test_the_papers_27_networks() -> None:
    members = plan({"hidden": [3000, 6000, 9000], "layers": [1, 2, 3], "dropout": [0, 0.1, 0.25]}, {"epochs": 7})
    assert len({member.name for member in members}) == 27
    assert [m.name for m in members[:4]] == [
        "3000x1-dropout0",
        "3000x1-dropout0.1",
        "3000x1-dropout0.25",
        "3000x2-dropout0",
    ]
    last = members[-1]
    assert last.axes == {"hidden": 9000, "layers": 3, "dropout": 0.25}
    assert last.settings == {"hidden": (9000, 9000, 9000), "dropout": 0.25, "epochs": 7}
    assert isinstance(last.model(), DGEX)


@pytest.mark.parametrize(
    ("axes", "shared", "names", "hidden"),
    [
        ({"hidden": [4, 5]}, {}, ["4x1", "5x1"], [(4,), (5,)]),
        ({"layers": [1, 2]}, {"hidden": (6, 6)}, ["6x1", "6x2"], [(6,), (6, 6)]),
        ({"layers": [2]}, {}, ["3000x2"], [(3000, 3000)]),
        ({"seed": [0, 1]}, {"hidden": (9, 3)}, ["seed0", "seed1"], [(9, 3)] * 2),
    ],
)
def test_widths_and_layers(axes: Any, shared: Any, names: list[str], hidden: list[tuple[int, ...]]) -> None:
    members = plan(axes, shared)
    assert [m.name for m in members] == names
    assert [m.settings.get("hidden") for m in members] == hidden


def test_names_do_not_depend_on_the_order_of_axes() -> None:
    axes = {"partition": ["random", "cluster"], "learning_rate": [5e-4, 1e-5], "layers": [1], "hidden": [8]}
    names = {m.name for m in plan(axes, {})}
    assert names == {m.name for m in plan(dict(reversed(axes.items())), {})}
    assert "8x1-learning_rate0.0005-partition-cluster" in names


@settings(deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(1, 7))
def test_weights_are_counted(landmarks: int, hidden: list[int], targets: int) -> None:
    member = plan({"seed": [0]}, {"hidden": tuple(hidden)})[0]
    network = Perceptron([landmarks, *hidden, targets])
    assert member.extent(100, landmarks, targets).weights == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("shared", "shape"),
    [
        ({"hidden": (6, 6), "skip": False}, Shape(4, (6, 6), 3)),
        ({"hidden": (6, 6), "units": "adaptive", "skip": True}, Shape(4, (6, 6), 3, "adaptive", skip=True)),
        (
            {"hidden": (6, 2), "residual": False, "norm": False, "skip": False},
            Shape(4, (6, 2), 3, "silu", False, False, False),
        ),
    ],
)
def test_weights_of_residual_networks_are_counted(shared: dict[str, Any], shape: Shape) -> None:
    extent = plan({"ensemble": [3]}, shared, "residual")[0].extent(100, 4, 3)
    assert extent.weights == sum(p.numel() for p in ResidualNetwork(shape).parameters())
    assert extent.networks == 3


def test_what_is_chosen_by_the_number_of_profiles_counts() -> None:
    member = plan({"seed": [0]}, {}, "residual")[0]
    assert isinstance(member.model(), Residual)
    few, many = member.extent(100, 20, 30), member.extent(88_807, 20, 30)
    assert (few.epochs, few.batch_size) == (100, 32)
    assert (many.epochs, many.batch_size) == (40, 512)
    assert many.weights > few.weights


def test_axes_of_residual_networks() -> None:
    axes = {"hidden": [8, 16], "layers": [2], "units": ["silu", "tanh"], "skip": [True, None], "dropout": [0, 0.3]}
    members = plan(axes, {"epochs": 2}, "residual")
    assert len({member.name for member in members}) == 16
    assert members[0].name == "8x2-dropout0-skiptrue-units-silu"
    assert members[-1].settings == {
        "hidden": (16, 16), "units": "tanh", "skip": None, "dropout": 0.3, "epochs": 2
    }  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 100), max_size=12), st.integers(1, 5))
def test_everything_is_dealt_once_and_no_hand_is_overloaded(costs: list[float], hands: int) -> None:
    dealt = deal(costs, hands)
    assert sorted(at for hand in dealt for at in hand) == list(range(len(costs)))
    loads = [sum(costs[at] for at in hand) for hand in dealt]
    assert max(loads) <= sum(costs) / hands + max(costs, default=0) + 1e-9
    assert all(costs[a] >= costs[b] for hand in dealt for a, b in pairwise(hand))


@pytest.mark.parametrize(
    ("axes", "shared", "message"),
    [
        ({}, {}, "a grid needs an axis; accepted: layers, hidden"),
        ({"colour": [1]}, {}, "a grid has no axis 'colour'; accepted: layers, hidden"),
        ({"device": ["cpu"]}, {}, "no axis 'device'"),
        ({"hidden": []}, {}, "axis hidden: found"),
        ({"dropout": 0.1}, {}, "axis dropout: found 0.1, accepted one or more values"),
        ({"partition": "random"}, {}, "axis partition: found 'random'"),
        ({"dropout": [0, 0.1, 0.0]}, {}, "axis dropout: found 0.0 twice"),
        ({"hidden": [2.5]}, {}, "axis hidden: found 2.5, accepted whole numbers"),
        ({"layers": [0]}, {}, "axis layers: found 0"),
        ({"hidden": [3]}, {"hidden": (4,)}, "hidden is an axis of the grid and a setting at once"),
        ({"layers": [2]}, {"hidden": (4, 5)}, "with the axis layers, accepted one width"),
        ({"dropout": [0, 1.5]}, {}, "dropout: found 1.5"),
        ({"dropout": [0, "much"]}, {}, "dropout: found .much., accepted 0 or more, below 1"),
        ({"epochs": [0]}, {}, "epochs: found 0"),
    ],
)
def test_axes_that_are_not_accepted(axes: Any, shared: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        plan(axes, shared)


@pytest.mark.parametrize(
    ("kind", "axes", "shared", "message"),
    [
        ("ridge", {"alpha": [1]}, {}, "a grid is of networks: method: found 'ridge', accepted dgex or residual"),
        ("nobody", {"alpha": [1]}, {}, "unknown method 'nobody'"),
        ("residual", {"momentum": [0.5]}, {}, "a grid has no axis 'momentum'; accepted: layers, preset, hidden"),
        ("residual", {"placement": ["disk"]}, {}, "no axis 'placement'"),
        ("residual", {"layers": [2]}, {}, "the axis layers needs a width"),
        ("residual", {"units": ["relu"]}, {}, "units: found 'relu', accepted silu, tanh, adaptive"),
        ("residual", {"seed": [0]}, {"hidden": (8, 4)}, "accepted blocks of one width"),
    ],
)
def test_grids_of_other_methods_that_are_not_accepted(
    kind: str, axes: Any, shared: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        plan(axes, shared, kind)
