from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pages import HOSTILE, Tree, embedded

from dgex.report.inferred import InferredProfiles


@pytest.fixture
def told() -> InferredProfiles:
    genes = pd.DataFrame(
        {
            "role": ["landmark", "landmark", "target", "target", "target"],
            "origin": ["measured", "imputed", "inferred", "inferred", "inferred"],
            "trust": ["measured", "high", "low", "high", "high"],
            "expected_error": [np.nan, 0.2, 0.9, 0.3, 0.1],
            "expected_r": [np.nan, 0.9, 0.2, 0.8, 0.9],
            "recall": [np.nan, np.nan, 0.4, 1.0, 1.0],
        },
        index=["L1", "L2", "A2M", "B", HOSTILE],
    )
    profiles = pd.DataFrame({"distance": [0.1, 0.5, 0.999]}, index=["p1", "p2", HOSTILE])
    return InferredProfiles(genes, profiles, "20 profiles", "log2", 1, 2, 0.031, facts={"File": HOSTILE})


def finder(page: str) -> dict:
    (found,) = [part for part in embedded(page) if isinstance(part, dict) and "measures" in part]
    return found


def test_the_sentence_counts_trust_and_unlike_profiles(told: InferredProfiles) -> None:
    words = told.sentence()
    assert "Of 3 inferred genes 2 (67 %) are of high trust" in words
    assert "1 is unlike" in words


def test_genes_come_most_trusted_first_whatever_their_names(told: InferredProfiles) -> None:
    page = told.page().html()
    Tree(page)
    names = next(part for part in embedded(page) if isinstance(part, list) and "A2M" in part)
    assert names == [HOSTILE, "B", "A2M", "L2", "L1"]
    assert finder(page)["given"]
    assert finder(page)["measures"][0]["columns"][0] == "Trust"
    assert "raises the expected error by 3.1%" in page


def test_numbers_that_were_read_back_as_text_are_numbers(told: InferredProfiles) -> None:
    read = replace(told, genes=told.genes.astype(str), profiles=told.profiles.astype(str))
    assert read.sentence() == told.sentence()
    assert finder(read.page().html()) == finder(told.page().html())


def test_warnings_and_doubt_come_before_anything_else(told: InferredProfiles) -> None:
    doubted = replace(told, warnings=["is it log2?"], doubted=True)
    page = doubted.page().html()
    assert doubted.sentence().startswith("Do not rely")
    assert page.index("is it log2?") < page.index("Do not rely") < page.index("Genes of high trust")


def test_a_model_that_was_never_judged_says_how_to_judge_it(told: InferredProfiles) -> None:
    bare = replace(
        told, genes=told.genes[["role", "origin"]], profiles=pd.DataFrame(index=["p1"]), judged="", cost=None
    )
    page = bare.page().html()
    assert "dgex calibrate MODEL DATA" in bare.sentence()
    assert "high trust" not in page
    assert "at their training mean" in page
