from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dgex.report.look import Look, Points, best_first
from dgex.report.words import sentence, trust_words, whole_percent


def look(r: list[float], original: str = "", beware: str = "") -> Look:
    names = [f"g{at}" for at in range(len(r))]
    genes = pd.DataFrame({"error": 0.5, "r": r, "trust": "", "original": 0.25 if original else np.nan}, index=names)
    none = np.zeros((0, 0), np.float32)
    profiles = pd.DataFrame({"group": ["b", "a", "b"], "error": [0.9, 0.5, 0.1], "baseline": 1.0, "original": np.nan})
    where = "studies it has never seen"
    points = Points([], [], [], none, none, "")
    return Look("auto", "the only model", where, beware, genes, "", original, profiles, "study", "", "mean", points)


def test_the_first_sentence_counts_all_genes() -> None:
    told = sentence(look([0.9, 0.8, 0.1, np.nan], "log2"))
    assert told.startswith("On studies it has never seen, auto infers 50 % of the 4 target genes")
    assert "above .7" in told
    assert "less than 0.25 log2" in told


def test_no_unit_is_invented_and_doubt_is_said() -> None:
    told = sentence(look([0.9], beware="Beware: 3 of these"))
    assert "log2" not in told
    assert told.endswith("Beware: 3 of these")
    assert "no gene" in sentence(look([np.nan]))


@pytest.mark.parametrize(("share", "words"), [(0.0, "0 %"), (1e-9, "less than 1 %"), (1 - 1e-9, "more than 99 %")])
def test_a_share_is_never_rounded_to_none_or_all(share: float, words: str) -> None:
    assert whole_percent(share) == words


def test_nothing_known_of_trust_is_not_told() -> None:
    assert trust_words(pd.Series(["unknown", "measured"]), "x") == ""
    assert trust_words(pd.Series(["", ""]), "x") == ""


def test_groups_are_worst_first() -> None:
    groups = look([0.5]).groups()
    assert groups["group"].tolist() == ["b", "a"]
    assert groups["profiles"].tolist() == [2, 1]
    assert groups["error"].tolist() == pytest.approx([0.5, 0.5])


def test_trust_goes_before_correlation_before_error() -> None:
    trust = pd.Series(["", "high", "medium", "high", "high", "measured"])
    r, error = pd.Series([0.99, 0.8, 0.9, np.nan, 0.8, 1]), pd.Series([0.1, 0.3, 0.1, 0.1, 0.2, 0])
    assert best_first(trust, r, error).tolist() == [4, 1, 3, 2, 0, 5]
