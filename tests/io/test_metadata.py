"""Types of metadata: into text and HDF5, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex.io import metadata

WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\x00"), max_size=8)
CELLS = st.one_of(
    st.lists(st.integers(-(2**62), 2**62).filter(lambda v: v != -666), min_size=1),
    st.lists(st.floats(allow_nan=False).filter(lambda v: v != -666), min_size=1),
    st.lists(st.booleans(), min_size=1),
)


def test_text_gets_its_type() -> None:
    assert metadata.from_text(["1", "-2"]).dtype == np.int64
    assert metadata.from_text(["1", "na"]).dtype == "Int64"
    assert metadata.from_text(["1.5", "-666"]).isna().tolist() == [False, True]
    assert metadata.from_text(["1e-3", ".5", "2"]).tolist() == [1e-3, 0.5, 2]
    assert metadata.from_text(["007", "008"]).tolist() == ["007", "008"]
    assert metadata.from_text(["True", "False"]).dtype == bool
    assert metadata.from_text(["a", "na", "-666"]).isna().tolist() == [False, True, True]
    assert metadata.from_text(["", "NA"]).isna().all()
    assert metadata.from_text(["9" * 18, "9" * 19]).tolist() == ["9" * 18, "9" * 19]
    assert metadata.from_text(["1_000", "2"]).tolist() == ["1_000", "2"]


@given(CELLS)
@settings(max_examples=80, deadline=None)
def test_numbers_survive_text_and_hdf(values: list) -> None:
    column = pd.Series(values)
    through_text = metadata.from_text(metadata.to_text(column))
    assert through_text.tolist() == values
    through_hdf = metadata.from_hdf(metadata.to_hdf(column))
    assert through_hdf is not None
    assert through_hdf.dtype == column.dtype
    assert through_hdf.tolist() == values


@given(st.lists(WORDS.filter(lambda w: w not in ("-666", "-666.0")) | st.none(), min_size=1))
@settings(max_examples=80, deadline=None)
def test_words_survive_hdf(values: list) -> None:
    found = metadata.from_hdf(metadata.to_hdf(pd.Series(values, dtype=object)))
    assert found is not None
    assert [None if pd.isna(v) else v for v in found.tolist()] == values


@given(st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.uint8, np.float32, np.float64, bool]))
def test_types_survive_hdf(kind: type) -> None:
    found = metadata.from_hdf(metadata.to_hdf(pd.Series([0, 1, 1]).astype(kind)))
    assert found is not None
    assert found.dtype == kind


def test_gaps_survive_hdf() -> None:
    for column in (
        pd.Series([1, None, 3], dtype="Int32"),
        pd.Series([1.5, None, 3], dtype="float32"),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series(pd.Categorical(["a", None, "b"])),
        pd.Series([1, None, 3], dtype="UInt8"),
    ):
        found = metadata.from_hdf(metadata.to_hdf(column))
        assert found is not None
        assert found.isna().tolist() == [False, True, False]


def test_what_is_no_column() -> None:
    assert metadata.from_hdf(np.zeros(2, dtype=[("a", "i4")])) is None


def test_cells_that_are_lists_become_text() -> None:
    column = pd.Series([np.array([1.0, 2.0]), np.array([]), None], dtype=object)
    assert metadata.decode(metadata.to_hdf(column)) == ["[1. 2.]", "[]", "-666"]
