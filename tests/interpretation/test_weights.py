from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from given import drawn, layers

from dgex.interpretation.weights import beyond, gene_sets, hub_units, major_weights


def test_far_weights_are_those_of_the_whole_matrix():
    weights = np.random.default_rng(0).standard_t(3, size=(700, 60)).astype(np.float32)
    z = (weights.astype(np.float64) - weights.mean(1, keepdims=True, dtype=np.float64)) / weights.std(
        1, keepdims=True, dtype=np.float64
    )
    genes, units, scores = beyond(weights, 3.0)
    assert set(zip(genes, units)) == set(zip(*np.nonzero(np.abs(z) > 3.0)))
    np.testing.assert_allclose(scores, z[genes, units])


def test_a_gene_of_equal_weights_has_none_and_few_units_have_none():
    assert not len(beyond(np.full((3, 50), 0.7, np.float32), 1.0)[0])
    spike = np.zeros((1, 17), np.float32)
    spike[0, 4] = 9.0
    assert beyond(spike, 3.999)[2] == pytest.approx([4.0])  # sqrt(17 - 1): the farthest there can be
    assert not len(beyond(spike, 4.001)[0])


def planted(depth: int = 1) -> dict[str, np.ndarray]:
    """Unit 7 tied to 5 landmark and 9 target genes, unit 3 to 2 and 4 (negative), unit 11 to one landmark gene."""
    weights = drawn([12, *[40] * depth, 30], seed=3)
    first, last = weights["layers.0.weight"], weights[f"layers.{depth}.weight"]
    first /= 10 * np.abs(first).max()
    last /= 10 * np.abs(last).max()
    first[7, :5], last[10:19, 7] = 3.0, 2.0
    first[3, 5:7], last[20:24, 3] = -3.0, -2.0
    first[11, 8] = 3.0
    return weights


def test_planted_hubs_are_found():
    weights = planted()
    names = [f"L{i}" for i in range(12)], [f"T{i}" for i in range(30)]
    major = major_weights([layers(weights)], *names, 4.0, 5.0)
    hubs = hub_units(major, 5)
    assert hubs[["layer", "rank", "unit", "connections", "landmarks", "targets"]].to_numpy().tolist() == [
        [1, 1, 7, 14, 5, 9],
        [1, 2, 3, 6, 2, 4],
    ]
    assert hubs["positive"].tolist() == [14, 0]
    assert hubs["negative"].tolist() == [0, 6]
    assert hubs["share"].tolist() == pytest.approx([14 / 21, 6 / 21])
    sets = gene_sets(major, hubs)
    own = sets[sets["unit"] == 7]
    assert set(own.loc[own["role"] == "target", "gene"]) == {f"T{i}" for i in range(10, 19)}
    assert set(own.loc[own["role"] == "landmark", "gene"]) == {f"L{i}" for i in range(5)}
    assert set(sets.loc[sets["unit"] == 3, "sign"]) == {"-"}
    assert len(hub_units(major, 1)) == 1


def test_deeper_networks_have_hubs_of_the_first_and_of_the_last_layer():
    weights = planted(depth=3)
    major = major_weights([layers(weights)], [f"L{i}" for i in range(12)], [f"T{i}" for i in range(30)], 4.0, 5.0)
    hubs = hub_units(major, 1)
    assert hubs[["layer", "unit", "landmarks", "targets", "share"]].to_numpy().tolist() == [
        [1, 7, 5, 0, 5 / 8],
        [3, 7, 0, 9, 9 / 13],
    ]


def test_hubs_of_equal_rank_come_in_the_order_of_the_layer():
    major = pd.DataFrame(
        {"part": 1, "layer": 1, "unit": [9, 2, 9, 2], "role": "target", "gene": list("abcd"), "weight": 1.0, "z": 6.0}
    )
    assert hub_units(major, 9)["unit"].tolist() == [2, 9]
    assert hub_units(major.iloc[:2], 9).empty
    assert gene_sets(major.iloc[:0], hub_units(major.iloc[:0], 9)).empty
