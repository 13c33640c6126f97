"""The published numbers agree with each other and with what the abstract states."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from dgex.paper import published
from dgex.paper.published import number, table


@pytest.mark.parametrize(("test", "size"), [("GEO-te", (9000, 3)), ("GTEx-te", (9000, 2))])
def test_the_best_network_of_a_table_has_the_improvement_of_the_abstract(test: str, size: tuple[int, int]) -> None:
    found, stated = table(test), number(f"improvement.{test}.LR")
    assert found is not None
    assert stated is not None
    assert min(found.networks, key=lambda key: found.networks[key]) == size
    assert round(1 - found.networks[size][0] / found.methods["LR"][0], 4) == pytest.approx(stated.value)


def test_every_table_is_whole() -> None:
    for test in ("GEO-te", "GTEx-te"):
        found = table(test)
        assert found is not None
        assert set(found.networks) == {(units, layers) for units in (3000, 6000, 9000) for layers in (1, 2, 3)}
        assert set(found.methods) == {"LR", "LR-L1", "LR-L2", "KNN-GE"}
        assert max(error for error, _ in found.networks.values()) < found.methods["KNN-GE"][0]


def test_every_number_says_where_it_stands() -> None:
    held = tomllib.loads(Path(published.__file__).with_name("published.toml").read_text("utf-8"))
    assert all(entry["place"] for entry in [*held["number"], *held["table"].values()])


def test_what_is_not_published() -> None:
    assert number("improvement.L1000-te.LR") is None
    assert table("") is None


@pytest.mark.parametrize("base", ["LR-L1", "LR-L2", "KNN-GE"])
def test_what_the_text_says_follows_from_table_1(base: str) -> None:
    found, stated = table("GEO-te"), number(f"improvement.GEO-te.{base}")
    assert found is not None
    assert stated is not None
    error, other = found.methods[base][0], found.methods["LR"][0]
    gain = 1 - found.networks[9000, 3][0] / error if base == "KNN-GE" else 1 - error / other
    assert round(gain, 4) == pytest.approx(stated.value)


def test_the_published_parameters_are_of_both_halves() -> None:
    half = 944 * 9000 + 2 * 9001 * 9000 + 9001 * 4760
    stated = number("parameters")
    assert stated is not None
    assert round(2 * half, -6) == stated.value
